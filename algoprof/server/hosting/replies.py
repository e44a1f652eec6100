"""A worker's reply, read strictly: a result with its content type, or an error with its message."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from algoprof.server.hosting.workers import MAX_REPLY

_LAST = ("LoadingError", "SystemExit")  # the error types after which a worker is replaced


@dataclass(frozen=True, slots=True)
class Reply:
    """What a worker answered.

    Args:
        result: any JSON value; base64 text if the content type is `binary`.
        content_type: `json`, `text` or `binary`.
        error: `message`, `error_type` and perhaps `stacktrace` if the algorithm failed, else None.
        sound: whether the worker can go on; not if its reply was garbage, its load failed or it ends.
    """

    result: Any = None
    content_type: str = "json"
    error: dict[str, str] | None = None
    sound: bool = True


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


def parse(raw: bytes) -> Reply:
    """Return what a worker wrote on its pipe.

    >>> parse(b'{"result": [1], "metadata": {"content_type": "json"}}').result
    [1]
    >>> parse(b'{"result": NaN, "metadata": {"content_type": "json"}}').error["message"]
    'JSON error - the reply holds NaN, which is not JSON'
    """
    try:
        value = json.loads(raw, parse_constant=_refuse)
    except RecursionError:
        return TOO_DEEP
    except ValueError as error:
        return _garbage(str(error))
    match value:
        case {"error": {"message": message, **others}}:
            return _failure(message, others)
        case {"result": str(text), "metadata": {"content_type": "text" | "binary" as content_type}}:
            return Reply(text, content_type)
        case {"result": result, "metadata": {"content_type": "json"}}:
            return Reply(result)
        case _:
            return _garbage("the reply has neither a result with its content type nor an error with its message")


def _failure(message: object, others: Mapping[object, object]) -> Reply:
    kind = others.get("error_type")
    error = {"message": str(message), "error_type": kind if isinstance(kind, str) and kind else "AlgorithmError"}
    trace = others.get("stacktrace")
    if isinstance(trace, str) and trace:
        error["stacktrace"] = trace
    return Reply(error=error, sound=error["error_type"] not in _LAST)


def _garbage(reason: str) -> Reply:
    return Reply(error={"message": f"JSON error - {reason}", "error_type": "SystemExit"}, sound=False)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"the reply holds {constant}, which is not JSON")
