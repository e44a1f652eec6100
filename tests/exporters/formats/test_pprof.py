"""pprof's files, read by Google's own messages."""

import gzip
from dataclasses import replace

import pytest

from algoprof.exporters.formats.pprof import pprof

MS = 1_000_000
START = 1_700_000_000_000 * MS
RUN_ID = "0af7651916cd43dd8448eb211c80319c"


class Read:
    """A profile with its tables resolved."""

    def __init__(self, data: bytes, messages) -> None:
        self.message = messages.Profile.FromString(gzip.decompress(data))
        text = self.text = self.message.string_table
        functions = {function.id: function for function in self.message.function}
        locations = {location.id: location.line[0] for location in self.message.location}
        self.types = [(text[kind.type], text[kind.unit]) for kind in self.message.sample_type]
        self.files = {text[function.name]: text[function.filename] for function in functions.values()}
        self.samples = {}
        for sample in self.message.sample:
            stack = ";".join(text[functions[locations[one].function_id].name] for one in reversed(sample.location_id))
            labels = {text[label.key]: text[label.str] if label.str else label.num for label in sample.label}
            self.samples[stack] = (list(sample.value), labels)


@pytest.fixture
def read(served, pprof_messages) -> Read:
    return Read(pprof(served), pprof_messages)


def test_sections_have_their_own_times_and_counts(read):
    assert read.types == [("count", "count"), ("time", "nanoseconds"), ("samples", "count"), ("wall", "nanoseconds")]
    assert read.text[read.message.default_sample_type] == "time"
    values = {stack: value[:2] for stack, (value, _) in read.samples.items() if any(value[:2])}
    assert values == {
        "job": [1, 60 * MS],
        "job;loop": [1001, 35 * MS],
        "job;loop;inner": [1, 5 * MS],
        "job;task": [2, 50 * MS],
        "job;thread": [1, 30 * MS],
    }


def test_stacks_begin_with_their_sections(read):
    values = {stack: value[2:] for stack, (value, _) in read.samples.items() if any(value[2:])}
    assert values == {
        "job;loop;inner;main;solve": [4, 40 * MS],
        "job;solve": [1, 10 * MS],
        "job;thread;solve": [3, 30 * MS],
        "job;gone;solve": [1, 10 * MS],
    }
    assert read.message.period == 10 * MS


def test_labels_lead_to_the_trace(read):
    labels = {stack: labels for stack, (_, labels) in read.samples.items()}
    assert labels["job"] == {"run": "job", "trace_id": RUN_ID, "span_id": f"{1:016x}", "open": 1}
    assert labels["job;task"] == {
        "run": "job",
        "section": "task",
        "trace_id": RUN_ID,
        "span_id": f"{1:016x}",  # there were two: only the run is around both
        "concurrent": "true",
    }
    assert labels["job;loop;inner"]["span_id"] == f"{6:016x}"
    assert labels["job;loop;inner;main;solve"] == labels["job;loop;inner"]
    assert labels["job;thread;solve"]["concurrent"] == "true"


def test_where_functions_are_and_when_it_was(read):
    assert (read.files["loop"], read.files["solve"]) == ("src.Routes", "src/Routes.py")
    assert (read.message.time_nanos, read.message.duration_nanos) == (START, 100 * MS)
    comments = [read.text[number] for number in read.message.comment]
    assert comments[0] == "job: killed after 0.100 s of 0.1 s"
    assert "algoprof.environment.cpu_count: 2" in comments


def test_many_runs_have_no_span_and_what_was_not_sampled_no_stacks(served, pprof_messages):
    read = Read(pprof(replace(served, outcome="merged", run_id="", samples=())), pprof_messages)
    assert len(read.types) == 2
    assert all("span_id" not in labels and "trace_id" not in labels for _, labels in read.samples.values())


def test_the_same_profile_gives_the_same_bytes(served):
    assert pprof(served) == pprof(replace(served))
