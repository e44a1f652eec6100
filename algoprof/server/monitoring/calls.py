"""A call that the server answered, as exporters take it."""

import time
from typing import TYPE_CHECKING, NamedTuple

from algoprof.profiles.calls import Call, Outcome
from algoprof.server.envelopes import Refusal
from algoprof.server.monitoring.tracing import Trace

if TYPE_CHECKING:
    from algoprof.server.hosting.replicas import Outcome as Ended

_LONGEST_MESSAGE = 4_000


class Asked(NamedTuple):
    """What is known of a call before it is let in.

    Args:
        request_id: the server's name for it.
        algorithm: `OWNER/NAME`.
        received: when its request was complete, in seconds on the monotonic clock.
        timeout: seconds from then.
        size: bytes of its input.
        trace: the trace that it joins.
    """

    request_id: str
    algorithm: str
    received: float
    timeout: float
    size: int
    trace: Trace


def answered(asked: Asked, outcome: "Ended", error: dict[str, str] | None, status: int) -> Call:
    """Return the record of a call that a worker served, or that waited for one until its timeout.

    Args:
        asked: the call.
        outcome: what came of it.
        error: what the caller is told, if it did not end well.
        status: of the answer.
    """
    told = error or {}
    return _call(
        asked,
        "ok" if error is None else "timeout" if outcome.end == "timeout" else "algorithm_error",
        status,
        times=(_nanoseconds(outcome.queue), _nanoseconds(outcome.load), _nanoseconds(outcome.run)),
        error_type=told.get("error_type", ""),
        message=told.get("message", ""),
    )


def unanswered(asked: Asked, refusal: Refusal) -> Call:
    """Return the record of a call that the server did not serve.

    Args:
        asked: the call.
        refusal: what the caller is told: with status 429 if it was turned away, 5xx if the server failed it.
    """
    outcome: Outcome = "refused" if refusal.status < 500 else "platform_error"
    return _call(asked, outcome, refusal.status, message=refusal.message)


def _call(
    asked: Asked,
    outcome: Outcome,
    status: int,
    *,
    times: tuple[int | None, int | None, int | None] = (None, None, None),
    error_type: str = "",
    message: str,
) -> Call:
    wall_ns = _nanoseconds(time.monotonic() - asked.received)
    queue_ns, load_ns, duration_ns = times
    return Call(
        algorithm=asked.algorithm,
        started_ns=time.time_ns() - wall_ns,
        wall_ns=wall_ns,
        outcome=outcome,
        duration_ns=duration_ns,
        queue_ns=queue_ns,
        load_ns=load_ns,
        timeout=asked.timeout,
        status=status,
        error_type=error_type,
        message=message[:_LONGEST_MESSAGE],
        request_bytes=asked.size,
        request_id=asked.request_id,
        trace_id=asked.trace.trace_id,
        span_id=int(asked.trace.span_id or "0", 16),
        parent_span_id=int(asked.trace.parent_span_id or "0", 16),
        served=True,
    )


def _nanoseconds(seconds: float) -> int:
    return round(seconds * 1e9)
