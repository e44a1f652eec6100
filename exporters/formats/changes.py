"""A comparison in words and figures, for the formats that show one."""

from algoprof.exporters.text import cells
from algoprof.profiles.comparing import Change

_WORTH_A_WORD = 0.05
"""A change of the whole run below this share is called none: runs differ by so much by themselves."""


def verdict(old: float, new: float) -> str:
    """Return in words what became of the time of one run, in seconds.

    >>> verdict(41.0, 6.0), verdict(1.0, 1.02)
    ('6.83 times faster', 'as fast as before')
    """
    if not old or not new or abs(new / old - 1) < _WORTH_A_WORD:
        return "as fast as before" if old and new else "not comparable"
    return f"{new / old:.2f} times slower" if new > old else f"{old / new:.2f} times faster"


def difference(seconds: float) -> str:
    """Return a change with its sign.

    >>> difference(2.0), difference(-0.5), difference(0.0)
    ('+2.00 s', '-500 ms', '0 s')
    """
    if abs(seconds) < 0.5e-9:
        return "0 s"
    return f"{'+' if seconds > 0 else '-'}{cells.seconds(abs(seconds))}"


def counts(change: Change) -> str:
    """Return how often a run entered a section, before and after if that differs."""
    before, after = (node.count + node.open_count if node else 0 for node in (change.before, change.after))
    per_run = round(before / change.runs_before), round(after / change.runs_after)
    return str(per_run[1]) if per_run[0] == per_run[1] else f"{per_run[0]} -> {per_run[1]}"


def heaviest_changes(changes: tuple[Change, ...], rows: int) -> list[tuple[str, ...]]:
    """Return the paths of what changed most, each with what is above it, in the order of the tree."""
    wanted: set[tuple[str, ...]] = set()
    for change in sorted(changes, key=lambda change: -abs(change.total_after - change.total_before)):
        missing = {change.path[:length] for length in range(1, len(change.path) + 1)} - wanted
        if len(wanted) + len(missing) <= rows:
            wanted |= missing
    return [change.path for change in changes if change.path in wanted]
