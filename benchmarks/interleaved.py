"""Measures several things in turn, round after round, so that a noisy machine is noisy for all of them alike."""

import statistics
import time
from collections.abc import Callable, Mapping

Measured = Callable[[int], object]
"""Does the thing so many times."""


def ratios(
    baseline: str, measured: Mapping[str, Measured], *, rounds: int = 401, repeats: int = 100
) -> dict[str, tuple[float, float, float]]:
    """Return each thing's cost as a multiple of the baseline's in the same round: lower decile, median, upper decile.

    The cost of the empty loop is taken off both.
    """
    samples: dict[str, list[float]] = {name: [] for name in measured}
    for round_ in range(rounds + 1):
        costs = {name: _cost(body, repeats) for name, body in {"": _nothing, **measured}.items()}
        if round_:  # the first one warms up
            for name in measured:
                samples[name].append((costs[name] - costs[""]) / (costs[baseline] - costs[""]))
    return {name: _spread(values) for name, values in samples.items()}


def table(title: str, rows: Mapping[str, tuple[float, float, float]]) -> str:
    """Return the ratios as text."""
    width = max(len(name) for name in rows)
    lines = [title, f"  {'':{width}}   median   (10 % to 90 %)"]
    lines += [
        f"  {name:{width}}  {middle:7.2f}   ({low:.2f} to {high:.2f})" for name, (low, middle, high) in rows.items()
    ]
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
