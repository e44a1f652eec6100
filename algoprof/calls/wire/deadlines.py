"""Connections that keep one deadline for everything: resolving, connecting, TLS, sending, each byte of the answer.

The timeouts of requests start anew with every read, so a server that sends a byte now and then could hold a caller
for ever. Here every operation on the socket gets what is left until the deadline. What is read is counted as well:
headers, chunk sizes and trailers may be as endless as a body. A body of any size has no deadline of its own: for it
there is a time that may pass with nothing moving.
"""

import http.client
import io
import math
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any, Self

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager, ProxyManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError
from urllib3.util import wait_for_read

from algoprof.calls.wire.names import addresses

CONNECT = 30.0
"""Seconds that a connection to one address may take at most: who does not listen by then, does not listen."""
_SLICE = 16 * 1024  # bytes sent at once: a TLS record; the ssl module gives each the whole timeout


class TooMuchError(OSError):
    """More came than is read of one answer."""


class _Exchange:
    """What one request and its answer may take."""

    def __init__(self, deadline: float, largest: float, idle: float) -> None:
        self.deadline = deadline
        self.idle = idle
        self.unread = largest
        self.answered_early = False
        self.cancelled = False
        self.sock: socket.socket | None = None  # what it waits for

    def cancel(self) -> None:
        self.cancelled = True  # before the socket is looked at: who has none yet looks at this
        if self.sock is not None:
            with suppress(OSError):
                socket.socket.shutdown(self.sock, socket.SHUT_RDWR)  # that of TLS would wait for its own end


class Cancellation:
    """Ends, from any thread, the exchanges that are made within it.

    >>> cancellation = Cancellation()
    >>> cancellation.cancel()
    >>> with cancellation, until(math.inf):
    ...     pass
    Traceback (most recent call last):
        ...
    concurrent.futures._base.CancelledError
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: set[_Exchange] = set()
        self._cancelled = False

    def __enter__(self) -> Self:
        _cancellation.set(self)
        return self

    def __exit__(self, *_: object) -> None:
        _cancellation.set(None)

    def cancel(self) -> None:
        """End the exchanges that are open, and each later one as it begins."""
        with self._lock:
            self._cancelled = True
            for exchange in self._open:
                exchange.cancel()

    def begin(self, exchange: _Exchange) -> None:
        """Take an exchange in."""
        with self._lock:
            exchange.cancelled = self._cancelled
            self._open.add(exchange)

    def end(self, exchange: _Exchange) -> None:
        """Let it go: its socket may serve another."""
        with self._lock:
            self._open.discard(exchange)


_exchange: ContextVar[_Exchange | None] = ContextVar("exchange", default=None)
_cancellation: ContextVar[Cancellation | None] = ContextVar("cancellation", default=None)


@contextmanager
def until(deadline: float, largest: float = math.inf, *, idle: float = math.inf) -> Iterator[None]:
    """Give whatever is sent and read within, in this thread, a time and a size.

    Args:
        deadline: a moment of `time.monotonic`.
        largest: bytes read at most.
        idle: seconds that may pass with nothing sent or read.

    Raises:
        concurrent.futures.CancelledError: if the `Cancellation` around it has been cancelled.
    """
    exchange = _Exchange(deadline, largest, idle)
    cancellation = _cancellation.get()
    if cancellation is not None:
        cancellation.begin(exchange)
    token = _exchange.set(exchange)
    try:
        yield
    except Exception:
        if exchange.cancelled:  # a socket that is shut down fails in many ways
            raise CancelledError from None
        raise
    finally:
        _exchange.reset(token)
        if cancellation is not None:
            cancellation.end(exchange)
    if exchange.cancelled:
        raise CancelledError


def remaining(sock: socket.socket | None = None) -> float:
    """Return the seconds left.

    Args:
        sock: what they will be spent on, if there is a socket yet.

    Raises:
        TimeoutError: if none is.
        concurrent.futures.CancelledError: if nobody waits for it any more.
    """
    exchange = _exchange.get()
    if exchange is None:
        return math.inf
    exchange.sock = sock
    if exchange.cancelled:
        raise CancelledError
    left = exchange.deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("the deadline has passed")
    return min(left, exchange.idle)


def allow(size: int) -> None:
    """Let so many bytes more be read: those of a body that is handed on do not add up."""
    exchange = _exchange.get()
    if exchange is not None:
        exchange.unread += size


def _count(size: int) -> None:
    exchange = _exchange.get()
    if exchange is not None:
        exchange.unread -= size
        if exchange.unread < 0:
            raise TooMuchError("more came than is read of one answer")


class DeadlineAdapter(HTTPAdapter):
    """Makes a `requests.Session` keep the deadline of `until`."""

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """Make the pools, of connections that keep the deadline."""
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **options: Any) -> PoolManager:
        """Return the pools for a proxy, of connections that keep the deadline."""
        manager: PoolManager = super().proxy_manager_for(proxy, **options)
        if isinstance(manager, ProxyManager):  # SOCKS has pools of its own, which keep no deadline but get there
            manager.pool_classes_by_scheme = _POOLS
        return manager

    def close(self) -> None:
        """Close the connections now; the pools would wait for a garbage collection if an error refers to them."""
        for manager in (self.poolmanager, *self.proxy_manager.values()):
            for key in manager.pools.keys():  # noqa: SIM118  (not a dict)
                pool = manager.pools.get(key)
                if pool is not None:
                    pool.close()
        super().close()


class _Reader(io.RawIOBase):
    def __init__(self, raw: io.RawIOBase, sock: socket.socket) -> None:
        self._raw = raw
        self._sock = sock

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int | None:
        self._sock.settimeout(remaining(self._sock))
        count: int | None = self._raw.readinto(buffer)
        _count(count or 0)
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **options: Any) -> None:
        super().__init__(sock, *args, **options)
        self.fp = io.BufferedReader(_Reader(self.fp.detach(), sock))

    def begin(self) -> None:
        """Read the status and the headers; after an answer that came too early the connection is of no more use."""
        super().begin()
        exchange = _exchange.get()
        if exchange is not None and exchange.answered_early:
            self.will_close = True


class _Connection(HTTPConnection):
    response_class = _Response

    def _new_conn(self) -> socket.socket:
        """Try one address after the other, each with what is left."""
        name = self._dns_host
        try:
            found = addresses(name, self.port or 0, remaining())
        except socket.gaierror as error:
            raise NewConnectionError(self, f"{name[:100]!r} cannot be resolved: {error.strerror}") from error
        failure: Exception = NewConnectionError(self, "its name has no address")
        for address in found:
            self._dns_host, self.timeout = address, min(remaining(), CONNECT)
            try:
                sock = super()._new_conn()
            except (NewConnectionError, ConnectTimeoutError) as error:
                failure = error
                continue
            finally:
                self._dns_host = name
            try:
                sock.settimeout(remaining(sock))  # for TLS, which follows
            except BaseException:
                sock.close()
                raise
            return sock
        raise failure

    def send(self, data: Any) -> None:
        if self.sock is None or not isinstance(data, bytes):
            super().send(data)
            return
        view = memoryview(data)
        for start in range(0, len(view), _SLICE):
            self.sock.settimeout(remaining(self.sock))
            if _answers_already(self.sock):
                raise BrokenPipeError("it answers before it was told all")  # which urllib3 takes to go on and read
            try:
                super().send(view[start : start + _SLICE])
            except (BrokenPipeError, ConnectionResetError) as error:  # the answer may have come before
                _note_early()
                raise BrokenPipeError(*error.args) from error


def _answers_already(sock: socket.socket) -> bool:
    """Return whether a server that is sent a body has refused it before its end. TLS has more to say than answers."""
    exchange = _exchange.get()
    if exchange is None or exchange.idle == math.inf or isinstance(sock, ssl.SSLSocket):
        return False
    if wait_for_read(sock, timeout=0):
        exchange.answered_early = True
    return exchange.answered_early


def _note_early() -> None:
    exchange = _exchange.get()
    if exchange is not None:
        exchange.answered_early = True


class _SecureConnection(_Connection, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


_POOLS = {"http": _Pool, "https": _SecurePool}
