"""What pip made of some requirements, kept on disk: a bisection that was interrupted goes on where it was."""

import contextlib
import hashlib
import json
import os
import tempfile
import time
from pathlib import Path

from algoprof.bisection.verdicts import Verdict, from_json

_AGE = 24 * 3600.0  # seconds after which an index may offer something else
_LARGEST = 16 * 1024 * 1024  # bytes of a file that is read


class Kept:
    """Verdicts in a folder, a file for each, named for what was tried.

    Args:
        directory: the folder, made when it is needed.
        fresh: whether to leave unread what is there, and write it anew.
    """

    def __init__(self, directory: Path, *, fresh: bool = False) -> None:
        self._directory = directory
        self._fresh = fresh
        self._mine: set[str] = set()

    def find(self, key: str, limit: float) -> Verdict | None:
        """Return what was found out; None if it was not, or too long ago, or with less time than there is now.

        Args:
            key: what was tried, see `key_of`.
            limit: how many seconds pip has now.
        """
        path = self._path(key)
        if self._fresh and key not in self._mine:
            return None
        try:
            with path.open("rb") as file:
                if time.time() - os.fstat(file.fileno()).st_mtime > _AGE:
                    return None
                found = from_json(json.loads(file.read(_LARGEST)))
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return None
        return found if found.timed_out is None or found.timed_out >= limit else None

    def keep(self, key: str, verdict: Verdict) -> None:
        """Write what was found out, in one step. Where it cannot be written, it is found out again next time."""
        self._mine.add(key)
        with contextlib.suppress(OSError):
            self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            handle, unfinished = tempfile.mkstemp(prefix=".", dir=self._directory)
            try:
                with os.fdopen(handle, "w", encoding="utf-8", errors="replace") as file:
                    json.dump(verdict.to_json(), file)
                Path(unfinished).replace(self._path(key))
            except BaseException:
                Path(unfinished).unlink(missing_ok=True)
                raise

    def sweep(self) -> None:
        """Remove what is too old to be used."""
        with contextlib.suppress(OSError):
            for path in self._directory.iterdir():
                with contextlib.suppress(OSError):
                    if time.time() - path.stat().st_mtime > _AGE:
                        path.unlink()

    def _path(self, key: str) -> Path:
        return self._directory / f"{key}.json"


def key_of(*parts: str) -> str:
    """Return a name for what is to be tried, equal for equal parts.

    >>> key_of("a", "b") == key_of("a", "b"), key_of("ab") == key_of("a", "b")
    (True, False)
    """
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]
