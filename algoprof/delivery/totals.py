"""What is so far: this process, the others of its flight directory, and the calls in flight, added up."""

import os
import time
from threading import Lock

from algoprof.delivery.losses import Losses
from algoprof.profiles.batch import Batch, CallInFlight
from algoprof.profiles.merging import merge
from algoprof.profiles.tree import Profile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from algoprof.recorder.reader import Flight


class Totals:
    """Adds up what the flight files of a directory hold, so that nothing counted is ever uncounted.

    A file that cannot be read is passed over; one that is gone keeps counting with what was last read.

    Args:
        losses: where files that cannot be read are counted, each once.
    """

    def __init__(self, losses: Losses) -> None:
        self._losses = losses
        losses.expect("totals", ("unreadable",))
        self._lock = Lock()
        self._last: dict[str, tuple[Profile, ...]] = {}
        self._dead: set[str] = set()
        self._gone: tuple[Profile, ...] = ()
        self._bad: set[str] = set()

    def batch(self, in_flight: "Iterable[tuple[str, int, float]]") -> Batch:
        """Return the totals by run name, the runs that are open and the calls in flight.

        Args:
            in_flight: the algorithm of each, when it was sent in monotonic nanoseconds, and its timeout in seconds.
        """
        now = time.monotonic_ns()
        calls = tuple(CallInFlight(algorithm, max(0, now - sent), timeout) for algorithm, sent, timeout in in_flight)
        with self._lock:
            own = _own_flight()
            open_runs = [*_open_runs(own)] if own else []
            open_runs += self._read_siblings()
            every = [*(own.cumulative if own else ()), *self._gone]
            for ended in self._last.values():
                every += ended
        return Batch(_by_name(every), (), tuple(open_runs), calls)

    def _read_siblings(self) -> list[Profile]:
        """Read the other processes' files and return their open runs."""
        from algoprof.errors import ProfileFileError  # noqa: PLC0415  (only who is asked for totals needs these)
        from algoprof.recorder.reader import read  # noqa: PLC0415

        open_runs: list[Profile] = []
        found = set()
        for path in _sibling_files():
            key = str(path)
            found.add(key)
            if key in self._dead:
                continue
            try:
                flight = read(path)
            except FileNotFoundError:
                found.discard(key)
            except (OSError, ProfileFileError):
                if key not in self._bad:
                    self._bad.add(key)
                    self._losses.add("totals", "unreadable", 1)
            else:
                ended = flight.cumulative
                if flight.alive:
                    open_runs += _open_runs(flight)
                else:
                    self._dead.add(key)  # it changes no more
                    ended += tuple(run for run in flight.runs if run.outcome == "killed")
                self._last[key] = ended
        for key in self._last.keys() - found:
            self._gone = _by_name([*self._gone, *self._last.pop(key)])
            self._dead.discard(key)
        self._bad &= found
        return open_runs


def _own_flight() -> "Flight | None":
    from algoprof.recorder import own_flight  # noqa: PLC0415  (a process that only calls has no recorder loaded)

    return own_flight()


def _sibling_files() -> list[str]:
    """Return the flight files but our own, which must never be opened again: closing it drops the writer's lock."""
    from algoprof.recorder.directory import flight_directory, flight_files  # noqa: PLC0415  (as above)
    from algoprof.recorder.flight import process_start_time  # noqa: PLC0415

    pid = os.getpid()
    own_name, own_path = f"{pid}-{process_start_time(pid)}.flight", os.environ.get("ALGOPROF_FLIGHT_FILE")
    try:
        files = flight_files(flight_directory())
    except OSError:
        return []
    return [path for path in files if not path.endswith(os.sep + own_name) and path != own_path]


def _open_runs(flight: "Flight") -> "Iterable[Profile]":
    return (run for run in flight.runs if run.outcome == "open")


def _by_name(profiles: "Iterable[Profile]") -> tuple[Profile, ...]:
    same: dict[str, list[Profile]] = {}
    for profile in profiles:
        same.setdefault(profile.name, []).append(profile)
    return tuple(merge(several, name) for name, several in sorted(same.items()))
