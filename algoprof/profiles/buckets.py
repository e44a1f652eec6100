"""The histogram's buckets: base 2^(1/8) in seconds, the schema 3 of Prometheus and the scale 3 of OpenTelemetry.

Plain numbers, so that the recorder's hot path can import them and nothing else.
"""

from bisect import bisect_left

SCHEMA = 3
"""Prometheus' native-histogram schema and OpenTelemetry's exponential scale: 2^3 buckets per doubling."""

LOWEST_INDEX = -186
"""The schema's index of the first bucket, whose upper bound is 2^(-186/8) s: 100 ns. Shorter durations fall into it."""

BUCKET_COUNT = 312
"""Buckets in all; the last one takes every duration above 46,341 s."""

BOUNDS_NS = tuple(int(2 ** (index / 8) * 1e9) for index in range(LOWEST_INDEX, LOWEST_INDEX + BUCKET_COUNT - 1))
"""The upper bounds, inclusive, in nanoseconds, of every bucket but the last."""


def bucket_of(duration_ns: int) -> int:
    """Return the position of the bucket that counts a duration in nanoseconds.

    >>> bucket_of(1_000_000_000)  # exactly one second: the bucket whose upper bound it is
    186
    >>> bucket_of(1_000_000_001)
    187
    """
    return bisect_left(BOUNDS_NS, duration_ns)


def upper_bound(position: int) -> float:
    """Return a bucket's upper bound in seconds, inclusive.

    >>> upper_bound(186)
    1.0
    """
    return float(2 ** ((position + LOWEST_INDEX) / 8))
