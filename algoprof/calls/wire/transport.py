"""One request over the network and back, by `requests`, until a deadline. Raises nothing that a network can do.

Much of what `Session.request` costs is spent on what our requests have not: cookies, redirects, hooks, files, a netrc.
They go to the session's adapter, which holds the connections, as they are; what the environment says of proxies and
certificates is asked of the session each time, as for any request of its own.
"""

import http.client
import math
import os
import time
from collections.abc import Iterator, Sized
from functools import lru_cache
from typing import Any

import requests
from requests.structures import CaseInsensitiveDict
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError

from algoprof.calls.access.platforms import Platform
from algoprof.calls.wire.answers import answer, over
from algoprof.calls.wire.certificates import trusted
from algoprof.calls.wire.deadlines import CONNECT, DeadlineAdapter, TooMuchError, allow, until
from algoprof.calls.wire.protocol import LARGEST_ANSWER, MOST_AT_ONCE, Answer, NoAnswer, Request
from algoprof.calls.wire.streams import PIECE, Sink

_WITH_BODY = ("POST", "PUT", "PATCH")
_WIRE_BYTES = 8
"""Bytes on the wire that a byte of a body may cost: in chunks of one byte each it costs six."""


class Transport:
    """A `requests.Session` that keeps deadlines, follows no redirects, keeps no cookies, and reads limited answers.

    It may be used from many threads, and after a fork.

    Args:
        platform: where requests go.
        ca_cert: file or folder of certificates to trust; None for the usual ones; False to trust whoever answers.
    """

    def __init__(self, platform: Platform, ca_cert: str | bool | None = None) -> None:
        self._platform = platform
        self._ca_cert = ca_cert
        self._session, self._owner = self._new_session(), os.getpid()

    def send(
        self, request: Request, deadline: float, *, sink: Sink | None = None, idle: float = math.inf
    ) -> Answer | NoAnswer:
        """Send a request and read its answer, until a moment of `time.monotonic`.

        Args:
            request: what to send.
            deadline: when all of it is to be over; `math.inf` for no limit, where there is one for `idle`.
            sink: where the body goes, if it takes it; an answer's `body` is empty then.
            idle: seconds that may pass with nothing sent or read.

        Raises:
            concurrent.futures.CancelledError: if the `Cancellation` around it has been cancelled.
            LocalProblem: if a source or a sink raised it.
        """
        if self._owner != os.getpid():  # forked: the connections belong to the parent
            self._session, self._owner = self._new_session(), os.getpid()
        left = deadline - time.monotonic()
        if left <= 0:
            return NoAnswer("client_timeout", "the deadline had passed before it was sent")
        try:
            with (
                until(deadline, 2 * LARGEST_ANSWER, idle=idle),  # a body in small chunks is twice as long on its way
                self._sent(request, left, idle) as response,
            ):
                return _read(response, deadline, sink)
        except (requests.RequestException, HTTPError, http.client.HTTPException, OSError, ValueError) as error:
            return _no_answer(error, deadline)

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def _sent(self, request: Request, left: float, idle: float) -> requests.Response:
        prepared = requests.PreparedRequest()
        body: Any = request.body or None
        prepared.method, prepared.body = request.method, body
        prepared.url = url = _url(request.url, tuple(request.parameters.items()))
        length = {"Content-Length": str(len(body))} if isinstance(body, Sized) else {}  # else it goes in chunks
        if body is None and request.method in _WITH_BODY:
            length = {"Content-Length": "0"}
        prepared.headers = CaseInsensitiveDict({**request.headers, **length, "Connection": "keep-alive"})
        settings: Any = {"verify": trusted(self._ca_cert)}
        if not self._platform.is_loopback:  # no proxy reaches that; REQUESTS_CA_BUNDLE does not overrule what is given
            settings = self._session.merge_environment_settings(url, {}, None, self._ca_cert, None)
        adapter = self._session.get_adapter(url)
        return adapter.send(prepared, **{**settings, "stream": True, "timeout": (min(left, CONNECT), min(left, idle))})

    def _new_session(self) -> requests.Session:
        session = requests.Session()
        adapter = DeadlineAdapter(pool_maxsize=MOST_AT_ONCE)
        session.mount("https://", adapter)
        session.mount("http://", adapter)
        return session


@lru_cache(maxsize=256)
def _url(address: str, parameters: tuple[tuple[str, str], ...]) -> str:
    """Return the URL with its query, checked and quoted."""
    prepared = requests.PreparedRequest()
    prepared.prepare_url(address, dict(parameters))
    return str(prepared.url)


def _read(response: requests.Response, deadline: float, sink: Sink | None) -> Answer | NoAnswer:
    """Read an answer, as it is on the wire."""
    body = bytearray()
    status = response.status_code
    too_large = over(LARGEST_ANSWER, status)
    response.raw.enforce_content_length = True  # urllib3 before 2 takes a part for the whole
    headers = {name.lower(): text for name, text in response.headers.items()}
    if sink is not None and not sink.takes(status, headers):
        sink = None
    try:
        for chunk in response.raw.stream(PIECE, decode_content=False):
            if sink is not None:
                sink.write(chunk)
                allow(_WIRE_BYTES * len(chunk))
                continue
            body += chunk
            if len(body) > LARGEST_ANSWER:
                return too_large
    except (requests.RequestException, HTTPError, http.client.HTTPException, OSError, ValueError) as error:
        if time.monotonic() >= deadline:
            return NoAnswer("client_timeout", "the answer had begun, but not ended", status)
        if any(isinstance(cause, TooMuchError) for cause in _causes(error)):
            return too_large
        if _timed_out(error):
            return NoAnswer("client_timeout", "the answer had begun, and then nothing more came", status)
        return NoAnswer("platform_error", f"its answer broke off ({_reason(error)})", status, lost=True)
    return answer(status, headers, bytes(body), LARGEST_ANSWER) if sink is None else Answer(status, headers, b"")


def _no_answer(error: Exception, deadline: float) -> NoAnswer:
    causes = list(_causes(error))
    if time.monotonic() >= deadline:
        return NoAnswer("client_timeout", "no answer had begun")
    if any(isinstance(cause, TooMuchError) for cause in causes):
        return over(LARGEST_ANSWER)
    if _is_of_a_proxy(error):
        what = "which needs pip install 'requests[socks]'" if "SOCKS" in str(error) else "which is no address of one"
        return NoAnswer("unreachable", f"the environment names a proxy, {what}", unsent=True)
    unsent = any(isinstance(cause, (NewConnectionError, ConnectTimeoutError)) for cause in causes)
    if isinstance(error, requests.exceptions.SSLError):
        return NoAnswer("unreachable", f"TLS failed: {_reason(error)}; if its certificate is your own, pass ca_cert")
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return NoAnswer("unreachable", f"no connection within {CONNECT:.0f} s", unsent=True)
    if not unsent and _timed_out(error):
        return NoAnswer("client_timeout", "nothing moved any more")
    garbled = [cause for cause in causes if isinstance(cause, http.client.HTTPException)]
    if garbled and not isinstance(garbled[-1], http.client.RemoteDisconnected):
        return NoAnswer("platform_error", f"its answer is not HTTP ({type(garbled[-1]).__name__})")
    if type(error) is OSError and error.errno is None:  # no file where the environment says that certificates are
        return NoAnswer("unreachable", " ".join(str(error).split())[:300])
    through = not unsent and not isinstance(error, requests.exceptions.ProxyError)
    lost = through and any(isinstance(cause, ConnectionError) for cause in causes)
    at = "the proxy that the environment names: " if isinstance(error, requests.exceptions.ProxyError) else ""
    return NoAnswer("unreachable", at + _reason(error), unsent=unsent, lost=lost)


def _is_of_a_proxy(error: Exception) -> bool:
    """Return whether the address of a proxy cannot be used: the adapter is given an address of ours that can."""
    if isinstance(error, (requests.exceptions.InvalidProxyURL, requests.exceptions.InvalidSchema)):
        return True
    return isinstance(error, requests.exceptions.InvalidURL) and error.request is not None


def _timed_out(error: BaseException) -> bool:
    return any(isinstance(cause, TimeoutError) and cause.errno is None for cause in _causes(error))


def _reason(error: BaseException) -> str:
    """Say in a few words why there is no answer: the innermost reason, without addresses of objects and URLs."""
    for cause in reversed(list(_causes(error))):
        if isinstance(cause, http.client.RemoteDisconnected):
            return "the connection was closed without an answer"
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
    return type(list(_causes(error))[-1]).__name__


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception and what it wraps, outermost first: urllib3 keeps causes in four places."""
    seen: set[int] = set()
    while id(error) not in seen:
        seen.add(id(error))
        yield error
        inner = (error.__cause__, getattr(error, "reason", None), *error.args, error.__context__)
        error = next((one for one in inner if isinstance(one, BaseException) and id(one) not in seen), error)
