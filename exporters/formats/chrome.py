"""The Trace Event format of Chrome, as a JSON object: for Perfetto's viewer, chrome://tracing and speedscope."""

import json
import math
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from algoprof.exporters.formats.facts import EXPORTER, facts, title
from algoprof.exporters.formats.tracks import Arguments, Flow, Slice, Timeline, Track, timeline
from algoprof.profiles.tree import Profile

_MOST_PIDS = 2**22
"""Linux has no process id above this: the process that stands for the totals has one."""

Event = dict[str, Any]


def chrome(profile: Profile) -> str:
    """Return a profile as a trace: the occurrences that were kept, by thread, and the totals as a process of their own.

    Times are microseconds since the beginning, with nanoseconds behind the point; `displayTimeUnit` is left out, since
    viewers have taken it for the unit of the times. What was open ends where the run
    does, and has `open` among its arguments. Arrows lead to what was begun from another thread or task.

    >>> from algoprof.profiles.tree import Node, Span
    >>> load = Node("load", 1, closed_ns=4, spans=(Span("first", 1_005, 1_009, span_id=2, thread=7),))
    >>> trace = json.loads(chrome(Profile("job", (load,), started_ns=1_000, pid=12)))
    >>> [(each["name"], each["ts"], each["dur"], each["tid"]) for each in trace["traceEvents"] if each["ph"] == "X"]
    [('load', 0.005, 0.004, 7), ('load', 0, 0.004, 1)]
    """
    line = timeline(profile)
    document = {
        "otherData": {"exporter": EXPORTER, "began": _moment(line.start_ns), **_valid(facts(profile))},
        "traceEvents": list(_events(profile, line)),
    }
    return json.dumps(document, separators=(",", ":"), allow_nan=False) + "\n"


def _events(profile: Profile, line: Timeline) -> Iterator[Event]:
    processes = {"occurrences": profile.pid, "totals": profile.pid + _MOST_PIDS}
    yield _metadata("process_name", processes["occurrences"], 0, name=profile.program or profile.name)
    yield _metadata("process_name", processes["totals"], 0, name=f"{title(profile)}; totals, no timeline")
    yield _metadata("process_sort_index", processes["totals"], 0, sort_index=1)
    threads = _thread_ids(line.tracks)
    for order, (track, thread) in enumerate(zip(line.tracks, threads, strict=True)):
        process = processes[track.kind]
        yield _metadata("thread_name", process, thread, name=track.name)
        yield _metadata("thread_sort_index", process, thread, sort_index=order)
        for each in track.slices:
            yield _complete(track, each, line, process, thread)
    for number, flow in enumerate(line.flows, 1):
        yield from _arrow(number, flow, line, processes["occurrences"], threads)
    if profile.outcome in ("killed", "open"):
        mark = {"name": profile.outcome, "cat": "run", "ph": "i", "s": "p", "ts": _us(line.end_ns - line.start_ns)}
        yield mark | {"pid": processes["occurrences"], "tid": threads[0] if threads else 0}


def _thread_ids(tracks: list[Track]) -> list[int]:
    """Return an id for each track: a thread's own, and ids that no thread has for the others."""
    unused = max((track.thread for track in tracks), default=0)
    ids = []
    totals = 0
    for track in tracks:
        if track.kind == "totals":
            totals += 1
            ids.append(totals)
        elif track.lane:
            unused += 1
            ids.append(unused)
        else:
            ids.append(track.thread)
    return ids


def _complete(track: Track, each: Slice, line: Timeline, process: int, thread: int) -> Event:
    kind = "section" if track.kind == "occurrences" else "total"
    return {
        "name": each.name,
        "cat": f"{kind},open" if each.is_open else kind,
        "ph": "X",
        "ts": _us(each.start_ns - line.start_ns),
        "dur": _us(each.end_ns - each.start_ns),
        "pid": process,
        "tid": thread,
        "args": _valid(each.arguments),
    }


def _arrow(number: int, flow: Flow, line: Timeline, process: int, threads: list[int]) -> Iterator[Event]:
    """Yield the two ends of an arrow. It leaves at the begin of a slice: later another one may lie within that."""
    arrow = {"name": "begins", "cat": "flow", "id": number, "pid": process}
    leaves = _us(flow.from_slice.start_ns - line.start_ns)
    yield arrow | {"ph": "s", "ts": leaves, "tid": threads[flow.from_track]}
    arrives = _us(flow.to_slice.start_ns - line.start_ns)
    yield arrow | {"ph": "f", "bp": "e", "ts": arrives, "tid": threads[flow.to_track]}


def _metadata(name: str, process: int, thread: int, /, **arguments: str | int) -> Event:
    return {"name": name, "ph": "M", "ts": 0, "pid": process, "tid": thread, "args": arguments}


def _us(nanoseconds: int) -> float:
    whole, rest = divmod(nanoseconds, 1000)
    return whole + rest / 1000 if rest else whole


def _valid(arguments: Arguments) -> Arguments:
    """Return arguments as JSON has them: it knows no infinity."""
    return {
        name: str(value) if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in arguments.items()
    }


def _moment(nanoseconds: int) -> str:
    try:
        return datetime.fromtimestamp(nanoseconds // 10**9, UTC).isoformat().replace("+00:00", "Z")
    except (OverflowError, ValueError, OSError):
        return f"{nanoseconds} ns"
