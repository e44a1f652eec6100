"""The tree as a table in Markdown, alone or beside a baseline: for pull requests and notes."""

import re
from collections.abc import Iterator

from algoprof.exporters.formats.changes import counts, difference, heaviest_changes, verdict
from algoprof.exporters.formats.places import heaviest, places
from algoprof.exporters.text import cells
from algoprof.profiles.comparing import compare
from algoprof.profiles.tree import Node, Profile

ROWS = 40
"""So many sections are shown, those that took most time."""

_LONGEST_NAME = 80
_DEEPEST_INDENT = 12
_TICKS = re.compile("`+")


def markdown(profile: Profile, baseline: Profile | None = None, *, rows: int = ROWS) -> str:
    """Return a table of the sections in GitHub's Markdown, as the tree is; with a baseline, what changed.

    Names stand in code spans, so that none is taken for markup, a mention or a link. A profile of several runs is
    compared by what one run took on average.

    Args:
        profile: what to show.
        baseline: what it is compared with; None to show it alone.
        rows: how many sections at most, those that took most time, or changed most.

    >>> load = Node("load", 2, closed_ns=2_000_000_000)
    >>> job = Node("job", 1, closed_ns=8 * 10**9, nested_ns=2 * 10**9, children=(load,))
    >>> print(markdown(Profile("job", (job,), duration_ns=8 * 10**9, timeout=10)), end="")
    **`job`**: ok, 8.00 s of 10 s (80 %)
    <BLANKLINE>
    | section | total | self | run | count | mean | p95 | |
    |:--|--:|--:|--:|--:|--:|--:|:--|
    | `job` | 8.00 s | 6.00 s | 100 % | 1 | 8.00 s | | |
    | &nbsp;&nbsp;`load` | 2.00 s | 2.00 s | 25 % | 2 | 1.00 s | | |
    """
    lines = _alone(profile, rows) if baseline is None else _compared(baseline, profile, rows)
    return "".join(f"{line}\n" for line in lines)


def code_span(text: str) -> str:
    r"""Return a text as it stands in a cell of a table, whatever is in it.

    >>> code_span("a|b"), code_span("a`b"), code_span("")
    ('`a\\|b`', '``a`b``', '*(no name)*')
    """
    if not text:
        return "*(no name)*"
    shown = cells.name(text, _LONGEST_NAME)
    ticks = "`" * (max((len(found) for found in _TICKS.findall(shown)), default=0) + 1)
    space = " " if shown.startswith(("`", " ")) or shown.endswith(("`", " ")) else ""
    return f"{ticks}{space}{shown}{space}{ticks}".replace("|", "\\|")


def _alone(profile: Profile, rows: int) -> Iterator[str]:
    yield f"**{code_span(profile.name)}**: {_ending(profile)}"
    found = list(places(profile))
    shown = heaviest(found, [place.node.total_ns for place in found], rows)
    if shown:
        yield ""
        yield from _head("section", "total", "self", "run", "count", "mean", "p95")
    for place in shown:
        node = place.node
        mean = cells.seconds(node.closed_ns / 1e9 / node.count) if node.count else ""
        p95 = cells.seconds(node.quantile(0.95)) if node.histogram.count else ""
        share = cells.share(node.total_ns / profile.duration_ns) if profile.duration_ns else ""
        count = str(node.count + node.open_count)
        yield _row(
            _indented(len(place.line()) - 1, node.name),
            cells.seconds(node.total_time),
            cells.seconds(node.self_time),
            share,
            count,
            mean,
            p95,
            _marks(node),
        )
    yield from _left_out(len(found) - len(shown))


def _compared(before: Profile, after: Profile, rows: int) -> Iterator[str]:
    old, new = (profile.duration / max(1, profile.runs) for profile in (before, after))
    yield f"**{code_span(after.name)}**: {verdict(old, new)}: {cells.seconds(old)} before, {cells.seconds(new)} now"
    yield ""
    for word, profile in (("before", before), ("now", after)):
        yield f"- {word}: {code_span(profile.name)}, {_ending(profile)}"
    changes = compare(before, after)
    by_path = {change.path: change for change in changes}
    shown = heaviest_changes(changes, rows)
    if shown:
        yield ""
        yield from _head("section", "before", "now", "change", "ratio", "self change", "count")
    for path in shown:
        change = by_path[path]
        yield _row(
            _indented(len(path) - 1, path[-1]),
            cells.seconds(change.total_before) if change.before else "",
            cells.seconds(change.total_after) if change.after else "",
            difference(change.total_after - change.total_before),
            f"{change.total_ratio:.2f}" if change.total_ratio is not None and change.after else "",
            difference(change.self_after - change.self_before),
            counts(change),
            "new" if change.before is None else "gone" if change.after is None else _marks(change.after),
        )
    yield from _left_out(len(changes) - len(shown))


def _ending(profile: Profile) -> str:
    outcome = f"{profile.runs} runs" if profile.outcome == "merged" else profile.outcome
    used = profile.budget_used_ratio if profile.outcome != "merged" else None
    budget = f" of {profile.timeout:g} s ({cells.share(used)})" if profile.timeout and used is not None else ""
    return f"{outcome}, {cells.seconds(profile.duration)}{budget}"


def _head(*names: str) -> Iterator[str]:
    first, *others = names
    yield _row(first, *others, "")
    yield f"|:--|{'--:|' * len(others)}:--|"


def _row(*values: str) -> str:
    return f"|{'|'.join(f' {value} ' if value else ' ' for value in values)}|"


def _indented(depth: int, name: str) -> str:
    return "&nbsp;&nbsp;" * min(depth, _DEEPEST_INDENT) + code_span(name)


def _marks(node: Node) -> str:
    marks = []
    if node.open_count:
        several = f"{node.open_count} " if node.open_count > 1 else ""
        marks.append(f"**{several}open** for {cells.seconds(node.open_time)}")
    if node.errors:
        marks.append(f"{node.errors} errors" if node.errors > 1 else "1 error")
    if node.concurrent:
        marks.append("concurrent")
    if node.inherited:
        marks.append("in worker processes")
    return ", ".join(marks)


def _left_out(count: int) -> Iterator[str]:
    if count:
        yield ""
        yield f"{count} lighter sections are left out."
