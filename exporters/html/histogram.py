"""How long the occurrences of a section took: its histogram, drawn as columns of one shape."""

from algoprof.exporters.text import cells
from algoprof.profiles.buckets import upper_bound
from algoprof.profiles.tree import Node

_HEIGHT = 40


def histogram(node: Node) -> str:
    """Return the histogram of the occurrences that ended; empty if fewer than two did.

    The columns are the buckets, each 9 % longer than the one before it, the highest as high as the drawing.

    >>> from algoprof.profiles.histogram import Histogram
    >>> print(histogram(Node("load", 4, shortest_ns=9 * 10**8, longest_ns=2 * 10**9,
    ...     histogram=Histogram(((186, 3), (194, 1))))))
    <figure><svg class="histogram" viewBox="0 0 9 40" preserveAspectRatio="none" aria-hidden="true"><path \
d="M0 40V0h1V40zM8 40V26.7h1V40z"/></svg><figcaption>900 ms to 2.00 s; most near 958 ms</figcaption></figure>
    """
    buckets = node.histogram.buckets
    if sum(count for _, count in buckets) < 2:
        return ""
    first, last = buckets[0][0], buckets[-1][0]
    highest, most = max((count, -position) for position, count in buckets)
    columns = "".join(
        f"M{position - first} {_HEIGHT}V{_number(_HEIGHT * (1 - count / highest))}h1V{_HEIGHT}z"
        for position, count in buckets
    )
    middle = min(max(upper_bound(-most) * 2 ** (-1 / 16), node.shortest), node.longest)
    span = f"{cells.seconds(node.shortest)} to {cells.seconds(node.longest)}"
    return (
        f'<figure><svg class="histogram" viewBox="0 0 {last - first + 1} {_HEIGHT}" preserveAspectRatio="none"'
        f' aria-hidden="true"><path d="{columns}"/></svg>'
        f"<figcaption>{span}; most near {cells.seconds(middle)}</figcaption></figure>"
    )


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
