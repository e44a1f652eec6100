"""Chrome's trace events: slices that nest in their threads, arrows between these, and names for all."""

import json
from collections import defaultdict

import pytest

from algoprof.exporters.formats.chrome import chrome


@pytest.fixture
def trace(served) -> dict:
    return json.loads(chrome(served))


@pytest.fixture
def events(trace) -> dict:
    by_phase = defaultdict(list)
    for event in trace["traceEvents"]:
        by_phase[event["ph"]].append(event)
    return by_phase


def test_processes_and_threads_have_names(events):
    named = {(event["name"], event["pid"], event["tid"]): event["args"].get("name") for event in events["M"]}
    assert named["process_name", 123, 0] == "Routes.py"
    assert named["thread_name", 123, 7] == "thread 7"
    assert named["thread_name", 123, 8] == "thread 8"
    assert named["thread_name", 123, 9] == "thread 7, beside it 1"
    totals = {name for (kind, pid, _), name in named.items() if kind == "process_name" and pid != 123}
    assert totals == {"job: killed after 0.100 s of 0.1 s; totals, no timeline"}


def test_slices_have_times_and_arguments(events):
    slices = {(event["name"], event["args"].get("span_id")): event for event in events["X"]}
    task = slices["task", f"{2:016x}"]
    assert (task["ts"], task["dur"], task["tid"], task["cat"]) == (10_000, 30_000, 7, "section")
    assert task["args"]["attributes.city"] == "Zürich"
    assert task["args"]["attributes.loss"] == "nan"
    stuck = slices["inner", f"{6:016x}"]
    assert (stuck["ts"] + stuck["dur"], stuck["cat"], stuck["args"]["open"]) == (100_000, "section,open", True)
    assert slices["loop", f"{5:016x}"]["args"]["source"] == "src.Routes:12"


def test_the_totals_are_as_wide_as_the_times(events):
    totals = {event["name"]: event for event in events["X"] if event["cat"].startswith("total")}
    widths = {name: event["dur"] for name, event in totals.items()}
    assert widths == {"job": 100_000, "loop": 40_000, "inner": 5_000, "task": 50_000, "thread": 30_000}
    assert totals["loop"]["args"]["count"] == 1001
    assert totals["loop"]["args"]["self_seconds"] == 0.035


def test_arrows_lead_to_what_began_elsewhere(events):
    starts = {event["id"]: event for event in events["s"]}
    ends = {event["id"]: event for event in events["f"]}
    assert {(starts[number]["tid"], ends[number]["tid"], ends[number]["ts"]) for number in starts} == {
        (7, 8, 50_000),
        (7, 9, 20_000),
    }


def test_the_kill_is_an_event(events, trace):
    (killed,) = events["i"]
    assert (killed["name"], killed["ts"]) == ("killed", 100_000)
    assert trace["otherData"]["algoprof.outcome"] == "killed"
    assert trace["otherData"]["began"] == "2023-11-14T22:13:20Z"
