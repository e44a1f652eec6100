"""The profile of one request, out of the flight files that a worker and its children wrote."""

import os
import shutil
import time
import weakref
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from algoprof.errors import ProfileFileError

if TYPE_CHECKING:
    from algoprof.profiles.tree import Profile

_PATIENCE = 2.0  # seconds: an algorithm may fill its directory with files that take long to read
_QUICK = 768 * 1024  # bytes in use; a small program's takes some 450 KiB


FOLDER = "flights"
"""Where a worker and its children record, in the worker's directory."""


class Flights:
    """The flight files of a worker and its children. They go when the worker has gone and nobody is to read them.

    Args:
        directory: the worker's, made here, which goes with them.
    """

    def __init__(self, directory: Path) -> None:
        self.path = directory / FOLDER
        weakref.finalize(self, shutil.rmtree, directory, ignore_errors=True)
        directory.mkdir(mode=0o700)
        self.path.mkdir(mode=0o700)

    def names(self) -> list[str]:
        """Return the files that are there now; none if the algorithm has removed them."""
        try:
            return [str(self.path / name) for name in os.listdir(self.path)]  # noqa: PTH208  (they are named by text)
        except OSError:
            return []

    def profile(
        self,
        request_id: str,
        pid: int,
        died_ns: int | None = None,
        *,
        among: Sequence[str] | None = None,
        before_removal: Callable[[], object],
    ) -> "Profile | None":
        """Return the profile of a request; see `profile_of`."""
        return profile_of(self.path, request_id, pid, died_ns, among=among, before_removal=before_removal)


def is_quick(files: Sequence[str]) -> bool:
    """Whether the profile of a request can be read out of these files in less than a millisecond: few rows are used."""
    try:
        return len(files) == 1 and os.stat(files[0]).st_blocks * 512 <= _QUICK  # noqa: PTH116  (named by text)
    except OSError:
        return False


def profile_of(
    directory: Path,
    request_id: str,
    pid: int,
    died_ns: int | None = None,
    *,
    among: Sequence[str] | None = None,
    before_removal: Callable[[], object] = lambda: None,
) -> "Profile | None":
    """Return the profile of a request, or None if the algorithm recorded nothing for it.

    As long as the worker lives, the files of children that have died are removed: what they hold belongs to this
    request or to an earlier one.

    Args:
        directory: the worker's flight directory.
        request_id: the server's name for the request.
        pid: the worker's process.
        died_ns: when it was killed, on the monotonic clock; None if it lives.
        among: only these of its files are read: those that were there before its worker went on to the next request.
        before_removal: called once before files are removed.
    """
    leader = pid if died_ns is None else None
    every = runs_in(
        directory, died_ns, among=among, leader=leader, request_id=request_id, before_removal=before_removal
    )
    return of_request(every, request_id, pid)


def runs_in(
    directory: Path,
    died_ns: int | None = None,
    *,
    among: Sequence[str] | None = None,
    leader: int | None = None,
    request_id: str | None = None,
    before_removal: Callable[[], object] = lambda: None,
) -> "Sequence[Profile]":
    """Return all runs that a worker and its children recorded.

    Args:
        directory: the worker's flight directory.
        died_ns: when it was killed, on the monotonic clock; None if it lives, or nobody knows.
        among: only these of its files are read; all if it is None.
        leader: the worker's process, to have the files of others that have died removed.
        request_id: runs of other requests may be left out.
        before_removal: called once before files are removed.
    """
    from algoprof.recorder.directory import flight_files  # noqa: PLC0415  (only where a profile is wanted)
    from algoprof.recorder.reader import read  # noqa: PLC0415

    every: list[Profile] = []
    dead: list[str] = []
    give_up = time.monotonic() + _PATIENCE
    for path in flight_files(directory):
        if (among is not None and path not in among) or time.monotonic() > give_up:
            continue
        try:
            flight = read(path, at_ns=died_ns, copied=True, request_id=request_id)
        except (ProfileFileError, OSError):
            continue  # half-made, or just gone
        if leader is not None and flight.pid != leader and not flight.alive:
            dead.append(path)
        every.extend(flight.runs)
    if dead:
        before_removal()
    for path in dead:
        with suppress(OSError):
            os.unlink(path)  # noqa: PTH108  (flight files are named by text)
    return every


def of_request(every: "Sequence[Profile]", request_id: str, pid: int) -> "Profile | None":
    """Return the profile of a request among all runs that a worker and its children recorded; None if there is none.

    What its children recorded of its run is part of it. Where several processes recorded runs of the request, the roots
    of the others stand beside the worker's own.

    Args:
        every: the runs.
        request_id: the server's name for the request.
        pid: the worker's process.
    """
    from algoprof.profiles.merging import merge_nodes  # noqa: PLC0415  (only where a profile is wanted)
    from algoprof.recorder.families import with_workers  # noqa: PLC0415

    found = [with_workers(run, every) for run in every if run.request_id == request_id and not run.part]
    ids = {run.run_id for run in found}
    outermost = [run for run in found if run.parent_run_id not in ids]
    if not outermost:
        return None
    own = min(outermost, key=lambda run: (run.pid != pid, run.started_ns))
    if len(outermost) == 1:
        return own
    others = [root for run in outermost if run is not own for root in run.roots]
    return replace(own, roots=merge_nodes([*own.roots, *others]))
