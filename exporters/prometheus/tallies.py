"""What is added up between scrapes: counts per bucket, for any bounds.

prometheus-client's own instruments are not used for this: in a program that uses its multiprocess mode they would
write into that program's files, and each of their children brings a `_created` series along.
"""

import math
from bisect import bisect_left
from collections.abc import Sequence

Buckets = list[tuple[str, float]]
"""Cumulative counts by upper bound, as prometheus-client's metric families take them."""


class Tally:
    """A histogram over given bounds.

    Args:
        bounds: upper bounds, inclusive, ascending; without the infinite one.

    >>> tally = Tally([0.5, 1.0])
    >>> for value in (0.2, 1.0, 7.0):
    ...     tally.observe(value)
    >>> tally.buckets(), tally.sum
    ([('0.5', 1), ('1.0', 2), ('+Inf', 3)], 8.2)
    """

    __slots__ = ("_counts", "bounds", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.sum = 0.0
        self._counts = [0] * (len(bounds) + 1)

    def observe(self, value: float) -> None:
        """Count a value; one that is no finite number would spoil the sum for ever, and is passed over."""
        if math.isfinite(value):
            self._counts[bisect_left(self.bounds, value)] += 1
            self.sum += value

    def buckets(self) -> Buckets:
        """Return the cumulative counts by upper bound."""
        seen, cumulative = 0, []
        for count in self._counts:
            seen += count
            cumulative.append(seen)
        return labelled_buckets(self.bounds, cumulative[:-1], seen)


def labelled_buckets(bounds: Sequence[float], cumulative: Sequence[int], count: int) -> Buckets:
    """Return cumulative counts with their bounds written as prometheus-client writes them, `1.0` and not `1`.

    >>> labelled_buckets([1], [2], 3)
    [('1.0', 2), ('+Inf', 3)]
    """
    return [
        *((repr(float(bound)), total) for bound, total in zip(bounds, cumulative, strict=True)),
        ("+Inf", count),
    ]
