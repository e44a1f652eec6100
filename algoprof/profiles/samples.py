"""Stack samples: in which sections and on which lines a run was seen, and how often."""

from collections.abc import Iterable
from dataclasses import dataclass

SAMPLE_LIMIT = 20_000
"""So many different samples a profile keeps, the heaviest."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A function that was being executed, and where in it.

    Args:
        name: its qualified name.
        file: where it is written; a long path begins with `...`.
        line: the line that was being executed.
    """

    name: str
    file: str = ""
    line: int = 0

    def __str__(self) -> str:
        return f"{self.name} ({self.file}:{self.line})"


@dataclass(frozen=True, slots=True)
class Sample:
    """Where a thread was seen.

    Args:
        path: the names of the run's root and of the open sections, as `Profile.node` takes them.
        stack: the frames, outermost first; at most the 128 innermost ones.
        count: for how many intervals, `Profile.sample_interval` seconds each.
        concurrent: whether it was another thread than the main one.
    """

    path: tuple[str, ...]
    stack: tuple[Frame, ...]
    count: int
    concurrent: bool = False


@dataclass(frozen=True, slots=True)
class HotLine:
    """A line that was seen at the end of stacks.

    Args:
        frame: it.
        count: how often, in all.
        path: the sections in which that was most often.
        concurrent: whether it was in other threads than the main one.
    """

    frame: Frame
    count: int
    path: tuple[str, ...]
    concurrent: bool = False


def hot_lines(samples: Iterable[Sample]) -> list[HotLine]:
    """Return the lines at the end of stacks, the heaviest first.

    >>> solve = Frame("solve", "plan.py", 7)
    >>> [hot] = hot_lines([Sample(("job", "a"), (solve,), 3), Sample(("job", "b"), (solve,), 5)])
    >>> hot.count, hot.path
    (8, ('job', 'b'))
    """
    paths: dict[tuple[Frame, bool], dict[tuple[str, ...], int]] = {}
    for sample in samples:
        if sample.stack:
            counts = paths.setdefault((sample.stack[-1], sample.concurrent), {})
            counts[sample.path] = counts.get(sample.path, 0) + sample.count
    found = [
        HotLine(frame, sum(counts.values()), max(counts, key=lambda path: (counts[path], path)), concurrent)
        for (frame, concurrent), counts in paths.items()
    ]
    return sorted(found, key=lambda hot: (-hot.count, str(hot.frame)))


def heaviest(samples: Iterable[Sample]) -> tuple[tuple[Sample, ...], int]:
    """Return equal samples added up, the heaviest first and `SAMPLE_LIMIT` of them, and the counts of the others.

    >>> here = Sample(("job",), (Frame("solve"),), 2)
    >>> heaviest([here, here])[0][0].count
    4
    """
    counts: dict[tuple[tuple[str, ...], tuple[Frame, ...], bool], int] = {}
    for sample in samples:
        key = (sample.path, sample.stack, sample.concurrent)
        counts[key] = counts.get(key, 0) + sample.count
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    kept = tuple(Sample(path, stack, count, beside) for (path, stack, beside), count in ordered[:SAMPLE_LIMIT])
    return kept, sum(count for _, count in ordered[SAMPLE_LIMIT:])


def rescaled(samples: Iterable[Sample], interval_ns: int, wanted_ns: int) -> Iterable[Sample]:
    """Return samples of one interval as samples of another one."""
    if interval_ns == wanted_ns:
        return samples
    factor = interval_ns / wanted_ns
    return [
        Sample(sample.path, sample.stack, max(1, round(sample.count * factor)), sample.concurrent) for sample in samples
    ]
