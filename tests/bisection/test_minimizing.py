"""The smallest part of a list that fails: that it is the smallest, and with how few trials it is found."""

from math import ceil, log2

from hypothesis import given
from hypothesis import strategies as st

from algoprof.bisection.minimizing import smallest


class Trials:
    """Tells whether a part fails, and counts how often it is asked."""

    def __init__(self, fails):
        self._fails = fails
        self.parts = []

    def __call__(self, part):
        assert part not in self.parts, "tried twice"
        assert list(part) == sorted(part), "out of order"
        self.parts.append(part)
        return self._fails(set(part))


def assert_smallest(found, fails):
    assert fails(set(found))
    assert not any(fails(set(found) - {one}) for one in found)


@st.composite
def sizes_and_culprits(draw):
    size = draw(st.integers(1, 200))
    return size, draw(st.sets(st.integers(0, size - 1), min_size=1, max_size=min(size, 5)))


@given(sizes_and_culprits(), st.data())
def test_one_set_that_fails_is_found_with_few_trials_whoever_is_suspected(drawn, data):
    size, culprits = drawn
    suspects = data.draw(st.lists(st.integers(0, size - 1), max_size=5))
    trials = Trials(culprits.issubset)
    assert set(smallest(range(size), trials, suspects)) == culprits
    count = len(culprits)
    assert len(trials.parts) <= count * (ceil(log2(size)) + 3) + (2 * count if count > 1 else 0) + 2


@given(sizes_and_culprits())
def test_right_suspects_spare_most_trials(drawn):
    size, culprits = drawn
    trials = Trials(culprits.issubset)
    assert set(smallest(range(size), trials, culprits)) == culprits
    assert len(trials.parts) <= {1: 1, 2: 3}.get(len(culprits), 6 * len(culprits))


@given(st.integers(1, 40), st.data())
def test_of_several_sets_that_fail_one_is_found(size, data):
    some = st.frozensets(st.integers(0, size - 1), min_size=1, max_size=4)
    sets = data.draw(st.lists(some, min_size=1, max_size=5))

    def fails(part):
        return any(one <= part for one in sets)

    assert_smallest(smallest(range(size), Trials(fails)), fails)


@given(st.integers(2, 16), st.data())
def test_where_adding_may_mend_the_answer_is_still_as_small(size, data):
    """A line may make pip choose another version, with which the others install."""
    subsets = st.frozensets(st.integers(0, size - 1), min_size=1)
    failing = data.draw(st.sets(subsets, max_size=30)) | {frozenset(range(size))}

    def fails(part):
        return frozenset(part) in failing

    assert_smallest(smallest(range(size), Trials(fails)), fails)


def test_a_part_is_tried_once_and_the_whole_and_nothing_never():
    trials = Trials(lambda part: {3, 5} <= part)
    assert smallest(range(8), trials) == (3, 5)
    assert set() not in map(set, trials.parts)
    assert set(range(8)) not in map(set, trials.parts)
