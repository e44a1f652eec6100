"""The report of a run: how long it took of what it had, where the time went, and what held it back."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from algoprof.exporters.formats.places import innermost_open, places
from algoprof.exporters.text import cells
from algoprof.exporters.text.environment import environment_line
from algoprof.exporters.text.hot_lines import hot_line_rows
from algoprof.profiles.tree import Node, Profile

_COLUMNS = ("total", "self", "cpu", "device", "run", "budget", "count", "mean", "p95", "errors")
_WIDTHS = (8, 8, 8, 8, 6, 6, 9, 8, 8, 7)
_SHORTEST_NAME = 24
_OPEN_NAMED = 5


def render(profile: Profile, *, width: int = 100, rows: int = 40) -> str:
    """Return the report of a run, or of many merged, as text that ends in a newline.

    The columns: total and own time; processor and device time, where they were asked for; the share of the total in
    the run and in the budget; occurrences, the mean and the 95th percentile of those that ended; how many raised.

    Args:
        profile: what to report.
        width: columns of the terminal; what does not fit is shortened.
        rows: at most so many sections are shown, those that took most time; the text says how many are left out.

    >>> load = Node("load", 2, closed_ns=2_000_000_000, shortest_ns=10**9, longest_ns=10**9)
    >>> job = Node("job", 1, closed_ns=8 * 10**9, nested_ns=2 * 10**9, longest_ns=8 * 10**9, children=(load,))
    >>> print(render(Profile("job", (job,), duration_ns=8 * 10**9, timeout=10)), end="")
    job  ok  8.00 s  budget 8.00 s of 10 s (80 %)
    section                     total     self    run budget     count     mean      p95
    job                        8.00 s   6.00 s  100 %   80 %         1   8.00 s   8.00 s
      load                     2.00 s   2.00 s   25 %   20 %         2   1.00 s   1.00 s
    bottleneck: job, 75 % of the run is its own time
    """
    return "".join(f"{line.rstrip()}\n" for line in _lines(profile, width, rows))


def _lines(profile: Profile, width: int, rows: int) -> Iterator[str]:
    yield "  ".join(_headline(profile, width))
    shown, left_out = _heaviest(profile, rows)
    if shown:
        yield from _tree(profile, shown, width)
    if left_out:
        yield f"({left_out} lighter sections are left out)"
    yield from _findings(profile, width)
    yield from hot_line_rows(profile, width)


def _headline(profile: Profile, width: int) -> Iterator[str]:
    yield cells.name(profile.name, width // 2)
    yield profile.outcome if profile.outcome != "merged" else f"{profile.runs} runs"
    if profile.outcome == "merged" and profile.failed_runs:
        yield f"{profile.failed_runs} failed"
    yield cells.seconds(profile.duration)
    budget = _budget(profile)
    if budget:
        used = (profile.budget_spent_ns + profile.duration_ns) / 1e9
        before = f", {cells.seconds(profile.budget_spent_ns / 1e9)} of it before the run" if _waited(profile) else ""
        yield f"budget {cells.seconds(used)} of {_round(budget)} ({cells.share(used / budget)}{before})"


def _tree(profile: Profile, shown: list["_Row"], width: int) -> Iterator[str]:
    figures = [_figures(row.node, profile) for row in shown]
    marks = [_marks(row.node) for row in shown]
    used = [any(cell[column] for cell in figures) for column in range(len(_COLUMNS))]
    widths = [size for size, is_used in zip(_WIDTHS, used, strict=True) if is_used]
    room = max(_SHORTEST_NAME, width - sum(widths) - len(widths) - max(map(len, marks)) - 2)
    names = [_indented(row, room) for row in shown]
    room = max(_SHORTEST_NAME, *map(cells.displayed_width, names))
    yield _line("section", _used(_COLUMNS, used), widths, room, "")
    for label, cell, mark in zip(names, figures, marks, strict=True):
        yield _line(label, _used(cell, used), widths, room, mark)


def _indented(row: "_Row", room: int) -> str:
    indent = "  " * min(row.depth, room // 4)  # deep trees stay readable
    return indent + cells.name(row.node.name, room - len(indent))


def _used(values: Iterable[str], used: list[bool]) -> list[str]:
    return [value for value, is_used in zip(values, used, strict=True) if is_used]


def _line(label: str, values: list[str], widths: list[int], room: int, mark: str) -> str:
    columns = " ".join(value.rjust(size) for value, size in zip(values, widths, strict=True))
    return f"{cells.left(label, room)} {columns}  {mark}"


def _figures(node: Node, profile: Profile) -> tuple[str, ...]:
    budget = _budget(profile)
    return (
        cells.seconds(node.total_time),
        cells.seconds(node.self_time),
        cells.seconds(node.cpu_time),
        cells.seconds(node.device_time),
        cells.share(node.total_ns / profile.duration_ns if profile.duration_ns else None),
        cells.share(node.total_time / budget if budget else None),
        str(node.count + node.open_count),
        cells.seconds(node.closed_ns / 1e9 / node.count) if node.count else "",
        cells.seconds(node.quantile(0.95) if node.histogram.count else node.longest) if node.count else "",
        str(node.errors) if node.errors else "",
    )


def _marks(node: Node) -> str:
    marks = []
    if node.open_count:
        several = f"{node.open_count} " if node.open_count > 1 else ""
        marks.append(f"{several}open {cells.seconds(node.open_time)}")
    if node.concurrent:
        marks.append("concurrent")
    if node.inherited:
        marks.append("in worker processes")
    return ", ".join(marks)


def _findings(profile: Profile, width: int) -> Iterator[str]:
    found = profile.bottleneck
    if found is not None and found.self_ns and profile.duration_ns:
        path = next((path for path, node in profile.paths() if node is found), (found.name,))
        where = ", beside the run in another thread or task" if found.concurrent else ""
        own = cells.share(found.self_ns / profile.duration_ns)
        rest = f", {own} of the run is its own time{where}"
        yield f"bottleneck: {_path(path, profile, max(_SHORTEST_NAME, width - 12 - len(rest)))}{rest}"
    still_open = innermost_open(list(places(profile)))
    if still_open and profile.outcome in ("killed", "open"):
        named = "; ".join(
            f"{_path(place.path(), profile, width // 2)} ({cells.seconds(place.node.open_time)})"
            for place in still_open[:_OPEN_NAMED]
        )
        more = f"; {len(still_open) - _OPEN_NAMED} more" if len(still_open) > _OPEN_NAMED else ""
        yield f"{'open when killed' if profile.outcome == 'killed' else 'open now'}: {named}{more}"
    around = environment_line(profile)
    if around:
        yield around
    if profile.folded:
        yield f"folded: {profile.folded} occurrences are counted as (folded): too many sections, or too deep"
    if profile.dropped:
        yield f"dropped: {profile.dropped} names, attributes or spans, since there were too many"
    if profile.inexact:
        yield "inexact: runs had to share a row, or one was cut off while it was written"


def _path(path: tuple[str, ...], profile: Profile, width: int) -> str:
    """Return a path below the run as text; the run itself by its name."""
    below = path[1:] if len(path) > 1 and path[0] == profile.name else path
    return cells.name(" > ".join(below), width)


class _Row(NamedTuple):
    depth: int
    node: Node


def _heaviest(profile: Profile, rows: int) -> tuple[list[_Row], int]:
    """Return what to show, in the order of the tree, and how many sections are left out."""
    every = list(profile.paths())
    wanted: set[tuple[str, ...]] = set()
    for path, _ in sorted(every, key=lambda found: (-found[1].open_count, -found[1].total_ns, len(found[0]))):
        above = {path[:length] for length in range(1, len(path) + 1)} - wanted
        if len(wanted) + len(above) <= rows:
            wanted |= above
    shown = [_Row(len(path) - 1, node) for path, node in every if path in wanted]
    return shown, len(every) - len(shown)


def _budget(profile: Profile) -> float:
    """Return the budget of the run, or of all merged runs together, in seconds; 0 without one."""
    return (profile.timeout or 0.0) * max(1, profile.runs)


def _waited(profile: Profile) -> bool:
    return profile.budget_spent_ns >= 1_000_000  # what is less than a millisecond interests nobody


def _round(seconds: float) -> str:
    return f"{seconds:g} s"
