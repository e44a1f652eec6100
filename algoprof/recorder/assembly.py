"""From the words of a run's rows and open entries to its `Profile`."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import compress

from algoprof.profiles.histogram import Histogram
from algoprof.profiles.tree import Node, Profile, RunOutcome, Span, SpanKind
from algoprof.recorder import layout as at

_MAX_DEPTH = 2 * 128  # the writer folds at 128; a deeper tree is a torn or hostile one
_KINDS: tuple[SpanKind, ...] = ("first", "slowest", "failed")

Names = Sequence[tuple[str, str, int]]
"""Name, module and line of each name's number."""

Words = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Clock:
    """Monotonic time, and what to add to make it wall time.

    Args:
        now_ns: the moment up to which whatever is open has lasted.
        to_wall_ns: wall time minus monotonic time.
    """

    now_ns: int
    to_wall_ns: int


@dataclass(frozen=True, slots=True)
class OpenEntry:
    """An open occurrence, as the file has it."""

    node: int
    flags: int
    started_ns: int
    parent: int
    span_id: int
    parent_span_id: int
    active_ns: int
    thread: int
    attributes: bytes


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run, as the file has it.

    Args:
        run: the words of its slot.
        rows: its node rows, each with its reference.
        opens: its open entries.
        request_id: what the server calls the request.
    """

    run: Words
    rows: list[tuple[int, Words]]
    opens: list[OpenEntry]
    request_id: str = ""


@dataclass(slots=True)
class _Mutable:
    """A node that is being added up: the rows of one path in all threads' blocks, and what is open there."""

    name: int
    rows: list[Words] = field(default_factory=list)
    opens: list[OpenEntry] = field(default_factory=list)
    nested_open_ns: int = 0
    children: dict[int, "_Mutable"] = field(default_factory=dict)


def assemble(record: RunRecord, names: Names, clock: Clock, *, alive: bool) -> Profile:
    """Return the profile of a run.

    Args:
        record: the run.
        names: every name of the file.
        clock: for the open sections.
        alive: whether the process is; an open run of a dead one was killed.
    """
    run = record.run
    state = run[at.RUN_STATE]
    roots = _tree(record, clock)
    is_open = state == at.OPEN
    is_part = bool(run[at.RUN_FLAGS] & at.PART) and state != at.CUMULATIVE
    nodes = tuple(_node(root, names, clock) for root in roots)
    return Profile(
        name=_name(names, run[at.RUN_NAME])[0],
        roots=nodes,
        outcome=_outcome(run, alive=alive),
        run_id="" if state == at.CUMULATIVE else _hex(run, at.RUN_ID),
        parent_run_id=_hex(run, at.RUN_PARENT).strip("0") and _hex(run, at.RUN_PARENT),
        parent_span_id=run[at.RUN_PARENT_SPAN] % 2**64,
        request_id=record.request_id,
        started_ns=run[at.RUN_STARTED] + clock.to_wall_ns,
        duration_ns=_duration(run, clock),
        timeout=run[at.RUN_TIMEOUT] / 1e9 if run[at.RUN_TIMEOUT] > 0 else None,
        budget_spent_ns=max(0, run[at.RUN_SPENT]),
        budget_source=_name(names, run[at.RUN_SOURCE])[0],
        runs=run[at.RUN_RUNS] if state == at.CUMULATIVE else int(not is_part),
        failed_runs=run[at.RUN_FAILED],
        cpu_ns=None if is_open else run[at.RUN_CPU],
        part=is_part,
        folded=max(run[at.RUN_FOLDED], sum(_folded(node) for node in nodes)),
        dropped=run[at.RUN_DROPPED],
        inexact=bool(run[at.RUN_FLAGS] & at.INEXACT) or any(row[at.NODE_SEQUENCE] % 2 for _, row in record.rows),
    )


def _folded(node: Node) -> int:
    """Return how many occurrences below a node, or in it, stand under the name of what is folded."""
    return (node.count if node.name == at.FOLDED_NAME else 0) + sum(_folded(child) for child in node.children)


def _outcome(run: Words, *, alive: bool) -> RunOutcome:
    if run[at.RUN_STATE] == at.CUMULATIVE:
        return "merged"
    if run[at.RUN_STATE] == at.OPEN:
        return "open" if alive else "killed"
    return "error" if run[at.RUN_FAILED] else "ok"


def _duration(run: Words, clock: Clock) -> int:
    if run[at.RUN_STATE] == at.CUMULATIVE:
        return run[at.RUN_ENDED]  # the runs' durations, added up
    return max(0, (run[at.RUN_ENDED] or clock.now_ns) - run[at.RUN_STARTED])


def _tree(record: RunRecord, clock: Clock) -> list[_Mutable]:
    """Join the rows of one path in different blocks, and hang the open entries on them."""
    children: dict[int, list[tuple[int, Words]]] = {}
    known = {reference for reference, _ in record.rows}
    for reference, row in record.rows:
        parent = row[at.NODE_PARENT] & at.REFERENCE_MASK
        children.setdefault(parent if parent in known and parent != reference else 0, []).append((reference, row))
    opens: dict[int, list[OpenEntry]] = {}
    nested_open: dict[int, int] = {}
    for entry in record.opens:
        opens.setdefault(entry.node, []).append(entry)
        elapsed = max(0, clock.now_ns - entry.started_ns)
        inside = entry.active_ns if entry.flags & at.STEPS_OF_GENERATOR else elapsed
        if entry.flags & at.NESTED:
            nested_open[entry.parent] = nested_open.get(entry.parent, 0) + inside
        if entry.flags & at.RECURSIVE:
            nested_open[entry.node] = nested_open.get(entry.node, 0) - elapsed
        nested_open[entry.node] = nested_open.get(entry.node, 0) + elapsed - inside
    roots: dict[int, _Mutable] = {}
    levels: list[tuple[dict[int, _Mutable], int]] = [(roots, 0)]
    for _ in range(_MAX_DEPTH):
        below: list[tuple[dict[int, _Mutable], int]] = []
        for level, parent in levels:
            for reference, row in children.get(parent, ()):
                name = row[at.NODE_PARENT] >> 32
                node = level.setdefault(name, _Mutable(name))
                node.rows.append(row)
                node.opens += opens.get(reference, ())
                node.nested_open_ns += nested_open.get(reference, 0)
                below.append((node.children, reference))
        levels = below
        if not levels:
            break
    return list(roots.values())


def _node(node: _Mutable, names: Names, clock: Clock) -> Node:
    name, module, line = _name(names, node.name)
    rows = node.rows
    ended = [row for row in rows if row[at.NODE_COUNT] > row[at.NODE_RECURSIONS]]
    outer = [entry for entry in node.opens if not entry.flags & at.RECURSIVE]
    stepped = any(row[at.NODE_FLAGS] & at.STEPPED for row in rows) or any(
        entry.flags & (at.STEPS_OF_COROUTINE | at.STEPS_OF_GENERATOR) for entry in node.opens
    )
    active = sum(row[at.NODE_ACTIVE] for row in rows) + sum(entry.active_ns for entry in node.opens)
    children = (_node(child, names, clock) for child in node.children.values())
    return Node(
        name=name,
        count=sum(row[at.NODE_COUNT] for row in rows),
        closed_ns=sum(row[at.NODE_TOTAL] for row in rows),
        open_count=len(node.opens),
        open_ns=sum(max(0, clock.now_ns - entry.started_ns) for entry in outer),
        nested_ns=sum(row[at.NODE_NESTED] for row in rows) + node.nested_open_ns,
        shortest_ns=min((row[at.NODE_SHORTEST] for row in ended), default=0),
        longest_ns=max((row[at.NODE_LONGEST] for row in ended), default=0),
        errors=sum(row[at.NODE_ERRORS] for row in rows),
        active_ns=active if stepped else None,
        cpu_ns=sum(row[at.NODE_CPU] for row in rows) or None,
        device_ns=sum(row[at.NODE_DEVICE] for row in rows) or None,
        concurrent=all(row[at.NODE_FLAGS] & at.CONCURRENT for row in rows),
        inherited=all(row[at.NODE_FLAGS] & at.INHERITED for row in rows),
        histogram=_histogram(rows),
        spans=(*_spans(rows, names, clock), *(_open_span(entry, clock) for entry in node.opens[:_OPEN_SPANS])),
        children=tuple(sorted(children, key=lambda child: (-child.total_ns, child.name))),
        module=module,
        line=line,
    )


_OPEN_SPANS = 16  # of one node, in a profile


_BUCKETS = range(at.HISTOGRAM_WORDS)


def _histogram(rows: list[Words]) -> Histogram:
    counts: dict[int, int] = {}
    for row in rows:
        words = row[at.NODE_HISTOGRAM : at.NODE_HISTOGRAM + at.HISTOGRAM_WORDS]
        for bucket in compress(_BUCKETS, words):  # nearly all are empty
            counts[bucket] = counts.get(bucket, 0) + max(0, words[bucket])
    return Histogram(tuple(sorted(counts.items())))


def _spans(rows: list[Words], names: Names, clock: Clock) -> list[Span]:
    """Return each kept occurrence once, under the first reason it was kept for."""
    spans: dict[int, Span] = {}
    for which, kind in enumerate(_KINDS):
        start = at.NODE_SPANS + which * at.SPAN_WORDS
        kept = [row[start : start + at.SPAN_WORDS] for row in rows if row[start + at.SPAN_ID]]
        if kind == "first":
            kept = sorted(kept, key=lambda words: words[at.SPAN_STARTED])[:1]
        elif kind == "slowest":
            kept = sorted(kept, key=lambda words: words[at.SPAN_STARTED] - words[at.SPAN_ENDED])[:1]
        else:
            kept = sorted(kept, key=lambda words: -words[at.SPAN_ENDED])[:1]
        for words in kept:
            spans.setdefault(words[at.SPAN_ID], _span(words, kind, names, clock))
    return list(spans.values())


def _span(words: Words, kind: SpanKind, names: Names, clock: Clock) -> Span:
    attributes = struct.pack(f"<{at.SPAN_WORDS - at.SPAN_ATTRIBUTES}q", *words[at.SPAN_ATTRIBUTES :])
    return Span(
        kind=kind,
        start_ns=words[at.SPAN_STARTED] + clock.to_wall_ns,
        end_ns=words[at.SPAN_ENDED] + clock.to_wall_ns,
        span_id=words[at.SPAN_ID],
        parent_id=words[at.SPAN_PARENT],
        thread=words[at.SPAN_THREAD],
        error=_name(names, words[at.SPAN_ERROR])[0] or None,
        attributes=at.decode_attributes(attributes),
    )


def _open_span(entry: OpenEntry, clock: Clock) -> Span:
    return Span(
        kind="open",
        start_ns=entry.started_ns + clock.to_wall_ns,
        end_ns=clock.now_ns + clock.to_wall_ns,
        span_id=entry.span_id,
        parent_id=entry.parent_span_id,
        thread=entry.thread,
        attributes=at.decode_attributes(entry.attributes),
    )


def _name(names: Names, number: int) -> tuple[str, str, int]:
    return names[number] if 0 <= number < len(names) else ("(unknown)", "", 0)


def _hex(run: Words, word: int) -> str:
    return struct.pack("<2q", *run[word : word + 2]).hex()
