"""A worker's reply, read strictly: a result with its content type, or an error with its message."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from algoprof.server import strict_json
from algoprof.server.hosting.workers import MAX_REPLY

_RESULT = re.compile(  # as the bootstrap writes it
    rb'{"result": (.*), "metadata": {"content_type": "(json|text|binary)"}}\n', re.DOTALL
)
_TEXT = re.compile(rb'"[^"\\\x00-\x1f]*"')
_BASE64 = re.compile(rb'"[A-Za-z0-9+/]*=*"')
_LAST = ("LoadingError", "SystemExit")  # the error types after which a worker is replaced


@dataclass(frozen=True, slots=True)
class Reply:
    """What a worker answered.

    Args:
        encoded: the result as JSON, in UTF-8; base64 text if the content type is `binary`.
        content_type: `json`, `text` or `binary`.
        error: `message`, `error_type` and perhaps `stacktrace` if the algorithm failed, else None.
        sound: whether the worker can go on; not if its reply was garbage, its load failed or it ends.
    """

    encoded: bytes | memoryview = b"null"
    content_type: str = "json"
    error: dict[str, str] | None = None
    sound: bool = True

    @property
    def result(self) -> Any:
        """The result: any JSON value."""
        return json.loads(bytes(self.encoded))


TOO_LARGE = Reply(
    error={
        "message": f"the result is larger than {MAX_REPLY // 1024**2} MiB; write it to a file, put that with the data"
        " API (client.file('data://.algo/OWNER/ALGORITHM/temp/NAME').putFile(PATH)) and return its URI",
        "error_type": "TooLargeError",
    }
)
"""Stands for a reply that was not kept."""

TOO_DEEP = Reply(
    error={
        "message": "the result is nested too deeply for JSON; make it flatter, or write it to a file, put that with the"
        " data API (client.file('data://.algo/OWNER/ALGORITHM/temp/NAME').putFile(PATH)) and return its URI",
        "error_type": "AlgorithmError",
    }
)
"""Stands for a reply that has more levels than can be read."""


def parse(raw: bytes | bytearray) -> Reply:
    """Return what a worker wrote on its pipe.

    A result that is written as usual goes on as it is, checked but not written anew: it may be many megabytes.

    >>> parse(b'{"result": [1], "metadata": {"content_type": "json"}}').result
    [1]
    >>> parse(b'{"result": NaN, "metadata": {"content_type": "json"}}').error["message"]
    'JSON error - NaN is not JSON'
    """
    reply = _read(raw)
    return reply if _size(reply) <= MAX_REPLY else TOO_LARGE


def _read(raw: bytes | bytearray) -> Reply:
    usual = _RESULT.fullmatch(raw)
    if usual is not None:
        encoded, content_type = memoryview(raw)[slice(*usual.span(1))], usual[2].decode()
        if _is_result(encoded, content_type):
            return Reply(encoded, content_type)
    try:
        value = strict_json.loads(raw.decode("utf-8", "surrogatepass"))
    except RecursionError:
        return TOO_DEEP
    except ValueError as error:
        return _garbage(str(error))
    match value:
        case {"error": {"message": message, **others}}:
            return _failure(message, others)
        case {"result": str(text), "metadata": {"content_type": "text" | "binary" as content_type}}:
            return Reply(json.dumps(text).encode(), content_type)
        case {"result": result, "metadata": {"content_type": "json"}}:
            return Reply(json.dumps(result).encode())
        case _:
            return _garbage("the reply has neither a result with its content type nor an error with its message")


def _size(reply: Reply) -> int:
    """Bytes of a result that count towards the limit; of a binary one, those that the algorithm returned."""
    if reply.content_type == "binary":
        return len(reply.encoded) // 4 * 3
    return len(reply.encoded)


def _is_result(encoded: memoryview, content_type: str) -> bool:
    """Whether this is one JSON value of a content type; if not, or if that is not seen at once, all is to be parsed."""
    try:
        if content_type == "binary":
            return _BASE64.fullmatch(encoded) is not None
        text = str(encoded, "utf-8")
        if content_type == "json":
            strict_json.check(text)
            return True
        return _TEXT.fullmatch(encoded) is not None or isinstance(strict_json.loads(text), str)
    except (ValueError, RecursionError):
        return False


def _failure(message: object, others: Mapping[object, object]) -> Reply:
    kind = others.get("error_type")
    error = {"message": str(message), "error_type": kind if isinstance(kind, str) and kind else "AlgorithmError"}
    trace = others.get("stacktrace")
    if isinstance(trace, str) and trace:
        error["stacktrace"] = trace
    return Reply(error=error, sound=error["error_type"] not in _LAST)


def _garbage(reason: str) -> Reply:
    return Reply(error={"message": f"JSON error - {reason}", "error_type": "SystemExit"}, sound=False)
