"""The run-time error log of an algorithm as a platform's answers tell it, read with no trust in their types."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_LONGEST = 200  # characters of an id, a name or a version
_LONGEST_TEXT = 1_000_000  # characters of a message or a stack trace
_ERROR, _TRACE = "error:\n", "\nstacktrace:\n"
_WRAPPER = "Some("  # as Scala prints what may be missing; its end may have been cut off
_FRAME = re.compile(r'^\s*File "([^"\n]{1,500})", line (\d{1,9})(?:, in ([^\n]{1,200}))?', re.MULTILINE)
_LATEST = 253_402_300_800_000  # milliseconds; the year 10000


@dataclass(frozen=True, slots=True)
class ErrorRecord:
    """One call that ended in an error, as the platform logged it.

    Args:
        algorithm: `OWNER/NAME`.
        version: the number or the git hash that was called; empty if the platform does not say.
        created_ns: when, in nanoseconds since the Unix epoch; None if the platform does not say.
        error_type: such as `AlgorithmError` or `TimeoutError`.
        message: what went wrong.
        stack_trace: the algorithm's stack trace; empty where there is none.
        input: the beginning of the input, 128 characters on the platform.
        request_id: the platform's name for the call.
        caller: the account that the call is billed to.
        worker: the address of the machine that it ran on.
        resource: all that the platform tells, as it came.
    """

    algorithm: str
    version: str = ""
    created_ns: int | None = None
    error_type: str = ""
    message: str = ""
    stack_trace: str = field(default="", repr=False)
    input: str = field(default="", repr=False)
    request_id: str = ""
    caller: str = ""
    worker: str = ""
    resource: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def location(self) -> str:
        r"""The innermost frame of a Python stack trace; empty without one.

        >>> trace = 'Traceback (most recent call last):\n  File "./src/Routes.py", line 6, in apply\nValueError: no'
        >>> ErrorRecord("demo/Routes", stack_trace=trace).location
        './src/Routes.py:6, in apply'
        """
        frames = _FRAME.findall(self.stack_trace)
        if not frames:
            return ""
        file, line, name = frames[-1]
        return f"{file}:{line}" + (f", in {name}" if name else "")

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON value; `created` is in seconds since the Unix epoch."""
        names = ("algorithm", "version", "error_type", "message", "location", "stack_trace", "input", "request_id")
        created = None if self.created_ns is None else self.created_ns / 1e9
        told = {name: getattr(self, name) for name in names}
        return {"created": created, **told, "caller": self.caller, "worker": self.worker}


def read_error(algorithm: str, row: object) -> ErrorRecord | None:
    r"""Return one row of the log; None if it is no object.

    >>> text = "error:\nNo\nstacktrace:\nSome(Here)"
    >>> row = read_error("demo/Routes", {"created_at": 1627571664000, "error": text})
    >>> row.created_ns, row.message, row.stack_trace
    (1627571664000000000, 'No', 'Here')
    """
    if not isinstance(row, dict):
        return None
    message, trace = parted(_text(row.get("error"), _LONGEST_TEXT))
    created = row.get("created_at")
    known = isinstance(created, (int, float)) and not isinstance(created, bool) and 0 <= created < _LATEST
    return ErrorRecord(
        algorithm,
        version=_text(row.get("algoversion")),
        created_ns=int(created) * 1_000_000 if known else None,  # type: ignore[arg-type]
        error_type=_text(row.get("error_type")),
        message=message,
        stack_trace=trace,
        input=_text(row.get("input"), _LONGEST_TEXT),
        request_id=_text(row.get("request_id")),
        caller=_text(row.get("billable_to")),
        worker=_text(row.get("worker")),
        resource=row,
    )


def parted(text: str) -> tuple[str, str]:
    r"""Return message and stack trace of a row's one text; a text in no known form is all message.

    >>> parted("error:\nAll I do\nis fail\nstacktrace:\nSome(Traceback:\n  here)")
    ('All I do\nis fail', 'Traceback:\n  here')
    >>> parted("error:\nNo trace\nstacktrace:\nNone"), parted("Operation timed out")
    (('No trace', ''), ('Operation timed out', ''))
    """
    if not text.startswith(_ERROR):
        return text, ""
    body = text.removeprefix(_ERROR)
    message, found, trace = body.partition(_TRACE + _WRAPPER)
    if found:
        trace = _WRAPPER + trace
    else:
        message, _, trace = body.rpartition(_TRACE) if _TRACE in body else (body, "", "")
    if trace.startswith(_WRAPPER):
        return message, trace.removeprefix(_WRAPPER).rstrip().removesuffix(")")
    return message, "" if trace.strip() == "None" else trace


def _text(value: object, limit: int = _LONGEST) -> str:
    return value[:limit].encode(errors="replace").decode() if isinstance(value, str) else ""
