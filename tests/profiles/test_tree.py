"""Histograms and trees: quantiles within their error, merging without loss, the bottleneck that holds a run back."""

from decimal import Decimal, getcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from algoprof.profiles.buckets import BOUNDS_NS, BUCKET_COUNT, LOWEST_INDEX, bucket_of, upper_bound
from algoprof.profiles.histogram import Histogram
from algoprof.profiles.merging import merge
from algoprof.profiles.tree import Node, Profile

durations = st.lists(st.integers(1_000, 30_000 * 10**9), min_size=1, max_size=50)


def histogram_of(values):
    histogram = Histogram()
    for value in values:
        histogram += Histogram(((bucket_of(value), 1),))
    return histogram


def test_the_bounds_are_those_of_schema_3_to_the_last_nanosecond():
    getcontext().prec = 50
    for position, bound in enumerate(BOUNDS_NS):
        exact = Decimal(2) ** (Decimal(position + LOWEST_INDEX) / 8) * 10**9
        assert bound == int(exact)
        assert bucket_of(bound) == position
        assert bucket_of(bound + 1) == position + 1
    assert bucket_of(10**20) == BUCKET_COUNT - 1
    assert bucket_of(0) == 0


@given(durations, st.floats(0, 1))
def test_a_quantile_errs_by_a_half_bucket_at_the_most(values, q):
    exact = sorted(values)[max(0, -(-int(q * len(values) * 10**9) // 10**9) - 1)] / 1e9
    rank_exact = {sorted(values)[min(len(values) - 1, max(0, index))] / 1e9 for index in (
        int(q * len(values)) - 1, int(q * len(values)), int(q * len(values)) + 1)}  # fmt: skip
    estimate = histogram_of(values).quantile(q)
    assert any(value / 1.0444 <= estimate <= value * 1.0444 for value in (*rank_exact, exact))


@given(durations, durations)
def test_adding_histograms_loses_nothing(left, right):
    assert histogram_of(left) + histogram_of(right) == histogram_of(left + right)
    assert (histogram_of(left) + histogram_of(right)).count == len(left) + len(right)


@given(durations, st.floats(1e-6, 1e4))
def test_cumulative_counts_never_exceed_the_truth(values, bound):
    (counted,) = histogram_of(values).cumulative([bound])
    assert counted <= sum(value <= bound * 1e9 for value in values)
    assert histogram_of(values).cumulative([float("inf")]) == [len(values)]


@pytest.mark.parametrize("q", [-0.1, 1.1, float("nan")])
def test_a_quantile_that_is_none_is_refused(q):
    with pytest.raises(ValueError, match="between 0 and 1"):
        Histogram().quantile(q)


def test_upper_bounds_double_every_eight_buckets():
    assert upper_bound(194) == 2 * upper_bound(186) == 2.0


names = st.sampled_from("abc")
trees = st.recursive(
    st.builds(Node, name=names, count=st.integers(1, 9), closed_ns=st.integers(0, 10**9)),
    lambda below: st.builds(
        Node,
        name=names,
        count=st.integers(1, 9),
        closed_ns=st.integers(0, 10**9),
        children=st.lists(below, max_size=3, unique_by=lambda node: node.name).map(tuple),
    ),
    max_leaves=8,
)
profiles = st.lists(st.builds(Profile, name=st.just("job"), roots=st.tuples(trees)), max_size=4)


def totals(profile):
    counted: dict = {}
    for path, node in profile.paths():
        count, time = counted.get(path, (0, 0))
        counted[path] = (count + node.count, time + node.closed_ns)
    return counted


@given(profiles)
def test_merging_adds_up_along_equal_paths(many):
    expected: dict = {}
    for profile in many:
        for path, (count, time) in totals(profile).items():
            old = expected.get(path, (0, 0))
            expected[path] = (old[0] + count, old[1] + time)
    assert totals(merge(many)) == expected


@given(profiles)
def test_merging_in_parts_is_merging_at_once(many):
    assert totals(merge([merge(many[:2]), merge(many[2:])])) == totals(merge(many))
    assert merge(many).runs == len(many)


def test_the_bottleneck_is_the_largest_self_time():
    slow = Node("slow", closed_ns=80)
    profile = Profile("job", (Node("job", closed_ns=100, nested_ns=95, children=(slow, Node("fast", closed_ns=15))),))
    assert profile.bottleneck is slow


def test_a_root_that_only_waits_leaves_it_to_what_runs_beside_it():
    beside = Node("task", closed_ns=90, nested_ns=80, concurrent=True, children=(Node("query", closed_ns=80),))
    profile = Profile("job", (Node("job", closed_ns=100, nested_ns=5, children=(beside, Node("a", closed_ns=5))),))
    assert profile.bottleneck.name == "query"


def test_what_works_itself_does_not_wait_for_a_trifle_beside_it():
    trifle = Node("trifle", 1, closed_ns=3, concurrent=True)
    heavy = Node("heavy", 1, closed_ns=500, children=(trifle,))
    assert Profile("job", (Node("job", 1, closed_ns=500, nested_ns=500, children=(heavy,)),)).bottleneck is heavy


def test_nothing_recorded_has_no_bottleneck():
    assert Profile("job", ()).bottleneck is None


def test_a_node_that_is_not_there_names_those_that_are():
    profile = Profile("job", (Node("job", children=(Node("load"), Node("solve"))),))
    with pytest.raises(KeyError, match="no section 'sovle' in job; near: solve"):
        profile.node("job", "sovle")
    with pytest.raises(KeyError, match="near: nothing below it"):
        profile.node("job", "load", "x")
    with pytest.raises(KeyError, match="at least one name"):
        profile.node()
