"""A file on the platform read as one of this machine: fetched once, with the first read, as text."""

import io
import tempfile
from collections.abc import Iterator
from types import TracebackType
from typing import IO, Self


class Reading:
    """What makes a `DataFile` readable as a text file. It is fetched at the first read, into a temporary file."""

    _opened: io.TextIOWrapper | None = None

    def __del__(self) -> None:
        self.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[str]:
        """Yield the lines that are left."""
        while line := self.readline():
            yield line

    def copy_to(self, file: IO[bytes], *, timeout: float | None = None) -> None:
        """Write what the file holds into an open one."""
        raise NotImplementedError

    def _text(self) -> io.TextIOWrapper:
        if self._opened is None:
            file = tempfile.TemporaryFile("w+b")  # noqa: SIM115  (closed with what wraps it)
            try:
                self.copy_to(file)
                file.seek(0)
            except BaseException:
                file.close()
                raise
            self._opened = io.TextIOWrapper(file, encoding="utf-8")
        return self._opened

    def readable(self) -> bool:
        """Return True: it can be read."""
        return True

    def seekable(self) -> bool:
        """Return True: it can be read from anywhere."""
        return True

    def writable(self) -> bool:
        """Return False: `put` writes it."""
        return False

    def read(self, size: int | None = -1) -> str:
        """Return so many characters of it, or the rest."""
        return self._text().read(-1 if size is None else size)

    def readline(self, size: int | None = -1) -> str:
        """Return the next line."""
        return self._text().readline(-1 if size is None else size)

    def readlines(self, hint: int | None = -1) -> list[str]:
        """Return the lines that are left."""
        return self._text().readlines(-1 if hint is None else hint)

    def tell(self) -> int:
        """Return where it stands."""
        return self._text().tell()

    def seek(self, offset: int, whence: int | None = None) -> int:
        """Go somewhere in it."""
        return self._text().seek(offset, whence or 0)

    def close(self) -> None:
        """Remove what was fetched; the next read fetches it anew."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None
