"""What is drawn of a call tree: every box within its parent's, nothing lost."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from algoprof.exporters.html.shapes import BOX, flame, tree
from algoprof.profiles.tree import Node, Profile

TIMES = st.integers(0, 10**12)
NODES = st.recursive(
    st.builds(Node, st.just("leaf"), closed_ns=TIMES, open_ns=TIMES),
    lambda below: st.builds(
        Node,
        st.just("node"),
        closed_ns=TIMES,
        nested_ns=TIMES,
        concurrent=st.booleans(),
        children=st.lists(below, max_size=4).map(tuple),
    ),
    max_leaves=12,
)


@settings(max_examples=40, deadline=None)
@given(st.lists(NODES, max_size=3).map(tuple))
def test_every_box_lies_within_its_parents_and_beside_its_siblings(roots):
    rows = tree(Profile("job", roots))
    drawn = flame(rows, roots)
    boxes = {box.row.number: box for box in drawn.boxes}
    assert len(boxes) + drawn.left_out == len(rows)
    assert all(0 <= row.self_share <= 1 and 0 <= row.heat <= 5 for row in rows)
    above = []
    for row in rows:
        del above[row.depth :]
        above.append(row.number)
        if row.number not in boxes:
            continue
        box = boxes[row.number]
        assert box.top == row.depth * BOX < drawn.height
        assert -0.001 <= box.left <= box.left + box.width <= 100.01
        if row.depth:
            parent = boxes[above[-2]]
            assert parent.left - 0.002 <= box.left <= box.left + box.width <= parent.left + parent.width + 0.002
    for top in {box.top for box in drawn.boxes}:
        level = sorted((box.left, box.left + box.width) for box in drawn.boxes if box.top == top)
        assert all(end <= start + 0.002 for (_, end), (start, _) in pairwise(level))


def test_what_ran_beside_its_parent_shares_its_width():
    beside = tuple(Node(f"task {number}", 1, closed_ns=30, concurrent=True) for number in range(3))
    roots = (Node("job", 1, closed_ns=30, children=beside),)
    boxes = flame(tree(Profile("job", roots)), roots).boxes
    assert [box.width for box in boxes] == [100, *[pytest.approx(100 / 3, abs=0.01)] * 3]
