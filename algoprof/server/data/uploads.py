"""A file on its way in: written apart, counted and summed up, and put in its place only when it is whole."""

import contextlib
import hashlib
import os
import uuid

from algoprof.server.data.folders import Folders, refusing
from algoprof.server.data.paths import Place
from algoprof.server.envelopes import INVALID_REQUEST, Refusal


class Upload:
    """A file that is being written; nobody sees it before `finish`, and `discard` leaves nothing of it.

    It outlives the death of the server, not that of the machine: nothing waits for the disk.

    Args:
        folders: where it will lie.
        place: where in them.
        limit: bytes that it may have.
    """

    def __init__(self, folders: Folders, place: Place, limit: int) -> None:
        self._folders = folders
        self._place = place
        self._limit = limit
        self._name = uuid.uuid4().hex
        self._size = 0
        self._md5 = hashlib.md5(usedforsecurity=False)
        with refusing(place), folders.entered(["unfinished"]) as unfinished:
            self._file = os.open(
                self._name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=unfinished
            )

    def write(self, block: bytes) -> None:
        """Add to it.

        Raises:
            Refusal: if it gets too large, or the disk is full.
        """
        self._size += len(block)
        if self._size > self._limit:
            raise too_large(self._place, self._limit)
        self._md5.update(block)
        rest = memoryview(block)
        with refusing(self._place):
            while rest:
                rest = rest[os.write(self._file, rest) :]

    def finish(self) -> tuple[os.stat_result, str]:
        """Put the whole file in its place, instead of one that is there, and return what is known of it and its MD5.

        Raises:
            Refusal: if its folder has gone.
        """
        known = os.fstat(self._file)
        self._folders.put(self._name, self._place)
        return known, self._md5.hexdigest()

    def discard(self) -> None:
        """Remove what is not finished."""
        os.close(self._file)
        with contextlib.suppress(OSError), self._folders.entered(["unfinished"]) as unfinished:
            os.unlink(self._name, dir_fd=unfinished)


def too_large(place: Place, limit: int) -> Refusal:
    """Return the refusal of a file over the limit."""
    return Refusal(
        413,
        INVALID_REQUEST,
        f"{place.uri} would be larger than {limit / 1024**2:g} MiB, this server's limit;"
        " start it with --max-file MIB for more",
    )
