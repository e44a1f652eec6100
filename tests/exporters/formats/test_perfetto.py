"""Perfetto's packets, read by Google's own messages."""

from collections import defaultdict
from dataclasses import replace

import pytest
from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import ClockSnapshot, Trace, TracePacket, TrackEvent

from algoprof.exporters.formats.perfetto import perfetto

MS = 1_000_000
START = 1_700_000_000_000 * MS


class Read:
    """A trace with its names resolved."""

    def __init__(self, data: bytes) -> None:
        self.packets = Trace.FromString(data).packet
        (tables,) = (packet.interned_data for packet in self.packets if packet.HasField("interned_data"))
        self.names = {entry.iid: entry.name for entry in tables.event_names}
        self.categories = {entry.iid: entry.name for entry in tables.event_categories}
        self.arguments = {entry.iid: entry.name for entry in tables.debug_annotation_names}
        self.tracks = {packet.track_descriptor.uuid: packet.track_descriptor for packet in self.packets}
        self.events = [packet for packet in self.packets if packet.HasField("track_event")]

    def on(self, name: str) -> list[tuple[int, str, int]]:
        """Return what happens on the track of a name: type, name and milliseconds."""
        return [
            (packet.track_event.type, self.names.get(packet.track_event.name_iid, ""), (packet.timestamp - START) // MS)
            for packet in self.events
            if self.tracks[packet.track_event.track_uuid].name == name
        ]

    def argued(self, event: TrackEvent) -> dict:
        return {self.arguments[one.name_iid]: getattr(one, one.WhichOneof("value")) for one in event.debug_annotations}


@pytest.fixture
def read(served) -> Read:
    return Read(perfetto(served))


def test_tracks_have_threads_and_parents(read):
    by_name = {track.name: track for track in read.tracks.values() if track.name}
    (process,) = (track for track in read.tracks.values() if track.HasField("process"))
    assert (process.process.pid, process.process.process_name) == (123, "Routes.py")
    thread, beside = by_name["thread 7"], by_name["thread 7, beside it 1"]
    assert (thread.thread.pid, thread.thread.tid, thread.parent_uuid) == (123, 7, process.uuid)
    assert beside.parent_uuid == thread.uuid
    totals = by_name["job: killed after 0.100 s of 0.1 s; totals, no timeline"]
    assert {by_name[name].parent_uuid for name in ("sections", "sections beside the run")} == {totals.uuid}


def test_slices_nest_and_what_was_open_ends_with_the_run(read):
    begin, end = TrackEvent.TYPE_SLICE_BEGIN, TrackEvent.TYPE_SLICE_END
    assert read.on("thread 7") == [
        (begin, "job", 0),
        (begin, "task", 10),
        (end, "", 40),
        (begin, "loop", 55),
        (end, "", 56),
        (begin, "loop", 90),
        (begin, "inner", 95),
        (end, "", 100),
        (end, "", 100),
        (end, "", 100),
    ]
    assert read.on("sections")[:3] == [(begin, "job", 0), (begin, "loop", 0), (begin, "inner", 0)]


def test_what_was_open_is_marked(read):
    marked = [
        read.names[packet.track_event.name_iid]
        for packet in read.events
        if "open" in [read.categories[number] for number in packet.track_event.category_iids]
    ]
    assert sorted(marked) == ["inner", "inner", "job", "job", "loop", "loop"]


def test_arguments_keep_their_types(read):
    argued = [read.argued(packet.track_event) for packet in read.events]
    (task,) = (found for found in argued if found.get("span_id") == f"{2:016x}")
    assert (task["attributes.city"], task["attributes.n"], task["kept_as"]) == ("Zürich", 3, "first")
    assert task["attributes.loss"] == "nan"
    assert argued[-1]["algoprof.outcome"] == "killed"
    assert argued[-1]["algoprof.environment.cpu_count"] == 2


def test_flows_join_two_slices(read):
    ends = defaultdict(list)
    for packet in read.events:
        for flow in packet.track_event.flow_ids:
            ends[flow].append(("from", read.names[packet.track_event.name_iid]))
        for flow in packet.track_event.terminating_flow_ids:
            ends[flow].append(("to", read.names[packet.track_event.name_iid]))
    assert sorted(map(sorted, ends.values())) == [
        [("from", "job"), ("to", "task")],
        [("from", "job"), ("to", "thread")],
    ]


def test_the_sequence_is_as_the_format_asks(read):
    assert len({packet.trusted_packet_sequence_id for packet in read.packets}) == 1
    assert all(packet.trusted_packet_sequence_id for packet in read.packets)
    flags = [packet.sequence_flags for packet in read.packets if packet.sequence_flags]
    assert flags[0] == TracePacket.SEQ_INCREMENTAL_STATE_CLEARED
    assert set(flags[1:]) == {TracePacket.SEQ_NEEDS_INCREMENTAL_STATE}
    (clocks,) = (packet.clock_snapshot.clocks for packet in read.packets if packet.HasField("clock_snapshot"))
    times = {clock.clock_id: clock.timestamp for clock in clocks}
    assert times == {ClockSnapshot.Clock.REALTIME: START, ClockSnapshot.Clock.BOOTTIME: START}


def test_the_traces_of_two_runs_can_be_concatenated(served, killed):
    both = Trace.FromString(perfetto(served) + perfetto(replace(killed, run_id="ab" * 16))).packet
    tracks = [packet.track_descriptor.uuid for packet in both if packet.HasField("track_descriptor")]
    assert len(tracks) == len(set(tracks))
    assert len({packet.trusted_packet_sequence_id for packet in both}) == 2
