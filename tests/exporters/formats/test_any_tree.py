"""Whatever a profile holds: every format can be read by others, keeps every section and all time, and hides no name."""

import csv
import gzip
import io
import json
import math
import random
from collections import defaultdict
from collections.abc import Callable
from html.parser import HTMLParser
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator, Draft202012Validator
from markdown_it import MarkdownIt
from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import Trace, TrackEvent

from algoprof.exporters.formats.chrome import chrome
from algoprof.exporters.formats.collapsed import collapsed, collapsed_sections
from algoprof.exporters.formats.csv_table import csv_table
from algoprof.exporters.formats.markdown import markdown
from algoprof.exporters.formats.perfetto import perfetto
from algoprof.exporters.formats.places import places
from algoprof.exporters.formats.pprof import pprof
from algoprof.exporters.formats.profile_json import profile_json, profile_schema
from algoprof.exporters.formats.speedscope import speedscope
from algoprof.exporters.html import render
from algoprof.exporters.text.cells import escaped, name
from algoprof.profiles.codec import from_json
from algoprof.profiles.histogram import Histogram
from algoprof.profiles.samples import Frame, Sample
from algoprof.profiles.tree import Node, Profile, Span

OURS = Draft202012Validator(json.loads(profile_schema()))
MARKDOWN = MarkdownIt("gfm-like", {"linkify": False})
T = TypeVar("T")
START = 1_700_000_000_000_000_000
HOSTILE = (
    "", "a", "b", "a;b", "x|y", "`", "``", " ", "=1+1", "</script>", "@all", "\ud800", "\udcff", "\0", "\x1b[2J",
    "\x85", "\u202e", "\u2028", "two\nlines", "a\\|b", "\\", "日本", "\U0001f600", "&nbsp;", "[a](b)",
    "*a*", ",", '"',
)  # fmt: skip


class Made:
    """A profile made by chance: hypothesis chooses seed and size alone, for it takes long over many fields."""

    def __init__(self, seed: int, size: int) -> None:
        self._chance = random.Random(seed)
        self._size = size

    def text(self) -> str:
        if self._chance.random() < 0.8:
            return self._chance.choice(HOSTILE)
        return "".join(chr(self._chance.randrange(0x11_0000)) for _ in range(self._chance.randrange(5)))

    def time(self) -> int:
        return self._chance.choice((0, 1, 999, self._chance.randrange(2**40)))

    def value(self) -> str | float:
        return self._chance.choice((self.text(), 2**70, -(2**63), True, 0.5, math.nan, -math.inf))

    def few(self, make: Callable[[], T], most: int) -> tuple[T, ...]:
        return tuple(make() for _ in range(self._chance.randrange(most + 1)))

    def span(self) -> Span:
        return Span(
            self._chance.choice(("first", "slowest", "failed", "open")),
            START + self._chance.randrange(50),
            START + self._chance.randrange(50),  # before its start, now and then
            span_id=self._chance.randrange(20),
            parent_id=self._chance.randrange(20),
            thread=self._chance.randrange(3),
            error=self._chance.choice((None, self.text())),
            attributes={self.text(): self.value()} if self._chance.random() < 0.3 else {},
        )

    def node(self, depth: int = 0) -> Node:
        self._size -= 1
        return Node(
            self.text(),
            count=self._chance.randrange(4),
            closed_ns=self.time(),
            open_count=self._chance.choice((0, 0, 1, 2)),
            open_ns=self.time(),
            nested_ns=self.time(),
            errors=self._chance.randrange(3),
            concurrent=self._chance.random() < 0.3,
            inherited=self._chance.random() < 0.1,
            histogram=self._chance.choice((Histogram(), Histogram(((186, 3), (190, 1))))),
            spans=self.few(self.span, 3),
            children=() if depth > 5 or self._size < 0 else self.few(lambda: self.node(depth + 1), 4),
            module=self.text(),
            line=self._chance.randrange(99),
        )

    def sample(self) -> Sample:
        stack = self.few(lambda: Frame(self.text(), self.text(), self._chance.randrange(99)), 3)
        return Sample(self.few(self.text, 3), stack, self._chance.randrange(1, 2**20), self._chance.random() < 0.3)

    def profile(self) -> Profile:
        return Profile(
            self.text(),
            self.few(self.node, 3),
            outcome=self._chance.choice(("ok", "error", "open", "killed", "merged")),
            run_id=self._chance.choice(("", "0af7651916cd43dd8448eb211c80319c")),
            started_ns=self._chance.choice((0, START)),
            duration_ns=self.time(),
            timeout=self._chance.choice((None, 0.001, 3000)),
            runs=self._chance.randrange(3),
            pid=self._chance.randrange(2**22),
            samples=self.few(self.sample, 4),
            sample_interval_ns=self.time(),
        )


profiles = st.builds(lambda seed, size: Made(seed, size).profile(), st.integers(0, 2**32), st.integers(0, 30))


def names_of(profile: Profile) -> list[str]:
    return sorted(place.node.name for place in places(profile))


def own_time(profile: Profile) -> int:
    return sum(place.node.self_ns for place in places(profile))


def sampled_time(profile: Profile) -> int:
    return sum(sample.count for sample in profile.samples) * (profile.sample_interval_ns or 1)


def in_utf8(name: str) -> str:
    return name.encode("utf-8", "backslashreplace").decode()


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(profiles, st.none() | profiles)
def test_every_format_keeps_every_section_and_all_time(speedscope_schema, pprof_messages, profile, other):
    check_json(profile)
    check_speedscope(profile, Draft7Validator(speedscope_schema))
    check_chrome(profile)
    check_perfetto(profile)
    check_pprof(profile, pprof_messages)
    check_collapsed(profile)
    check_csv(profile)
    check_markdown(profile, None)
    check_markdown(profile, other)
    check_html(profile, other)


def check_json(profile):
    document = json.loads(profile_json(profile), parse_constant=pytest.fail)
    assert profile_json(from_json(document)) == profile_json(profile)  # as text, for NaN is not equal to itself
    OURS.validate(document)


def check_speedscope(profile, schema):
    document = json.loads(speedscope(profile), parse_constant=pytest.fail)
    schema.validate(document)
    frames = document["shared"]["frames"]
    assert {name + " (open)" * bool(profile_open) for name, profile_open in labels(profile)} <= {
        frame["name"] for frame in frames
    }
    weights = defaultdict(int)
    for view in document["profiles"]:
        if view["type"] == "sampled":
            assert sum(view["weights"]) == view["endValue"]
            assert all(0 <= frame < len(frames) for stack in view["samples"] for frame in stack)
            weights["stack samples" in view["name"].removeprefix(profile.name)] += view["endValue"]
        else:
            assert_balanced(view)
    assert (weights[False], weights[True]) == (own_time(profile), sampled_time(profile))


def labels(profile: Profile) -> list[tuple[str, int]]:
    return [(place.node.name, place.node.open_count) for place in places(profile) if place.node.self_ns]


def assert_balanced(view: dict) -> None:
    at, around = view["startValue"], []
    for event in view["events"]:
        assert event["at"] >= at
        at = event["at"]
        if event["type"] == "O":
            around.append(event["frame"])
        else:
            assert around.pop() == event["frame"]
    assert around == []
    assert at <= view["endValue"]


def check_chrome(profile):
    document = json.loads(chrome(profile), parse_constant=pytest.fail)
    slices = [event for event in document["traceEvents"] if event["ph"] == "X"]
    totals = [event for event in slices if "total" in event["cat"]]
    assert sorted(event["name"] for event in totals) == names_of(profile)
    assert math.isclose(
        sum(event["args"]["self_seconds"] for event in totals), own_time(profile) / 1e9, rel_tol=1e-9, abs_tol=1e-12
    )
    kept = [event for event in slices if "section" in event["cat"]]
    assert len(kept) == sum(len(place.node.spans) for place in places(profile))
    tracks = defaultdict(list)
    for event in slices:
        tracks[event["pid"], event["tid"]].append(
            (start := round(event["ts"] * 1000), start + round(event["dur"] * 1000))
        )
    for track in tracks.values():
        around: list[int] = []
        for start, end in track:
            assert 0 <= start <= end
            while around and around[-1] <= start:
                around.pop()
            assert not around or end <= around[-1]
            around.append(end)


def check_perfetto(profile):
    packets = Trace.FromString(perfetto(profile)).packet
    (tables,) = (packet.interned_data for packet in packets if packet.HasField("interned_data"))
    interned = {entry.iid: entry.name for entry in tables.event_names}
    known = {packet.track_descriptor.uuid for packet in packets if packet.HasField("track_descriptor")}
    begun, ends, last = [], defaultdict(int), defaultdict(int)
    for packet in packets:
        if not packet.HasField("track_event"):
            continue
        event = packet.track_event
        assert event.track_uuid in known
        assert packet.timestamp >= last[event.track_uuid]
        last[event.track_uuid] = packet.timestamp
        if event.type == TrackEvent.TYPE_SLICE_BEGIN:
            ends[event.track_uuid] += 1
            begun.append(interned[event.name_iid])
        elif event.type == TrackEvent.TYPE_SLICE_END:
            ends[event.track_uuid] -= 1
            assert ends[event.track_uuid] >= 0
    assert not any(ends.values())
    expected = [in_utf8(place.node.name) for place in places(profile) for _ in range(1 + len(place.node.spans))]
    assert sorted(begun) == sorted(expected)


def check_pprof(profile, messages):
    message = messages.Profile.FromString(gzip.decompress(pprof(profile)))
    assert message.string_table[0] == ""
    assert {location.id for location in message.location} >= {
        one for each in message.sample for one in each.location_id
    }
    assert {len(sample.value) for sample in message.sample} <= {len(message.sample_type)}
    assert sum(sample.value[1] for sample in message.sample) == own_time(profile)
    if profile.samples:
        assert sum(sample.value[3] for sample in message.sample) == sampled_time(profile)
    functions = {message.string_table[function.name] for function in message.function}
    assert {in_utf8(name) for name in names_of(profile)} <= functions


def check_collapsed(profile):
    found = read_collapsed(collapsed_sections(profile))
    assert sum(count for _, count in found) == own_time(profile)
    depths = {len(place.line()) for place in places(profile) if place.node.self_ns}
    assert {len(stack) for stack, _ in found} == depths
    samples = read_collapsed(collapsed([profile]))
    assert sum(count for _, count in samples) == sum(sample.count for sample in profile.samples)
    seen = {escaped(sample.path[0]).replace(";", ":") for sample in profile.samples if sample.path}
    assert seen <= {stack[0].removesuffix(" (open)") for stack, _ in samples}


def read_collapsed(text: str) -> list[tuple[list[str], int]]:
    lines = text.split("\n")
    assert lines == [*text.splitlines(), ""]  # nothing else ends a line
    found = [line.rpartition(" ") for line in lines[:-1]]
    return [(stack.split(";"), int(count)) for stack, _, count in found]


def check_csv(profile):
    rows = list(csv.DictReader(io.StringIO(csv_table(profile))))
    assert [int(row["id"]) for row in rows] == list(range(len(rows)))
    assert len(rows) == len(names_of(profile))
    assert sum(round(float(row["self_seconds"]) * 1e9) for row in rows) == pytest.approx(
        own_time(profile), abs=len(rows)
    )
    for row, place in zip(rows, places(profile), strict=True):
        assert row["parent_id"] == ("" if place.above is None else str(place.above.number))
        assert row["name"].removeprefix("'") == escaped(place.node.name).removeprefix("'")
        assert not row["name"].startswith(("=", "+", "-", "@"))
        assert row["path"].isprintable()


def check_markdown(profile, baseline):
    text = markdown(profile, baseline, rows=100)
    tokens = MARKDOWN.parse(text)
    kinds = [token.type for token in tokens]
    inline = [child for token in tokens for child in token.children or []]
    assert {child.type for child in inline} <= {
        "text",
        "code_inline",
        "em_open",
        "em_close",
        "strong_open",
        "strong_close",
    }
    shown = [child.content for child in inline if child.type == "code_inline"]
    assert all(text.isprintable() for text in shown)
    if baseline is None:
        assert kinds.count("tr_open") == (len(names_of(profile)) + 1 if profile.roots else 0)
        assert kinds.count("td_open") == 8 * len(names_of(profile))
        written = sorted(escaped(name).strip(" ") for name in names_of(profile) if name.strip(" "))
        assert sorted(name.strip(" ") for name in shown[bool(profile.name) :] if name.strip(" ")) == written


class Page(HTMLParser):
    """Reads a page: every element is closed where it should be, and what is between them is text."""

    VOID = ("meta", "input")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.around: list[str] = []
        self.kinds: defaultdict[str, int] = defaultdict(int)
        self.attributes: set[str] = set()
        self.rows: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.kinds[tag] += 1
        self.attributes |= {key for key, _ in attributes}
        if tag not in self.VOID:
            self.around.append(tag)
        if tag == "summary":
            self.rows.append("")

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        self.around.pop()

    def handle_endtag(self, tag):
        assert self.around.pop() == tag

    def handle_data(self, text):
        assert all(character.isprintable() or character in "\n\xa0" for character in text)
        if self.around[-3:] == ["summary", "span", "bdi"]:
            self.rows[-1] += text


def check_html(profile, baseline):
    page = render(profile, baseline)
    read = Page(page)
    page.encode()
    assert read.around == []
    assert (read.kinds["script"], read.kinds["style"], read.kinds["img"]) == (1, 1, 0)
    assert not {key for key in read.attributes if key.startswith("on") or key in ("src", "style")}
    assert read.rows == [name(place.node.name, 160) for place in places(profile)]
