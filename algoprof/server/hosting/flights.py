"""The profile of one request, out of the flight files that a worker and its children wrote."""

import os
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from algoprof.errors import ProfileFileError

if TYPE_CHECKING:
    from algoprof.profiles.tree import Profile

_PATIENCE = 2.0  # seconds: an algorithm may fill its directory with files that take long to read


def recorded_by(directory: Path) -> list[str]:
    """Return the files in which a worker and its children recorded; none if the worker has been removed meanwhile.

    Args:
        directory: the worker's flight directory.
    """
    try:
        return [str(directory / name) for name in os.listdir(directory)]  # noqa: PTH208  (they are named by text)
    except FileNotFoundError:
        return []


def profile_of(
    directory: Path, request_id: str, pid: int, died_ns: int | None = None, *, among: Sequence[str] | None = None
) -> "Profile | None":
    """Return the profile of a request, or None if the algorithm recorded nothing for it.

    What its children recorded of its run is part of it. Where several processes recorded runs of the request, the roots
    of the others stand beside the worker's own.
    The files of processes that have died are removed: what they hold belongs to this request or to an earlier one.

    Args:
        directory: the worker's flight directory.
        request_id: the server's name for the request.
        pid: the worker's process.
        died_ns: when it was killed, on the monotonic clock; None if it lives.
        among: only these of its files are read: those that were there before its worker went on to the next request.
    """
    from algoprof.profiles.merging import merge_nodes  # noqa: PLC0415  (only where a profile is wanted)
    from algoprof.recorder.directory import flight_files  # noqa: PLC0415
    from algoprof.recorder.families import with_workers  # noqa: PLC0415
    from algoprof.recorder.reader import read  # noqa: PLC0415

    every: list[Profile] = []
    give_up = time.monotonic() + _PATIENCE
    for path in flight_files(directory):
        if (among is not None and path not in among) or time.monotonic() > give_up:
            continue
        try:
            flight = read(path, at_ns=died_ns, copied=True)
            if not flight.alive:
                os.unlink(path)  # noqa: PTH108  (flight files are named by text)
        except (ProfileFileError, OSError):
            continue  # half-made, or just gone
        every.extend(flight.runs)
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
