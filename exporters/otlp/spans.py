"""What every span has: ids, scope, resource, and attributes in a form that every encoder takes."""

from collections.abc import Iterable, Mapping

from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, TraceFlags

from algoprof._version import __version__

Attributes = Mapping[str, str | int | float | bool | None]

SCOPE = InstrumentationScope("algoprof", __version__)

_LONGEST = 4_096
_UINT64 = 2**64
_INT64 = 2**63


def span(
    name: str,
    context: SpanContext,
    parent: SpanContext | None,
    *,
    times_ns: tuple[int, int],
    kind: SpanKind = SpanKind.INTERNAL,
    attributes: Attributes,
    events: Iterable[Event] = (),
    status: Status,
    resource: Resource,
) -> ReadableSpan:
    """Return a span that every encoder takes: attributes of None are left out, the end is no earlier than the start."""
    start = min(max(times_ns[0], 0), _UINT64 - 1)
    return ReadableSpan(
        text(name),
        context,
        parent,
        resource,
        {text(key): clean(value) for key, value in attributes.items() if value is not None},
        tuple(events),
        kind=kind,
        status=status,
        start_time=start,
        end_time=min(max(times_ns[1], start), _UINT64 - 1),
        instrumentation_scope=SCOPE,
    )


def span_context(trace_id: str, span_id: int, *, remote: bool = False) -> SpanContext:
    """Return the context of a span in a trace of 32 hexadecimal digits."""
    return SpanContext(
        int(trace_id, 16), span_id % _UINT64, is_remote=remote, trace_flags=TraceFlags(TraceFlags.SAMPLED)
    )


def is_trace_id(trace_id: str) -> bool:
    """Return whether a text is a valid trace id.

    >>> is_trace_id("0af7651916cd43dd8448eb211c80319c"), is_trace_id(""), is_trace_id("0" * 32)
    (True, False, False)
    """
    return len(trace_id) == 32 and set(trace_id) <= set("0123456789abcdef") and set(trace_id) != {"0"}


def text(value: str) -> str:
    """Return a text as valid UTF-8 of bounded length: one bad name must not spoil the whole batch.

    >>> text("bad" + chr(0xDCFF)), len(text("x" * 1_000_000))
    ('bad?', 4096)
    """
    return value[:_LONGEST].encode("utf-8", "replace").decode()


def clean(value: str | float | bool) -> str | int | float | bool:
    """Return an attribute's value as the wire format takes it: integers over 64 bits become text.

    >>> clean(2**80), clean(True), clean(0.5)
    ('1208925819614629174706176', True, 0.5)
    """
    if isinstance(value, str):
        return text(value)
    if isinstance(value, int) and not -_INT64 <= value < _INT64:
        return text(str(value))
    return value


def resource_of(program: str, found: Resource | None = None) -> Resource:
    """Return OpenTelemetry's resource, from `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES`.

    Args:
        program: the service's name where those give none.
        found: what they give, if it was asked for before.
    """
    resource = found or Resource.create()
    if program and str(resource.attributes.get(SERVICE_NAME, "")).startswith("unknown_service"):
        resource = resource.merge(Resource({SERVICE_NAME: text(program)}))
    return resource
