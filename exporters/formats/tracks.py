"""A profile as a timeline: the occurrences that were kept, on a track for each thread and for what overlapped in it.

A loop of a million rounds keeps a few occurrences of a section, so beside these stand tracks that are no timeline: the
tree with all that was counted, each section as wide as its time.
"""

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from algoprof.exporters.formats.places import Place, places
from algoprof.profiles.tree import Attribute, Profile, Span

_LANES_LOOKED_AT = 32
"""Of the lanes in which a section was entered, the last ones may be around an occurrence whose parent is not known."""

Arguments = dict[str, Attribute]
"""What is known of a slice, by name."""


class Slice(NamedTuple):
    """A stretch of a track.

    Args:
        name: what it is called.
        start_ns: when it begins, nanoseconds since the Unix epoch.
        end_ns: when it ends.
        is_open: whether it had no end, and is closed at the moment of reading or of the kill.
        span_id: of the occurrence; 0 if it is none.
        arguments: what else is known of it.
    """

    name: str
    start_ns: int
    end_ns: int
    is_open: bool
    span_id: int
    arguments: Arguments


@dataclass(slots=True)
class Track:
    """Slices that nest: each lies within the one before it that has not ended, or behind it.

    Args:
        kind: `occurrences` for a timeline; `totals` for the tree, which is none.
        name: what it is called.
        thread: the native id of the thread; 0 for a track that is none.
        lane: 0 for the thread itself; others hold what overlapped in it, as tasks do.
        slices: in the order of their starts, the outer ones first.
    """

    kind: Literal["occurrences", "totals"]
    name: str
    thread: int = 0
    lane: int = 0
    slices: list[Slice] = field(default_factory=list)


class Flow(NamedTuple):
    """Work that went on in another track: from within a slice to the beginning of one.

    Args:
        from_track: the number of the track that it comes from.
        from_slice: the slice it comes from.
        to_track: the number of the track it goes to.
        to_slice: the slice it goes to.
    """

    from_track: int
    from_slice: Slice
    to_track: int
    to_slice: Slice


class Timeline(NamedTuple):
    """All tracks of a profile.

    Args:
        tracks: threads first, then the totals.
        flows: between the tracks of threads.
        start_ns: before everything, nanoseconds since the Unix epoch.
        end_ns: the end of the run, or of what outlived it.
    """

    tracks: list[Track]
    flows: list[Flow]
    start_ns: int
    end_ns: int


def timeline(profile: Profile) -> Timeline:
    """Return the tracks of a profile.

    >>> from algoprof.profiles.tree import Node
    >>> spans = (Span("first", 5, 9, span_id=2, thread=7),)
    >>> job = Node("job", 1, closed_ns=9, nested_ns=4, children=(Node("load", 1, closed_ns=4, spans=spans),))
    >>> [(track.name, [found.name for found in track.slices]) for track in timeline(Profile("job", (job,))).tracks]
    [('thread 7', ['load']), ('sections', ['job', 'load'])]
    """
    found = list(places(profile))
    tracks, flows = _occurrences(found)
    starts = [each.start_ns for track in tracks for each in track.slices]
    ends = [each.end_ns for track in tracks for each in track.slices]
    start = min([*starts, profile.started_ns or min(starts, default=0)])
    return Timeline(
        [*tracks, *_totals(found, start)], flows, start, max([*ends, start, profile.started_ns + profile.duration_ns])
    )


def nested(slices: Iterable[Slice]) -> Iterator[tuple[Literal["begin", "end"], Slice]]:
    """Yield the begin and the end of each slice of a track, in an order in which they nest and time goes on.

    >>> outer, inner = Slice("a", 0, 9, False, 0, {}), Slice("b", 2, 9, False, 0, {})
    >>> [(what, one.name) for what, one in nested([outer, inner])]
    [('begin', 'a'), ('begin', 'b'), ('end', 'b'), ('end', 'a')]
    """
    around: list[Slice] = []
    for each in slices:
        while around and around[-1].end_ns <= each.start_ns:
            yield "end", around.pop()
        around.append(each)
        yield "begin", each
    while around:
        yield "end", around.pop()


class _Kept(NamedTuple):
    """An occurrence that was kept, and where its section stands."""

    place: Place
    span: Span

    @property
    def end_ns(self) -> int:
        return max(self.span.start_ns, self.span.end_ns)


class _Lane:
    """A track in the making: the occurrences that are around what comes next, and what is done."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.kept: list[_Kept] = []
        self.around: list[_Kept] = []

    def takes(self, one: _Kept, above: Place) -> bool:
        """Whether an occurrence lies within the innermost one here, and that is of a given section above it."""
        while self.around and self.around[-1].end_ns <= one.span.start_ns:
            self.around.pop()
        return bool(self.around) and self.around[-1].place is above and one.end_ns <= self.around[-1].end_ns

    def add(self, one: _Kept) -> None:
        self.kept.append(one)
        self.around.append(one)


def _occurrences(found: list[Place]) -> tuple[list[Track], list[Flow]]:
    by_thread: dict[int, list[_Kept]] = {}
    for place in found:
        for span in place.node.spans:
            by_thread.setdefault(span.thread, []).append(_Kept(place, span))
    tracks: list[Track] = []
    where: dict[int, tuple[int, Slice]] = {}
    parents: list[tuple[int, Slice, int]] = []
    for thread in sorted(by_thread):
        for lane in _lanes(by_thread[thread]):
            beside = f", beside it {lane.number}" if lane.number else ""
            track = Track("occurrences", f"thread {thread}{beside}", thread, lane.number)
            for one in lane.kept:
                made = _slice_of(one)
                track.slices.append(made)
                if made.span_id:
                    where.setdefault(made.span_id, (len(tracks), made))
                parents.append((one.span.parent_id, made, len(tracks)))
            tracks.append(track)
    flows = [
        Flow(*where[parent], number, made)
        for parent, made, number in parents
        if parent in where and where[parent][0] != number and where[parent][1].start_ns <= made.start_ns
    ]
    return tracks, flows


def _lanes(kept: list[_Kept]) -> list[_Lane]:
    """Divide the occurrences of a thread: what stands below another here ran within it there."""
    lanes: list[_Lane] = []
    free: list[tuple[int, int]] = []  # when the outermost of a lane ends, and its number
    entered = _Entered()
    for one in sorted(kept, key=lambda one: (one.span.start_ns, -one.end_ns, one.place.number)):
        lane = entered.around(one)
        if lane is None:
            if free and free[0][0] <= one.span.start_ns:
                lane = lanes[heapq.heappop(free)[1]]
                lane.around.clear()
            else:
                lane = _Lane(len(lanes))
                lanes.append(lane)
            heapq.heappush(free, (one.end_ns, lane.number))
        lane.add(one)
        entered.add(one, lane)
    return lanes


class _Entered:
    """Which sections were entered in which lanes."""

    def __init__(self) -> None:
        self._by_span: dict[int, tuple[_Kept, _Lane]] = {}
        self._by_place: dict[int, list[_Lane]] = {}

    def add(self, one: _Kept, lane: _Lane) -> None:
        if one.span.span_id:
            self._by_span[one.span.span_id] = one, lane
        lanes = self._by_place.setdefault(one.place.number, [])
        if not lanes or lanes[-1] is not lane:
            lanes.append(lane)

    def around(self, one: _Kept) -> _Lane | None:
        """Return the lane in which the section around an occurrence is the innermost, if there is one."""
        above = one.place.above
        if above is not None and one.span.parent_id in self._by_span:
            parent, lane = self._by_span[one.span.parent_id]
            if lane.takes(one, parent.place) and lane.around[-1] is parent:
                return lane
            above = above.above  # its parent is known, so other occurrences of that section are not around it
        while above is not None:
            for lane in self._by_place.get(above.number, ())[: -_LANES_LOOKED_AT - 1 : -1]:
                if lane.takes(one, above):
                    return lane
            above = above.above
        return None


def _slice_of(one: _Kept) -> Slice:
    span, node = one.span, one.place.node
    arguments: Arguments = {"section": "/".join(one.place.path()), "kept_as": span.kind}
    if span.kind == "open":
        arguments["open"] = True
    if span.error is not None:
        arguments["error"] = span.error
    if node.module:
        arguments["source"] = f"{node.module}:{node.line}"
    if span.span_id:
        arguments["span_id"] = f"{span.span_id:016x}"
    arguments |= {f"attributes.{name}": value for name, value in span.attributes.items()}
    return Slice(node.name, span.start_ns, one.end_ns, span.kind == "open", span.span_id, arguments)


def _totals(found: list[Place], start_ns: int) -> Iterator[Track]:
    """Yield the tree as tracks: what ran in the run's own context, and what ran beside it."""
    widths = [place.node.total_ns for place in found]
    within = [0] * len(found)
    for place in reversed(found):  # a parent is drawn as wide as what is nested in it, whatever its own time says
        widths[place.number] = max(widths[place.number], within[place.number])
        if place.above is not None and not _stands_apart(place):
            within[place.above.number] += widths[place.number]
    own, beside = Track("totals", "sections"), Track("totals", "sections beside the run")
    ends = {id(own): start_ns, id(beside): start_ns}
    cursors: list[int] = []
    for place in found:
        track = beside if place.beside else own
        if place.above is None or _stands_apart(place):
            begin = ends[id(track)]
            ends[id(track)] = begin + widths[place.number]
        else:
            begin = cursors[place.above.number]
            cursors[place.above.number] += widths[place.number]
        cursors.append(begin)
        track.slices.append(_total_slice(place, begin, begin + widths[place.number]))
    for track in (own, beside):
        track.slices.sort(key=lambda each: each.start_ns)  # stable: parents stay before their children
        if track.slices:
            yield track


def _stands_apart(place: Place) -> bool:
    """Whether a section's time is no part of its parent's."""
    return place.node.concurrent or place.node.inherited


def _total_slice(place: Place, start_ns: int, end_ns: int) -> Slice:
    node = place.node
    arguments: Arguments = {
        "section": "/".join(place.path()),
        "count": node.count + node.open_count,
        "total_seconds": node.total_time,
        "self_seconds": node.self_time,
    }
    if node.count:
        arguments["longest_seconds"] = node.longest
    if node.histogram.count:
        arguments["p95_seconds"] = node.quantile(0.95)
    if node.errors:
        arguments["errors"] = node.errors
    if node.open_count:
        arguments |= {"open": node.open_count, "open_seconds": node.open_time}
    return Slice(node.name, start_ns, end_ns, bool(node.open_count), 0, arguments)
