"""What a data directory tells of an algorithm's builds and errors by itself: its server may be busy, or have ended."""

import fcntl
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from algoprof.errors import AlgoprofError
from algoprof.server.building.builds import CUT_SHORT, log_path
from algoprof.server.routes.resources import build_resource, error_resource
from algoprof.server.state.store import FILE, Algorithm, opened


class Records:
    """The builds and the error log of one algorithm, as the server's routes show them.

    Args:
        data: the data directory.
        algorithm: one that it knows, see `find`.
    """

    def __init__(self, data: Path, algorithm: Algorithm) -> None:
        self._data = data
        self._algorithm = algorithm

    @classmethod
    def find(cls, data: Path, path: str) -> "Records | None":
        """Return the records of `OWNER/NAME` in a data directory; None if there are none.

        Raises:
            ServerError: if the database cannot be read.
        """
        if not (data / FILE).exists():
            return None
        with opened(data, read_only=True) as store:
            return next((cls(data, known) for known in store.algorithms() if known.path == path), None)

    def builds(self, limit: int) -> list[dict[str, Any]]:
        """Return the newest builds."""
        with opened(self._data, read_only=True) as store:
            published = {version.build_id: version for version in store.versions(self._algorithm)}
            found = store.builds(self._algorithm, limit=limit)
            if any(build.status == "in-progress" for build in found) and not _served(self._data):
                found = [replace(one, status="failed") if one.status == "in-progress" else one for one in found]
            return [build_resource(build, published.get(build.id)) for build in found]

    def errors(self) -> list[dict[str, Any]]:
        """Return the errors of the last seven days, newest first."""
        with opened(self._data, read_only=True) as store:
            return [error_resource(self._algorithm, failure) for failure in store.errors(self._algorithm)]

    def log(self, build_id: str) -> dict[str, Any]:
        """Return a build's log under `logs`, as far as it is written.

        Raises:
            AlgoprofError: if there is no such build.
        """
        with opened(self._data, read_only=True) as store:
            build = store.build(self._algorithm, build_id)
        if build is None:
            raise AlgoprofError(
                f"{self._algorithm.path} has no build {build_id[:80]}; list its builds to see which there are"
            )
        path = log_path(self._data, build)
        log = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
        if build.status == "in-progress" and not _served(self._data):
            log = f"{log.rstrip()}\n{CUT_SHORT}\n"
        return {"logs": log}


def _served(data: Path) -> bool:
    """Tell whether a server lives: one that was killed in the middle of a build leaves it as if it still ran."""
    try:
        lock = os.open(data / "lock", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(lock)
    return False
