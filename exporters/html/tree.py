"""The call tree as rows that open and close: a section, its figures, its histogram, what is below it."""

from collections.abc import Sequence

from algoprof.exporters.formats.places import Place, heaviest
from algoprof.exporters.html import markup
from algoprof.exporters.html.histogram import histogram
from algoprof.exporters.text import cells
from algoprof.profiles.tree import Node

ROWS = 10_000
"""So many sections are rows, the heaviest."""

_DEEPEST = 100
"""Elements that nest deeper than browsers like (they give up at 512) stand beside each other instead."""
_INDENTED = 12
_OPENED = 40
_WORTH_OPENING = 0.1  # of the whole
_VISIBLE = 0.005  # of the width of a bar


def tree(found: list[Place], marked: Sequence[Place] = ()) -> str:
    """Return the tree with a line to search it, which a script shows.

    Args:
        found: the places of the run.
        marked: those that are to be seen at once, such as the bottleneck and what was open.
    """
    whole_ns = sum(place.node.total_ns for place in found if place.above is None) or 1
    shown = heaviest(found, [place.node.total_ns for place in found], ROWS)
    opened = _opened(shown, marked, whole_ns)
    rows: list[str] = []
    unfinished = 0
    for place, depth in _leveled(shown):
        while unfinished > depth:
            rows.append("</div></details>")
            unfinished -= 1
        rows.append(_row(place, depth, whole_ns, is_open=place.number in opened))
        unfinished += 1
    rows.append("</div></details>" * unfinished)
    left_out = len(found) - len(shown)
    note = f'<p class="quiet">{left_out} lighter sections are left out.</p>' if left_out else ""
    return (
        '<p class="tools" hidden><input type="search" id="search" placeholder="Search sections" aria-label="Search'
        ' sections" autocomplete="off" spellcheck="false"> <button type="button" id="unfold">Open all</button>'
        ' <button type="button" id="fold">Close all</button> <output id="matches" for="search"></output></p>\n'
        '<div class="head" aria-hidden="true"><span>section</span><i></i><i>total</i><i>self</i><i>count</i><i>p95</i>'
        f'<i>errors</i></div>\n<div class="tree" id="tree">\n{"".join(rows)}\n</div>\n{note}'
    )


def _leveled(shown: list[Place]) -> list[tuple[Place, int]]:
    """Return places with how deep they are nested on the page."""
    depths: dict[int, int] = {}
    for place in shown:
        above = -1 if place.above is None else depths[place.above.number]
        depths[place.number] = min(above + 1, _DEEPEST)
    return [(place, depths[place.number]) for place in shown]


def _opened(shown: list[Place], marked: Sequence[Place], whole_ns: int) -> set[int]:
    """Return the numbers of the rows that are open at first: those around what is heavy or marked."""
    heavy = sorted(
        (place for place in shown if place.node.total_ns >= _WORTH_OPENING * whole_ns),
        key=lambda place: -place.node.total_ns,
    )
    opened = {place.number for place in shown if place.above is None}
    for place in (*marked, *heavy):
        above = {one.number for one in place.line()[:-1]}
        if len(opened | above) <= _OPENED:
            opened |= above
    return opened


def _row(place: Place, depth: int, whole_ns: int, *, is_open: bool) -> str:
    node = place.node
    p95 = cells.seconds(node.quantile(0.95)) if node.histogram.count else ""
    count = f"{node.count + node.open_count:,}"
    leaf = "" if node.children else ' class="leaf"'
    flat = ' class="flat"' if depth >= _INDENTED else ""
    return (
        f'<details id="s{place.number}"{leaf}{" open" if is_open else ""}><summary><span>'
        f"{markup.name(node.name)}{_marks(node)}</span>{_bar(node, whole_ns)}<i>{cells.seconds(node.total_time)}</i>"
        f"<i>{cells.seconds(node.self_time)}</i><i>{count}</i><i>{p95}</i>"
        f"<i>{f'{node.errors:,}' if node.errors else ''}</i></summary><div{flat}>{_more(node)}\n"
    )


def _bar(node: Node, whole_ns: int) -> str:
    """Return the share of the whole that a section and its own time have; none where it would not be seen."""
    if node.total_ns < _VISIBLE * whole_ns:
        return "<i></i>"
    total, own = markup.percent(node.total_ns, whole_ns), markup.percent(node.self_ns, whole_ns)
    return (
        f'<svg class="bar" aria-hidden="true"><rect class="total" width="{total}%" height="100%"/>'
        f'<rect class="self" width="{own}%" height="100%"/></svg>'
    )


def _marks(node: Node) -> str:
    marks = ""
    if node.open_count:
        several = f"{node.open_count} " if node.open_count > 1 else ""
        marks += f' <b class="open">{several}open {cells.seconds(node.open_time)}</b>'
    if node.concurrent:
        marks += ' <span class="quiet">beside</span>'
    if node.inherited:
        marks += ' <span class="quiet">in worker processes</span>'
    return marks


def _more(node: Node) -> str:
    """Return what stands in a row that is open: what has no column, and the histogram."""
    known = []
    if node.count > 1:
        known.append(f"mean {cells.seconds(node.closed_ns / 1e9 / node.count)}")
    if node.active_time is not None:
        known.append(f"running {cells.seconds(node.active_time)}")
    if node.cpu_time is not None:
        known.append(f"processor {cells.seconds(node.cpu_time)}")
    if node.device_time is not None:
        known.append(f"device {cells.seconds(node.device_time)}")
    if node.module:
        known.append(f"at {markup.text(node.module)}:{node.line}")
    if not known and not node.children and not node.histogram.count:
        known.append("nothing else is known of it")
    return (f"<p>{', '.join(known)}</p>" if known else "") + histogram(node)
