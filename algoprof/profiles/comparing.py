"""Two profiles side by side: what became of each section."""

from dataclasses import dataclass

from algoprof.profiles.merging import merge_nodes
from algoprof.profiles.tree import Node, Profile


@dataclass(frozen=True, slots=True)
class Change:
    """A section before and after.

    Args:
        path: its names, the root's first.
        before: the section in the profile that is compared with; None if it was not there.
        after: the section in the other one; None if it is gone.
        runs_before: how many runs the first profile holds, which its times are divided by.
        runs_after: how many the second one holds.

    >>> slower = Change(("job",), Node("job", closed_ns=2 * 10**9), Node("job", closed_ns=3 * 10**9))
    >>> slower.total_before, slower.total_after, slower.total_ratio
    (2.0, 3.0, 1.5)
    """

    path: tuple[str, ...]
    before: Node | None
    after: Node | None
    runs_before: int = 1
    runs_after: int = 1

    @property
    def total_before(self) -> float:
        """Seconds that the section took in a run before; 0 if it was not there."""
        return 0.0 if self.before is None else self.before.total_time / self.runs_before

    @property
    def total_after(self) -> float:
        """Seconds that the section takes in a run after; 0 if it is gone."""
        return 0.0 if self.after is None else self.after.total_time / self.runs_after

    @property
    def self_before(self) -> float:
        """Seconds of its own in a run before; 0 if it was not there."""
        return 0.0 if self.before is None else self.before.self_time / self.runs_before

    @property
    def self_after(self) -> float:
        """Seconds of its own in a run after; 0 if it is gone."""
        return 0.0 if self.after is None else self.after.self_time / self.runs_after

    @property
    def total_ratio(self) -> float | None:
        """How much of the time before it takes after; None if it took none."""
        return self.total_after / self.total_before if self.total_before else None


def compare(before: Profile, after: Profile) -> tuple[Change, ...]:
    """Return what became of each section, parents first: as the tree is after, what is gone behind its siblings.

    Sections are the same if their paths are. Profiles of several runs are compared by what one run took on average.

    >>> old = Profile("job", (Node("job", children=(Node("read"), Node("sort"))),))
    >>> new = Profile("job", (Node("job", children=(Node("sort"), Node("plan"))),))
    >>> [(change.path[-1], change.before is None, change.after is None) for change in compare(old, new)]
    [('job', False, False), ('plan', True, False), ('sort', False, False), ('read', False, True)]
    """
    waiting: list[tuple[tuple[str, ...], Node | None, Node | None]] = []
    _pair((), before.roots, after.roots, waiting)
    changes = []
    while waiting:
        path, old, new = waiting.pop()
        changes.append(Change(path, old, new, max(1, before.runs), max(1, after.runs)))
        _pair(path, old.children if old else (), new.children if new else (), waiting)
    return tuple(changes)


def _pair(
    above: tuple[str, ...],
    before: tuple[Node, ...],
    after: tuple[Node, ...],
    waiting: list[tuple[tuple[str, ...], Node | None, Node | None]],
) -> None:
    """Put the siblings of both trees on a stack, those that come first on top."""
    old = {node.name: node for node in merge_nodes(before)}
    new = {node.name: node for node in merge_nodes(after)}
    names = [*new, *(name for name in old if name not in new)]
    waiting.extend(((*above, name), old.get(name), new.get(name)) for name in reversed(names))
