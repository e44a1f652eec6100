"""speedscope's files: valid by its own schema, complete, and closed where the run ends."""

import json

import jsonschema
import pytest

from algoprof.exporters.formats.speedscope import speedscope

MS = 1_000_000


@pytest.fixture
def views(served) -> dict:
    document = json.loads(speedscope(served))
    names = [frame["name"] for frame in document["shared"]["frames"]]
    found = {}
    for view in document["profiles"]:
        title = view["name"].removeprefix("job: ")
        if view["type"] == "sampled":
            stacks = [";".join(names[frame] for frame in stack) for stack in view["samples"]]
            found[title] = dict(zip(stacks, view["weights"], strict=True))
        else:
            found[title] = [(each["type"], names[each["frame"]], each["at"] // MS) for each in view["events"]]
    return found


def test_it_follows_the_official_schema(served, killed, speedscope_schema):
    for profile in (served, killed):
        jsonschema.validate(json.loads(speedscope(profile)), speedscope_schema)


def test_the_first_view_is_the_run_by_own_times(views):
    assert next(iter(views)) == "sections"
    assert views["sections"] == {
        "job (open)": 60 * MS,
        "job (open);loop (open)": 35 * MS,
        "job (open);loop (open);inner (open)": 5 * MS,
    }
    assert sum(views["sections"].values()) == 100 * MS


def test_what_ran_beside_the_run_is_a_view_of_its_own(views):
    assert views["sections beside the run"] == {"job (open);task": 50 * MS, "job (open);thread": 30 * MS}


def test_samples_stand_in_their_sections(views):
    assert views["stack samples, main thread"] == {
        "job (open);loop (open);inner (open);main;solve": 40 * MS,
        "job (open);solve": 10 * MS,
        "job (open);gone;solve": 10 * MS,
    }
    assert views["stack samples, other threads"] == {"job (open);thread;solve": 30 * MS}


def test_occurrences_nest_and_what_was_open_ends_with_the_run(views):
    assert views["occurrences kept, thread 7"] == [
        ("O", "job (open)", 0),
        ("O", "task", 10),
        ("C", "task", 40),
        ("O", "loop", 55),
        ("C", "loop", 56),
        ("O", "loop (open)", 90),
        ("O", "inner (open)", 95),
        ("C", "inner (open)", 100),
        ("C", "loop (open)", 100),
        ("C", "job (open)", 100),
    ]
    assert views["occurrences kept, thread 7, beside it 1"] == [("O", "task", 20), ("C", "task", 40)]


def test_a_frame_says_where_its_section_is_written(served):
    frames = json.loads(speedscope(served))["shared"]["frames"]
    assert {"name": "loop (open)", "file": "src.Routes", "line": 12} in frames
