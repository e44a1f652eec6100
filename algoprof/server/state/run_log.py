"""The runs that calls have made of algorithms, the last thousand of them, with their profiles: a table of the store."""

import json
import sqlite3
import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

from algoprof.profiles.codec import from_json, to_json

if TYPE_CHECKING:
    from algoprof.profiles.tree import Profile

RunEnd = Literal["ok", "failed", "timeout", "exited", "lost"]
"""How a call ended: with a result, with the algorithm's error, at its timeout, with its worker, with the server."""

KEPT = 1000
"""Runs, of all algorithms together."""
MOST_ERROR, MOST_STDOUT = 4000, 8000
"""Characters of a run's error and of what it printed, of which the end is kept."""

SCHEMA = """
create table if not exists run (
    number integer primary key autoincrement,
    algorithm_id text not null references algorithm,
    version text not null,
    request_id text not null unique,
    received_ms integer not null,
    end text not null,
    error text not null,
    queue real not null,
    load real not null,
    run real not null,
    total real not null,
    timeout real not null,
    input text not null,
    stdout text not null,
    profile blob
);
create index if not exists run_of on run (algorithm_id, number);
"""

_MOST_PROFILE = 64 * 1024  # bytes, packed: a thousand of them stay below 64 MiB
_MOST_UNPACKED = 16 * 1024 * 1024
_MOST_INPUT = 500  # characters


class Run(NamedTuple):
    """One call as it is kept, without its profile.

    Args:
        algorithm_id: whose run it is.
        version: such as `1.0.3`.
        request_id: the server's name for the call.
        received_ms: when its request was complete, milliseconds since the Unix epoch.
        end: how it ended.
        error: the message and the trace, if it did not end well.
        queue: seconds it waited for a worker to be free.
        load: seconds it waited for that worker to load the algorithm.
        run: seconds it ran.
        total: seconds from the complete request to the answer.
        timeout: seconds that it had.
        input: the beginning of what was sent.
        stdout: the end of what it printed.
    """

    algorithm_id: str
    version: str
    request_id: str
    received_ms: int
    end: RunEnd
    error: str
    queue: float
    load: float
    run: float
    total: float
    timeout: float
    input: str
    stdout: str

    @property
    def used_ratio(self) -> float:
        """The share of the timeout that queue, load and run took."""
        return (self.queue + self.load + self.run) / self.timeout if self.timeout else 0.0


COLUMNS = Run._fields
"""The fields of a run."""


class RunLog:
    """The table of runs.

    Args:
        database: the store's; the table is there.
    """

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def add(self, runs: Sequence[tuple[Run, bytes | None]]) -> None:
        """Keep runs, each with what `packed` made of its profile, all or none, and forget the oldest."""
        names, marks = ", ".join(COLUMNS), ", ".join("?" * (len(COLUMNS) + 1))
        rows = [(*_kept(run), profile) for run, profile in runs]
        self._database.execute("begin immediate")
        try:
            self._database.executemany(f"insert into run ({names}, profile) values ({marks})", rows)  # noqa: S608
            self._database.execute("delete from run where number <= (select max(number) from run) - ?", [KEPT])
        except BaseException:
            self._database.execute("rollback")
            raise
        self._database.execute("commit")

    def newest(self, limit: int, algorithm_id: str | None = None) -> list[Run]:
        """Return runs, newest first; those of one algorithm, if it is given."""
        return self._all(
            "where algorithm_id = coalesce(?, algorithm_id) order by number desc limit ?", [algorithm_id, limit]
        )

    def find(self, request_id: str) -> Run | None:
        """Return the run of a request, or None."""
        return next(iter(self._all("where request_id = ?", [request_id])), None)

    def profile(self, request_id: str) -> "Profile | None":
        """Return the profile of a run; None if it recorded none, or too large a one."""
        found = self._database.execute("select profile from run where request_id = ?", [request_id]).fetchone()
        return _unpacked(found[0]) if found and found[0] is not None else None

    def _all(self, condition: str, values: Sequence[object]) -> list[Run]:
        query = f"select {', '.join(COLUMNS)} from run {condition}"  # noqa: S608  (own words only)
        return [Run(*row) for row in self._database.execute(query, list(values))]


def packed(profile: "Profile") -> bytes | None:
    """Return a profile as it is kept; None if that is too large.

    >>> from algoprof.profiles.tree import Node, Profile
    >>> _unpacked(packed(Profile("job", (Node("job", 1, closed_ns=5),)))).name
    'job'
    """
    data = zlib.compress(json.dumps(to_json(profile), separators=(",", ":")).encode(), 1)
    return data if len(data) <= _MOST_PROFILE else None


def _unpacked(data: bytes) -> "Profile | None":
    """Return what was packed; None if it is damaged, or of a newer algoprof."""
    try:
        return from_json(json.loads(zlib.decompressobj().decompress(data, _MOST_UNPACKED)))
    except (ValueError, zlib.error, RecursionError):
        return None


def _kept(run: Run) -> Run:
    """Return a run as it is kept: its texts no longer than is shown, without lone surrogates, which SQLite refuses."""
    return run._replace(
        input=_sound(run.input[:_MOST_INPUT]),
        error=_sound(run.error[:MOST_ERROR]),
        stdout=_sound(run.stdout[-MOST_STDOUT:]),
    )


def _sound(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
