"""The platform's HTTP contract, pure: a call as a request, and an answer as what it means. No input, no output."""

import base64
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from algoprof._version import __version__
from algoprof.calls.access.platforms import Platform
from algoprof.calls.options import Options, OutputType
from algoprof.calls.references import Reference
from algoprof.calls.wire.inputs import Body
from algoprof.calls.wire.streams import Source
from algoprof.profiles.calls import Outcome
from algoprof.profiles.codec import from_json
from algoprof.profiles.inband import extract
from algoprof.profiles.tree import Profile

LARGEST_ANSWER = 64 * 1024 * 1024
"""Bytes of an answer that are read at most; the platform's own limit for a result is 15 MiB."""

MOST_AT_ONCE = 80
"""Calls that the platform takes of one account at once."""

_LARGEST_PROFILE = 4 * 1024 * 1024  # values plus characters
_SPAN = re.compile(r"[0-9a-f]{16}")
_LONGEST_TIME = 10**7  # seconds; whatever says more is no measurement


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it goes over the wire; its headers hold the key, so they are never shown."""

    url: str
    parameters: Mapping[str, str]
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | Source = field(repr=False)
    method: str = "POST"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, unread. Header names are in lower case. It may repeat the key, so only the status is shown."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """What came back was no answer.

    Args:
        outcome: `unreachable`, `client_timeout` or `platform_error`.
        reason: why, in a few words.
        status: the HTTP status, if at least that came.
        unsent: whether it is certain that nothing was sent, so that it may be sent again.
        lost: whether there was a connection, and it broke off: what was sent may be under way.
    """

    outcome: Outcome
    reason: str
    status: int | None = None
    unsent: bool = False
    lost: bool = False


@dataclass(frozen=True, slots=True)
class Metadata:
    """What the platform tells about a call.

    Args:
        content_type: `json`, `text`, `binary` or `void`; empty if it does not say.
        duration: seconds that the algorithm ran; None if it does not say.
        stdout: what the algorithm printed; None if it was not asked for, or not for this caller.
        full_metadata: all of it, as it came.

    >>> Metadata("text", 0.5, full_metadata={"content_type": "text", "duration": 0.5})["duration"]
    0.5
    """

    content_type: str = ""
    duration: float | None = None
    stdout: str | None = None
    full_metadata: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def __getitem__(self, name: str) -> Any:
        return self.full_metadata[name]


@dataclass(frozen=True, slots=True)
class Reply:
    """What an answer means. Times are integer nanoseconds, None where unknown."""

    outcome: Outcome
    result: Any = None
    metadata: Metadata = Metadata()
    message: str = ""
    error_type: str = ""
    code: int | None = None
    stack_trace: str = ""
    request_id: str = ""
    duration_ns: int | None = None
    queue_ns: int | None = None
    load_ns: int | None = None
    interpreter_ns: int | None = None
    imports_ns: int | None = None
    retry_after: float | None = None
    """Seconds after which it may be asked again, for it has certainly not run; None if nothing says so."""
    lost: bool = False
    """Whether there was a connection, and it broke off before the answer was whole."""
    remote_span_id: int = 0
    """The server's span of the call, which it sends with the run's; 0 if it sends none."""
    profile: Profile | None = None
    profile_flaw: str = ""
    """Why a profile that came along is not believed; empty if none came, or one that is."""


def build(
    platform: Platform, reference: Reference, options: Options, body: Body, *, trace_id: str, span_id: str
) -> Request:
    """Return the request that calls an algorithm.

    Args:
        platform: where it goes.
        reference: the algorithm.
        options: what is asked for.
        body: the input.
        trace_id: 32 hexadecimal digits, not all zero.
        span_id: 16 hexadecimal digits, not all zero.
    """
    headers = {
        "Accept": "application/json",
        "Accept-Encoding": "identity",  # so that the limit on an answer holds for what comes out of it
        "Content-Type": body.content_type,
        "User-Agent": f"algoprof/{__version__}",
        **context(trace_id, span_id),
    }
    if platform.authorization:
        headers["Authorization"] = platform.authorization
    return Request(f"{platform.address}/v1/algo/{reference}", options.parameters(), headers, body.data)


def context(trace_id: str, span_id: str) -> dict[str, str]:
    """Return the headers that make the remote run part of a trace, and bring its profile home."""
    return {"X-Algoprof-Profile": "1", "traceparent": f"00-{trace_id}-{span_id}-01"}


def read(answer: Answer, output: OutputType = OutputType.default) -> Reply:
    """Return what an answer means. Whatever the bytes are, this raises nothing.

    >>> read(Answer(200, {}, b'{"result": 3, "metadata": {"content_type": "json", "duration": 0.1}}')).result
    3
    >>> read(Answer(404, {}, b'{"error": {"message": "No such algorithm"}}')).message
    'No such algorithm'
    """
    if 300 <= answer.status < 400:
        to = _text(answer.headers.get("location", "somewhere else"), 200)
        return Reply("platform_error", message=f"it redirects to {to}, which a call never follows")
    ok, flaw = 200 <= answer.status < 300, ""
    if ok and output is OutputType.raw:
        return _raw(answer)
    try:
        data = json.loads(answer.body, parse_constant=_no_constant, object_pairs_hook=_without_twins)
    except _NotJsonError as error:
        data, flaw = None, f"its answer is not JSON: {error}"
    except (ValueError, RecursionError):
        data, flaw = None, ""
    if not isinstance(data, dict):
        if ok:
            return Reply("platform_error", message=flaw or f"its answer is not a JSON object but {_excerpt(answer)}")
        return Reply(_outcome(answer.status, ""), message=_excerpt(answer))
    known = _known(data)
    if data.get("error") is not None or not ok:
        return _failed(answer, data, known)
    if output is OutputType.void or ("result" not in data and "async" in data):
        return Reply("accepted", metadata=Metadata("void", full_metadata=data), request_id=known["request_id"])
    return _succeeded(data, known)


class _NotJsonError(ValueError):
    """What Python's reader of JSON takes, and JSON is not."""


def _no_constant(name: str) -> object:
    raise _NotJsonError(f"it has {name} in it")


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object; two members of one name would mean one thing here and another there."""
    members = dict(pairs)
    if len(members) < len(pairs):
        seen: set[str] = set()
        twin = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise _NotJsonError(f"it has {_text(json.dumps(twin), 80)} twice in one object")
    return members


def without_key(answer: Answer, platform: Platform) -> Answer:
    """Return an answer that is to be told of without the key, should the server repeat it: before any of it is cut."""
    headers = {name: platform.redact(text) for name, text in answer.headers.items()}
    return Answer(answer.status, headers, platform.redact_body(answer.body))


def _succeeded(data: Mapping[str, Any], known: dict[str, Any]) -> Reply:
    content_type = known["metadata"].content_type
    if "result" not in data and content_type != "void":
        return Reply("platform_error", message="its answer has neither a result nor an error", **known)
    if not isinstance(known["metadata"].full_metadata.get("content_type", ""), str | None):
        return Reply("platform_error", message="its answer's content_type is no text", **known)
    result = data.get("result")
    if content_type == "binary":
        try:
            result = base64.b64decode(result if isinstance(result, str) else "?", validate=True)
        except ValueError:  # binascii.Error and non-ASCII texts are both
            return Reply("platform_error", message="its answer says binary, but the result is not base64", **known)
    return Reply("ok", result=result, **known)


def _failed(answer: Answer, data: Mapping[str, Any], known: dict[str, Any]) -> Reply:
    """Read the three envelopes of an error: the runner's, the management's and the bare text."""
    error = data.get("error", data)  # the management's envelope is documented unwrapped, too
    if not isinstance(error, dict):
        error = {"message": error}
    error_type = _text(error.get("error_type") or error.get("type"), 200)
    code = error.get("code")
    runner = isinstance(error.get("error_type"), str)
    return Reply(
        _outcome(answer.status, error_type, runner=runner),
        message=_text(error.get("message")) or _excerpt(answer),
        error_type=error_type,
        code=code if isinstance(code, int) and not isinstance(code, bool) and abs(code) < 2**31 else None,
        stack_trace=_text(error.get("stacktrace") or error.get("stack_trace")),
        **known,
    )


def _outcome(status: int, error_type: str, *, runner: bool = False) -> Outcome:
    """Tell how a failed call ended. A runner's error comes with 200, or with 400 for raw output."""
    if error_type == "TimeoutError" and (200 <= status < 300 or status in (400, 504)):
        return "timeout"
    if 200 <= status < 300 or (runner and status == 400):
        return "algorithm_error"
    return "refused" if 400 <= status < 500 else "platform_error"


def _raw(answer: Answer) -> Reply:
    content_type = answer.headers.get("content-type", "")
    if content_type.partition(";")[0].strip().lower() == "application/octet-stream":
        return Reply("ok", answer.body, Metadata("binary"))
    return Reply("ok", answer.body.decode(errors="replace"), Metadata("text"))


def _known(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a `Reply` that a body tells whether the call succeeded or not."""
    metadata = data.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    ours = metadata.get("algoprof")
    ours = ours if isinstance(ours, dict) else {}
    cold = ours.get("cold_start")
    cold = cold if isinstance(cold, dict) else {}
    duration_ns = _nanoseconds(metadata.get("duration"))
    stdout = metadata.get("stdout")
    found = extract(stdout) if isinstance(stdout, str) else None
    if found is not None and found.text != stdout:
        metadata = {**metadata, "stdout": found.text}
    home = _profile(ours.get("profile"))
    if found is not None and home.get("profile") is None and (found.profile is not None or not home):
        home = {"profile": found.profile, "profile_flaw": found.flaw}
    return {
        "metadata": Metadata(
            content_type=_text(metadata.get("content_type"), 200),
            duration=None if duration_ns is None else float(metadata["duration"]),
            stdout=None if found is None else found.text,
            full_metadata=metadata,
        ),
        "request_id": _text(data.get("request_id") or metadata.get("request_id"), 200),
        "remote_span_id": int(span, 16) if isinstance(span := ours.get("span"), str) and _SPAN.fullmatch(span) else 0,
        "duration_ns": duration_ns,
        "queue_ns": _nanoseconds(ours.get("queue")),
        "load_ns": _nanoseconds(ours.get("load")),
        "interpreter_ns": _nanoseconds(cold.get("interpreter")),
        "imports_ns": _nanoseconds(cold.get("imports")),
        **home,
    }


def _profile(data: object) -> dict[str, Any]:
    """Return the remote profile, or what is wrong with it: what comes from afar may be anything."""
    if data is None:
        return {}
    if _weighs_more_than(_LARGEST_PROFILE, data):
        return {"profile_flaw": f"it is over {_LARGEST_PROFILE:,} characters"}
    try:
        return {"profile": from_json(data)}
    except (ValueError, TypeError, RecursionError) as error:
        return {"profile_flaw": _text(str(error), 200) or type(error).__name__}


def _weighs_more_than(limit: int, data: object) -> bool:
    waiting, weight = [data], 0
    while waiting and weight <= limit:
        item = waiting.pop()
        weight += 1
        if isinstance(item, str):
            weight += len(item)
        elif isinstance(item, dict):
            waiting.extend(item)
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)
    return weight > limit


def _nanoseconds(seconds: object) -> int | None:
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 <= seconds <= _LONGEST_TIME:
        return None
    return math.floor(seconds * 1e9)


def _text(value: object, limit: int = LARGEST_ANSWER) -> str:
    """Return a foreign value as a text that can be printed and sent on; empty for None."""
    if value is None:
        return ""
    try:
        text = value if isinstance(value, str) else json.dumps(value)
    except (ValueError, RecursionError):
        return type(value).__name__
    return text[:limit].encode(errors="replace").decode()


def _excerpt(answer: Answer) -> str:
    """Return the beginning of a body that is not JSON, without its markup: a proxy's page, usually."""
    text = answer.body[:4_000].decode(errors="replace")
    if "html" in answer.headers.get("content-type", "") or text.lstrip().startswith("<"):
        text = re.sub(r"(?is)<(script|style)\b.*?</\1>|<[^>]*>", " ", text)
    text = " ".join("".join(character if character.isprintable() else " " for character in text).split())
    return repr(text[:200]) if text else "empty"
