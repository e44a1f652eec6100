"""What stack samples cost a program that only computes, and how far off they are.

Run it with `make bench`. Each round works without, with, without and once more without the sampler, in turn: the
ratio of the last two is the A/A control, and says how much of a difference is the machine's.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

ROUNDS = 24
CHUNK_SECONDS = 0.25
AT_MOST = 1.02
AT_MOST_OFF = {"main": 1.5, "other": 4.0}
PHASE_SECONDS = (0.002, 0.01, 0.2)
PHASES = Path(__file__).with_name("sampler_phases.py")


class Spent(NamedTuple):
    """What a piece of work took, in seconds."""

    processor: float
    wall: float


def compute(repeats: int) -> Spent:
    """Do the same work again and again."""
    processor, wall = time.process_time(), time.perf_counter()
    total = 0
    for number in range(repeats):
        total += number * number % 7
        if not number % 1000:
            total += len(sorted(str(total) * 20))
    return Spent(time.process_time() - processor, time.perf_counter() - wall)


def measured() -> dict[str, list[Spent]]:
    """Return what the same work took without the sampler, with it, and twice more without it, round by round."""
    from algoprof.recorder import process  # noqa: PLC0415  (the environment is set now)

    process.run_table().implicit_root()
    repeats = round(100_000 * CHUNK_SECONDS / compute(100_000).processor)
    found: dict[str, list[Spent]] = {"before": [], "with": [], "after": [], "control": []}
    for _ in range(ROUNDS):
        for name, choice in (("before", "off"), ("with", "on"), ("after", "off"), ("control", "off")):
            process.sample(choice, 100)
            found[name].append(compute(repeats))
    return found


def ratio(more: list[Spent], less: list[Spent]) -> float:
    """Return how many times as dear the one is as the other: the median, round by round.

    It is the additional processor time per second of the clock, for ticks come by the clock: where a program has its
    processor to itself, as it should, that is the ratio of the two.
    """
    pairs = zip(more, less, strict=True)
    return 1 + statistics.median((one.processor - other.processor) / one.wall for one, other in pairs)


def error(where: str, phase_seconds: float) -> tuple[float, str]:
    """Return the largest error in percentage points, and who sampled."""
    command = [sys.executable, str(PHASES), "12", str(phase_seconds), where]
    done = subprocess.run(command, env=os.environ | {"ALGOPROF_SAMPLER": "on"}, check=True, stdout=subprocess.PIPE)
    found = json.loads(done.stdout)
    return found["worst"], found["sampler"]


def main() -> None:
    """Print the cost and the error."""
    found = measured()
    around = [
        Spent((one.processor + other.processor) / 2, 0)
        for one, other in zip(found["before"], found["after"], strict=True)
    ]
    cost, control = ratio(found["with"], around), ratio(found["control"], found["after"])
    print(f"stack samples at 100 Hz: {cost:.4f} times the time, at most {AT_MOST}; A/A control {control:.4f}")
    print("largest error of six phases of equal length, in percentage points, of 12 s:")
    for phase_seconds in PHASE_SECONDS:
        for where, limit in AT_MOST_OFF.items():
            worst, sampler = error(where, phase_seconds)
            wanted = f", at most {limit}" if phase_seconds == 0.01 else ""
            print(f"  {where:5} thread, {phase_seconds * 1000:3.0f} ms: {worst:.2f}{wanted}  (by {sampler})")


if __name__ == "__main__":
    main()
