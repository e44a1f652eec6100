"""Calls as spans, CLIENT where they are made and SERVER where they are answered, with the remote profile below them.

A server's span has its queue, its load and its run below it too. A run that a server sends is not sent by its client.
"""

import os
from collections.abc import Iterator

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode

from algoprof.exporters.otlp.runs import run_spans
from algoprof.exporters.otlp.spans import is_trace_id, span, span_context, text
from algoprof.profiles.calls import Call

_GOOD = ("ok", "accepted")


def call_spans(call: Call, resource: Resource) -> list[ReadableSpan]:
    """Return a call's span, then those of a server's split of it, and those of its remote profile.

    >>> from opentelemetry.sdk.resources import Resource
    >>> [found.name for found in call_spans(Call("demo/Routes", 0, 5, "ok"), Resource({}))]
    ['demo/Routes']
    """
    trace_id = call.trace_id if is_trace_id(call.trace_id) else _random_hex(16)
    span_id = call.span_id or int(_random_hex(8), 16)  # only a call that was never sent has none
    context = span_context(trace_id, span_id)
    parent = span_context(trace_id, call.parent_span_id, remote=call.served) if call.parent_span_id else None
    failed = call.outcome not in _GOOD
    error = call.error_type or call.outcome
    own = span(
        call.algorithm,
        context,
        parent,
        times_ns=(call.started_ns, call.started_ns + call.wall_ns),
        kind=SpanKind.SERVER if call.served else SpanKind.CLIENT,
        attributes={
            "faas.name" if call.served else "faas.invoked_name": call.algorithm,
            "http.request.body.size": call.request_bytes,
            "http.response.body.size": None if call.served else call.response_bytes,
            "http.response.status_code": call.status,
            "error.type": error if failed else None,
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
        status=Status(StatusCode.ERROR, text(call.message or error))
        if failed and not (call.served and call.outcome == "refused")  # that is the caller's error
        else Status(StatusCode.UNSET),
        resource=resource,
    )
    run = run_spans(call.profile, caller=context) if call.profile and not call.remote_span_id else []
    return [own, *_split(call, context, resource), *run]


def _split(call: Call, context: SpanContext, resource: Resource) -> Iterator[ReadableSpan]:
    """Yield what a server knows of a call's time: when it waited, when a worker loaded for it, and when that ran it."""
    start = call.started_ns
    for name, length in (("queue", call.queue_ns), ("load", call.load_ns), ("run", call.duration_ns)):
        if not call.served or length is None:
            return
        yield span(
            name,
            span_context(f"{context.trace_id:032x}", int(_random_hex(8), 16)),
            context,
            times_ns=(start, start + length),
            attributes={},
            status=Status(StatusCode.UNSET),
            resource=resource,
        )
        start += length


def _random_hex(size: int) -> str:
    """Return random bytes as text; not from `random`, whose sequence belongs to the program."""
    return (os.urandom(size - 1) + b"\1").hex()  # never all zeros, which is no valid id
