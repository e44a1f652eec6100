"""What outlives the server, in SQLite: algorithms, their builds and versions, recent errors, insights and runs."""

import contextlib
import json
import sqlite3
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal, TypeVar

from algoprof.errors import ServerError
from algoprof.server.state import run_log

Status = Literal["in-progress", "succeeded", "failed"]
Part = Literal["major", "minor", "patch"]
"""Which number of a version grows."""

FILE = "algoprof.sqlite3"
"""The database's name in a data directory."""

_ERRORS_KEPT = 200  # per algorithm, and for seven days, as the platform keeps them
_INSIGHTS_KEPT = 1000  # executions, likewise
_AGE_MS = 7 * 24 * 3600 * 1000

_SCHEMA = """
create table if not exists algorithm (
    id text primary key,
    owner text not null,
    name text not null,
    unique (owner, name)
);
create table if not exists build (
    number integer primary key autoincrement,
    id text not null unique,
    algorithm_id text not null references algorithm,
    commit_sha text not null,
    content text not null,
    environment text not null,
    kind text not null,
    module text not null,
    status text not null,
    started_ms integer not null,
    finished_ms integer
);
create table if not exists version (
    number integer primary key autoincrement,
    algorithm_id text not null references algorithm,
    major integer not null,
    minor integer not null,
    patch integer not null,
    content text not null,
    build_id text not null references build (id),
    published_ms integer not null,
    unique (algorithm_id, major, minor, patch)
);
create table if not exists asked_version (
    number integer primary key references version
);
create table if not exists error (
    number integer primary key autoincrement,
    algorithm_id text not null references algorithm,
    created_ms integer not null,
    request_id text not null,
    version text not null,
    input text not null,
    error text not null,
    error_type text not null
);
create table if not exists acl (
    folder text primary key,
    read text not null
);
create table if not exists insight (
    number integer primary key autoincrement,
    algorithm_id text not null references algorithm,
    created_ms integer not null,
    request_id text not null,
    message text not null
);
create index if not exists build_of on build (algorithm_id, number);
create index if not exists error_of on error (algorithm_id, number);
create index if not exists insight_of on insight (algorithm_id, number);
"""


@dataclass(frozen=True, slots=True)
class Algorithm:
    """An algorithm that was once served."""

    id: str
    owner: str
    name: str

    @property
    def path(self) -> str:
        """`OWNER/NAME`."""
        return f"{self.owner}/{self.name}"


@dataclass(frozen=True, slots=True)
class Build:
    """One build of a project.

    Args:
        number: grows with time.
        id: a UUID.
        algorithm_id: whose build it is.
        commit_sha: the git commit built, or 40 hexadecimal digits that stand for the content.
        content: the hash of the project's files.
        environment: the key of the Python environment it runs in.
        kind: how a worker runs it, see `projects.Kind`.
        module: what a worker imports.
        status: how far it is.
        started_ms: milliseconds since the Unix epoch.
        finished_ms: the same; None while it runs.
    """

    number: int
    id: str
    algorithm_id: str
    commit_sha: str
    content: str
    environment: str
    kind: str
    module: str
    status: Status
    started_ms: int
    finished_ms: int | None


@dataclass(frozen=True, slots=True)
class Version:
    """One published version: a number for a content, and the newest build of that content while no other followed."""

    number: int
    algorithm_id: str
    major: int
    minor: int
    patch: int
    content: str
    build_id: str
    published_ms: int

    @property
    def semantic(self) -> str:
        """Such as `1.0.3`."""
        return f"{self.major}.{self.minor}.{self.patch}"


@dataclass(frozen=True, slots=True)
class Failure:
    """One call of an algorithm that ended in an error."""

    number: int
    algorithm_id: str
    created_ms: int
    request_id: str
    version: str
    input: str
    error: str
    error_type: str


@dataclass(frozen=True, slots=True)
class Insight:
    """What one execution reported, as one flat JSON object."""

    number: int
    algorithm_id: str
    created_ms: int
    request_id: str
    message: str


_Row = TypeVar("_Row", Algorithm, Build, Version, Failure, Insight)


class Store:
    """The database of one data directory. One server at a time uses it, from one thread.

    >>> store = Store(":memory:")
    >>> store.algorithm("demo", "Hello").path
    'demo/Hello'
    >>> store.close()
    """

    def __init__(self, path: Path | str, *, read_only: bool = False) -> None:
        self.path = path
        """The file; the server writes runs to it by a connection of their own."""
        if read_only:
            self._database = sqlite3.connect(f"{Path(path).absolute().as_uri()}?mode=ro", uri=True)
            self.runs = run_log.RunLog(self._database)
            return
        self._database = sqlite3.connect(path, isolation_level=None)
        self.runs = run_log.RunLog(self._database)
        if isinstance(path, Path):
            path.chmod(0o600)
        self._database.executescript(
            f"pragma journal_mode = wal; pragma synchronous = normal; pragma foreign_keys = on;"
            f"{_SCHEMA}{run_log.SCHEMA}"
        )

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    @property
    def changes(self) -> int:
        """Grows with every row that is written here; while it stays the same, so does what was read, but for runs."""
        return self._database.total_changes

    def algorithms(self) -> list[Algorithm]:
        """Return every algorithm that was ever built."""
        return self._all(Algorithm, "order by owner, name", [])

    def algorithm(self, owner: str, name: str) -> Algorithm:
        """Return an algorithm, made now if it is new."""
        self._database.execute(
            "insert or ignore into algorithm (id, owner, name) values (?, ?, ?)", [str(uuid.uuid4()), owner, name]
        )
        return self._all(Algorithm, "where owner = ? and name = ?", [owner, name])[0]

    def begin_build(
        self, algorithm: Algorithm, *, commit_sha: str, content: str, environment: str, kind: str, module: str
    ) -> Build:
        """Record a build that begins now."""
        build_id = str(uuid.uuid4())
        self._database.execute(
            "insert into build (id, algorithm_id, commit_sha, content, environment, kind, module, status, started_ms)"
            " values (?, ?, ?, ?, ?, ?, ?, 'in-progress', ?)",
            [build_id, algorithm.id, commit_sha, content, environment, kind, module, now_ms()],
        )
        return self._all(Build, "where id = ?", [build_id])[0]

    def finish_build(self, build: Build, status: Status) -> Build:
        """Record that a build has ended, now."""
        self._database.execute(
            "update build set status = ?, finished_ms = ? where id = ?", [status, now_ms(), build.id]
        )
        return self._all(Build, "where id = ?", [build.id])[0]

    def fail_unfinished(self) -> list[Build]:
        """Record that builds which a server left behind when it was killed have failed, and return them."""
        unfinished = self._all(Build, "where status = 'in-progress'", [])
        return [self.finish_build(build, "failed") for build in unfinished]

    def build(self, algorithm: Algorithm, build_id: str) -> Build | None:
        """Return one build of an algorithm, or None."""
        return next(iter(self._all(Build, "where algorithm_id = ? and id = ?", [algorithm.id, build_id])), None)

    def builds(self, algorithm: Algorithm, *, below: int | None = None, limit: int = -1) -> list[Build]:
        """Return builds, newest first.

        Args:
            algorithm: whose.
            below: only those with a smaller number.
            limit: how many at most; -1 for all.
        """
        return self._all(
            Build,
            "where algorithm_id = ? and number < ? order by number desc limit ?",
            [algorithm.id, 2**62 if below is None else below, limit],
        )

    def publish(self, build: Build, part: Part = "patch", *, asked: bool = False) -> Version:
        """Give a built content the next version; if the newest version has that content, point that to this build.

        What goes back to an older version's content is a version of its own, as a commit that reverts others is.

        Args:
            build: one that succeeded.
            part: the number that grows; those behind it begin at 0 again. The first version of all is 1.0.0.
            asked: whether somebody has asked for it: its files are kept then, however many others there come to be.
        """
        newest = "where algorithm_id = ? order by major desc, minor desc, patch desc limit 1", [build.algorithm_id]
        last = next(iter(self._all(Version, *newest)), None)
        if last is not None and last.content == build.content:
            self._database.execute("update version set build_id = ? where number = ?", [build.id, last.number])
        else:
            numbers = _next(last, part) if last else (1, 0, 0)
            self._database.execute(
                "insert into version (algorithm_id, major, minor, patch, content, build_id, published_ms)"
                " values (?, ?, ?, ?, ?, ?, ?)",
                [build.algorithm_id, *numbers, build.content, build.id, now_ms()],
            )
        made = self._all(Version, *newest)[0]
        if asked:
            self._database.execute("insert or ignore into asked_version (number) values (?)", [made.number])
        return made

    def versions(self, algorithm: Algorithm) -> list[Version]:
        """Return every version, newest first."""
        return self._all(Version, "where algorithm_id = ? order by major desc, minor desc, patch desc", [algorithm.id])

    def lasting_builds(self, algorithm: Algorithm, newest: int) -> list[Build]:
        """Return the builds whose files are kept: the newest that succeeded, and those of versions asked for.

        Args:
            algorithm: whose.
            newest: how many of the former.
        """
        succeeded = self._all(
            Build,
            "where algorithm_id = ? and status = 'succeeded' order by number desc limit ?",
            [algorithm.id, newest],
        )
        asked = "select build_id from version where algorithm_id = ? and number in (select number from asked_version)"
        return succeeded + self._all(Build, f"where id in ({asked})", [algorithm.id])

    def record_error(
        self, algorithm: Algorithm, *, request_id: str, version: str, given: str, error: dict[str, str]
    ) -> None:
        """Keep one error of a call for the error log, and forget those too old or too many."""
        trace = f"Some({error['stacktrace']})" if "stacktrace" in error else "None"  # as the platform writes it
        text = f"error:\n{error['message']}\nstacktrace:\n{trace}"
        now = now_ms()
        self._database.execute(
            "insert into error (algorithm_id, created_ms, request_id, version, input, error, error_type)"
            " values (?, ?, ?, ?, ?, ?, ?)",
            [
                algorithm.id,
                now,
                request_id,
                version,
                *map(_storable, (given[:128], text[:100_000], error["error_type"][:200])),
            ],
        )
        self._forget("error", algorithm, now - _AGE_MS, _ERRORS_KEPT)

    def errors(self, algorithm: Algorithm) -> list[Failure]:
        """Return the recent errors, newest first."""
        return self._all(
            Failure,
            "where algorithm_id = ? and created_ms >= ? order by number desc",
            [algorithm.id, now_ms() - _AGE_MS],
            table="error",
        )

    def record_insights(self, algorithm: Algorithm, request_id: str, message: Mapping[str, object]) -> None:
        """Keep what one execution reported, and forget what is too old or too much."""
        now = now_ms()
        self._database.execute(
            "insert into insight (algorithm_id, created_ms, request_id, message) values (?, ?, ?, ?)",
            [algorithm.id, now, request_id, json.dumps(message)],
        )
        self._forget("insight", algorithm, now - _AGE_MS, _INSIGHTS_KEPT)

    def insights(self, algorithm: Algorithm, request_id: str | None = None) -> list[Insight]:
        """Return what recent executions reported, newest first; of one request, if it is given."""
        return self._all(
            Insight,
            "where algorithm_id = ? and created_ms >= ? and request_id = coalesce(?, request_id) order by number desc",
            [algorithm.id, now_ms() - _AGE_MS, None if request_id is None else _storable(request_id)],
        )

    def _forget(self, table: str, algorithm: Algorithm, before_ms: int, kept: int) -> None:
        """Delete an algorithm's rows that are older than a time, and the oldest of those that are too many."""
        self._database.execute(
            f"delete from {table} where algorithm_id = ? and (created_ms < ? or number <= ("  # noqa: S608  (own words)
            f"select number from {table} where algorithm_id = ? order by number desc limit 1 offset ?))",
            [algorithm.id, before_ms, algorithm.id, kept],
        )

    def acl(self, folder: str) -> str | None:
        """Return who may read a folder of the data, if that was ever said: an entry of its list, empty for nobody."""
        found = self._database.execute("select read from acl where folder = ?", [folder]).fetchone()
        return None if found is None else str(found[0])

    def set_acl(self, folder: str, read: str | None) -> None:
        """Keep who may read a folder of the data; None forgets it."""
        if read is None:
            self._database.execute("delete from acl where folder = ?", [folder])
        else:
            self._database.execute("insert or replace into acl (folder, read) values (?, ?)", [folder, read])

    def _all(self, kind: type[_Row], condition: str, values: Sequence[object], table: str = "") -> list[_Row]:
        columns = ", ".join(field.name for field in fields(kind))
        query = f"select {columns} from {table or kind.__name__.lower()} {condition}"  # noqa: S608  (own words only)
        return [kind(*row) for row in self._database.execute(query, list(values))]


@contextlib.contextmanager
def opened(data: Path, *, read_only: bool = False) -> Iterator[Store]:
    """Open the store of a data directory, for the time of a `with`.

    Args:
        data: the data directory.
        read_only: to look at it, whether or not a server uses it.

    Raises:
        ServerError: on entering or inside, if the database cannot be used.
    """
    path = data / FILE
    with database_errors(path), contextlib.closing(Store(path, read_only=read_only)) as store:
        yield store


@contextlib.contextmanager
def database_errors(path: Path) -> Iterator[None]:
    """Tell what fails inside a `with` as a sentence about a database.

    Raises:
        ServerError: if the database cannot be used.
    """
    try:
        yield
    except sqlite3.Error as error:
        raise ServerError(
            f"the database {path} cannot be used ({error}); move it away, and a new one without the old builds is made"
        ) from error


def _next(version: Version, part: Part) -> tuple[int, int, int]:
    if part == "major":
        return version.major + 1, 0, 0
    if part == "minor":
        return version.major, version.minor + 1, 0
    return version.major, version.minor, version.patch + 1


def _storable(text: str) -> str:
    """Return a text without lone surrogates, which an author's message may hold and SQLite refuses."""
    return text.encode("utf-8", "replace").decode()


def now_ms() -> int:
    """Return the time in milliseconds since the Unix epoch."""
    return time.time_ns() // 1_000_000
