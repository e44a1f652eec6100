"""Where the command line asks about builds and errors: a platform, or the files of the server on this machine."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Protocol

from algoprof.calls.access.platforms import data_directory
from algoprof.calls.algorithms import Algorithm
from algoprof.calls.management.error_log import ErrorRecord, read_error
from algoprof.calls.management.resources import read_build
from algoprof.calls.references import Reference, parse
from algoprof.cli.platform_options import Where
from algoprof.errors import AlgoprofError, ConfigurationError, ManagementError
from algoprof.profiles.builds import Build


class Source(Protocol):
    """Where one algorithm's builds and errors are told. What it raises says what is wrong."""

    name: str
    """`OWNER/NAME`."""

    def builds(self, limit: int) -> list[Build]:
        """Return the newest builds."""

    def build(self, build_id: str) -> Build:
        """Return one build."""

    def log(self, build_id: str) -> str:
        """Return the log of a build."""

    def errors(self) -> list[ErrorRecord]:
        """Return the recent calls that ended in an error, newest first."""


@contextmanager
def source(algorithm: str, where: Where) -> Iterator[Source]:
    """Give the platform that is named, else the data directory, which tells more: it needs no server."""
    reference = parse(algorithm)
    elsewhere = where.address or reference.address or where.account
    if not elsewhere and (where.data is not None or not os.environ.get("ALGORITHMIA_API")):
        records = _records(where.data, reference)
        if records is not None:
            yield records
            return
    with where.client(reference.address) as caller:
        yield _Asked(caller.algo(reference.algorithm))


def chosen(source: Source, build_id: str | None) -> Build:
    """Return the build of an id, or the newest without one.

    Raises:
        AlgoprofError: if there is none.
    """
    if build_id:
        return source.build(build_id)
    newest = source.builds(1)
    if not newest:
        raise AlgoprofError(f"{source.name} has no builds yet; `algoprof serve DIR` makes one")
    return newest[0]


class _Asked:
    """A platform, which is asked."""

    def __init__(self, algorithm: Algorithm) -> None:
        self._algorithm = algorithm
        self.name = str(algorithm.reference)

    def builds(self, limit: int) -> list[Build]:
        """Return the newest builds, following pages as far as needed."""
        return list(islice(self._algorithm.builds(min(limit, 50)), limit))

    def build(self, build_id: str) -> Build:
        """Return one build."""
        return self._algorithm.build(build_id)

    def log(self, build_id: str) -> str:
        """Return the log of a build that has ended."""
        return self._algorithm.build_logs(build_id)

    def errors(self) -> list[ErrorRecord]:
        """Return the recent calls that ended in an error, newest first."""
        return self._algorithm.errors()


class _Kept:
    """The files of the server on this machine."""

    def __init__(self, data: Path, reference: Reference) -> None:
        from algoprof.server.state.records import Records  # noqa: PLC0415  (needs what only a server needs)

        self.name = reference.algorithm
        self._records = Records.find(data, self.name)

    @property
    def known(self) -> bool:
        """Whether it was ever built there."""
        return self._records is not None

    def builds(self, limit: int) -> list[Build]:
        """Return the newest builds."""
        resources = self._records.builds(limit) if self._records else []
        return [build for build in (read_build(self.name, resource) for resource in resources) if build]

    def build(self, build_id: str) -> Build:
        """Return one build."""
        found = next((build for build in self.builds(-1) if build.id == build_id), None)
        if found is None:
            raise ManagementError(
                f"{self.name} has no build {build_id[:80]}; list its builds to see which there are", algorithm=self.name
            )
        return found

    def log(self, build_id: str) -> str:
        """Return the log of a build, as far as it is written."""
        return str(self._records.log(build_id)["logs"]) if self._records else ""

    def errors(self) -> list[ErrorRecord]:
        """Return the recent calls that ended in an error, newest first."""
        rows = self._records.errors() if self._records else []
        return [record for record in (read_error(self.name, row) for row in rows) if record]


def _records(data: Path | None, reference: Reference) -> Source | None:
    try:
        directory = data or data_directory()
    except ConfigurationError:  # there is no home directory
        return None
    kept = _Kept(directory, reference) if (directory / "algoprof.sqlite3").exists() else None
    if kept is not None and kept.known:
        return kept
    if data is not None:
        name = reference.algorithm
        raise AlgoprofError(f"{data} knows no algorithm {name}; `algoprof serve DIR --data {data}` builds one there")
    return None
