"""How often which duration occurred: counts in log-scale buckets, merged without loss."""

from collections.abc import Iterable
from dataclasses import dataclass

from algoprof.profiles.buckets import upper_bound

_HALF_BUCKET = 2 ** (-1 / 16)  # from a bucket's upper bound to its geometric middle


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts per bucket of `algoprof.profiles.buckets`, empty buckets left out.

    Args:
        buckets: pairs of a bucket's position and its count, positions ascending.

    >>> Histogram(((186, 3), (194, 1))).count
    4
    """

    buckets: tuple[tuple[int, int], ...] = ()

    @property
    def count(self) -> int:
        """The number of durations counted."""
        return sum(count for _, count in self.buckets)

    def quantile(self, q: float) -> float:
        """Return the duration in seconds below which a share `q` of the occurrences lies, within 4.4 %.

        Raises:
            ValueError: if `q` is not within 0 and 1.

        >>> round(Histogram(((186, 9), (210, 1))).quantile(0.5), 2)
        0.96
        >>> Histogram().quantile(0.5)
        0.0
        """
        if not 0 <= q <= 1:
            raise ValueError(f"a quantile lies between 0 and 1, not {q!r}")
        rank = q * self.count
        seen = 0
        for position, count in self.buckets:
            seen += count
            if seen >= rank:
                return upper_bound(position) * _HALF_BUCKET
        return 0.0

    def cumulative(self, bounds: Iterable[float]) -> list[int]:
        """Return, for each bound in seconds, how many durations lie in buckets that end at or below it.

        >>> Histogram(((186, 3), (194, 1))).cumulative([0.5, 1.0, 2.0])
        [0, 3, 4]
        """
        return [sum(count for position, count in self.buckets if upper_bound(position) <= bound) for bound in bounds]

    def __add__(self, other: "Histogram") -> "Histogram":
        """Add the counts, bucket by bucket.

        >>> Histogram(((1, 2),)) + Histogram(((0, 1), (1, 1)))
        Histogram(buckets=((0, 1), (1, 3)))
        """
        counts = dict(self.buckets)
        for position, count in other.buckets:
            counts[position] = counts.get(position, 0) + count
        return Histogram(tuple(sorted(counts.items())))


EMPTY = Histogram()
"""No duration at all."""
