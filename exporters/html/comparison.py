"""Two profiles compared: what changed most as a table, and a flame graph coloured by what became slower."""

from algoprof.exporters.formats.changes import counts, difference, heaviest_changes, verdict
from algoprof.exporters.html import markup
from algoprof.exporters.html.flame import drawn
from algoprof.exporters.html.shapes import Row
from algoprof.exporters.text import cells
from algoprof.profiles.comparing import Change, compare
from algoprof.profiles.tree import Profile

ROWS = 60
"""So many sections are in the table, those that changed most."""

_STEPS = 3
_SHADE_FROM = 0.005  # of the whole: what changed less has the colour of no change


def comparison(before: Profile, after: Profile) -> str:
    """Return what changed between two profiles; of several runs, by what one run took on average.

    Args:
        before: what is compared with.
        after: the profile of the page.
    """
    changes = compare(before, after)
    old, new = (profile.duration / max(1, profile.runs) for profile in (before, after))
    return (
        f"<p><b>{verdict(old, new).capitalize()}</b>: {cells.seconds(old)} before, {cells.seconds(new)} now.</p>\n"
        f"{_flame(after, changes)}\n{_legend()}\n{_table(changes)}"
    )


def _table(changes: tuple[Change, ...]) -> str:
    by_path = {change.path: change for change in changes}
    shown = [by_path[path] for path in heaviest_changes(changes, ROWS)]
    rows = [
        (
            f"{'&nbsp;&nbsp;' * min(len(change.path) - 1, 8)}{markup.name(change.path[-1])}",
            cells.seconds(change.total_before) if change.before else "",
            cells.seconds(change.total_after) if change.after else "",
            difference(change.total_after - change.total_before),
            f"{change.total_ratio:.2f}" if change.total_ratio is not None and change.after else "",
            difference(change.self_after - change.self_before),
            markup.text(counts(change)),
            "new" if change.before is None else "gone" if change.after is None else "",
        )
        for change in shown
    ]
    head = ("section", "before", "now", "change", "ratio", "self change", "count", "")
    left_out = len(changes) - len(shown)
    note = f'<p class="quiet">{left_out} sections that changed less are left out.</p>' if left_out else ""
    return markup.table(head, rows, "What changed") + note


def _flame(after: Profile, changes: tuple[Change, ...]) -> str:
    by_path = {change.path: change for change in changes}
    of_row = [by_path[path] for path, _ in after.paths()]
    whole = after.duration / max(1, after.runs) or 1.0

    def color(row: Row) -> str:
        return shade(of_row[row.number], whole)

    def more(row: Row) -> str:
        change = of_row[row.number]
        if change.before is None:
            return ", new"
        total = difference(change.total_after - change.total_before)
        return f", {total}; its own time {difference(change.self_after - change.self_before)}"

    return drawn(after, "Flame graph of what changed", lambda row: f"#s{row.number}", color, more)


def shade(change: Change, whole: float) -> str:
    """Return the colour of a section whose own time changed: slower, faster or same.

    Args:
        change: the section before and after.
        whole: seconds that a run takes now.

    >>> from algoprof.profiles.tree import Node
    >>> load, slow = Node("load", closed_ns=10**9), Node("load", closed_ns=2 * 10**9)
    >>> shade(Change(("load",), load, slow), 4.0), shade(Change(("load",), slow, load), 100.0)
    ('slower3', 'faster1')
    """
    share = (change.self_after - change.self_before) / whole
    if abs(share) < _SHADE_FROM:
        return "same"
    step = 1 if abs(share) < 0.03 else 2 if abs(share) < 0.1 else _STEPS
    return f"{'slower' if share > 0 else 'faster'}{step}"


def _legend() -> str:
    shades = [f"faster{step}" for step in range(_STEPS, 0, -1)] + ["same"]
    shades += [f"slower{step}" for step in range(1, _STEPS + 1)]
    swatches = "".join(map(markup.swatch, shades))
    return f'<p class="quiet">own time: less {swatches} more; as wide as the time now</p>'
