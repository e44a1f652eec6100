"""A run and its workers: the parts that other processes recorded of it, found in their flight files and added to it."""

import os
import struct
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace

from algoprof.errors import ProfileFileError
from algoprof.profiles.merging import merge, merge_nodes, merged_samples
from algoprof.profiles.tree import Node, Profile
from algoprof.recorder import layout as at
from algoprof.recorder.directory import flight_files
from algoprof.recorder.flight import boot_id
from algoprof.recorder.reader import Flight, read

_RUN = struct.Struct(f"<{at.RUN_WORDS}q")
_HEADER = struct.Struct("<32q")

Process = tuple[int, int]
"""A pid and a start time: no two processes of one boot have the same."""


@dataclass(frozen=True, slots=True)
class Kin:
    """Who is related to whom, as the first segment of a flight file says.

    Args:
        path: the file.
        process: who writes or wrote it.
        parent: which process started that one as its worker; (0, 0) if none did.
        parts: of each part of another process's run: its run id, and the other run's.
    """

    path: str
    process: Process
    parent: Process
    parts: tuple[tuple[str, str], ...]


def with_workers(run: Profile, others: Iterable[Profile]) -> Profile:
    """Return a run with the parts of it that workers recorded, and the parts of those parts, each once.

    What `propagate` carried stands below the node it was asked for at; the rest below a root named `worker`. Nothing
    of it is taken from anybody's own time.

    >>> from algoprof.profiles.tree import Node
    >>> job = Profile("job", (Node("job", 1, closed_ns=9),), run_id="a")
    >>> part = Profile("job", (Node("job", children=(Node("step", 2),)),), run_id="b", parent_run_id="a", part=True)
    >>> with_workers(job, [part, job]).node("job", "step").count
    2
    """
    parts = _parts_of(run.run_id, others)
    if not parts:
        return run
    return replace(
        run,
        roots=_own_first(run, merge_nodes([*run.roots, *(root for part in parts for root in part.roots)])),
        folded=run.folded + sum(part.folded for part in parts),
        dropped=run.dropped + sum(part.dropped for part in parts),
        inexact=run.inexact or any(part.inexact for part in parts),
        **merged_samples([run, *parts]),
    )


def joined(runs: Iterable[Profile]) -> list[Profile]:
    """Return runs with their parts, where those are among them; a part whose run is not stays by itself."""
    every = list(runs)
    whole = [run for run in every if not run.part]
    taken = {part.run_id for run in whole for part in _parts_of(run.run_id, every)}
    return [with_workers(run, every) for run in whole] + [run for run in every if run.part and run.run_id not in taken]


def settled(part: Profile) -> Profile | None:
    """Return a part that is still open as it adds to the totals of its run's name, or None while work is open in it."""
    if any(node.open_count for path, node in part.paths() if len(path) > 1):
        return None
    roots = [
        replace(root, open_count=0, open_ns=0, nested_ns=min(root.nested_ns, root.closed_ns)) for root in part.roots
    ]
    return replace(part, roots=tuple(roots))


def worker_parts(run_id: str, folder: str, own_path: str | None) -> list[Profile]:
    """Return the parts of a run that other processes wrote into the flight files of a folder.

    Args:
        run_id: the run's.
        folder: where to look.
        own_path: the calling process's own file, which it must not open.
    """
    kin = list(_kin(folder, own_path))
    ids = {run_id}
    found: set[str] = set()
    while True:
        more = {one.path: one for one in kin if any(parent in ids for _, parent in one.parts)}.keys() - found
        if not more:
            break
        found |= more
        ids |= {part for one in kin for part, parent in one.parts if parent in ids}
    return [run for flight in _read(found) for run in flight.runs if run.part]


def workers_of(process: Process, folder: str, own_path: str | None) -> list[Flight]:
    """Return the flight files of a process's workers, and of theirs."""
    kin = list(_kin(folder, own_path))
    family: set[Process] = {process}
    found: set[str] = set()
    while True:
        more = {one for one in kin if one.parent in family and one.process not in family}
        if not more:
            break
        family |= {one.process for one in more}
        found |= {one.path for one in more}
    return list(_read(found))


def with_family(path: str | os.PathLike[str], flight: Flight) -> Flight:
    """Return what a flight file says together with what the process's workers left in the files beside it.

    Args:
        path: the file.
        flight: what it says; the calling process's own is read with `own_flight`.
    """
    kin = _kin_of(os.fspath(path))
    folder = os.path.dirname(os.path.abspath(path))
    workers = workers_of(kin.process, folder, os.fspath(path)) if kin is not None else []
    ids = {run.run_id for run in flight.runs}
    parts = {run.run_id: run for one in workers for run in one.runs if run.part}
    for run_id in ids:
        parts |= {part.run_id: part for part in worker_parts(run_id, folder, os.fspath(path))}
    runs = tuple(with_workers(run, (*flight.runs, *parts.values())) for run in flight.runs)
    unfinished = [run for run in flight.runs if run.outcome in ("open", "killed")]
    shown = [part for run in unfinished for part in _parts_of(run.run_id, parts.values())]
    seen = {part.run_id for part in shown}
    elsewhere = {part.name for part in shown if part.outcome == "ok"}  # their totals hold what these runs show
    added = [whole for one in workers for whole in one.cumulative if whole.name not in elsewhere]
    added += [part for part in parts.values() if part.outcome in ("open", "killed") and part.run_id not in seen]
    return replace(flight, runs=runs, cumulative=_by_name([*flight.cumulative, *added]))


def _by_name(profiles: list[Profile]) -> tuple[Profile, ...]:
    same: dict[str, list[Profile]] = {}
    for profile in profiles:
        same.setdefault(profile.name, []).append(profile)
    return tuple(several[0] if len(several) == 1 else merge(several, name) for name, several in same.items())


def _own_first(run: Profile, roots: tuple[Node, ...]) -> tuple[Node, ...]:
    own = {root.name for root in run.roots}
    return tuple(sorted(roots, key=lambda root: root.name not in own))


def _parts_of(run_id: str, others: Iterable[Profile]) -> list[Profile]:
    if not run_id:
        return []
    left = {run.run_id: run for run in others if run.part}
    ids = {run_id}
    parts: list[Profile] = []
    while True:
        found = [part for part in left.values() if part.parent_run_id in ids]
        if not found:
            return parts
        for part in found:
            del left[part.run_id]
            ids.add(part.run_id)
        parts += found


def _kin(folder: str, own_path: str | None) -> Iterator[Kin]:
    for path in flight_files(folder):
        if own_path is None or os.path.basename(path) != os.path.basename(own_path):
            kin = _kin_of(path)
            if kin is not None:
                yield kin


def _kin_of(path: str) -> Kin | None:
    """Return what the first segment of a file says; None if it is no flight file of this boot."""
    try:
        with open(path, "rb") as file:
            data = file.read(at.SEGMENT_BYTES)
    except OSError:
        return None
    if len(data) < at.SEGMENT_BYTES:
        return None
    header = _HEADER.unpack_from(data)
    boot = data[at.HEADER_BOOT_ID * 8 : at.HEADER_BOOT_ID * 8 + 16]
    if header[at.HEADER_MAGIC] != at.MAGIC or header[at.HEADER_VERSION] != at.VERSION or boot != boot_id():
        return None
    parts = []
    for slot in range(at.RUN_COUNT):
        offset = at.RUNS_AT + slot * at.RUN_BYTES
        run = _RUN.unpack_from(data, offset)
        if run[at.RUN_SERIAL] and run[at.RUN_FLAGS] & at.PART:
            words = (offset + at.RUN_ID * 8, offset + at.RUN_PARENT * 8)
            part, parent = (data[start : start + 16].hex() for start in words)
            parts.append((part, parent))
    return Kin(
        path,
        (header[at.HEADER_PID], header[at.HEADER_START_TIME]),
        (header[at.HEADER_PARENT_PID], header[at.HEADER_PARENT_START]),
        tuple(parts),
    )


def _read(paths: Iterable[str]) -> Iterator[Flight]:
    for path in paths:
        with suppress(OSError, ProfileFileError):
            yield read(path)
