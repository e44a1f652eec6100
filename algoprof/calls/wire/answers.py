"""An answer as it came over the wire, inflated within bounds: what is the same whatever library read it."""

import re
import zlib
from collections.abc import Mapping

from algoprof.calls.wire.protocol import Answer, NoAnswer


def answer(status: int, headers: Mapping[str, str], body: bytes, largest: int) -> Answer | NoAnswer:
    """Return an answer; one layer of compression is undone here, for several make any number of bytes of a few.

    Args:
        status: the HTTP status.
        headers: in any case.
        body: as it came.
        largest: bytes that it may be at most.

    >>> answer(200, {"Content-Encoding": "gzip"}, b"abcd", 10**6).reason
    'its answer is not gzip, as it says'
    """
    lower = {name.lower(): text for name, text in headers.items()}
    encoding = lower.get("content-encoding", "").strip().lower() or "identity"
    if encoding == "identity":
        return Answer(status, lower, body)
    if encoding not in ("gzip", "x-gzip", "deflate"):
        return NoAnswer("platform_error", f"its answer is compressed, with {_named(encoding)}", status)
    try:
        inflated = _inflated(body, largest)
    except zlib.error:
        return NoAnswer("platform_error", f"its answer is not {encoding}, as it says", status)
    return over(largest, status) if len(inflated) > largest else Answer(status, lower, inflated)


def over(largest: int, status: int | None = None) -> NoAnswer:
    """Return what an answer is that is too large."""
    return NoAnswer("platform_error", f"its answer is over {largest:,} bytes", status)


def _inflated(body: bytes, largest: int) -> bytes:
    """Return what a body is in full, or its beginning if that is too large."""
    inflater = zlib.decompressobj(wbits=32 + zlib.MAX_WBITS)  # gzip or zlib, as its header says
    inflated = inflater.decompress(body, largest + 1)
    if len(inflated) <= largest and (not inflater.eof or inflater.unused_data):
        raise zlib.error("it ends too early or too late")
    return inflated


def _named(encoding: str) -> str:
    """Return the name of a compression to be shown; what is none may be anything, the key among it."""
    return repr(encoding[:60]) if re.fullmatch(r"[a-z]{1,8}(?:, ?[a-z]{1,8})*", encoding) else "what is none"
