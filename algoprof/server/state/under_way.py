"""The runs that are under way, a file each in the scratch directory: what is written there no kill of the server takes.

A file is there from before a call is answered or begun until its run is in the database. Each line of it is a JSON
object that adds to those before, so it is whole at any moment; the last one, once the run has ended, says how.
"""

import base64
import contextlib
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from algoprof.server.state.run_log import COLUMNS, Run, kept

FOLDER = "runs"
"""Where the files are in a scratch directory."""

_KNOWN_AT_ITS_END = ("end", "error", "queue", "load", "run", "total", "stdout")


class Left(NamedTuple):
    """What a file told of a run.

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


class UnderWay:
    """One run from its request to its place in the database.

    What cannot be written, for want of memory, is left out: calls go on.

    Args:
        directory: where the files are.
        run: what is known of it so far; it ends as `lost` unless `finish` says better.
        received_ns: when its request was complete, on the monotonic clock.
    """

    def __init__(self, directory: Path, run: Run, received_ns: int) -> None:
        self._path = f"{directory}/{run.request_id}"
        self._file: int | None = None
        with contextlib.suppress(OSError):
            self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_APPEND, 0o600)
        self._write(_told(run, COLUMNS) | {"received_ns": received_ns})

    def load(self, queue: float) -> None:
        """It has a worker that has yet to load, after so many seconds in the queue."""
        self._write({"queue": queue, "loading": True})

    def start(self, queue: float, load: float, now_ns: int) -> None:
        """It is handed to its worker, at a time on the monotonic clock; queue and load took so many seconds."""
        self._write({"queue": queue, "load": load, "started_ns": now_ns})

    def finish(self, run: Run, profile: bytes | None) -> None:
        """It has ended; its profile, if it is known already, is as `run_log.packed` makes it."""
        told = None if profile is None else base64.b64encode(profile).decode("ascii")
        self._write(_told(run, _KNOWN_AT_ITS_END) | {"profile": told})
        self._close()

    def forget(self) -> None:
        """It is in the database, or does not belong there."""
        self._close()
        with contextlib.suppress(OSError):
            os.unlink(self._path)  # noqa: PTH108  (named by text: it is on the path of every answer)

    def _write(self, told: dict[str, Any]) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):
                os.write(self._file, json.dumps(told).encode() + b"\n")

    def _close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


def _told(run: Run, names: Sequence[str]) -> dict[str, Any]:
    return {name: kept(run, name) for name in names}


def left(directory: Path) -> Iterator[Left]:
    """Yield what files tell, the oldest first; one that tells nothing was begun when the server was killed."""
    found = [told for path in directory.glob("*") if (told := _read(path)) is not None]
    yield from sorted(found, key=lambda told: told.received_ns)


def _read(path: Path) -> Left | None:
    told: dict[str, Any] = {}
    with contextlib.suppress(ValueError, TypeError):  # there was no room for the whole of a line
        for line in path.read_bytes().split(b"\n")[:-1]:  # behind the last end of a line is nothing, or half a line
            told |= json.loads(line)
    if not told.keys() >= {"received_ns", *COLUMNS}:
        return None
    run = Run(**{name: told[name] for name in COLUMNS})
    profile = told.get("profile")
    return Left(
        run,
        base64.b64decode(profile) if profile else None,
        told["received_ns"],
        told.get("started_ns"),
        told.get("loading", False),
    )
