"""CSV, Markdown and our JSON: exact values, what changed, and a schema that knows every field."""

import csv
import io
import json
import time
from dataclasses import fields, replace

import pytest

from algoprof.errors import ConfigurationError
from algoprof.exporters.formats.catalogue import FORMATS, format_named, format_of_file
from algoprof.exporters.formats.csv_table import COLUMNS, csv_table
from algoprof.exporters.formats.markdown import markdown
from algoprof.exporters.formats.profile_json import profile_json, profile_schema
from algoprof.profiles.codec import from_json
from algoprof.profiles.environment import Environment
from algoprof.profiles.histogram import Histogram
from algoprof.profiles.tree import Node, Profile, Span

SECOND = 1_000_000_000


def test_csv_is_exact(served):
    rows = {row["path"]: row for row in csv.DictReader(io.StringIO(csv_table(served)))}
    assert list(rows) == ["job", "job/task", "job/loop", "job/loop/inner", "job/thread"]
    loop = rows["job/loop"]
    assert (loop["count"], loop["open_count"], loop["total_seconds"], loop["self_seconds"], loop["open_seconds"]) == (
        *("1000", "1", "0.040000000", "0.035000000", "0.010000000"),
    )
    assert (loop["mean_seconds"], loop["module"], loop["line"]) == ("0.000030000", "src.Routes", "12")
    assert rows["job/task"]["concurrent"] == "1"
    assert rows["job"]["cpu_seconds"] == ""
    assert csv_table(Profile("job", ())) == ",".join(COLUMNS) + "\n"


def test_markdown_marks_what_was_open(killed):
    lines = markdown(killed).splitlines()
    assert lines[0] == "**`routes`**: killed, 41.0 s of 60 s (70 %)"
    (two_opt,) = (line for line in lines if "`two_opt`" in line)
    assert two_opt.startswith("| &nbsp;&nbsp;&nbsp;&nbsp;`two_opt` | 37.0 s | 37.0 s | 90 % | 3 | 6.00 s | ")
    assert two_opt.endswith(" | **open** for 25.0 s, 1 error |")


def test_markdown_says_what_changed(killed):
    load, improve = Node("load", 1, closed_ns=4 * SECOND), Node("plan", 1, closed_ns=SECOND)
    routes = Node("routes", 1, closed_ns=6 * SECOND, nested_ns=5 * SECOND, children=(load, improve))
    lines = markdown(Profile("routes", (routes,), duration_ns=6 * SECOND), killed).splitlines()
    assert lines[0] == "**`routes`**: 6.83 times faster: 41.0 s before, 6.00 s now"
    assert lines[2:4] == ["- before: `routes`, killed, 41.0 s of 60 s (70 %)", "- now: `routes`, ok, 6.00 s"]
    assert lines[7:] == [
        "| `routes` | 41.0 s | 6.00 s | -35.0 s | 0.15 | 0 s | 1 | |",
        "| &nbsp;&nbsp;`load` | 2.00 s | 4.00 s | +2.00 s | 2.00 | +2.00 s | 1 | |",
        "| &nbsp;&nbsp;`plan` | | 1.00 s | +1.00 s | | +1.00 s | 0 -> 1 | new |",
        "| &nbsp;&nbsp;`improve` | 38.0 s | | -38.0 s | | -1.00 s | 1 -> 0 | gone |",
        "| &nbsp;&nbsp;&nbsp;&nbsp;`two_opt` | 37.0 s | | -37.0 s | | -37.0 s | 3 -> 0 | gone |",
    ]


def test_markdown_compares_by_what_one_run_took(killed):
    twice = replace(killed, outcome="merged", runs=2, duration_ns=2 * killed.duration_ns, roots=(
        replace(killed.roots[0], open_ns=2 * killed.roots[0].open_ns),
    ))  # fmt: skip
    assert markdown(twice, killed).startswith("**`routes`**: as fast as before: 41.0 s before, 41.0 s now\n")


def test_markdown_leaves_light_sections_out():
    children = tuple(Node(f"part {number}", 1, closed_ns=number + 1) for number in range(50))
    text = markdown(Profile("job", (Node("job", 1, closed_ns=2000, children=children),)), rows=10)
    assert "`part 49`" in text
    assert "`part 1`" not in text
    assert text.endswith("\n41 lighter sections are left out.\n")


def test_the_schema_knows_every_field():
    schema = json.loads(profile_schema())
    kinds = {Profile: schema, **{kind: schema["$defs"][kind.__name__.lower()] for kind in (Node, Span, Environment)}}
    for kind, described in kinds.items():
        assert list(described["properties"]) == ["algoprof"] * (kind is Profile) + [one.name for one in fields(kind)]
        assert all(one["description"] for one in described["properties"].values())


def test_our_json_is_read_back(served, killed):
    assert from_json(json.loads(profile_json(killed))) == killed
    assert profile_json(from_json(json.loads(profile_json(served)))) == profile_json(served)


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_is_found_by_its_name_and_its_files(name):
    assert format_named(name).name == name
    for ending in FORMATS[name].endings:
        assert format_of_file(f"run{ending}") is FORMATS[name]


def test_a_format_that_is_none_is_named():
    with pytest.raises(ConfigurationError, match=r"there is no format 'xlsx'; there are speedscope, chrome, "):
        format_named("xlsx")


def wide(count: int) -> Profile:
    """Return a profile with so many sections, each with two occurrences and a histogram."""
    start = 1_700_000_000 * SECOND
    nodes = [
        Node(
            f"section {number}",
            3,
            closed_ns=1000 + number,
            longest_ns=900,
            histogram=Histogram(((1, 2), (3, 1))),
            spans=(
                Span("first", start + number, start + number + 900, 2 * number + 1, thread=7, attributes={"n": number}),
                Span("slowest", start + number, start + number + 901, 2 * number + 2, thread=7),
            ),
        )
        for number in range(count)
    ]
    folded = [replace(node, children=tuple(nodes[at + 1 : at + 10])) for at, node in enumerate(nodes) if at % 10 == 0]
    return Profile("job", (Node("job", 1, closed_ns=10**9, children=tuple(folded)),), duration_ns=10**9)


@pytest.mark.parametrize("name", FORMATS)
def test_the_work_grows_with_the_sections_and_not_faster(name):
    small, large = wide(200), wide(2_000)
    render = FORMATS[name].render
    render(small)
    for _ in range(5):  # busy machines make one of several attempts slow
        first = time.process_time()
        render(small)
        second = time.process_time()
        render(large)
        took, took_ten_times = second - first, time.process_time() - second
        if took_ten_times < 20 * took:
            return
    pytest.fail(f"{name}: 200 sections take {took:.3f} s, 2,000 take {took_ten_times:.3f} s")
