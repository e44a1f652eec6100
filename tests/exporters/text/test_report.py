"""The report: exact figures, what held the run back, and nothing that steers a terminal."""

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from algoprof.exporters.text import cells, render
from algoprof.profiles.merging import merge
from algoprof.profiles.tree import Node, Profile

SECOND = 1_000_000_000


def test_a_killed_run_exactly(killed):
    assert render(killed) == (
        "routes  killed  41.0 s  budget 42.0 s of 60 s (70 %, 1.00 s of it before the run)\n"
        "section                     total     self    run budget     count     mean      p95  errors\n"
        "routes                     41.0 s   1.00 s  100 %   68 %         1                            open 41.0 s\n"
        "  improve                  38.0 s   1.00 s   93 %   63 %         1                            open 38.0 s\n"
        "    two_opt                37.0 s   37.0 s   90 %   62 %         3   6.00 s   7.00 s       1  open 25.0 s\n"
        "  load                     2.00 s   2.00 s    5 %    3 %         1   2.00 s   2.00 s\n"
        "bottleneck: improve > two_opt, 90 % of the run is its own time\n"
        "open when killed: improve > two_opt (25.0 s)\n"
        "folded: 12 occurrences are counted as (folded): too many sections, or too deep\n"
        "dropped: 3 names, attributes or spans, since there were too many\n"
    )


def test_without_a_budget_there_is_no_column_for_it():
    text = render(Profile("job", (Node("job", 1, closed_ns=5),), duration_ns=5))
    assert "budget" not in text
    assert "errors" not in text


def test_merged_runs_share_the_budget_of_all(killed):
    ended = Profile("job", (Node("job", 1, closed_ns=3 * SECOND),), duration_ns=3 * SECOND, timeout=10, failed_runs=1)
    text = render(merge([ended, ended]))
    assert text.startswith("job  2 runs  2 failed  6.00 s  budget 6.00 s of 20 s (30 %)\n")


def test_concurrent_sections_are_marked_and_the_bottleneck_says_so():
    beside = Node("fetch", 4, closed_ns=12 * SECOND, concurrent=True)
    job = Node("job", 1, closed_ns=4 * SECOND, children=(beside,))
    text = render(Profile("job", (job,), duration_ns=4 * SECOND))
    assert "concurrent\n" in text
    assert "bottleneck: fetch, 300 % of the run is its own time, beside the run in another thread or task\n" in text


def test_an_empty_profile_is_one_line():
    assert render(Profile("job", ())) == "job  ok  0 s\n"


def test_the_heaviest_rows_are_kept_with_what_is_above_them_and_the_open_ones():
    light = tuple(Node(f"light{number}", 1, closed_ns=1000 - number) for number in range(100))
    still_open = Node("waiting", open_count=1, open_ns=1)
    heavy = Node("heavy", 1, closed_ns=10**9, children=(Node("inner", 1, closed_ns=10**8), still_open))
    job = Node("job", 1, closed_ns=2 * 10**9, children=(heavy, *light))
    text = render(Profile("job", (job,), duration_ns=2 * 10**9, outcome="killed"), rows=6)
    names = [line.split()[0] for line in text.splitlines()[2:]]
    assert names[:6] == ["job", "heavy", "inner", "waiting", "light0", "light1"]
    assert "(98 lighter sections are left out)" in text
    assert "open when killed: heavy > waiting (1 ns)" in text


def test_hostile_names_stay_on_their_line_and_within_the_width(hostile):
    job = Node("job", 1, closed_ns=9, children=(Node(hostile, 1, closed_ns=9, open_count=1, open_ns=1),))
    text = render(Profile(hostile, (job,), duration_ns=9, outcome="killed", timeout=60))
    assert len(text.splitlines()) == 6
    for line in text.splitlines():
        assert cells.displayed_width(line) <= 100
        assert all(unicodedata.category(character) not in cells._HIDDEN for character in line)


@given(st.text(max_size=300), st.integers(9, 100))
def test_no_name_is_wider_than_its_cell_or_hides_anything(name, width):
    shown = cells.name(name, width)
    assert cells.displayed_width(shown) <= width
    assert all(unicodedata.category(character) not in cells._HIDDEN for character in shown)


@given(st.text(st.characters(exclude_categories=["C", "Z", "M"]), max_size=20))
def test_harmless_short_names_are_left_alone(name):
    assert cells.name(name, 40) == name


@given(st.floats(1e-7, 1e6))
def test_times_keep_three_digits(value):
    text = cells.seconds(value)
    number, unit = text.split()
    shown = float(number) * {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}[unit]
    assert abs(shown - value) <= 0.0051 * value


def test_deep_trees_stay_readable():
    node = Node("deepest", 1, closed_ns=1)
    for depth in range(60):
        node = Node(f"level{depth}", 1, closed_ns=depth + 2, nested_ns=depth + 1, children=(node,))
    text = render(Profile("job", (node,), duration_ns=61), rows=100)
    assert all(cells.displayed_width(line) <= 100 for line in text.splitlines())
    assert "deepest" in text
