"""Measures several things in turn, round after round, so that a noisy machine is noisy for all of them alike."""

import statistics
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType

Measured = Callable[[int], object]
"""Does the thing so many times."""


def ratios(
    baseline: str,
    measured: Mapping[str, Measured],
    *,
    rounds: int = 301,
    repeats: int = 200,
    between: Callable[[], object] = bool,
) -> dict[str, tuple[float, float, float]]:
    """Return each thing's cost as a multiple of the baseline's in the same round: lower decile, median, upper decile.

    Rounds are many and short, so that losing the processor falls into few of them. The cost of the empty loop is
    taken off both.

    Args:
        baseline: the name of what the others are measured in.
        measured: what to do, by name.
        rounds: how often each is measured.
        repeats: how often each is done in a round.
        between: called after each of them, to let what they leave behind come to rest.
    """
    samples: dict[str, list[float]] = {name: [] for name in measured}
    for round_ in range(rounds + 1):
        costs = {}
        for name, body in {"": _nothing, **measured}.items():
            body(repeats // 10)  # whatever ran before has filled the caches
            costs[name] = _cost(body, repeats)
            between()
        if round_:  # the first one warms up
            for name in measured:
                samples[name].append((costs[name] - costs[""]) / (costs[baseline] - costs[""]))
    return {name: _spread(values) for name, values in samples.items()}


def table(
    title: str, rows: Mapping[str, tuple[float, float, float]], at_most: Mapping[str, float] = MappingProxyType({})
) -> str:
    """Return the ratios as text, beside what they are to be at most."""
    width = max(len(name) for name in rows)
    lines = [title, f"  {'':{width}}   median   (10 % to 90 %)"]
    for name, (low, middle, high) in rows.items():
        limit = f"   at most {at_most[name]:g}" if name in at_most else ""
        lines.append(f"  {name:{width}}  {middle:7.2f}   ({low:.2f} to {high:.2f}){limit}")
    return "\n".join(lines)


def _cost(body: Measured, repeats: int) -> float:
    started = time.perf_counter_ns()
    body(repeats)
    return (time.perf_counter_ns() - started) / repeats


def _nothing(repeats: int) -> None:
    for _ in range(repeats):
        pass


def _spread(values: list[float]) -> tuple[float, float, float]:
    deciles = statistics.quantiles(values, n=10)
    return deciles[0], statistics.median(values), deciles[-1]
