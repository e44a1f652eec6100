"""A call tree as what is drawn of it: rows of a table, boxes of a flame graph."""

from collections.abc import Sequence
from typing import NamedTuple

from algoprof.profiles.tree import Node, Profile

_NARROWEST = 0.15  # percent of the width; what is narrower is no box that anybody could hit
_DEEPEST = 20  # levels that are indented
_HEATS = 6
BOX = 22
"""Pixels that a box of the flame graph is high, the gap below it included."""


class Row(NamedTuple):
    """One section in the tree: its node, how deep it stands, its number on the page, the share of its self time."""

    node: Node
    depth: int
    number: int
    self_share: float

    @property
    def mean(self) -> float | None:
        """Seconds of an occurrence that ended; None if none did."""
        return self.node.closed_ns / self.node.count / 1e9 if self.node.count else None

    @property
    def p95(self) -> float | None:
        """Seconds below which 95 of 100 ended occurrences lie; None if none did."""
        return self.node.quantile(0.95) if self.node.count else None

    @property
    def heat(self) -> int:
        """From 0 to 5: how much of the time is its own."""
        return min(_HEATS - 1, int(self.self_share * _HEATS))


class Box(NamedTuple):
    """One section in the flame graph.

    Args:
        row: the section.
        left: percent of the whole width.
        width: likewise.
        top: pixels.
    """

    row: Row
    left: float
    width: float
    top: int


class Flame(NamedTuple):
    """A flame graph: its boxes, its height in pixels, and how many sections are too narrow to be drawn."""

    boxes: list[Box]
    height: int
    left_out: int


def tree(profile: Profile) -> list[Row]:
    """Return the sections of a profile, parents first.

    >>> load = Node("load", 1, closed_ns=6)
    >>> rows = tree(Profile("job", (Node("job", 1, closed_ns=8, nested_ns=6, children=(load,)),)))
    >>> [(row.node.name, row.depth, row.self_share) for row in rows]
    [('job', 0, 0.25), ('load', 1, 0.75)]
    """
    whole = sum(root.total_ns for root in profile.roots) or 1
    return [
        Row(node, min(len(path) - 1, _DEEPEST), number, min(1.0, node.self_ns / whole))
        for number, (path, node) in enumerate(profile.paths())
    ]


def flame(rows: Sequence[Row], roots: Sequence[Node]) -> Flame:
    """Return the flame graph of a tree: a section is as wide as the time in it, below the one that it ran in.

    Sections that ran beside their parent, in other threads or tasks, may have taken longer than it did: then all that
    stand below one parent share its width.

    Args:
        rows: of `tree`.
        roots: of the same profile.

    >>> load = Node("load", 1, closed_ns=6)
    >>> job = Node("job", 1, closed_ns=8, nested_ns=6, children=(load,))
    >>> [(box.left, box.width, box.top) for box in flame(tree(Profile("job", (job,))), (job,)).boxes]
    [(0.0, 100.0, 0), (0.0, 75.0, 22)]
    """
    boxes: list[Box] = []
    waiting = _side_by_side(roots, 0.0, 100.0, 0, 0)
    for row in rows:  # parents first, as the places wait
        left, width, level = waiting.pop()
        waiting += _side_by_side(row.node.children, left, width, row.node.total_ns, level + 1)
        if width >= _NARROWEST:
            boxes.append(Box(row, round(left, 3), round(width, 3), level * BOX))
    return Flame(boxes, max((box.top for box in boxes), default=-BOX) + BOX, len(rows) - len(boxes))


def _side_by_side(
    nodes: Sequence[Node], left: float, width: float, whole_ns: int, level: int
) -> list[tuple[float, float, int]]:
    """Return left, width and level of some nodes below one parent, the last one first."""
    whole = max(whole_ns, sum(node.total_ns for node in nodes)) or 1
    places = []
    for node in nodes:
        size = width * node.total_ns / whole
        places.append((left, size, level))
        left += size
    return places[::-1]
