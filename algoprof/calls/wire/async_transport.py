"""One request over the network and back, by `httpx`, until a deadline. Raises nothing that a network can do.

Cancelling a task ends whatever it waits for, so one timer around it all is the deadline of resolving, connecting,
TLS, sending and each byte of the answer.
"""

import asyncio
import os
import socket
import ssl
import time
from collections.abc import Iterator
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import httpx

from algoprof.calls.access.platforms import Platform
from algoprof.calls.wire.answers import answer, over
from algoprof.calls.wire.deadlines import CONNECT
from algoprof.calls.wire.protocol import LARGEST_ANSWER, MOST_AT_ONCE, Answer, NoAnswer, Request


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

    async def send(self, request: Request, deadline: float) -> Answer | NoAnswer:
        """Send a request and read its answer, until a moment of `time.monotonic`."""
        left = deadline - time.monotonic()
        if left <= 0:
            return NoAnswer("client_timeout", "the deadline had passed before it was sent")
        status: int | None = None
        try:
            async with (
                asyncio.timeout(left),
                self._here().stream(
                    request.method,
                    request.url,
                    params=dict(request.parameters),
                    headers=dict(request.headers),
                    content=request.body,
                    extensions={"trace": _Handshake()},
                ) as response,
            ):
                status = response.status_code
                return await _read(response)
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
            verify=_verified(self._ca_cert) if self._platform.address.startswith("https:") else False,
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


def _verified(ca_cert: str | bool | None) -> ssl.SSLContext | bool:
    if not isinstance(ca_cert, str):
        return ca_cert is not False
    try:
        return ssl.create_default_context(cafile=ca_cert)
    except IsADirectoryError:
        return ssl.create_default_context(capath=ca_cert)


async def _read(response: httpx.Response) -> Answer | NoAnswer:
    """Read an answer, as it is on the wire."""
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > LARGEST_ANSWER:
            return over(LARGEST_ANSWER, response.status_code)
    return answer(response.status_code, response.headers, bytes(body), LARGEST_ANSWER)


def _no_answer(error: Exception, status: int | None, *, late: bool) -> NoAnswer:
    if late:
        begun = "no answer had begun" if status is None else "the answer had begun, but not ended"
        return NoAnswer("client_timeout", begun, status)
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
