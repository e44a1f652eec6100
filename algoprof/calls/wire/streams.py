"""What is sent and received piece by piece, so that no size needs as much memory."""

from collections.abc import Iterator, Mapping
from typing import Protocol

PIECE = 64 * 1024
"""Bytes that are read, sent and received at once."""


class Source(Protocol):
    """A body to be sent. One whose size is known has a `__len__`; the others are sent in chunks."""

    def __iter__(self) -> Iterator[bytes]: ...


class Sink(Protocol):
    """Where the body of an answer goes."""

    def takes(self, status: int, headers: Mapping[str, str]) -> bool:
        """Return whether the body that follows goes here; else it is read into the answer, within its limit.

        Args:
            status: the HTTP status.
            headers: the answer's, their names in lower case.
        """

    def write(self, piece: bytes) -> None:
        """Take the next bytes of it."""


class LocalProblem(Exception):  # noqa: N818  (what it carries is the error)
    """Reading what is sent, or writing what came, failed here: no fault of the network or the platform.

    Args:
        error: what to raise in its place.
    """

    def __init__(self, error: Exception) -> None:
        self.error = error
        super().__init__(str(error))
