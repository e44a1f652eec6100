"""What is written to the platform: bytes, texts and files of any size, read piece by piece as they are sent."""

import hashlib
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import IO, Any

from algoprof.calls.data.progress import Progress
from algoprof.calls.wire.streams import PIECE, LocalProblem
from algoprof.errors import ConfigurationError, DataApiError

Content = str | bytes | bytearray | memoryview | PathLike[str] | IO[bytes]
"""What can be written: a text, bytes, the file that a path leads to, or an open binary file from where it stands."""

_TAKEN = "a file is written from a str, bytes, a Path or a file opened in binary mode"


class Opened:
    """Content that is sent piece by piece, once or again.

    Args:
        file: where it is read, from where that stands now.
        size: its bytes; None if nobody knows before it is read.
        name: what to call it in messages.
        progress: is told of what is read.
    """

    def __init__(self, file: IO[bytes], size: int | None, name: str, progress: Progress) -> None:
        self._file = file
        self._name = name
        self._progress = progress
        self._start = file.tell() if size is not None else 0
        self.size = size
        self.md5 = hashlib.md5(usedforsecurity=False)

    @property
    def is_repeatable(self) -> bool:
        """Whether it can be read again from its beginning."""
        return self.size is not None

    def __iter__(self) -> Iterator[bytes]:
        """Yield it, exactly as many bytes of it as were there at the beginning.

        Raises:
            LocalProblem: if it cannot be read, or has become shorter.
        """
        self.md5 = hashlib.md5(usedforsecurity=False)
        self._progress.expect(self.size)
        left = self.size
        try:
            if self.size is not None:
                self._file.seek(self._start)
            while left is None or left:
                piece = self._file.read(PIECE if left is None else min(PIECE, left))
                if not piece:
                    break
                piece = bytes(piece)
                self.md5.update(piece)
                yield piece
                self._progress.moved(len(piece))
                left = None if left is None else left - len(piece)
        except (OSError, ValueError, TypeError) as error:  # the latter two: closed, or no binary file after all
            raise LocalProblem(error) from error
        if left:
            raise LocalProblem(DataApiError(f"{self._name} became shorter while it was sent"))


class Sized(Opened):
    """Content of which it is known how long it is."""

    def __len__(self) -> int:
        return self.size or 0


@contextmanager
def opened(content: object, progress: Progress) -> Iterator[Opened]:
    """Open what is to be written; a file that was opened by the caller stays open.

    Args:
        content: a `Content`.
        progress: is told of what is read.

    Raises:
        ConfigurationError: if it is something else.
        OSError: if a file cannot be opened.
    """
    if isinstance(content, str):
        try:
            content = content.encode()
        except UnicodeEncodeError:
            raise ConfigurationError(f"{_TAKEN}; half a surrogate pair is no text: write bytes") from None
    if isinstance(content, (bytes, bytearray, memoryview)):
        yield _sized(io.BytesIO(bytes(content)), "the content", progress)
    elif isinstance(content, PathLike):
        with Path(content).open("rb") as file:
            yield _sized(file, os.fspath(content), progress)
    elif isinstance(content, io.TextIOBase) or not hasattr(content, "read"):
        kind = "a file opened as text" if isinstance(content, io.TextIOBase) else type(content).__name__
        raise ConfigurationError(f"{_TAKEN}, not from {kind}")
    elif getattr(content, "closed", False) is True:
        raise ConfigurationError(f"{_TAKEN}, not from one that is closed")
    else:
        yield _sized(content, str(getattr(content, "name", "the file"))[:200], progress)


def _sized(file: Any, name: str, progress: Progress) -> Opened:
    try:
        start = file.tell() if file.seekable() else None
        end = None if start is None else file.seek(0, io.SEEK_END)
    except (AttributeError, OSError):
        start = end = None
    if start is None or end is None:
        return Opened(file, None, name, progress)
    file.seek(start)
    return Sized(file, max(0, end - start), name, progress)
