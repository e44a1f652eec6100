"""The bar of the budget: how much of the timeout is gone, and which sections used it."""

from collections.abc import Iterator
from typing import NamedTuple

from algoprof.exporters.formats.places import Place, innermost_open
from algoprof.exporters.html import markup
from algoprof.exporters.text import cells
from algoprof.profiles.tree import Profile

_NAMED = 7
"""So many sections have a piece of their own; the others share one."""

_WORTH_TELLING_NS = 1_000_000
_OPEN_NAMED = 20


class Piece(NamedTuple):
    """A piece of the bar.

    Args:
        color: the name of its colour.
        label: what it stands for, as HTML.
        time_ns: how much of the budget that is.
        open_ns: how long it had been open at the end; 0 if it was not.
    """

    color: str
    label: str
    time_ns: int
    open_ns: int = 0


def budget(profile: Profile, found: list[Place]) -> str:
    """Return the bar, what its pieces stand for, and what was open at the end.

    Args:
        profile: the run.
        found: its places.
    """
    had_ns = round((profile.timeout or 0) * 1e9) * max(1, profile.runs)
    every = list(pieces(profile, found))
    used_ns = sum(piece.time_ns for piece in every)
    whole = max(had_ns, used_ns) or 1
    if had_ns > used_ns:
        every.append(Piece("rail", "left of the timeout", had_ns - used_ns))
    boxes, left = [], 0.0
    for piece in every:
        width = markup.percent(piece.time_ns, whole)
        boxes.append(f'<rect class="{piece.color}" x="{left:.3f}%" width="{width}%" height="100%"/>')
        left += width
    if 0 < had_ns < used_ns:
        boxes.append(f'<rect class="end" x="{markup.percent(had_ns, whole)}%" width="2" height="100%"/>')
    rows = [
        (
            f"{markup.swatch(piece.color)}{piece.label}{_open(piece)}",
            cells.seconds(piece.time_ns / 1e9),
            cells.share(piece.time_ns / (had_ns or whole)),
        )
        for piece in every
        if piece.time_ns
    ]
    of = "of the timeout" if had_ns else "of the run"
    return (
        f'<svg class="bar big" role="img" aria-label="The time and what used it; the table below says the same">'
        f"{''.join(boxes)}</svg>\n"
        f"{markup.table(('what', 'time', of), rows, 'What used the time')}\n{_left_open(profile, found)}"
    )


def pieces(profile: Profile, found: list[Place]) -> Iterator[Piece]:
    """Yield what used the time, in the order of the bar; together it is the time that is gone.

    >>> from algoprof.exporters.formats.places import places
    >>> from algoprof.profiles.tree import Node
    >>> job = Node("job", 1, closed_ns=9, nested_ns=2, children=(Node("load", 1, closed_ns=2),))
    >>> run = Profile("job", (job,), duration_ns=9)
    >>> [(piece.color, piece.time_ns) for piece in pieces(run, list(places(run)))]
    [('k0', 2), ('own', 7)]
    """
    if profile.budget_spent_ns >= _WORTH_TELLING_NS:
        yield Piece("before", "before the run: queue, load, start", profile.budget_spent_ns)
    roots = [place for place in found if place.above is None and not place.node.inherited]
    top = [place for place in found if place.above is roots[0] and not place.node.concurrent] if roots else []
    tops = top if len(roots) == 1 else roots
    tops.sort(key=lambda place: -place.node.total_ns)
    left_ns = profile.duration_ns
    for color, place in enumerate(tops[:_NAMED]):
        took_ns = min(left_ns, place.node.total_ns)
        left_ns -= took_ns
        label = f'<a href="#s{place.number}">{markup.name(place.node.name)}</a>'
        yield Piece(f"k{color}", label, took_ns, place.node.open_ns)
    others_ns = min(left_ns, sum(place.node.total_ns for place in tops[_NAMED:]))
    if others_ns:
        yield Piece("others", f"{len(tops) - _NAMED} other sections", others_ns)
    if left_ns > others_ns:
        yield Piece("own", f"{markup.name(profile.name)} itself, outside them", left_ns - others_ns)


def _open(piece: Piece) -> str:
    return f' <b class="open">open for {cells.seconds(piece.open_ns / 1e9)}</b>' if piece.open_ns else ""


def _left_open(profile: Profile, found: list[Place]) -> str:
    if profile.outcome not in ("killed", "open"):
        return ""
    still_open = innermost_open(found)
    if not still_open:
        return ""
    items = "".join(
        f'<li><a href="#s{place.number}">{markup.path(place.path())}</a> for {cells.seconds(place.node.open_time)}</li>'
        for place in still_open[:_OPEN_NAMED]
    )
    more = f"<li>and {len(still_open) - _OPEN_NAMED} more</li>" if len(still_open) > _OPEN_NAMED else ""
    when = "when it was killed" if profile.outcome == "killed" else "now"
    return f"<h3>Open {when}</h3>\n<ul>{items}{more}</ul>"
