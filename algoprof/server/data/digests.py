"""The MD5 of each file, which is its ETag: taken while it is written, else once when it is first asked for."""

import hashlib
import os
import threading
from collections import OrderedDict

_REMEMBERED = 10_000
_BLOCK = 1024 * 1024


class Digests:
    """The MD5s of files, by what tells one content of a file from another. Usable from any thread."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[int, ...], str] = OrderedDict()
        self._lock = threading.Lock()

    def remember(self, known: os.stat_result, digest: str) -> None:
        """Keep a digest for `of`."""
        with self._lock:
            self._known[_identity(known)] = digest
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)

    def of(self, file: int, known: os.stat_result) -> str:
        """Return the digest of an open file, which may have to be read for that; its offset does not move.

        Args:
            file: its descriptor.
            known: what `os.fstat` says of it.

        Raises:
            OSError: if it cannot be read.
        """
        with self._lock:
            digest = self._known.get(_identity(known))
        if digest is None:
            digest = _md5(file)
            self.remember(known, digest)
        return digest


def _identity(known: os.stat_result) -> tuple[int, ...]:
    return known.st_dev, known.st_ino, known.st_mtime_ns, known.st_size


def _md5(file: int) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    offset = 0
    while block := os.pread(file, _BLOCK, offset):
        digest.update(block)
        offset += len(block)
    return digest.hexdigest()
