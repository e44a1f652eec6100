"""Runs as spans: the sampled occurrences, each under the nearest one around it that was kept."""

from collections.abc import Iterator
from typing import NamedTuple

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode

from algoprof.exporters.otlp.spans import Attributes, is_trace_id, resource_of, span, span_context, text
from algoprof.profiles.tree import Node, Profile, Span

_OUTCOMES = {"killed": "killed with its process", "error": "the run raised"}


class _Kept(NamedTuple):
    """An occurrence that was kept, where it stands, and what else is known of its node."""

    path: tuple[str, ...]
    node: Node
    span: Span


def run_spans(
    profile: Profile, resource: Resource | None = None, *, caller: SpanContext | None = None
) -> list[ReadableSpan]:
    """Return a run's spans, the run's own first.

    The trace id is the run's id. The sections' totals are on the first span of each: `algoprof.count`, and
    `algoprof.total`, `algoprof.self` and `algoprof.longest` in seconds, for the occurrences that were folded too.

    Args:
        profile: one run; a merged profile has no spans of its own and gives none.
        resource: what runs here; made from the environment and the profile if not given.
        caller: the span of the call that asked for the run, with its trace id; by default what the profile says.

    >>> run_spans(Profile("job", (), outcome="merged"))
    []
    """
    trace_id = f"{caller.trace_id:032x}" if caller else profile.run_id
    if not is_trace_id(trace_id) or profile.outcome == "merged":
        return []
    resource = resource or resource_of(profile.program)
    parent = caller
    if parent is None and profile.parent_span_id:
        parent = span_context(trace_id, profile.parent_span_id, remote=True)

    kept = list(_kept(profile))
    root = _root(profile, kept, trace_id)
    ids = {found.span.span_id for found in kept}
    by_path: dict[tuple[str, ...], list[Span]] = {}
    for found in kept:
        by_path.setdefault(found.path, []).append(found.span)
    spans = [_root_span(profile, root, parent, resource, trace_id)]
    described: set[tuple[str, ...]] = {root.path}
    for found in kept:
        if found.span.span_id == root.span.span_id:
            continue
        above = found.span.parent_id if found.span.parent_id in ids else _nearest(found, by_path)
        spans.append(
            span(
                found.node.name,
                span_context(trace_id, found.span.span_id),
                span_context(trace_id, above or root.span.span_id),
                times_ns=(found.span.start_ns, found.span.end_ns),
                attributes={
                    **found.span.attributes,
                    "algoprof.section": "/".join(found.path),
                    "algoprof.kept_as": found.span.kind,
                    **({} if found.path in described else _totals(found.node)),
                },
                events=_events(found.span),
                status=_status(found.span, profile),
                resource=resource,
            )
        )
        described.add(found.path)
    return spans


def _kept(profile: Profile) -> Iterator[_Kept]:
    for path, node in profile.paths():
        for kept in sorted(node.spans, key=lambda span: span.start_ns):
            if kept.span_id:
                yield _Kept(path, node, kept)


def _root(profile: Profile, kept: list[_Kept], trace_id: str) -> _Kept:
    """Return the run's own occurrence; where it was not kept, one made of what the profile says."""
    for found in kept:
        if len(found.path) == 1 and found.node is profile.roots[0]:
            return found
    node = profile.roots[0] if profile.roots else Node(profile.name)
    made = Span(
        "first" if profile.outcome in ("ok", "error") else "open",
        profile.started_ns,
        profile.started_ns + profile.duration_ns,
        int(trace_id[16:], 16) or 1,
    )
    return _Kept((node.name,), node, made)


def _root_span(
    profile: Profile, root: _Kept, parent: SpanContext | None, resource: Resource, trace_id: str
) -> ReadableSpan:
    return span(
        profile.name,
        span_context(trace_id, root.span.span_id),
        parent,
        times_ns=(root.span.start_ns, root.span.end_ns),
        kind=SpanKind.SERVER if parent else SpanKind.INTERNAL,
        attributes={
            **{f"algoprof.environment.{name}": fact for name, fact in profile.environment.as_attributes().items()},
            **root.span.attributes,
            **_totals(root.node),
            "algoprof.run": profile.name,
            "algoprof.outcome": profile.outcome,
            "algoprof.budget.timeout": profile.timeout,
            "algoprof.budget.used_ratio": profile.budget_used_ratio,
            "algoprof.budget.spent_before": profile.budget_spent_ns / 1e9 if profile.timeout else None,
            "algoprof.budget.source": profile.budget_source or None,
            "algoprof.request_id": profile.request_id or None,
            "algoprof.parent_run_id": profile.parent_run_id or None,
            "algoprof.folded": profile.folded or None,
            "algoprof.dropped": profile.dropped or None,
            "process.pid": profile.pid or None,
        },
        events=_events(root.span),
        status=_root_status(root.span, profile),
        resource=resource,
    )


def _root_status(kept: Span, profile: Profile) -> Status:
    if kept.error is None and profile.outcome in _OUTCOMES:
        return Status(StatusCode.ERROR, _OUTCOMES[profile.outcome])
    return _status(kept, profile)


def _nearest(found: _Kept, by_path: dict[tuple[str, ...], list[Span]]) -> int:
    """Return the id of the innermost kept occurrence above that was open when this one began, or 0."""
    for length in range(len(found.path) - 1, 0, -1):
        for above in by_path.get(found.path[:length], ()):
            if above.start_ns <= found.span.start_ns <= above.end_ns and above.span_id != found.span.span_id:
                return above.span_id
    return 0


def _totals(node: Node) -> Attributes:
    return {
        "algoprof.count": node.count + node.open_count,
        "algoprof.total": node.total_time,
        "algoprof.self": node.self_time,
        "algoprof.longest": node.longest if node.count else None,
        "algoprof.errors": node.errors or None,
        "algoprof.concurrent": node.concurrent or None,
        "algoprof.module": node.module or None,
        "algoprof.line": node.line or None,
    }


def _events(kept: Span) -> list[Event]:
    if kept.kind == "open":
        return [Event("algoprof.open", {"algoprof.open_for": kept.duration}, timestamp=max(kept.end_ns, 0))]
    if kept.error is not None:
        return [Event("exception", {"exception.type": text(kept.error)}, timestamp=max(kept.end_ns, 0))]
    return []


def _status(kept: Span, profile: Profile) -> Status:
    if kept.error is not None:
        return Status(StatusCode.ERROR, text(kept.error))
    if kept.kind == "open" and profile.outcome == "killed":
        return Status(StatusCode.ERROR, f"open for {kept.duration:.1f} s when the process was killed")
    return Status(StatusCode.UNSET)
