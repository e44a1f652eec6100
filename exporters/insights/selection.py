"""Which numbers of a run are its insights, what they are called, and that they are no more than the platform takes."""

import math
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from zlib import crc32

from algoprof.errors import ConfigurationError
from algoprof.profiles.tree import Profile

LIMIT = 25
"""Metrics that the platform takes of one execution, those that the algorithm reports itself included."""

LONGEST_NAME = 100
"""Characters of a name; with numbers as values, 25 metrics are then far below the 25 KB that the platform takes."""

PREFIX = "algoprof_"
"""Begins every name, so that none is reserved or the algorithm's own."""

SELF = f"{PREFIX}self_seconds_"
"""Begins the name of a section's own time; the section's path below the run follows."""

OTHER = f"{PREFIX}other_self_seconds"
"""The own time of all the sections that have no metric of their own."""

FACTS: Mapping[str, Callable[[Profile], float | None]] = {
    "run_seconds": lambda run: run.duration,
    "budget_used_ratio": lambda run: run.budget_used_ratio,
    "timeout_seconds": lambda run: run.timeout,
    "failed": lambda run: run.outcome == "error",
    "unfinished": lambda run: run.outcome == "open",
    "cold_start": lambda _: None,  # no run knows: `Selection.of` is told
    "reports_lost": lambda _: None,
    "run_self_seconds": lambda run: (
        sum(node.self_ns for path, node in run.paths() if _section(run, path) is None) / 1e9
    ),
    "errors": lambda run: sum(node.errors for _, node in run.paths()),
    "cpu_seconds": lambda run: run.cpu_time,
    "memory_peak_bytes": lambda run: run.environment.memory_peak,
    "memory_peak_ratio": lambda run: run.environment.memory_peak_ratio,
    "gc_pause_seconds": lambda run: run.environment.gc_pause_time,
    "throttled_seconds": lambda run: run.environment.throttled_time,
}
"""What may be told of a run beside its sections, by name, the most important first; what is not known is left out."""


@dataclass(frozen=True, slots=True)
class Selection:
    """What is told of each run.

    Args:
        metrics: names of `FACTS`.
        sections: how many sections are told, the heaviest of each run; or the paths of those that always are, such as
            `improve/two_opt`, so that charts have no holes. The others add up in `OTHER`.
        limit: metrics of an execution at most; the rest of the platform's 25 is for the algorithm's own.

    Raises:
        ConfigurationError: if a metric is unknown, or a number cannot be meant.

    >>> Selection(["run_second"])  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    algoprof.errors.ConfigurationError: insights have no metric 'run_second'; they have run_seconds, ...
    """

    metrics: Collection[str] = tuple(FACTS)
    sections: int | Collection[str] = 6
    limit: int = 20

    def __post_init__(self) -> None:
        for name in self.metrics:
            if name not in FACTS:
                raise ConfigurationError(f"insights have no metric {name!r:.80}; they have {', '.join(FACTS)}")
        if isinstance(self.sections, str) or (isinstance(self.sections, int) and self.sections < 0):
            raise ConfigurationError(f"sections is {self.sections!r:.80}, but it is a number or a list of paths")
        if not isinstance(self.limit, int) or not 1 <= self.limit <= LIMIT:
            raise ConfigurationError(f"limit is {self.limit!r:.80}, but it is a number of metrics from 1 to {LIMIT}")

    def of(
        self, profile: Profile, *, cold_start: bool = False, reports_lost: int = 0, sent: Collection[str] = frozenset()
    ) -> dict[str, float]:
        """Return the insights of a run by name.

        Args:
            profile: the run.
            cold_start: whether it is the first of its process.
            reports_lost: how many executions' insights have not arrived so far; told only if some have not.
            sent: names that were told of this execution before: they count within the limit.

        >>> from algoprof.profiles.tree import Node
        >>> load = Node("load", 1, closed_ns=2_000_000_000)
        >>> run = Profile("job", (Node("job", 1, closed_ns=3_000_000_000, children=(load,)),), timeout=60)
        >>> Selection(["timeout_seconds", "cold_start"]).of(run)
        {'algoprof_timeout_seconds': 60, 'algoprof_cold_start': 0, 'algoprof_self_seconds_load': 2.0}
        """
        told = _Told(self.limit, sent)
        known = {"cold_start": cold_start, "reports_lost": reports_lost or None}
        for name, fact in FACTS.items():
            if name in self.metrics:
                told.add(PREFIX + name, known[name] if name in known else fact(profile))
        times = _self_times(profile)
        for name in self._told_sections(times, sent):
            if told.has_room(name, OTHER):
                told.add(name, times.pop(name, 0) / 1e9)
        if times:
            told.add(OTHER, sum(times.values()) / 1e9)
        return told.values

    def _told_sections(self, times: Mapping[str, int], sent: Collection[str]) -> list[str]:
        if not isinstance(self.sections, int):
            return list(dict.fromkeys(section_name(path) for path in self.sections))
        heaviest = sorted(times, key=lambda name: (name not in sent, -times[name], name))
        return heaviest[: self.sections]


class _Told:
    """The metrics of one execution: never more than the limit, those included that were sent before."""

    def __init__(self, limit: int, sent: Collection[str]) -> None:
        self.values: dict[str, float] = {}
        self._limit = limit
        self._names = set(sent)

    def add(self, name: str, value: float | None) -> None:
        """Take a metric if there is room for it, and its value is known and can be JSON."""
        if value is not None and math.isfinite(value) and self.has_room(name):
            self._names.add(name)
            self.values[name] = round(value, 6) if isinstance(value, float) else int(value)

    def has_room(self, *names: str) -> bool:
        """Return whether all these metrics can be taken."""
        return len(self._names.union(names)) <= self._limit


def section_name(path: str) -> str:
    """Return the name of the metric for a section's own time.

    It has letters, digits and underscores only, and ends in a checksum if it would be too long, or letters beyond
    ASCII are lost.

    >>> section_name("improve/two-opt"), section_name("größe")
    ('algoprof_self_seconds_improve_two_opt', 'algoprof_self_seconds_gr_e_5bd3a989')
    """
    name = SELF + re.sub(r"[^A-Za-z0-9]+", "_", path).strip("_")
    if path.isascii() and len(SELF) < len(name) <= LONGEST_NAME:
        return name
    return f"{name[: LONGEST_NAME - 9].rstrip('_')}_{crc32(path.encode('utf-8', 'surrogatepass')):08x}"


def _self_times(profile: Profile) -> dict[str, int]:
    """Return the own time of each section in nanoseconds, by the name of its metric; equal names add up."""
    times: dict[str, int] = {}
    for path, node in profile.paths():
        section = _section(profile, path)
        if section is not None:
            name = section_name(section)
            times[name] = times.get(name, 0) + node.self_ns
    return times


def _section(profile: Profile, path: tuple[str, ...]) -> str | None:
    """Return a section as its path below the run; None for the run itself."""
    below = path[1:] if path[0] == profile.name else path
    return "/".join(below) if below else None
