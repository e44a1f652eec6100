"""The official client, as it is, with a record of each of its calls."""

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Protocol, Self
from urllib.parse import urlsplit

import requests

from algoprof.calls.access.platforms import Platform
from algoprof.calls.attempts import Attempt
from algoprof.calls.options import Options, from_query
from algoprof.calls.references import Reference, parse
from algoprof.calls.wire.protocol import LARGEST_ANSWER, Answer, NoAnswer
from algoprof.errors import ConfigurationError

_ROUTE = "/v1/algo/"


class OfficialClient(Protocol):
    """What is known of a client of the official package: the session that its requests go through."""

    @property
    def requestSession(self) -> requests.Session: ...  # noqa: D102, N802  (the official name)


def instrument(client: OfficialClient) -> "Instrumented":
    """Record the calls of an official client as those of our own: exporters and `capture_calls` see them.

    It goes on as before: what it returns, what it raises, how long it waits. Its calls carry a trace context and ask
    for the remote profile. Doing it twice is doing it once.

    Args:
        client: what `Algorithmia.client(...)` returned.

    Returns:
        What undoes it: call its `undo`, or use it as a context manager.

    Raises:
        ConfigurationError: if it is no such client.

    >>> import Algorithmia, algoprof
    >>> official = Algorithmia.client("simKey", "http://127.0.0.1:1")
    >>> with algoprof.instrument(official), algoprof.capture_calls() as calls:
    ...     try:
    ...         official.algo("demo/Routes").pipe("hello")
    ...     except OSError:
    ...         pass
    >>> [(call.algorithm, call.outcome) for call in calls]
    [('demo/Routes', 'unreachable')]
    """
    session = getattr(client, "requestSession", None)
    if not isinstance(session, requests.Session):
        raise ConfigurationError(
            f"{type(client).__name__[:80]} is no client of the official package: pass what Algorithmia.client() returns"
        )
    post = vars(session).get("post")
    return post if isinstance(post, Instrumented) else Instrumented(session)


class Instrumented:
    """Stands before a session's `post`, and takes itself away again; made by `instrument`.

    Args:
        session: the session.
    """

    def __init__(self, session: requests.Session) -> None:
        self._session = session
        self._post = session.post
        self._active = True
        session.post = self  # type: ignore[method-assign,assignment]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.undo()

    def undo(self) -> None:
        """Record no more calls, and leave the client as it was. A second time does nothing."""
        self._active = False
        if vars(self._session).get("post") is self:
            del self._session.post

    def __call__(self, url: str, *args: Any, **options: Any) -> requests.Response:
        """Send a request, and record it if it is a call."""
        asked = _asked(url, options) if self._active else None
        if asked is None:
            return self._post(url, *args, **options)
        platform, reference, wanted = asked
        with Attempt(platform, reference, wanted, 0.0, limited=False) as attempt:
            data = options.get("data")
            attempt.request_bytes = len(data) if isinstance(data, bytes) else 0
            options["headers"] = {**attempt.headers, **(options.get("headers") or {})}
            try:
                response = self._post(url, *args, **options)
            except requests.Timeout as error:
                attempt.record(NoAnswer("client_timeout", type(error).__name__))
                raise
            except requests.RequestException as error:
                attempt.record(NoAnswer("unreachable", type(error).__name__))
                raise
            attempt.record(_answer(response))
            return response


def _asked(url: str, options: Mapping[str, Any]) -> tuple[Platform, Reference, Options] | None:
    """Return what a request calls, and how; None if it calls nothing, or nothing that we would."""
    try:
        parts = urlsplit(url)
        before, route, path = parts.path.partition(_ROUTE)
        if not route or options.get("stream"):  # what somebody reads piece by piece is theirs to read
            return None
        reference = parse(f"{path}?{parts.query}")
        given = {name: str(value) for name, value in (options.get("params") or {}).items()}
        wanted = from_query({**reference.query, **given})
    except (ValueError, AttributeError, TypeError):  # ConfigurationError is a ValueError
        return None
    authorization = str((options.get("headers") or {}).get("Authorization", ""))
    return Platform(f"{parts.scheme}://{parts.netloc}{before}", authorization=authorization), reference, wanted


def _answer(response: requests.Response) -> Answer | NoAnswer:
    if len(response.content) > LARGEST_ANSWER:
        return NoAnswer("platform_error", f"its answer is over {LARGEST_ANSWER:,} bytes", response.status_code)
    headers = {name.lower(): text for name, text in response.headers.items()}
    return Answer(response.status_code, headers, response.content)
