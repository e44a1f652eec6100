"""What processes of a supervision write for it: their stacks, when they are asked, and why one has no flight file."""

import errno
import os
import re
import shutil
import tempfile
import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from algoprof.recorder.own_threads import is_own
from algoprof.recorder.supervised import UNRECORDED
from algoprof.supervisor import processes, start
from algoprof.supervisor.flights import Recorded

_ALL_SECONDS, _EACH_SECONDS = 0.15, 0.05
_LOOK_SECONDS = 0.003
_LONGEST = 256 * 1024
_LONGEST_REASON = 1000
_PREFIX = "algoprof-stacks-"
_FRAME = re.compile(r'  File "(.*)", line \d+ in ')


@dataclass(frozen=True, slots=True)
class _Way:
    """How a process is asked: the signal that it has a handler of ours for, and where that writes."""

    signal: int
    handle: int
    file: Path


class Stacks:
    """The folder that the processes of one supervision write into. To be closed."""

    def __init__(self) -> None:
        _tidy()
        self.folder = _made()
        """Where it is; empty if there is no place for it."""

    def close(self) -> None:
        """Remove the folder."""
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def ask(self, recorded: list[Recorded], pids: Collection[int]) -> str:
        """Have each process write the stack of each of its threads, and return what they wrote within 0.15 s.

        A forked child that records nothing has its parent's way to be asked.

        Args:
            recorded: what is known of those that record.
            pids: every process.
        """
        ways = {one.flight.pid: way for one in recorded if (way := _way_of(one)) is not None}
        until = time.monotonic() + _ALL_SECONDS
        found = []
        for pid in sorted(pids, key=lambda pid: (pid not in ways, pid)):
            own = ways.get(pid)
            for way in [own] if own is not None else ways.values():
                if time.monotonic() < until and _takes(pid, way):
                    found.append((pid, _without_ours(_asked(pid, way, until))))
                    break
        several = len([text for _, text in found if text]) > 1
        return "\n".join(f"process {pid}\n{text}" if several else text for pid, text in found if text)

    def unrecorded(self) -> str:
        """Return why a process has no flight file, the first one that says so; empty if none does."""
        for path in sorted(Path(self.folder).glob(f"*{UNRECORDED}")) if self.folder else ():
            try:
                with path.open(encoding="utf-8", errors="replace") as file:
                    return file.read(_LONGEST_REASON) or os.strerror(errno.ENOSPC)
            except OSError:
                continue
        return ""


def _way_of(one: Recorded) -> _Way | None:
    """Return how a process is asked; under a supervisor inside this one, it writes into that one's folder."""
    try:
        file = Path(f"/proc/{one.flight.pid}/fd/{one.stack_handle}").readlink()
    except OSError:
        return None
    is_one = file.name == str(one.flight.pid) and file.parent.name.startswith(_PREFIX)
    return _Way(one.stack_signal, one.stack_handle, file) if one.stack_signal and is_one else None


def _takes(pid: int, way: _Way) -> bool:
    """Whether it is certain what the signal does: a handler is there, and writes where it should."""
    if not processes.catches(pid, way.signal):
        return False
    try:
        return Path(f"/proc/{pid}/fd/{way.handle}").samefile(way.file)
    except OSError:
        return False


def _asked(pid: int, way: _Way, until: float) -> str:
    """Return what a process appends to its file when it gets the signal."""
    before = _size(way.file)
    try:
        os.kill(pid, way.signal)
    except OSError:
        return ""
    until = min(until, time.monotonic() + _EACH_SECONDS)
    last = before
    while time.monotonic() < until:
        time.sleep(_LOOK_SECONDS)
        size = _size(way.file)
        if size == last > before:
            break
        last = size
    try:
        with way.file.open("rb") as file:
            file.seek(before)
            return file.read(_LONGEST).decode("utf-8", "replace")
    except OSError:
        return ""


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _made() -> str:
    try:
        return tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-")
    except OSError:
        return ""


def _tidy() -> None:
    """Remove the folders of supervisors that were killed."""
    try:
        place = Path(tempfile.gettempdir())
    except OSError:  # there is no such place
        return
    for folder in place.glob(f"{_PREFIX}*"):
        pid = folder.name.removeprefix(_PREFIX).partition("-")[0]
        try:
            if folder.lstat().st_uid == os.getuid() and not Path(f"/proc/{pid}").exists():
                shutil.rmtree(folder, ignore_errors=True)
        except OSError:
            continue


def _without_ours(dump: str) -> str:
    """Return a dump of stacks without the frames that run the program for us, and without our own threads."""
    threads: list[list[str]] = []
    for line in dump.splitlines():
        if not line.startswith("  "):
            threads.append([line])
        elif threads and f'"{start.__file__}"' not in line:
            threads[-1].append(line)
    return "\n".join("\n".join(thread) for thread in threads if len(thread) > 1 and not _is_ours(thread))


def _is_ours(thread: list[str]) -> bool:
    """Whether a thread of a dump is one of algoprof's."""
    files = [found[1] for found in map(_FRAME.match, thread) if found is not None]
    return is_own(reversed(files))
