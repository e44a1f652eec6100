"""Flame graphs: of sections, and of the stacks that samples saw."""

from collections.abc import Callable

from algoprof.exporters.formats.places import by_path, places
from algoprof.exporters.html import markup
from algoprof.exporters.html.shapes import BOX, Box, Row, flame, tree
from algoprof.exporters.text import cells
from algoprof.profiles.samples import Frame
from algoprof.profiles.tree import Node, Profile

_WIDE_ENOUGH = 2.0
"""Percent of the width from which on a box has its name in it."""

_BOX = BOX - 2
_DEEPEST = 200  # levels that are drawn


def sections_flame(profile: Profile) -> str:
    """Return the flame graph of a run's sections; its boxes lead to their rows in the tree.

    >>> job = Node("job", 1, closed_ns=8, nested_ns=6, children=(Node("load", 1, closed_ns=6),))
    >>> sections_flame(Profile("job", (job,))).count('href="#s')
    2
    """
    return drawn(profile, "Flame graph of sections", lambda row: f"#s{row.number}")


def samples_flame(profile: Profile) -> str:
    """Return the flame graph of a run's stack samples, sections outermost; empty if it has none.

    >>> from algoprof.profiles.samples import Sample
    >>> sample = Sample(("job",), (Frame("read", "job.py", 7),), 3)
    >>> samples_flame(Profile("job", (), samples=(sample,), sample_interval_ns=10**7)).count("<rect")
    2
    """
    if not profile.samples:
        return ""
    return drawn(Profile(profile.name, sampled(profile)), "Flame graph of stack samples", lambda _: "")


def drawn(
    profile: Profile,
    label: str,
    leads_to: Callable[[Row], str],
    color: Callable[[Row], str] | None = None,
    more: Callable[[Row], str] | None = None,
) -> str:
    """Return the flame graph of a profile.

    Args:
        profile: whose tree is drawn.
        label: what it is called for those who hear it.
        leads_to: gives the address of a box's link; empty for none.
        color: gives the name of a box's colour; else it is how much of the time is its own.
        more: gives what else is said of a box, as HTML.
    """
    graph = flame(tree(profile), profile.roots)
    boxes = [box for box in graph.boxes if box.top < _DEEPEST * BOX]
    if not boxes:
        return '<p class="quiet">Nothing took any time.</p>'
    shapes = "\n".join(
        box_markup(box, leads_to(box.row), color(box.row) if color else f"heat{box.row.heat}", more) for box in boxes
    )
    missing = graph.left_out + len(graph.boxes) - len(boxes)
    note = f'<p class="quiet">{missing} boxes are too narrow or too deep to be drawn.</p>' if missing else ""
    height = max(box.top for box in boxes) + BOX
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{label}">'
        f'<svg class="flame" width="100%" height="{height}" aria-label="{label}: as wide as the time">\n'
        f'{shapes}\n</svg></div>\n<p class="chosen" hidden></p>{note}'
    )


def box_markup(box: Box, address: str, color: str, more: Callable[[Row], str] | None = None) -> str:
    """Return one box: its first line of title is the name, the second says the figures."""
    node = box.row.node
    shown = markup.text(node.name) or "(no name)"
    times = node.count + node.open_count
    count = f", {times:,} times" if times > 1 else ", once" if times else ""
    extra = more(box.row) if more else f", {cells.seconds(node.self_time)} of its own{count}"
    title = f"{shown}\n{cells.seconds(node.total_time)}{extra}"
    inside = f'<text x="5" y="14">{shown}</text>' if box.width > _WIDE_ENOUGH else ""
    beside = " beside" if node.concurrent else ""
    still_open = " left-open" if node.open_count else ""
    link = f' href="{address}"' if address else ' tabindex="0"'
    return (
        f'<svg x="{box.left}%" y="{box.top}" width="{box.width}%" height="{_BOX}"><a{link}><title>{title}</title>'
        f'<rect class="{color}{beside}{still_open}" width="100%" height="{_BOX}" rx="2"/>{inside}</a></svg>'
    )


def sampled(profile: Profile) -> tuple[Node, ...]:
    """Return the stack samples of a profile as a tree: sections, then functions, each with the time it was seen in.

    >>> from algoprof.profiles.samples import Sample
    >>> samples = (Sample(("job",), (Frame("read"),), 3), Sample(("job",), (), 1))
    >>> [root] = sampled(Profile("job", (), samples=samples, sample_interval_ns=10**9))
    >>> root.name, root.total_time, root.self_time, root.children[0].name
    ('job', 4.0, 1.0, 'read')
    """
    known = by_path(list(places(profile)))
    trunk = _Seen()
    for sample in profile.samples:
        time_ns = sample.count * (profile.sample_interval_ns or 1)
        seen = trunk
        for depth, name in enumerate(sample.path, 1):
            place = known.get(sample.path[:depth])
            seen = seen.below(name, time_ns)
            seen.beside |= place is not None and place.node.concurrent
        for frame in sample.stack:
            seen = seen.below(_function(frame), time_ns)
    return trunk.nodes()


def _function(frame: Frame) -> str:
    file = frame.file.rpartition("/")[2]
    return f"{frame.name} ({file})" if file else frame.name


class _Seen:
    """A function or section in which samples were taken, and those that it called."""

    def __init__(self) -> None:
        self.time_ns = 0
        self.beside = False
        self.called: dict[str, _Seen] = {}

    def below(self, name: str, time_ns: int) -> "_Seen":
        found = self.called.setdefault(name, _Seen())
        found.time_ns += time_ns
        return found

    def nodes(self) -> tuple[Node, ...]:
        """Return what was called as nodes, the heaviest first; built from the leaves, for stacks are deep."""
        order: list[_Seen] = [self]
        for seen in order:
            order.extend(seen.called.values())
        made: dict[int, tuple[Node, ...]] = {}
        for seen in reversed(order):
            nodes = [one.node(name, made[id(one)]) for name, one in seen.called.items()]
            made[id(seen)] = tuple(sorted(nodes, key=lambda node: (-node.closed_ns, node.name)))
        return made[id(self)]

    def node(self, name: str, below: tuple[Node, ...]) -> Node:
        nested_ns = sum(one.closed_ns for one in below)
        return Node(name, closed_ns=self.time_ns, nested_ns=nested_ns, concurrent=self.beside, children=below)
