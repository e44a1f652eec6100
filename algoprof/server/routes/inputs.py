"""A request's options and input: read, checked, and put into the line that a worker gets."""

import asyncio
import base64
import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from starlette.requests import Request

from algoprof.server import envelopes, pace, strict_json
from algoprof.server.envelopes import Refusal

MAX_INPUT = 10 * 1024 * 1024
"""Bytes of a request's body that are accepted."""
DEFAULT_TIMEOUT = 300.0
MAX_TIMEOUT = 3000.0

_PATIENCE = 10  # so many times the limit is read before the connection is cut
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_TEXT_TYPES = ("text/plain", "application/text")
_ONE_LINE = bytes.maketrans(b"\r\n", b"  ")
_TRACEPARENT = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-[\x21-\x7e]*)?"
)


class Options(NamedTuple):
    """What the query string asks for.

    Args:
        timeout: seconds.
        stdout: whether the answer shows what was printed.
        output: `raw` for the bare result, `void` for no waiting, empty for the envelope.
    """

    timeout: float
    stdout: bool
    output: Literal["", "raw", "void"]


def options(query: Mapping[str, str]) -> Options:
    """Read the options that are known; others are passed over.

    Raises:
        Refusal: if the timeout is not a number of seconds that can be granted.

    >>> options({"timeout": "2.5", "stdout": "True"})
    Options(timeout=2.5, stdout=True, output='')
    """
    given = query.get("timeout", f"{DEFAULT_TIMEOUT:g}").strip()
    timeout = float(given) if _NUMBER.fullmatch(given) else math.nan
    if not 0 < timeout <= MAX_TIMEOUT:  # neither is NaN
        raise Refusal(
            400,
            envelopes.INVALID_INPUT,
            f"timeout={given[:40]} cannot be granted: give seconds above 0, at most {MAX_TIMEOUT:g}",
        )
    output = query.get("output", "")
    return Options(
        timeout=timeout,
        stdout=query.get("stdout", "").lower() == "true",
        output="raw" if output == "raw" else "void" if output == "void" else "",
    )


def traceparent(headers: Sequence[str]) -> str:
    """Return the W3C trace context that a caller sent, as the algorithm's run can join it; empty if it is none.

    That of a later version of the standard is passed on as far as this one knows it.

    Args:
        headers: the `traceparent` headers of a request, of which there has to be one.

    >>> traceparent(["00-" + "ab" * 16 + "-" + "cd" * 8 + "-01"]) == "00-" + "ab" * 16 + "-" + "cd" * 8 + "-01"
    True
    >>> traceparent(["00-" + "00" * 16 + "-" + "cd" * 8 + "-01"])
    ''
    """
    found = _TRACEPARENT.fullmatch(headers[0].strip(" \t")) if len(headers) == 1 else None
    if found is None or (found[4] is not None and found[0].startswith("00")):
        return ""
    return f"00-{found[1]}-{found[2]}-{found[3]}"


async def body(request: Request) -> bytes:
    """Read a request's body to its end, also where it is refused: an answer before that breaks the connection.

    Raises:
        Refusal: if it is too large, comes too slowly, or its sender has gone.
    """
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(pace.seconds(0)) as limit:
            began = asyncio.get_running_loop().time()
            more = True
            while more and size <= _PATIENCE * MAX_INPUT:
                message = await request.receive()
                if message["type"] == "http.disconnect":
                    raise Refusal(400, envelopes.INVALID_REQUEST, "the request ended before its body did")
                chunk, more = message.get("body", b""), message.get("more_body", False)
                size += len(chunk)
                if size <= MAX_INPUT:
                    chunks.append(chunk)
                if more:
                    limit.reschedule(began + pace.seconds(size))
    except TimeoutError:
        raise pace.too_slow(size) from None
    if size > MAX_INPUT:
        raise Refusal(
            413,
            envelopes.INVALID_INPUT,
            f"the input is larger than {MAX_INPUT // 1024**2} MiB; put it into a file with the data API"
            " (client.file('data://.my/COLLECTION/NAME').putFile(PATH)) and send its URI",
        )
    return b"".join(chunks)


def line(content_type: str, content_encoding: str, content: bytes) -> bytes:
    r"""Return an input as the line that a worker reads.

    Args:
        content_type: the request's header, a charset behind it tolerated.
        content_encoding: the request's header; empty without one.
        content: the body.

    Raises:
        Refusal: if the type is unknown, or the content is not of that type.

    >>> line("text/plain", "", b"hi")
    b'{"content_type":"text","data":"hi"}\n'
    """
    kind = content_type.partition(";")[0].strip().lower()
    if content_encoding.strip().lower() not in ("", "identity"):
        raise Refusal(
            415, envelopes.INVALID_REQUEST, f"Content-Encoding {content_encoding[:40]} is not understood: send it plain"
        )
    if kind == "application/json":
        named, data = b"json", _json(content)
    elif kind in _TEXT_TYPES:
        named, data = b"text", json.dumps(_utf8(content), ensure_ascii=False).encode()
    elif kind == "application/octet-stream":
        return b'{"content_type":"binary","data":"%b"}\n' % base64.b64encode(content)
    else:
        raise Refusal(
            415,
            envelopes.INVALID_REQUEST,
            f"Content-Type {content_type[:80] or 'is missing, so the input'} is not understood: send application/json,"
            " text/plain or application/octet-stream",
        )
    return b'{"content_type":"%b","data":%b}\n' % (named, data)


def _json(content: bytes) -> bytes:
    """Check that it is JSON and return it on one line; it is not written anew, so no number loses a digit."""
    text = _utf8(content)
    if text.startswith("\ufeff"):
        reason = "the input begins with a byte order mark, which JSON does not have; send UTF-8 without it"
        raise Refusal(400, envelopes.INVALID_JSON, reason)
    try:
        strict_json.check(text)
    except RecursionError:
        raise Refusal(400, envelopes.INVALID_JSON, "the input is nested too deeply") from None
    except ValueError as error:
        raise Refusal(400, envelopes.INVALID_JSON, f"the input is not JSON: {error}") from None
    return content.translate(_ONE_LINE) if b"\n" in content or b"\r" in content else content


def _utf8(content: bytes) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        message = f"the input is not UTF-8 (byte {error.start}); send application/octet-stream if it is not text"
        raise Refusal(400, envelopes.INVALID_JSON, message) from None
