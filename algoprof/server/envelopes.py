"""The answers' shapes: a result, an algorithm's error, a refusal; and the JSON response that carries them."""

import json
import re
import uuid
from collections.abc import Iterable, Sequence
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

# The platform's error codes, as far as this server has a use for them.
NO_SUCH_ALGORITHM = 1001
ALREADY_PUBLISHED = 1007
BUILD_NOT_FOUND = 1010
LOGS_NOT_FOUND = 1011
VERSION_NOT_FOUND = 1014
NOT_AUTHORIZED = 2001
BAD_KEY = 2002
INVALID_JSON = 2013
INVALID_REQUEST = 2015
INTERNAL = 5001
INVALID_MARKER = 5002
INVALID_LIMIT = 5003
NOT_IMPLEMENTED = 5005
INVALID_INPUT = 6001

_LONGEST = 1000  # characters of a message in a header
_AT_ONCE = 256 * 1024  # bytes of a body
_UNFIT = re.compile(r"[^ -~]")  # for a header: what is not printable ASCII


class Refusal(Exception):  # noqa: N818  (an answer rather than an error of ours)
    """A request that is answered with the management envelope.

    Args:
        status: the HTTP status.
        code: the platform's error code.
        message: one sentence that says what to do.
        retry_after: seconds after which it may be asked again; None if that helps nothing.
        allowed: the methods in which it may be asked instead; none if that helps nothing.
    """

    def __init__(
        self,
        status: int,
        code: int,
        message: str,
        *,
        retry_after: int | None = None,
        allowed: Iterable[str] = (),
    ) -> None:
        self.status = status
        self.code = code
        self.message = message
        self.retry_after = retry_after
        self.allowed = sorted(allowed)
        super().__init__(message)


class Json(Response):
    """A JSON response, in which any string that a program can hold can be sent."""

    media_type = "application/json"

    def render(self, content: object) -> bytes:
        """Return the content as compact JSON."""
        return _compact(content)


class Whole(Response):
    """A response whose body is there in parts, the large ones of which are sent without being copied as a whole.

    Args:
        parts: what follows each other.
        media_type: what they are.
    """

    def __init__(self, parts: Sequence[bytes | memoryview], media_type: str) -> None:
        size = sum(map(len, parts))
        self._parts = parts if size > _AT_ONCE else ()
        if self._parts:
            super().__init__(media_type=media_type, headers={"Content-Length": str(size)})
        else:
            super().__init__(b"".join(parts), media_type=media_type)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        if not self._parts:
            await super().__call__(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        for part in self._parts:
            for start in range(0, len(part), _AT_ONCE):
                await send({"type": "http.response.body", "body": part[start : start + _AT_ONCE], "more_body": True})
        await send({"type": "http.response.body"})


_COMPACT = json.JSONEncoder(allow_nan=False, ensure_ascii=False, check_circular=False, separators=(",", ":"))


def _compact(content: object) -> bytes:
    try:
        return _COMPACT.encode(content).encode()
    except UnicodeEncodeError:  # a lone surrogate, which only an escape can carry
        return json.dumps(content, allow_nan=False, separators=(",", ":")).encode()


def refused(refusal: Refusal) -> Json:
    """Return the management envelope: an id to ask about, a code, a message.

    The message is in a header as well: an answer to HEAD has no body.
    """
    error = {"id": str(uuid.uuid4()), "code": refusal.code, "message": refusal.message}
    headers = {"X-Error-Message": _UNFIT.sub("?", refusal.message[:_LONGEST])}
    if refusal.retry_after is not None:
        headers["Retry-After"] = str(refusal.retry_after)
    if refusal.allowed:
        headers["Allow"] = ", ".join(refusal.allowed)
    return Json({"error": error}, status_code=refusal.status, headers=headers)


def no_such_algorithm(name: str, reason: str = "No such algorithm") -> Refusal:
    """Return the refusal for an algorithm that is unknown, or that cannot be called.

    The official client's `exists()` greps the message for `No such algorithm`.
    """
    return Refusal(404, NO_SUCH_ALGORITHM, f"algorithm algo://{name[:200]} not found ({reason})")


def succeeded(request_id: str, encoded: bytes | memoryview, metadata: dict[str, Any]) -> Response:
    """Return the answer with a result. It must not hold a key `error`, even null: the official client tests for it.

    Args:
        request_id: the server's name for the request.
        encoded: the result as JSON.
        metadata: with `duration`.
    """
    rest = {"metadata": {**metadata, "request_id": request_id}, "request_id": request_id}
    return Whole((b'{"result":', encoded, b",", _compact(rest)[1:]), Json.media_type)


def failed(request_id: str, error: dict[str, str], metadata: dict[str, Any]) -> dict[str, Any]:
    """Return the body of an algorithm's error.

    Args:
        request_id: the server's name for the request.
        error: with `message`, `error_type` and perhaps `stacktrace`. The trace goes out under both of its names:
            the documentation calls it `stacktrace`, the official client reads `stack_trace`.
        metadata: with `duration`.
    """
    shown = dict(error)
    if "stacktrace" in error:
        shown["stack_trace"] = error["stacktrace"]
    return {"error": shown, "metadata": {**metadata, "request_id": request_id}, "request_id": request_id}
