"""The control page: what a server tells its worker about each request, before it sends the request.

A small file, written by the server with `write` and read by `timeouts` with `read`. Its path is in `ALGOPROF_CONTROL`.
Times are on the monotonic clock, which all processes of one machine share.
"""

import os
import struct
from typing import NamedTuple

VARIABLE = "ALGOPROF_CONTROL"
"""The environment variable that names the file."""

_MAGIC = b"ALGOCTL1"
_FORMAT = struct.Struct("<8sqqq64s64s")  # magic, received, timeout, deadline, request id, traceparent


class Request(NamedTuple):
    """What a worker may know about the request it serves.

    Args:
        received_ns: when the server took the request, monotonic nanoseconds.
        timeout_ns: the budget that the caller gave.
        deadline_ns: when the server will kill, monotonic nanoseconds; queue and load are already spent.
        request_id: the server's name for the request.
        traceparent: the caller's W3C trace context; empty if it sent none.
    """

    received_ns: int
    timeout_ns: int
    deadline_ns: int
    request_id: str = ""
    traceparent: str = ""


class Page:
    """A page that is kept open to be written for each request; the file is made with mode 0600.

    Args:
        path: the file.

    Raises:
        OSError: if it cannot be opened.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        no_wait = getattr(os, "O_NONBLOCK", 0)  # a pipe in its place would keep the writer waiting
        self._handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | no_wait, 0o600)

    def write(self, request: Request) -> None:
        """Write it in one system call."""
        page = _FORMAT.pack(
            _MAGIC,
            request.received_ns,
            request.timeout_ns,
            request.deadline_ns,
            request.request_id.encode()[:64],
            request.traceparent.encode()[:64],
        )
        os.pwrite(self._handle, page, 0)

    def close(self) -> None:
        """Close the file, which stays."""
        os.close(self._handle)


def write(path: str | os.PathLike[str], request: Request) -> None:
    """Write a page once."""
    page = Page(path)
    try:
        page.write(request)
    finally:
        page.close()


def read(path: str | os.PathLike[str]) -> Request | None:
    """Return the page, or None if there is none to be read or it is not a control page."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            page = os.pread(handle, _FORMAT.size, 0)
        finally:
            os.close(handle)
    except OSError:
        return None
    if len(page) != _FORMAT.size or not page.startswith(_MAGIC):
        return None
    _, received_ns, timeout_ns, deadline_ns, request_id, traceparent = _FORMAT.unpack(page)
    return Request(
        received_ns,
        timeout_ns,
        deadline_ns,
        request_id.rstrip(b"\0").decode(errors="replace"),
        traceparent.rstrip(b"\0").decode(errors="replace"),
    )
