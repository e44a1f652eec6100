"""Calls as CLIENT spans, with the remote profile, where it came home, as their children."""

import os

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind, Status, StatusCode

from algoprof.exporters.otlp.runs import run_spans
from algoprof.exporters.otlp.spans import is_trace_id, span, span_context, text
from algoprof.profiles.calls import Call

_GOOD = ("ok", "accepted")


def call_spans(call: Call, resource: Resource) -> list[ReadableSpan]:
    """Return a call's span, then those of its remote profile.

    >>> from opentelemetry.sdk.resources import Resource
    >>> [found.name for found in call_spans(Call("demo/Routes", 0, 5, "ok"), Resource({}))]
    ['demo/Routes']
    """
    trace_id = call.trace_id if is_trace_id(call.trace_id) else _random_hex(16)
    span_id = call.span_id or int(_random_hex(8), 16)  # only a call that was never sent has none
    context = span_context(trace_id, span_id)
    error = call.error_type or call.outcome
    own = span(
        call.algorithm,
        context,
        None,
        times_ns=(call.started_ns, call.started_ns + call.wall_ns),
        kind=SpanKind.CLIENT,
        attributes={
            "faas.invoked_name": call.algorithm,
            "http.request.body.size": call.request_bytes,
            "http.response.body.size": call.response_bytes,
            "http.response.status_code": call.status,
            "error.type": None if call.outcome in _GOOD else error,
            "algoprof.outcome": call.outcome,
            "algoprof.budget.timeout": call.timeout,
            "algoprof.budget.used_ratio": call.budget_used_ratio,
            "algoprof.budget.source": call.budget_source or None,
            "algoprof.duration": call.duration,
            "algoprof.overhead": call.overhead,
            "algoprof.queue": call.queue,
            "algoprof.load": call.load,
            "algoprof.network": call.network,
            "algoprof.budget.cut": call.cut or None,
            "http.request.resend_count": call.attempt - 1 or None,
            "algoprof.request_id": call.request_id or None,
        },
        status=Status(StatusCode.UNSET)
        if call.outcome in _GOOD
        else Status(StatusCode.ERROR, text(call.message or error)),
        resource=resource,
    )
    return [own, *(run_spans(call.profile, caller=context) if call.profile else [])]


def _random_hex(size: int) -> str:
    """Return random bytes as text; not from `random`, whose sequence belongs to the program."""
    return (os.urandom(size - 1) + b"\1").hex()  # never all zeros, which is no valid id
