"""The flight files of one supervision, and the stacks that its processes write when they are asked to."""

import os
import re
import secrets
import shutil
import struct
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from algoprof.errors import ProfileFileError
from algoprof.recorder import layout as at
from algoprof.recorder.directory import flight_directory, flight_files
from algoprof.recorder.reader import Flight, read
from algoprof.supervisor import processes, start

_HEADER = struct.Struct("<32q")
_DUMP_SECONDS = 0.1
_LOOK_SECONDS = 0.003
_LONGEST_STACKS = 256 * 1024
_PACKAGE = str(Path(start.__file__).parents[1])
_FRAME = re.compile(r'  File "(.*)", line \d+ in ')


@dataclass(frozen=True, slots=True)
class Recorded:
    """What one process has recorded.

    Args:
        path: its flight file.
        flight: what that says.
        started: when the process started, in clock ticks since the boot.
        parent: the pid of the process that it is a worker of; 0 if it is none.
        beat_ns: its last sign of life, on the monotonic clock.
        stack_signal: what has it write its stacks; 0 if nothing has.
        stack_handle: its file descriptor for them.
    """

    path: Path
    flight: Flight
    started: int
    parent: int
    beat_ns: int
    stack_signal: int
    stack_handle: int


class Flights:
    """Where the processes of one supervision record. To be closed."""

    def __init__(self) -> None:
        self.supervision = 1 + secrets.randbits(62)
        """What their flight files have in their headers."""
        self.stacks = tempfile.mkdtemp(prefix="algoprof-stacks-")
        """The folder that they write stacks into."""

    def close(self) -> None:
        """Remove what belongs to the supervision; the flight files stay."""
        shutil.rmtree(self.stacks, ignore_errors=True)

    def read(self, died_ns: int | None = None) -> list[Recorded]:
        """Return what every process has recorded, the first one to start first.

        Args:
            died_ns: for those that are dead, when they died at the latest, on the monotonic clock.
        """
        found = []
        for path in _places():
            header = _header(path)
            if header is not None and header[at.HEADER_SUPERVISION] == self.supervision:
                try:
                    flight = read(path, at_ns=died_ns)
                except (ProfileFileError, OSError):
                    continue
                word = header[at.HEADER_SIGNAL]
                found.append(
                    Recorded(
                        Path(path),
                        flight,
                        header[at.HEADER_START_TIME],
                        header[at.HEADER_PARENT_PID],
                        header[at.HEADER_HEARTBEAT],
                        word & 0xFFFFFFFF,
                        word >> 32,
                    )
                )
        return sorted(found, key=lambda one: (one.started, one.flight.pid))

    def ask_for_stacks(self, recorded: list[Recorded]) -> str:
        """Have live processes write the stack of each of their threads, and return what they wrote within 0.1 s."""
        asked = [one.flight.pid for one in recorded if self._ask(one)]
        until = time.monotonic() + _DUMP_SECONDS
        before: dict[int, str] = {}
        while True:
            time.sleep(_LOOK_SECONDS)
            texts = {pid: self._written(pid) for pid in asked}
            if (texts == before and all(texts.values())) or time.monotonic() >= until:
                break
            before = texts
        several = len(asked) > 1
        return "\n".join(f"process {pid}\n{text}" if several else text for pid, text in texts.items() if text)

    def _ask(self, one: Recorded) -> bool:
        """Send the signal, if what it would do is certain."""
        pid, number = one.flight.pid, one.stack_signal
        if not one.flight.alive or not number or not processes.catches(pid, number):
            return False
        try:
            same = Path(f"/proc/{pid}/fd/{one.stack_handle}").samefile(self._file(pid))
            if same:
                os.kill(pid, number)
        except OSError:
            return False
        return same

    def _file(self, pid: int) -> str:
        return os.path.join(self.stacks, str(pid))  # noqa: PTH118  (a name)

    def _written(self, pid: int) -> str:
        try:
            with open(self._file(pid), "rb") as file:  # noqa: PTH123
                return _without_ours(file.read(_LONGEST_STACKS).decode("utf-8", "replace"))
        except OSError:
            return ""


def _places() -> list[str]:
    try:
        found = flight_files(flight_directory())
    except OSError:
        found = []
    named = os.environ.get("ALGOPROF_FLIGHT_FILE")
    return [*found, named] if named and named not in found else found


def _header(path: str) -> tuple[int, ...] | None:
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            return _HEADER.unpack(file.read(_HEADER.size))
    except (OSError, struct.error):
        return None


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
    """Whether a thread began in algoprof: the outermost of its frames that is not of threading is ours."""
    files = [found[1] for found in map(_FRAME.match, thread) if found is not None]
    begun = [file for file in files if os.path.basename(file) != "threading.py"]  # noqa: PTH119
    return bool(begun) and begun[-1].startswith(_PACKAGE + os.sep)
