"""One request over the network and back, by `httpx`, until a deadline. Raises nothing that a network can do.

Cancelling a task ends whatever it waits for, so one timer around it all is the deadline of resolving, connecting,
TLS, sending and each byte of the answer.
"""

import asyncio
import math
import os
import socket
import ssl
import time
from collections.abc import AsyncIterator, Iterator, Sized
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import httpx

from algoprof.calls.access.platforms import Platform
from algoprof.calls.wire.answers import answer, over
from algoprof.calls.wire.certificates import trusted
from algoprof.calls.wire.deadlines import CONNECT
from algoprof.calls.wire.protocol import LARGEST_ANSWER, MOST_AT_ONCE, Answer, NoAnswer, Request
from algoprof.calls.wire.streams import Sink, Source


class AsyncTransport:
    """An `httpx.AsyncClient` that keeps deadlines, follows no redirects, keeps no cookies, and reads limited answers.

    Its connections belong to the event loop that made them; in another loop it makes new ones.

    Args:
        platform: where requests go.
        ca_cert: file or folder of certificates to trust; None for the usual ones; False to trust whoever answers.
    """

    def __init__(self, platform: Platform, ca_cert: str | bool | None = None) -> None:
        self._platform = platform
        self._ca_cert = ca_cert
        self._session: httpx.AsyncClient | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def send(
        self, request: Request, deadline: float, *, sink: Sink | None = None, idle: float = math.inf
    ) -> Answer | NoAnswer:
        """Send a request and read its answer, until a moment of `time.monotonic`.

        Args:
            request: what to send; a source is read in the event loop.
            deadline: when all of it is to be over; `math.inf` for no limit, where there is one for `idle`.
            sink: where the body goes, if it takes it; an answer's `body` is empty then.
            idle: seconds that may pass with nothing sent or read.

        Raises:
            LocalProblem: if a source or a sink raised it.
        """
        left = deadline - time.monotonic()
        if left <= 0:
            return NoAnswer("client_timeout", "the deadline had passed before it was sent")
        status: int | None = None
        moving = None if idle == math.inf else idle
        body, length = (request.body, {}) if isinstance(request.body, bytes) else _streamed(request.body)
        try:
            async with (
                asyncio.timeout(None if left == math.inf else left),
                self._here().stream(
                    request.method,
                    request.url,
                    params=dict(request.parameters),
                    headers={**request.headers, **length},
                    content=body,
                    timeout=httpx.Timeout(moving, connect=CONNECT, pool=None),
                    extensions={"trace": _Handshake()},
                ) as response,
            ):
                status = response.status_code
                return await _read(response, sink)
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError, ValueError) as error:
            return _no_answer(error, status, late=time.monotonic() >= deadline)

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None and self._loop is asyncio.get_running_loop():
            await self._session.aclose()
        self._session = self._loop = None

    def _here(self) -> httpx.AsyncClient:
        loop = asyncio.get_running_loop()
        if self._session is None or self._loop is not loop:
            self._session, self._loop = self._new_session(), loop
        return self._session

    def _new_session(self) -> httpx.AsyncClient:
        session = httpx.AsyncClient(
            verify=_verified(trusted(self._ca_cert)) if self._platform.address.startswith("https:") else False,
            timeout=httpx.Timeout(None, connect=CONNECT),
            limits=httpx.Limits(max_keepalive_connections=MOST_AT_ONCE),
            trust_env=not self._platform.is_loopback,  # no proxy reaches this machine's loopback
        )
        session.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        return session


class _Handshake:
    """Closes a connection when the task that shakes hands over it is cancelled; httpcore would leave it open."""

    def __init__(self) -> None:
        self._stream: Any = None

    async def __call__(self, event: str, told: dict[str, Any]) -> None:
        if event == "connection.connect_tcp.complete":
            self._stream = told["return_value"]
        elif event == "connection.start_tls.failed" and self._stream is not None:
            await self._stream.aclose()


def _verified(ca_cert: str | bool) -> ssl.SSLContext | bool:
    if not isinstance(ca_cert, str):
        return ca_cert
    try:
        return ssl.create_default_context(cafile=ca_cert)
    except IsADirectoryError:
        return ssl.create_default_context(capath=ca_cert)


def _streamed(source: Source) -> tuple[AsyncIterator[bytes], dict[str, str]]:
    """Return a body piece by piece, and the header that says how long it is, where that is known."""

    async def pieces() -> AsyncIterator[bytes]:
        for piece in source:
            yield piece

    return pieces(), {"Content-Length": str(len(source))} if isinstance(source, Sized) else {}


async def _read(response: httpx.Response, sink: Sink | None) -> Answer | NoAnswer:
    """Read an answer, as it is on the wire."""
    body, status = bytearray(), response.status_code
    headers = {name.lower(): text for name, text in response.headers.items()}
    if sink is not None and not sink.takes(status, headers):
        sink = None
    async for chunk in response.aiter_raw():
        if sink is not None:
            sink.write(chunk)
            continue
        body += chunk
        if len(body) > LARGEST_ANSWER:
            return over(LARGEST_ANSWER, status)
    return answer(status, headers, bytes(body), LARGEST_ANSWER) if sink is None else Answer(status, headers, b"")


def _no_answer(error: Exception, status: int | None, *, late: bool) -> NoAnswer:
    if late:
        begun = "no answer had begun" if status is None else "the answer had begun, but not ended"
        return NoAnswer("client_timeout", begun, status)
    if isinstance(error, (httpx.ReadTimeout, httpx.WriteTimeout)):
        return NoAnswer("client_timeout", "nothing moved any more", status)
    if status is not None:
        return NoAnswer("platform_error", f"its answer broke off ({_reason(error)})", status, lost=True)
    if any(isinstance(cause, ssl.SSLError) for cause in _causes(error)):
        return NoAnswer("unreachable", f"TLS failed: {_reason(error)}; if its certificate is your own, pass ca_cert")
    if isinstance(error, httpx.ConnectTimeout):
        return NoAnswer("unreachable", f"no connection within {CONNECT:.0f} s", unsent=True)
    if isinstance(error, httpx.RemoteProtocolError):
        if "disconnected" in str(error):
            return NoAnswer("unreachable", "the connection was closed without an answer", lost=True)
        return NoAnswer("platform_error", f"its answer is not HTTP ({type(error).__name__})")
    lost = isinstance(error, (httpx.ReadError, httpx.WriteError))
    return NoAnswer("unreachable", _reason(error), unsent=isinstance(error, httpx.ConnectError), lost=lost)


def _reason(error: BaseException) -> str:
    """Say in a few words why there is no answer: the innermost reason, without addresses of objects and URLs."""
    causes = list(_causes(error))
    for cause in reversed(causes):
        if isinstance(cause, OSError) and cause.strerror:
            own = isinstance(cause, (ssl.SSLError, socket.gaierror))  # asyncio words the others, with the address
            return cause.strerror if own or not cause.errno else os.strerror(cause.errno)
    return type(causes[-1]).__name__


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception and what led to it, outermost first; of a group, as of addresses tried, all."""
    waiting, seen = [error], set[int]()
    while waiting:
        one = waiting.pop(0)
        if id(one) in seen or isinstance(one, (ssl.SSLWantReadError, ssl.SSLWantWriteError)):
            continue  # the latter are asyncio's way to wait
        seen.add(id(one))
        yield one
        inner = one.exceptions if isinstance(one, BaseExceptionGroup) else ()
        waiting += [cause for cause in (*inner, one.__cause__, one.__context__) if cause is not None]
