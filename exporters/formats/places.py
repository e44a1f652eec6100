"""Where each section stands in its profile's tree, as every format draws it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from algoprof.profiles.tree import Node, Profile

OPEN = " (open)"
"""What the name of a section ends in that was open when the profile was read or its process killed."""


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """A node and what is above it.

    Args:
        number: counted from 0 in the order of the tree, parents first.
        node: the section.
        above: where its parent stands; None for a root.
        beside: whether it, or a section above it, ran beside its parent, in another thread, task or process.
    """

    number: int
    node: Node
    above: "Place | None"
    beside: bool

    @property
    def label(self) -> str:
        """The section's name, marked if it was open."""
        return self.node.name + OPEN if self.node.open_count else self.node.name

    def line(self) -> list["Place"]:
        """Return the places from the root's down to this one.

        >>> profile = Profile("job", (Node("job", children=(Node("load"),)),))
        >>> [place.node.name for place in list(places(profile))[-1].line()]
        ['job', 'load']
        """
        found: list[Place] = []
        place: Place | None = self
        while place is not None:
            found.append(place)
            place = place.above
        return found[::-1]

    def path(self) -> tuple[str, ...]:
        """Return the names from the root's down to this one's, as `Profile.node` takes them."""
        return tuple(place.node.name for place in self.line())


def places(profile: Profile) -> Iterator[Place]:
    """Yield where each section stands, parents first, siblings in their order.

    >>> profile = Profile("job", (Node("job", children=(Node("a"), Node("b", concurrent=True))),))
    >>> [(place.number, place.node.name, place.beside) for place in places(profile)]
    [(0, 'job', False), (1, 'a', False), (2, 'b', True)]
    """
    waiting: list[tuple[Node, Place | None]] = [(root, None) for root in reversed(profile.roots)]
    number = 0
    while waiting:
        node, above = waiting.pop()
        place = Place(number, node, above, node.concurrent or node.inherited or (above is not None and above.beside))
        number += 1
        yield place
        waiting.extend((child, place) for child in reversed(node.children))


def by_path(found: list[Place]) -> dict[tuple[str, ...], Place]:
    """Return places by their paths, the first of each: where samples and comparisons look for them.

    >>> by_path(list(places(Profile("job", (Node("job"),)))))[("job",)].number
    0
    """
    known: dict[tuple[str, ...], Place] = {}
    paths: list[tuple[str, ...]] = []
    for place in found:  # parents come first, so each path is one name longer than a known one
        path = (*(paths[place.above.number] if place.above else ()), place.node.name)
        paths.append(path)
        known.setdefault(path, place)
    return known


def heaviest(found: list[Place], weights: Sequence[int], most: int) -> list[Place]:
    """Return the heaviest places, the open ones first, each with what is above it, in the order of the tree.

    Args:
        found: all places, as `places` yields them.
        weights: of each.
        most: how many to return at most.

    >>> found = list(places(Profile("job", (Node("job", children=(Node("a"), Node("b"))),))))
    >>> [place.node.name for place in heaviest(found, [9, 1, 8], 2)]
    ['job', 'b']
    """
    if len(found) <= most:
        return found
    wanted: set[int] = set()
    for place in sorted(found, key=lambda place: (-place.node.open_count, -weights[place.number], place.number)):
        missing = {above.number for above in place.line()} - wanted
        if len(wanted) + len(missing) <= most:
            wanted |= missing
    return [place for place in found if place.number in wanted]


def innermost_open(found: list[Place]) -> list[Place]:
    """Return the open sections that have no open section below them, longest open first.

    >>> job = Node("job", open_count=1, children=(Node("load", open_count=1), Node("plan")))
    >>> [place.node.name for place in innermost_open(list(places(Profile("job", (job,)))))]
    ['load']
    """
    still_open = [place for place in found if place.node.open_count]
    around = {above.number for place in still_open for above in place.line()[:-1]}
    return sorted((place for place in still_open if place.number not in around), key=lambda place: -place.node.open_ns)
