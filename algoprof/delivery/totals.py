"""What is so far: this process, the others of its flight directory, and the calls in flight, added up.

A server asks the same of each worker's directory, in which it records nothing itself.
"""

import math
import os
import time
from pathlib import Path
from threading import Lock

from algoprof.delivery.losses import Losses
from algoprof.profiles.batch import Batch, CallInFlight
from algoprof.profiles.merging import merge
from algoprof.profiles.tree import Profile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from algoprof.recorder.directory_totals import Ledger
    from algoprof.recorder.reader import Flight

_ATTEMPTS = 3
_PATIENCE = 1.0  # seconds


class Totals:
    """Adds up what the flight files of a directory hold, so that nothing counted is ever uncounted, or counted twice.

    A file that cannot be read is passed over. One that is gone keeps counting with what was last read, unless the
    directory's totals, which ended processes' files are folded into, count it now.

    Args:
        losses: where files that cannot be read are counted, each once.
        directory: of processes that are not trusted: this one's file is none of them, they are never mapped, since who
            writes one may cut it off, and not waited for long. By default the flight directory.
    """

    def __init__(self, losses: Losses, directory: str | None = None) -> None:
        self._losses = losses
        self._directory = directory
        losses.expect("totals", ("unreadable",))
        self._lock = Lock()
        self._last: dict[str, tuple[Profile, ...]] = {}
        self._dead: set[str] = set()
        self._gone: tuple[Profile, ...] = ()
        self._bad: set[str] = set()
        self._folded: tuple[Profile, ...] = ()
        self._ledger: Ledger | None = None
        self._parts: dict[str, Profile] = {}

    def batch(self, in_flight: "Iterable[tuple[str, int, float]]") -> Batch:
        """Return the totals by run name, the runs that are open and the calls in flight.

        Args:
            in_flight: the algorithm of each, when it was sent in monotonic nanoseconds, and its timeout in seconds.
        """
        now = time.monotonic_ns()
        calls = tuple(CallInFlight(algorithm, max(0, now - sent), timeout) for algorithm, sent, timeout in in_flight)
        with self._lock:
            own = _own_flight() if self._directory is None else None
            open_runs = [*_open_runs(own)] if own else []
            open_runs += self._read_others()
            every = [*(own.cumulative if own else ()), *self._gone, *self._folded]
            for ended in self._last.values():
                every += ended
            every += self._settled_parts(open_runs)
        return Batch(_by_name(every), (), _whole(open_runs), calls)

    def _settled_parts(self, open_runs: list[Profile]) -> "Iterable[Profile]":
        """Return what workers have done of others' runs so far: they end their parts of them late, or never.

        While there is work open in a part, it counts as it did before: own time must not go down in between.
        """
        parts = [run for run in open_runs if run.part]
        if not parts:
            self._parts = {}
            return ()
        from algoprof.recorder.families import settled  # noqa: PLC0415  (as below)

        so_far = {part.run_id: settled(part) or self._parts.get(part.run_id) for part in parts}
        self._parts = {run_id: part for run_id, part in so_far.items() if part is not None}
        return self._parts.values()

    def _read_others(self) -> list[Profile]:
        """Read what other processes left and return their open runs.

        Files may be folded meanwhile. Then what was read does not fit together, and is read again.
        """
        folder = self._directory or _directory()
        if folder is None:
            return []
        open_runs: list[Profile] = []
        former = self._ledger
        for _ in range(_ATTEMPTS):
            before = _stamp(folder)
            self._read_folded(folder)
            found, open_runs = self._read_siblings(folder)
            if _stamp(folder) == before:
                self._part_with(self._last.keys() - found, former)
                self._bad &= found | {folder}
                break
        return open_runs

    def _read_folded(self, folder: str) -> None:
        """Read the directory's totals. What the ones counted that they had to replace is not forgotten."""
        from algoprof.errors import ProfileFileError  # noqa: PLC0415  (only who is asked for totals needs these)
        from algoprof.recorder.directory_totals import read_totals  # noqa: PLC0415

        folded: tuple[Profile, ...] = ()
        ledger = None
        try:
            ledger, flight = read_totals(folder, copied=self._directory is not None)
            folded = flight.cumulative
        except FileNotFoundError:
            pass
        except (OSError, ProfileFileError):
            self._count_unreadable(folder)
        if self._ledger is not None and (ledger is None or ledger.birth != self._ledger.birth):
            self._gone = _by_name([*self._gone, *self._folded])
        self._ledger, self._folded = ledger, folded
        for key in [key for key in self._last if self._is_folded(key)]:
            self._forget(key)

    def _read_siblings(self, folder: str) -> tuple[set[str], list[Profile]]:
        """Read the other processes' files; return which there are, and the runs that are open."""
        from algoprof.errors import ProfileFileError  # noqa: PLC0415  (as above)
        from algoprof.recorder.reader import read  # noqa: PLC0415

        open_runs: list[Profile] = []
        found = set()
        give_up = time.monotonic() + (_PATIENCE if self._directory is not None else math.inf)
        for path in _sibling_files(folder):
            if self._is_folded(path):
                continue  # it is about to be removed
            found.add(path)
            if path in self._dead or time.monotonic() > give_up:
                continue
            try:
                flight = read(path, copied=self._directory is not None)
            except FileNotFoundError:
                found.discard(path)
            except (OSError, ProfileFileError):
                self._count_unreadable(path)
            else:
                ended = flight.cumulative
                if flight.alive:
                    open_runs += _open_runs(flight)
                else:
                    self._dead.add(path)  # it changes no more
                    ended += tuple(run for run in flight.runs if run.outcome == "killed")
                self._last[path] = ended
        return found, open_runs

    def _part_with(self, vanished: set[str], former: "Ledger | None") -> None:
        """Keep counting files that are gone, but not those that the totals name, or named before they knew too many.

        Args:
            vanished: the files.
            former: the ledger of the totals when the files were last seen.
        """
        since = former.count if former and self._ledger and former.birth == self._ledger.birth else 0
        unnamed = self._ledger is not None and self._ledger.count - since > len(self._ledger.processes)
        for path in vanished:
            if not unnamed:
                self._gone = _by_name([*self._gone, *self._last[path]])
            self._forget(path)

    def _is_folded(self, path: str) -> bool:
        from algoprof.recorder.directory import process_of  # noqa: PLC0415  (as above)

        return self._ledger is not None and process_of(path) in self._ledger.processes

    def _forget(self, path: str) -> None:
        del self._last[path]
        self._dead.discard(path)

    def _count_unreadable(self, path: str) -> None:
        if path not in self._bad:
            self._bad.add(path)
            self._losses.add("totals", "unreadable", 1)


def _whole(open_runs: list[Profile]) -> tuple[Profile, ...]:
    """Return the open runs, each with what workers have recorded of it."""
    if not any(run.part for run in open_runs):
        return tuple(open_runs)
    from algoprof.recorder.families import joined  # noqa: PLC0415  (as below)

    return tuple(run for run in joined(open_runs) if not run.part)


def _own_flight() -> "Flight | None":
    from algoprof.recorder import own_flight  # noqa: PLC0415  (a process that only calls has no recorder loaded)

    return own_flight()


def _directory() -> str | None:
    from algoprof.recorder.directory import flight_directory  # noqa: PLC0415  (as above)

    try:
        return flight_directory()
    except OSError:
        return None


def _stamp(folder: str) -> tuple[int, int] | None:
    """Return what changes when files are folded into the directory's totals."""
    from algoprof.recorder.directory import TOTALS_NAME  # noqa: PLC0415  (as above)

    try:
        status = (Path(folder) / TOTALS_NAME).stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns


def _sibling_files(folder: str) -> list[str]:
    """Return the flight files but our own, which must never be opened again: closing it drops the writer's lock."""
    from algoprof.recorder.directory import flight_files  # noqa: PLC0415  (as above)
    from algoprof.recorder.flight import process_start_time  # noqa: PLC0415

    pid = os.getpid()
    own_name, own_path = f"{pid}-{process_start_time(pid)}.flight", os.environ.get("ALGOPROF_FLIGHT_FILE")
    return [path for path in flight_files(folder) if not path.endswith(os.sep + own_name) and path != own_path]


def _open_runs(flight: "Flight") -> "Iterable[Profile]":
    return (run for run in flight.runs if run.outcome == "open")


def _by_name(profiles: "Iterable[Profile]") -> tuple[Profile, ...]:
    same: dict[str, list[Profile]] = {}
    for profile in profiles:
        same.setdefault(profile.name, []).append(profile)
    return tuple(merge(several, name) for name, several in sorted(same.items()))
