"""A run with exact numbers, killed in the middle of its work."""

import pytest

from algoprof.profiles.buckets import bucket_of
from algoprof.profiles.histogram import Histogram
from algoprof.profiles.tree import Node, Profile, Span

SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND
RUN_ID = "0af7651916cd43dd8448eb211c80319c"


def histogram(*durations_ns: int) -> Histogram:
    """Return the histogram of some durations."""
    found = Histogram()
    for duration in durations_ns:
        found += Histogram(((bucket_of(duration), 1),))
    return found


def leaf(name: str, *durations_ns: int, **fields: object) -> Node:
    """Return a section whose occurrences took so long."""
    return Node(
        name,
        len(durations_ns),
        closed_ns=sum(durations_ns),
        shortest_ns=min(durations_ns, default=0),
        longest_ns=max(durations_ns, default=0),
        histogram=histogram(*durations_ns),
        **fields,
    )


@pytest.fixture
def killed() -> Profile:
    """`routes`: load took 2 s; improve was open for 38 s, in its third two_opt, when the process was killed at 41 s."""
    two_opt = Node(
        "two_opt",
        2,
        closed_ns=12 * SECOND,
        open_count=1,
        open_ns=25 * SECOND,
        shortest_ns=5 * SECOND,
        longest_ns=7 * SECOND,
        errors=1,
        histogram=histogram(5 * SECOND, 7 * SECOND),
        spans=(
            Span("first", START + 4 * SECOND, START + 9 * SECOND, span_id=4, parent_id=3),
            Span("failed", START + 9 * SECOND, START + 16 * SECOND, span_id=5, parent_id=77, error="ValueError"),
            Span("open", START + 16 * SECOND, START + 41 * SECOND, span_id=6, parent_id=3),
        ),
    )
    improve = Node(
        "improve",
        open_count=1,
        open_ns=38 * SECOND,
        nested_ns=37 * SECOND,
        spans=(Span("open", START + 3 * SECOND, START + 41 * SECOND, span_id=3, parent_id=1),),
        children=(two_opt,),
    )
    load = leaf(
        "load",
        2 * SECOND,
        spans=(
            Span("first", START, START + 2 * SECOND, span_id=2, parent_id=1, attributes={"rows": 7, "of": "cities"}),
        ),
        module="src.Routes",
        line=12,
    )
    root = Node(
        "routes",
        open_count=1,
        open_ns=41 * SECOND,
        nested_ns=40 * SECOND,
        spans=(Span("open", START, START + 41 * SECOND, span_id=1),),
        children=(improve, load),
    )
    return Profile(
        "routes",
        (root,),
        outcome="killed",
        run_id=RUN_ID,
        request_id="req-1",
        started_ns=START,
        duration_ns=41 * SECOND,
        timeout=60.0,
        budget_spent_ns=1 * SECOND,
        budget_source="control page",
        folded=12,
        dropped=3,
        pid=123,
        program="Routes.py",
    )


HOSTILE = {
    "quote": 'a"b',
    "newline": "two\nlines",
    "return": "a\rb",
    "backslash": "a\\nb",
    "nul": "a\0b",
    "escape": "\x1b[31mred\x1b[2J",
    "bidi": "ab\u202ecd",
    "script": "</script><script>alert(1)</script>",
    "braces": 'x{le="1"} 3',
    "surrogate": "bad\udcff",
    "huge": "x" * 1_000_000,
    "empty": "",
    "slash": "a/b",
    "emoji": "\U0001f600\u65e5\u672c",
}


@pytest.fixture(params=HOSTILE.values(), ids=HOSTILE.keys())
def hostile(request) -> str:
    return request.param
