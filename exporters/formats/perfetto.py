"""Perfetto's own trace format: protobuf packets, for ui.perfetto.dev and its trace processor."""

import hashlib
import math
from collections.abc import Iterator

from algoprof.exporters.formats.facts import facts, title
from algoprof.exporters.formats.protobuf import Message, block, double, fixed64, integer, text
from algoprof.exporters.formats.tracks import Arguments, Slice, Timeline, Track, nested, timeline
from algoprof.profiles.tree import Attribute, Profile

# Field numbers of protos/perfetto/trace in github.com/google/perfetto, by message.
_TRACE_PACKET = 1
_PACKET_CLOCKS, _PACKET_TIMESTAMP, _PACKET_SEQUENCE, _PACKET_EVENT, _PACKET_INTERNED = 6, 8, 10, 11, 12
_PACKET_FLAGS, _PACKET_TRACK = 13, 60
_CLOCKS_CLOCK, _CLOCK_ID, _CLOCK_TIMESTAMP = 1, 1, 2
_TRACK_UUID, _TRACK_NAME, _TRACK_PROCESS, _TRACK_THREAD, _TRACK_PARENT = 1, 2, 3, 4, 5
_PROCESS_PID, _PROCESS_NAME = 1, 6
_THREAD_PID, _THREAD_TID, _THREAD_NAME = 1, 2, 5
_INTERNED_CATEGORY, _INTERNED_NAME, _INTERNED_ARGUMENT = 1, 2, 3
_INTERNED_ID, _INTERNED_TEXT = 1, 2
_EVENT_CATEGORY_IDS, _EVENT_ARGUMENT, _EVENT_TYPE, _EVENT_NAME_ID, _EVENT_TRACK, _EVENT_FLOWS = 3, 4, 9, 10, 11, 47
_EVENT_ENDING_FLOWS = 48
_ARGUMENT_NAME_ID, _ARGUMENT_BOOL, _ARGUMENT_INT, _ARGUMENT_DOUBLE, _ARGUMENT_TEXT = 1, 2, 4, 5, 6

_BEGIN, _END, _INSTANT = 1, 2, 3
_STATE_CLEARED, _STATE_NEEDED = 1, 2
_REALTIME, _BOOTTIME = 1, 6

_CATEGORIES = {"section": 1, "total": 2, "open": 3, "run": 4}


def perfetto(profile: Profile) -> bytes:
    """Return a profile as a trace: a track for each thread, one below it for what overlapped there, and the totals.

    What was open ends where the run does, with the category `open`. Times are nanoseconds since the Unix epoch, and
    tracks have ids of their own in each run, so that the files of many runs can be concatenated to one.

    >>> perfetto(Profile("job", (), run_id="ab" * 16)).count(b"algoprof.run_id")
    1
    """
    return b"".join(block(_TRACE_PACKET, packet) for packet in _Trace(profile).packets())


class _Trace:
    """One profile on its way into packets."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._line: Timeline = timeline(profile)
        identity = f"{profile.run_id or title(profile)} {profile.pid} {self._line.start_ns}"
        self._key = hashlib.blake2b(identity.encode("utf-8", "backslashreplace"), digest_size=16).digest()
        self._sequence = self._number("sequence") >> 33 or 1  # 31 bits of the 32 there are
        self._event_head = integer(_PACKET_SEQUENCE, self._sequence) + integer(_PACKET_FLAGS, _STATE_NEEDED)
        self._names: dict[str, int] = {}
        self._arguments: dict[str, int] = {}

    def packets(self) -> Iterator[bytes]:
        """Yield the packets: clocks and tracks, the tables of names, then the events, which refer to all of these."""
        events = list(self._events())
        yield self._clocks()
        yield from self._descriptors()
        yield self._interned()
        yield from events

    def _clocks(self) -> bytes:
        """Say that the times are those of the wall clock."""
        clocks = b"".join(
            block(_CLOCKS_CLOCK, integer(_CLOCK_ID, clock) + integer(_CLOCK_TIMESTAMP, max(0, self._line.start_ns)))
            for clock in (_REALTIME, _BOOTTIME)
        )
        return block(_PACKET_CLOCKS, clocks) + integer(_PACKET_SEQUENCE, self._sequence)

    def _descriptors(self) -> Iterator[bytes]:
        run, pid = self._profile, max(self._profile.pid, 1)  # 0 would be the kernel's idle process
        process = integer(_PROCESS_PID, pid) + text(_PROCESS_NAME, run.program or run.name)
        yield self._descriptor(integer(_TRACK_UUID, self._number("process")) + block(_TRACK_PROCESS, process))
        totals = integer(_TRACK_UUID, self._number("totals")) + text(_TRACK_NAME, f"{title(run)}; totals, no timeline")
        yield self._descriptor(totals)
        for number, track in enumerate(self._line.tracks):
            described = Message(integer(_TRACK_UUID, self._number(number)) + text(_TRACK_NAME, track.name))
            if track.kind == "totals":
                described += integer(_TRACK_PARENT, self._number("totals"))
            elif track.lane or not track.thread:
                above = self._number(number - track.lane) if track.thread else self._number("process")
                described += integer(_TRACK_PARENT, above)
            else:
                thread = integer(_THREAD_PID, pid) + integer(_THREAD_TID, track.thread) + text(_THREAD_NAME, track.name)
                described += integer(_TRACK_PARENT, self._number("process")) + block(_TRACK_THREAD, thread)
            yield self._descriptor(bytes(described))

    def _descriptor(self, described: bytes) -> bytes:
        return block(_PACKET_TRACK, described) + integer(_PACKET_SEQUENCE, self._sequence)

    def _interned(self) -> bytes:
        tables = (
            (_INTERNED_CATEGORY, _CATEGORIES),
            (_INTERNED_NAME, self._names),
            (_INTERNED_ARGUMENT, self._arguments),
        )
        interned = b"".join(
            block(table, integer(_INTERNED_ID, number) + text(_INTERNED_TEXT, name))
            for table, names in tables
            for name, number in names.items()
        )
        return (
            block(_PACKET_INTERNED, interned)
            + integer(_PACKET_SEQUENCE, self._sequence)
            + integer(_PACKET_FLAGS, _STATE_CLEARED)
        )

    def _events(self) -> Iterator[bytes]:
        leaving, arriving = self._flows()
        for number, track in enumerate(self._line.tracks):
            uuid = integer(_EVENT_TRACK, self._number(number))
            for what, each in nested(track.slices):
                if what == "end":
                    yield self._event(each.end_ns, integer(_EVENT_TYPE, _END) + uuid)
                    continue
                begun = Message(integer(_EVENT_TYPE, _BEGIN) + uuid + self._described(track, each))
                for flow in leaving.get(id(each), ()):
                    begun += fixed64(_EVENT_FLOWS, flow)
                for flow in arriving.get(id(each), ()):
                    begun += fixed64(_EVENT_ENDING_FLOWS, flow)
                yield self._event(each.start_ns, bytes(begun))
        yield self._event(self._line.end_ns, self._ending())

    def _flows(self) -> tuple[dict[int, list[int]], dict[int, list[int]]]:
        leaving: dict[int, list[int]] = {}
        arriving: dict[int, list[int]] = {}
        for number, flow in enumerate(self._line.flows):
            name = self._number(f"flow {number}")
            leaving.setdefault(id(flow.from_slice), []).append(name)
            arriving.setdefault(id(flow.to_slice), []).append(name)
        return leaving, arriving

    def _described(self, track: Track, each: Slice) -> bytes:
        kind = _CATEGORIES["section" if track.kind == "occurrences" else "total"]
        categories = b"".join(
            integer(_EVENT_CATEGORY_IDS, number)
            for number in ((kind, _CATEGORIES["open"]) if each.is_open else (kind,))
        )  # one by one: the trace processor reads nothing that is packed
        name = integer(_EVENT_NAME_ID, _interned_id(each.name, self._names))
        return categories + name + self._argued(each.arguments)

    def _ending(self) -> bytes:
        """Return an event at the end of the run that says how it ended, with all that is known of it."""
        return (
            integer(_EVENT_TYPE, _INSTANT)
            + integer(_EVENT_TRACK, self._number("totals"))
            + integer(_EVENT_CATEGORY_IDS, _CATEGORIES["run"])
            + integer(_EVENT_NAME_ID, _interned_id(f"run: {self._profile.outcome}", self._names))
            + self._argued(facts(self._profile))
        )

    def _argued(self, arguments: Arguments) -> bytes:
        encoded = Message()
        for name, value in arguments.items():
            number = integer(_ARGUMENT_NAME_ID, _interned_id(name, self._arguments))
            encoded += block(_EVENT_ARGUMENT, number + _value(value))
        return bytes(encoded)

    def _event(self, moment_ns: int, event: bytes) -> bytes:
        return integer(_PACKET_TIMESTAMP, max(0, moment_ns)) + self._event_head + block(_PACKET_EVENT, event)

    def _number(self, what: str | int) -> int:
        """Return 64 bits that stand for something in this run, and in no other."""
        return int.from_bytes(hashlib.blake2b(str(what).encode(), digest_size=8, key=self._key).digest(), "little") or 1


def _interned_id(name: str, table: dict[str, int]) -> int:
    return table.setdefault(name, len(table) + 1)


def _value(value: Attribute) -> bytes:
    if isinstance(value, bool):
        return integer(_ARGUMENT_BOOL, value)
    if isinstance(value, int) and -(2**63) <= value < 2**63:
        return integer(_ARGUMENT_INT, value)
    if isinstance(value, float) and math.isfinite(value):  # SQL, in which traces are asked, has no NaN
        return double(_ARGUMENT_DOUBLE, value)
    return text(_ARGUMENT_TEXT, str(value))
