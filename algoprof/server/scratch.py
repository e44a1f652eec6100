"""The server's private directory for pipes and flight files: in memory where possible, gone with the server."""

import contextlib
import fcntl
import os
import shutil
import tempfile
from pathlib import Path

_PREFIX = "algoprof-serve-"
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108  (what is made there is private: mkdtemp)


class Scratch:
    """A private directory that a server that was killed leaves for the next one to remove.

    A lock on a file in it says that its server lives.
    """

    def __init__(self) -> None:
        usable = _SHARED_MEMORY.is_dir() and os.access(_SHARED_MEMORY, os.W_OK | os.X_OK)
        parent = _SHARED_MEMORY if usable else Path(tempfile.gettempdir())
        _sweep(parent)
        self.path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
        self._lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    def close(self) -> None:
        """Remove it."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)


def _sweep(parent: Path) -> None:
    """Remove the directories of this user's servers that no longer live."""
    for left in parent.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            if left.is_symlink() or left.stat().st_uid != os.getuid():
                continue
            lock = os.open(left / "lock", os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # fails while its server lives
                shutil.rmtree(left, ignore_errors=True)
            finally:
                os.close(lock)
