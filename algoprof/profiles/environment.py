"""What was around a run: the processors and the memory it might use, and what kept it waiting."""

from collections.abc import Iterable
from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class Environment:
    """What explains why a run is slow there and fast here. All of it is the process's, not the run's alone.

    Whatever the machine does not tell, or did not tell before a kill, is None.

    Args:
        python: the version of Python.
        cpu_count: processors that the process may use.
        cpu_quota: how many processors' worth of time the control group gets; None without a quota.
        load_average: of the machine over a minute, when the run began.
        memory_limit: bytes that the control group may use; None without a limit.
        memory_peak: the most that the process held since it began, in bytes.
        group_memory_peak: the most that its control group used, in bytes, caches of files included.
        periods: of the quota, during the run.
        throttled_periods: how many of those the control group was held back in.
        throttled_ns: for how long, all its processors together.
        gc_pauses: collections of the garbage collector during the run.
        gc_paused_ns: how long they took together.
        gc_longest_ns: the longest of them.

    >>> Environment(periods=40, throttled_periods=10).throttled_ratio
    0.25
    """

    python: str = ""
    cpu_count: int | None = None
    cpu_quota: float | None = None
    load_average: float | None = None
    memory_limit: int | None = None
    memory_peak: int | None = None
    group_memory_peak: int | None = None
    periods: int | None = None
    throttled_periods: int | None = None
    throttled_ns: int | None = None
    gc_pauses: int | None = None
    gc_paused_ns: int | None = None
    gc_longest_ns: int | None = None

    @property
    def throttled_time(self) -> float | None:
        """Seconds for which the quota held the control group back, all its processors together."""
        return None if self.throttled_ns is None else self.throttled_ns / 1e9

    @property
    def throttled_ratio(self) -> float | None:
        """The share of the quota's periods in which the control group was held back."""
        return None if self.throttled_periods is None or not self.periods else self.throttled_periods / self.periods

    @property
    def memory_peak_ratio(self) -> float | None:
        """The most that the process held, as a share of what its control group may use."""
        return None if self.memory_peak is None or not self.memory_limit else self.memory_peak / self.memory_limit

    @property
    def gc_pause_time(self) -> float | None:
        """Seconds that the garbage collector took."""
        return None if self.gc_paused_ns is None else self.gc_paused_ns / 1e9

    def as_attributes(self) -> dict[str, str | int | float | bool]:
        """Return what is known, by the names of the fields.

        >>> Environment(python="3.13.1", cpu_count=4).as_attributes()
        {'python': '3.13.1', 'cpu_count': 4}
        """
        known = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in known.items() if value not in (None, "")}


def merge_environments(environments: Iterable[Environment]) -> Environment:
    """Return what holds for all: the counts added up, the highest peaks, and other facts where they are the same.

    >>> merged = merge_environments([Environment(cpu_count=4, gc_pauses=2), Environment(gc_pauses=3)])
    >>> merged.cpu_count, merged.gc_pauses, merged.memory_limit
    (4, 5, None)
    """
    every = list(environments)
    merged: dict[str, object] = {}
    for field in fields(Environment):
        known = [value for one in every if (value := getattr(one, field.name)) not in (None, "")]
        if not known:
            continue
        if field.name in _ADDED:
            merged[field.name] = sum(known)
        elif field.name in _HIGHEST:
            merged[field.name] = max(known)
        elif len(set(known)) == 1:
            merged[field.name] = known[0]
    return Environment(**merged)  # type: ignore[arg-type]  # by the names of its fields


_ADDED = {"periods", "throttled_periods", "throttled_ns", "gc_pauses", "gc_paused_ns"}
_HIGHEST = {"load_average", "memory_peak", "group_memory_peak", "gc_longest_ns"}
