"""Where the content of a file goes as it comes: counted, checked, and put in its place in one step."""

import hashlib
import os
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from algoprof.calls.data.progress import Progress
from algoprof.calls.wire.streams import LocalProblem
from algoprof.errors import DataApiError

_LARGEST_IN_MEMORY = 2**30
_MD5 = re.compile(r'"?([0-9a-fA-F]{32})"?')
_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)", re.ASCII)


class Receiver:
    """Takes the content of a file, and goes on where it broke off.

    Args:
        file: where it is written.
        progress: is told of what comes.
        largest: bytes that are taken at most; None for any number.
    """

    def __init__(self, file: IO[bytes], progress: Progress, *, largest: int | None = None) -> None:
        self._file = file
        self._progress = progress
        self._largest = largest
        self._total: int | None = None
        self._etag = ""
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._start: int | None = file.tell() if file.seekable() else None
        self.position = 0
        self.refused = ""
        """Why the body of the last answer was not taken; empty if it was."""

    def resuming(self) -> dict[str, str]:
        """Return the headers of a request for what is still missing; none while there is nothing yet."""
        return {"Range": f"bytes={self.position}-", "If-Range": self._etag} if self.position else {}

    @property
    def can_resume(self) -> bool:
        """Whether the rest can be asked for, for it is known of which content."""
        return bool(self._etag) and not self._etag.startswith("W/")

    def takes(self, status: int, headers: Mapping[str, str]) -> bool:
        """Return whether this is the content, or what is missing of it."""
        self.refused = ""
        if status not in (200, 206):
            return False
        if headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
            self.refused = "it is compressed, though that was not asked for"
        elif headers.get("x-data-type", "file").strip().lower() == "directory":
            self.refused = "it is a folder"
        elif status == 200:
            self._begin(headers)
        else:
            self._go_on(headers)
        return not self.refused

    def write(self, piece: bytes) -> None:
        """Take the next bytes.

        Raises:
            LocalProblem: if they cannot be written.
        """
        self.position += len(piece)
        if self._largest is not None and self.position > self._largest:
            raise LocalProblem(
                DataApiError(
                    f"the file is over {self._largest:,} bytes, too much for memory", hint="use download(path)"
                )
            )
        self._md5.update(piece)
        try:
            self._file.write(piece)
        except (OSError, ValueError) as error:
            raise LocalProblem(error) from error
        self._progress.moved(len(piece))

    def flaw(self, *, verify: bool) -> str:
        """Say what is wrong with the content, now that all of it is there; empty if nothing is.

        Args:
            verify: whether to compare its MD5 with an ETag that looks like one.
        """
        if self._total is not None and self.position != self._total:
            return f"{self.position:,} bytes came, and {self._total:,} were announced"
        wanted = _MD5.fullmatch(self._etag)
        if verify and wanted and self._md5.hexdigest() != wanted[1].lower():
            return "what came has another MD5 than the platform's ETag says"
        return ""

    def _begin(self, headers: Mapping[str, str]) -> None:
        if self.position:
            if self._start is None:
                self.refused = "it begins anew, and what came is written already"
                return
            try:
                self._file.seek(self._start)
                self._file.truncate()
            except OSError as error:
                raise LocalProblem(error) from error
        self.position = 0
        self._md5 = hashlib.md5(usedforsecurity=False)
        length = headers.get("content-length", "")
        self._total = int(length) if re.fullmatch(r"\d{1,18}", length, re.ASCII) else None
        self._etag = headers.get("etag", "")[:200].strip()
        self._progress.expect(self._total)

    def _go_on(self, headers: Mapping[str, str]) -> None:
        match = _RANGE.fullmatch(headers.get("content-range", ""))
        fits = match is not None and int(match[1]) == self.position > 0 and match[3] in ("*", str(self._total))
        if not fits or headers.get("etag", self._etag) != self._etag:
            self.refused = "it is another part than was asked for"


@dataclass
class Destination:
    """A file that will be there when it is whole.

    Args:
        file: where to write.
        path: where it will be.
    """

    file: IO[bytes]
    path: Path


@contextmanager
def replacing(path: Path) -> Iterator[Destination]:
    """Open a temporary file beside a path; at the end of the block it takes its place, after an exception it is gone.

    Args:
        path: the file; what is there stays until then, and its permissions afterwards. A link stays a link, and a
            device or a pipe is written as it is.

    Raises:
        OSError: if it cannot be written there.
    """
    path = path.resolve()
    if path.exists() and not path.is_file() and not path.is_dir():
        with path.open("wb") as file:
            yield Destination(file, path)
        return
    temporary = path.with_name(f".{path.name[:80]}.{secrets.token_hex(6)}.part")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    try:
        with os.fdopen(handle, "wb") as file:
            if path.exists():
                os.chmod(temporary, path.stat().st_mode & 0o777)  # noqa: PTH101  (as os.open made it)
            yield Destination(file, path)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def in_memory(file: IO[bytes], progress: Progress) -> Receiver:
    """Return what takes the content of a file into memory, as far as that is sensible."""
    return Receiver(file, progress, largest=_LARGEST_IN_MEMORY)
