"""The runs that are under way, in files of the scratch directory: what is written there no kill of the server takes.

A run is there from before its call is answered or begun until it is in the database. Each line of a file is a JSON
object that adds to what those before said of the same run, so it is whole at any moment; the last one, once the run has
ended, says how. Many runs share a file: to make and to remove one for each would cost more than all that is written.
"""

import base64
import contextlib
import json
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

from algoprof.server.state.run_log import COLUMNS, MOST_ERROR, MOST_STDOUT, Run

FOLDER = "runs"
"""Where the files are in a scratch directory."""

_LARGE = 256 * 1024  # bytes of a file; later runs get another one, so that it can go
_AT_ITS_BEGINNING = ("request_id", "algorithm_id", "version", "received_ms", "timeout", "input")
_AT_ITS_END = ("request_id", "end", "queue", "load", "run", "total")
_UNKNOWN = {"end": "lost", "error": "", "queue": 0.0, "load": 0.0, "run": 0.0, "total": 0.0, "stdout": ""}


class Left(NamedTuple):
    """What the files told of a run.

    Args:
        run: it; `lost` if it had not ended.
        profile: as `run_log.packed` made it, if it was read before.
        received_ns: when its request was complete, on the monotonic clock.
        started_ns: when it was handed to a worker; None if that had not been.
        loading: whether it had a worker.
    """

    run: Run
    profile: bytes | None
    received_ns: int
    started_ns: int | None
    loading: bool


class Journal:
    """The files of one server, one after the other.

    What cannot be written, for want of memory, is left out: calls go on.

    Args:
        directory: where the files are.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._numbers = count()
        self._newest: _File | None = None

    def begin(self, run: Run, received_ns: int) -> "UnderWay":
        """Note a run that begins.

        Args:
            run: what is known of it so far; it ends as `lost` unless `finish` says better.
            received_ns: when its request was complete, on the monotonic clock.
        """
        if self._newest is None or not self._newest.runs or self._newest.size > _LARGE:
            self._newest = _File(f"{self._directory}/{next(self._numbers)}")
        return UnderWay(self._newest, run, received_ns)


class UnderWay:
    """One run from its request to its place in the database. `Journal.begin` makes it."""

    def __init__(self, file: "_File", run: Run, received_ns: int) -> None:
        self.request_id = run.request_id
        """The server's name for its call."""
        self.file = file
        """Where it is told of."""
        file.runs += 1
        file.write(_told(run, _AT_ITS_BEGINNING) | {"received_ns": received_ns})

    def load(self, queue: float) -> None:
        """It has a worker that has yet to load, after so many seconds in the queue."""
        self.file.write({"request_id": self.request_id, "queue": queue, "loading": True})

    def start(self, queue: float, load: float, now_ns: int) -> None:
        """It is handed to its worker, at a time on the monotonic clock; queue and load took so many seconds."""
        self.file.write({"request_id": self.request_id, "queue": queue, "load": load, "started_ns": now_ns})

    def finish(self, run: Run, profile: bytes | None) -> None:
        """It has ended; its profile, if it is known already, is as `run_log.packed` makes it."""
        texts = {"error": run.error[:MOST_ERROR], "stdout": run.stdout[-MOST_STDOUT:]}
        told = _told(run, _AT_ITS_END) | texts
        if profile is not None:
            told["profile"] = base64.b64encode(profile).decode("ascii")
        self.file.write(told)

    def forget(self) -> None:
        """It is in the database, or does not belong there."""
        forget([self])


def forget(records: "Iterable[UnderWay]") -> None:
    """Forget runs that are in the database, or do not belong there."""
    by_file: defaultdict[_File, list[str]] = defaultdict(list)
    for record in records:
        by_file[record.file].append(record.request_id)
    for file, request_ids in by_file.items():
        file.forget(request_ids)


class _File:
    """A file that goes with the last of its runs."""

    def __init__(self, path: str) -> None:
        self.runs = 0
        self.size = 0
        self._path = path
        self._handle: int | None = None
        with contextlib.suppress(OSError):
            self._handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_APPEND, 0o600)

    def write(self, told: dict[str, Any]) -> None:
        """Add a line, which begins on one of its own even if there was no room for the whole of the one before."""
        if self._handle is not None:
            with contextlib.suppress(OSError):
                self.size += os.write(self._handle, b"\n%b\n" % json.dumps(told).encode())

    def forget(self, request_ids: list[str]) -> None:
        """Take runs out of it; the last one takes the file along."""
        self.runs -= len(request_ids)
        if self.runs:
            self.write({"forgotten": request_ids})
        elif self._handle is not None:
            os.close(self._handle)
            self._handle = None
            with contextlib.suppress(OSError):
                os.unlink(self._path)  # noqa: PTH108  (named by text: it is on the path of answers)


def _told(run: Run, names: Iterable[str]) -> dict[str, Any]:
    return {name: getattr(run, name) for name in names}


def left(directory: Path) -> Iterator[Left]:
    """Yield what files tell, the oldest first; a run of which they tell too little was begun at the kill."""
    every = (_left(told) for path in directory.glob("*") for told in _read(path))
    found = [one for one in every if one is not None]
    yield from sorted(found, key=lambda told: told.received_ns)


def _read(path: Path) -> list[dict[str, Any]]:
    """Return what a file tells of each of its runs that are not forgotten."""
    told: dict[str, dict[str, Any]] = {}
    for line in path.read_bytes().split(b"\n")[:-1]:  # behind the last end of a line is nothing, or half a line
        try:
            one = json.loads(line)
        except ValueError:  # empty, or there was no room for the whole of it
            continue
        match one:
            case {"forgotten": [*request_ids]}:
                for request_id in request_ids:
                    told.pop(request_id, None)
            case {"request_id": str(request_id)}:
                told.setdefault(request_id, {}).update(one)
    return list(told.values())


def _left(told: dict[str, Any]) -> Left | None:
    if not told.keys() >= {"received_ns", *_AT_ITS_BEGINNING}:
        return None
    run = Run(**{name: told.get(name, _UNKNOWN.get(name)) for name in COLUMNS})
    profile = told.get("profile")
    return Left(
        run,
        base64.b64decode(profile) if profile else None,
        told["received_ns"],
        told.get("started_ns"),
        told.get("loading", False),
    )
