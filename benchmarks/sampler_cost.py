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

ROUNDS = 24
CHUNK_SECONDS = 0.25
AT_MOST = 1.02
AT_MOST_OFF = {"main": 1.5, "other": 4.0}
PHASE_SECONDS = (0.002, 0.01, 0.2)
PHASES = Path(__file__).with_name("sampler_phases.py")


def compute(repeats: int) -> float:
    """Do the same work again and again; return the processor time that it took."""
    began = time.process_time()
    total = 0
    for number in range(repeats):
        total += number * number % 7
        if not number % 1000:
            total += len(sorted(str(total) * 20))
    return time.process_time() - began


def measured() -> dict[str, list[float]]:
    """Return the processor time of the same work with the sampler (B) and without (A), round by round."""
    from algoprof.recorder import process  # noqa: PLC0415  (the environment is set now)

    process.run_table().implicit_root()
    repeats = round(100_000 * CHUNK_SECONDS / compute(100_000))
    found: dict[str, list[float]] = {"before": [], "with": [], "after": [], "control": []}
    for _ in range(ROUNDS):
        for name, choice in (("before", "off"), ("with", "on"), ("after", "off"), ("control", "off")):
            process.sample(choice, 100)
            found[name].append(compute(repeats))
    return found


def ratio(upper: list[float], lower: list[float]) -> float:
    """Return the median of the ratios, round by round."""
    return statistics.median(one / other for one, other in zip(upper, lower, strict=True))


def error(where: str, phase_seconds: float) -> tuple[float, str]:
    """Return the largest error in percentage points, and who sampled."""
    command = [sys.executable, str(PHASES), "12", str(phase_seconds), where]
    done = subprocess.run(command, env=os.environ | {"ALGOPROF_SAMPLER": "on"}, check=True, stdout=subprocess.PIPE)
    found = json.loads(done.stdout)
    return found["worst"], found["sampler"]


def main() -> None:
    """Print the cost and the error."""
    found = measured()
    around = [(one + other) / 2 for one, other in zip(found["before"], found["after"], strict=True)]
    cost, control = ratio(found["with"], around), ratio(found["control"], found["after"])
    print(f"stack samples at 100 Hz: {cost:.4f} times the processor time, at most {AT_MOST}; A/A control {control:.4f}")
    print("largest error of six phases of equal length, in percentage points, of 12 s:")
    for phase_seconds in PHASE_SECONDS:
        for where, limit in AT_MOST_OFF.items():
            worst, sampler = error(where, phase_seconds)
            wanted = f", at most {limit}" if phase_seconds == 0.01 else ""
            print(f"  {where:5} thread, {phase_seconds * 1000:3.0f} ms: {worst:.2f}{wanted}  (by {sampler})")


if __name__ == "__main__":
    main()
