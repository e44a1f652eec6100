"""Many profiles into one: the same paths add up, nothing is lost but which run was which."""

from collections.abc import Iterable
from typing import Any

from algoprof.profiles.environment import merge_environments
from algoprof.profiles.histogram import EMPTY
from algoprof.profiles.samples import heaviest, rescaled
from algoprof.profiles.tree import Node, Profile, Span

_SPANS_PER_KIND = 1  # a merged node keeps as many samples as a recorded one


def merge(profiles: Iterable[Profile], name: str = "") -> Profile:
    """Add profiles up, node by node along equal paths.

    Args:
        profiles: any number of them, merged ones included.
        name: what to call the result; the first profile's name if empty.

    >>> job = Profile("job", (Node("job", count=1, closed_ns=5),))
    >>> merge([job, job]).node("job").count
    2
    """
    every = list(profiles)
    whole = [profile for profile in every if not profile.part] or every
    timeouts = {profile.timeout for profile in whole}
    return Profile(
        name=name or next((profile.name for profile in every), ""),
        roots=merge_nodes(root for profile in every for root in profile.roots),
        outcome="merged",
        started_ns=min((profile.started_ns for profile in every), default=0),
        duration_ns=sum(profile.duration_ns for profile in every if not profile.part),
        timeout=timeouts.pop() if len(timeouts) == 1 else None,
        runs=sum(profile.runs for profile in every),
        failed_runs=sum(profile.failed_runs for profile in every),
        cpu_ns=_added(profile.cpu_ns for profile in every),
        allocation_peak=max((peak for one in every if (peak := one.allocation_peak) is not None), default=None),
        folded=sum(profile.folded for profile in every),
        dropped=sum(profile.dropped for profile in every),
        inexact=any(profile.inexact for profile in every),
        environment=merge_environments(profile.environment for profile in every),
        **merged_samples(every),
    )


def merged_samples(profiles: Iterable[Profile]) -> dict[str, Any]:
    """Return what profiles together have of samples, as fields of a `Profile`, in the shortest of their intervals."""
    sampled = [profile for profile in profiles if profile.sample_interval_ns]
    if len(sampled) <= 1:
        first = sampled[0] if sampled else Profile("", ())
        return {name: getattr(first, name) for name in SAMPLE_FIELDS}
    interval = min(profile.sample_interval_ns for profile in sampled)
    samples, left_out = heaviest(
        sample for one in sampled for sample in rescaled(one.samples, one.sample_interval_ns, interval)
    )
    before = sum(round(one.samples_left_out * one.sample_interval_ns / interval) for one in sampled)
    samplers = {one.sampler for one in sampled}
    return {
        "samples": samples,
        "sample_interval_ns": interval,
        "samples_left_out": left_out + before,
        "samples_folded": sum(one.samples_folded for one in sampled),
        "sampler": samplers.pop() if len(samplers) == 1 else "several",
    }


SAMPLE_FIELDS = ("samples", "sample_interval_ns", "samples_left_out", "samples_folded", "sampler")


def merge_nodes(nodes: Iterable[Node]) -> tuple[Node, ...]:
    """Merge the nodes of equal name, and so on below them; most time first."""
    by_name: dict[str, list[Node]] = {}
    for node in nodes:
        by_name.setdefault(node.name, []).append(node)
    merged = [same[0] if len(same) == 1 else _merge_same(same) for same in by_name.values()]
    return tuple(sorted(merged, key=lambda node: (-node.total_ns, node.name)))


def _merge_same(nodes: list[Node]) -> Node:
    first = nodes[0]
    return Node(
        name=first.name,
        count=sum(node.count for node in nodes),
        closed_ns=sum(node.closed_ns for node in nodes),
        open_count=sum(node.open_count for node in nodes),
        open_ns=sum(node.open_ns for node in nodes),
        nested_ns=sum(node.nested_ns for node in nodes),
        shortest_ns=min((node.shortest_ns for node in nodes if node.count), default=0),
        longest_ns=max(node.longest_ns for node in nodes),
        errors=sum(node.errors for node in nodes),
        active_ns=_added(node.active_ns for node in nodes),
        cpu_ns=_added(node.cpu_ns for node in nodes),
        device_ns=_added(node.device_ns for node in nodes),
        concurrent=all(node.concurrent for node in nodes),
        histogram=sum((node.histogram for node in nodes), EMPTY),
        spans=_sample(span for node in nodes for span in node.spans),
        children=merge_nodes(child for node in nodes for child in node.children),
        module=first.module,
        line=first.line,
        inherited=all(node.inherited for node in nodes),
    )


def _sample(spans: Iterable[Span]) -> tuple[Span, ...]:
    """Keep the first of the first, the slowest of the slowest, the last of the failed, and every open one."""
    every = list(spans)
    firsts = sorted((span for span in every if span.kind == "first"), key=lambda span: span.start_ns)
    slowest = sorted((span for span in every if span.kind == "slowest"), key=lambda span: -span.duration)
    failed = sorted((span for span in every if span.kind == "failed"), key=lambda span: -span.end_ns)
    still_open = [span for span in every if span.kind == "open"]
    return (*firsts[:_SPANS_PER_KIND], *slowest[:_SPANS_PER_KIND], *failed[:_SPANS_PER_KIND], *still_open)


def _added(values: Iterable[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None
