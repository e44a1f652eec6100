"""What is told of a run: the important first, within every limit, under names that every system takes."""

import json
import math
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from algoprof.errors import ConfigurationError
from algoprof.exporters.insights.selection import (
    FACTS,
    LIMIT,
    LONGEST_NAME,
    OTHER,
    PREFIX,
    SELF,
    Selection,
    section_name,
)
from algoprof.profiles.environment import Environment
from algoprof.profiles.tree import Node, Profile

SECOND = 1_000_000_000
MAX_BYTES = 25_000  # of keys and values, as the platform counts


def sections(metrics):
    """Return the sections' own times."""
    return {name.removeprefix(SELF): value for name, value in metrics.items() if name.startswith(SELF)}


def wide(count):
    """Return a run of so many sections, each heavier than the one before."""
    children = tuple(Node(f"part{number}", 1, closed_ns=number * SECOND) for number in range(1, count + 1))
    total = sum(child.total_ns for child in children)
    return Profile("job", (Node("job", 1, closed_ns=total, nested_ns=total, children=children),), duration_ns=total)


def test_a_killed_runs_facts(killed):
    metrics = Selection().of(killed, cold_start=True, reports_lost=3)
    assert metrics["algoprof_run_seconds"] == 41
    assert metrics["algoprof_budget_used_ratio"] == 0.7
    assert metrics["algoprof_timeout_seconds"] == 60
    assert metrics["algoprof_run_self_seconds"] == 1
    assert metrics["algoprof_errors"] == 1
    assert (metrics["algoprof_cold_start"], metrics["algoprof_reports_lost"]) == (1, 3)
    assert sections(metrics) == {"improve_two_opt": 37, "load": 2, "improve": 1}
    assert OTHER not in metrics


def test_what_is_not_known_is_not_told():
    metrics = Selection().of(Profile("job", (Node("job", 1),)))
    assert not {"algoprof_timeout_seconds", "algoprof_cpu_seconds", "algoprof_memory_peak_bytes"} & set(metrics)
    around = Environment(memory_peak=5, memory_limit=10, gc_paused_ns=SECOND)
    metrics = Selection().of(Profile("job", (), environment=around, cpu_ns=SECOND))
    assert metrics["algoprof_memory_peak_bytes"] == 5
    assert metrics["algoprof_memory_peak_ratio"] == 0.5
    assert metrics["algoprof_gc_pause_seconds"] == metrics["algoprof_cpu_seconds"] == 1


@pytest.mark.parametrize(("outcome", "failed", "unfinished"), [("ok", 0, 0), ("error", 1, 0), ("open", 0, 1)])
def test_how_a_run_ended(outcome, failed, unfinished):
    metrics = Selection().of(Profile("job", (), outcome=outcome))
    assert (metrics["algoprof_failed"], metrics["algoprof_unfinished"]) == (failed, unfinished)


def test_the_heaviest_sections_are_told_and_the_others_add_up():
    metrics = Selection(sections=3).of(wide(9))
    assert sections(metrics) == {"part9": 9, "part8": 8, "part7": 7}
    assert metrics[OTHER] == sum(range(1, 7))


def test_sections_that_are_named_are_always_told():
    metrics = Selection(metrics=(), sections=["part2", "part1/never"]).of(wide(3))
    assert metrics == {f"{SELF}part2": 2, f"{SELF}part1_never": 0, OTHER: 4}


def test_sections_whose_names_come_out_equal_add_up():
    children = (Node("a-b", 1, closed_ns=SECOND), Node("a", 1, children=(Node("b", 1, closed_ns=SECOND),)))
    assert sections(Selection().of(Profile("job", (Node("job", 1, children=children),)))) == {"a_b": 2, "a": 0}


def test_a_small_limit_tells_what_matters_most():
    assert list(Selection(limit=2).of(wide(30))) == ["algoprof_run_seconds", "algoprof_failed"]
    assert list(Selection(metrics=(), limit=3).of(wide(30))) == [f"{SELF}part30", f"{SELF}part29", OTHER]


def test_what_was_told_of_the_execution_before_counts_and_stands_again():
    early = Selection(metrics=["unfinished"], sections=2, limit=4).of(wide(2))
    late = Selection(metrics=["unfinished"], sections=2, limit=4).of(wide(9), sent=early)
    assert list(sections(early)) == ["part2", "part1"]
    assert list(sections(late)) == ["part2", "part1"]
    assert late[OTHER] == sum(range(3, 10))


def test_names_with_other_letters_and_long_names_stay_two():
    names = {section_name(path) for path in ("größe", "grüße", "x" * 500, "x" * 501, "", "?", "\ud800")}
    assert len(names) == 7
    assert all(re.fullmatch(r"[A-Za-z0-9_]{1,100}", name) for name in names)


@pytest.mark.parametrize("wrong", [{"metrics": ["run"]}, {"metrics": "run_seconds"}, {"sections": "load"}])
def test_what_cannot_be_meant_is_refused(wrong):
    with pytest.raises(ConfigurationError):
        Selection(**wrong)


@pytest.mark.parametrize("limit", [0, 26, 2.5, "20", None])
def test_the_limit_is_the_platforms_at_most(limit):
    with pytest.raises(ConfigurationError, match="from 1 to 25"):
        Selection(limit=limit)


times = st.integers(0, 10**18)
names = st.sampled_from(["load", "a-b", "a/b", "größe", "x" * 500, "", "\ud800"]) | st.text(max_size=6)
sections_of = st.dictionaries(names, times, max_size=40)


def tree(name, own, below, deeper):
    """Return a root with sections, each of which has the same sections below it."""
    leaves = tuple(Node(leaf, 1, closed_ns=closed, errors=1) for leaf, closed in deeper.items())
    children = tuple(Node(child, 1, closed_ns=closed, children=leaves) for child, closed in below.items())
    return (Node(name, 1, closed_ns=own, children=children),)


trees = st.builds(tree, names, times, sections_of, st.dictionaries(names, times, max_size=3))
runs = st.builds(
    Profile,
    names,
    trees,
    outcome=st.sampled_from(["ok", "error", "open"]),
    duration_ns=times,
    timeout=st.none() | st.floats(1e-300, 1e9),
    cpu_ns=st.none() | times,
    environment=st.builds(Environment, memory_peak=st.none() | times, memory_limit=st.none() | times),
)
selections = st.builds(
    Selection,
    metrics=st.lists(st.sampled_from(list(FACTS)), unique=True),
    sections=st.integers(0, 100) | st.lists(names, max_size=40),
    limit=st.integers(1, LIMIT),
)


@settings(max_examples=25)
@given(runs, runs, selections)
def test_a_run_that_is_told_twice_stays_within_the_platforms_limits(first, last, selection):
    early = selection.of(first, cold_start=True, reports_lost=10**9)
    execution = early | selection.of(last, cold_start=True, sent=early)
    assert len(execution) <= selection.limit
    for name, value in execution.items():
        assert re.fullmatch(rf"{PREFIX}[a-zA-Z0-9_]+", name)
        assert len(name) <= LONGEST_NAME
        assert math.isfinite(value)
    assert len(json.dumps(execution)) < MAX_BYTES


@settings(max_examples=25)
@given(runs, st.integers(0, 30), st.integers(1, LIMIT))
def test_no_sections_time_is_lost(run, count, limit):
    selection = Selection(metrics=(), sections=count, limit=limit)
    metrics = selection.of(run)
    own = sum(node.self_ns for path, node in run.paths() if len(path) > 1 or path[0] != run.name) / 1e9
    assert sum(metrics.values()) == pytest.approx(own, abs=1e-5)
