"""The server's private directory for pipes, flight files and runs under way: in memory where possible, gone with it."""

import contextlib
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

_PREFIX = "algoprof-server-"
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108  (what is made there is private: mkdtemp)
_OWNER = "data"  # the file that names the data directory
_KEPT = 24 * 3600.0  # seconds for which another data directory's server may still come for what was left


class Scratch:
    """A private directory. One that a killed server left is there for the next server of the same data directory.

    A lock on a file in it says that its server lives.

    Args:
        data: the data directory.
    """

    def __init__(self, data: Path) -> None:
        self._owner = os.fsencode(data.resolve())
        self._parent = _parent()
        while True:
            self.path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=self._parent))
            with contextlib.suppress(FileNotFoundError):  # taken for one that a killed server left half-made
                self._lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
                fcntl.flock(self._lock, fcntl.LOCK_EX)
                if (self.path / "lock").exists():
                    break
                os.close(self._lock)
        (self.path / _OWNER).write_bytes(self._owner)
        for left, owner in self._abandoned():
            if owner != self._owner and not _may_be_fetched(left, owner):
                shutil.rmtree(left, ignore_errors=True)

    def left(self) -> Iterator[Path]:
        """Yield what servers of the same data directory left when they were killed; each is removed afterwards."""
        for left, owner in self._abandoned():
            if owner == self._owner:
                yield left
                shutil.rmtree(left, ignore_errors=True)

    def close(self) -> None:
        """Remove it."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)

    def _abandoned(self) -> Iterator[tuple[Path, bytes]]:
        """Yield the directories of this user's servers that no longer live, each held meanwhile, and whose they are."""
        for left in sorted(self._parent.glob(f"{_PREFIX}*")):
            with contextlib.suppress(OSError), contextlib.ExitStack() as held:
                if left == self.path or left.is_symlink() or left.stat().st_uid != os.getuid():
                    continue
                lock = os.open(left / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
                held.callback(os.close, lock)
                owner = _owner_of(left)
                if owner == self._owner:  # whose servers are dead, but for this one: at most another one looks at it
                    fcntl.flock(lock, fcntl.LOCK_EX)
                else:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # fails while its server lives
                yield left, owner


def _parent() -> Path:
    usable = _SHARED_MEMORY.is_dir() and os.access(_SHARED_MEMORY, os.W_OK | os.X_OK)
    return _SHARED_MEMORY if usable else Path(tempfile.gettempdir())


def _owner_of(directory: Path) -> bytes:
    try:
        return (directory / _OWNER).read_bytes()
    except FileNotFoundError:  # killed while it was made
        return b""


def _may_be_fetched(directory: Path, owner: bytes) -> bool:
    """Whether its data directory is there, to be served again."""
    return bool(owner) and Path(os.fsdecode(owner)).is_dir() and directory.stat().st_mtime > time.time() - _KEPT
