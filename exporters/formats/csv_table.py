"""The tree as a table of comma-separated values: for spreadsheets, pandas and SQL."""

import csv
import io

from algoprof.exporters.formats.places import Place, places
from algoprof.exporters.text.cells import escaped
from algoprof.profiles.tree import Profile

COLUMNS = (
    "id",
    "parent_id",
    "depth",
    "path",
    "name",
    "count",
    "errors",
    "total_seconds",
    "self_seconds",
    "mean_seconds",
    "p50_seconds",
    "p95_seconds",
    "p99_seconds",
    "shortest_seconds",
    "longest_seconds",
    "active_seconds",
    "cpu_seconds",
    "device_seconds",
    "open_count",
    "open_seconds",
    "concurrent",
    "inherited",
    "module",
    "line",
)
"""The columns. Later versions may add some at the end."""

_FORMULAS = ("=", "+", "-", "@")


def csv_table(profile: Profile) -> str:
    r"""Return a row for each section, parents first, below a row of names.

    `parent_id` is empty for a root. Times have nine decimals, so no nanosecond is lost; what nobody measured is empty.
    Control characters in names are written as escapes, and what a spreadsheet would take for a formula is quoted by an
    apostrophe.

    >>> from algoprof.profiles.tree import Node
    >>> job = Node("job", 1, closed_ns=9, nested_ns=2, children=(Node("=load", 1, closed_ns=2),))
    >>> for row in csv.DictReader(csv_table(Profile("job", (job,))).splitlines()):
    ...     print(row["id"], row["parent_id"], row["path"], row["name"], row["self_seconds"])
    0  job job 0.000000007
    1 0 job/=load '=load 0.000000002
    """
    written = io.StringIO()
    table = csv.writer(written, lineterminator="\n")
    table.writerow(COLUMNS)
    paths: list[str] = []
    for place in places(profile):
        above = f"{paths[place.above.number]}/" if place.above is not None else ""
        paths.append(above + escaped(place.node.name))
        table.writerow(_row(place, paths))
    return written.getvalue()


def _row(place: Place, paths: list[str]) -> tuple[str | int, ...]:
    node, above = place.node, place.above
    known = node.count and node.histogram.count
    return (
        place.number,
        "" if above is None else above.number,
        len(place.line()) - 1,
        _harmless(paths[place.number]),
        _harmless(escaped(node.name)),
        node.count,
        node.errors,
        _seconds(node.total_ns),
        _seconds(node.self_ns),
        f"{node.closed_ns / node.count / 1e9:.9f}" if node.count else "",
        *(f"{node.quantile(share):.9f}" if known else "" for share in (0.5, 0.95, 0.99)),
        _seconds(node.shortest_ns if node.count else None),
        _seconds(node.longest_ns if node.count else None),
        _seconds(node.active_ns),
        _seconds(node.cpu_ns),
        _seconds(node.device_ns),
        node.open_count,
        _seconds(node.open_ns),
        int(node.concurrent),
        int(node.inherited),
        _harmless(escaped(node.module)),
        node.line or "",
    )


def _seconds(nanoseconds: int | None) -> str:
    """Return seconds, exactly."""
    if nanoseconds is None:
        return ""
    whole, rest = divmod(nanoseconds, 10**9)
    return f"{whole}.{rest:09d}"


def _harmless(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULAS) else text
