"""Six phases of about the same length, and how far the sampler is off: for `sampler_cost.py` and the tests.

Run by itself it prints one line of JSON: the largest error in percentage points, and what it is made of.
"""

import hashlib
import json
import sys
import threading
import time
from collections.abc import Callable

from algoprof import profile
from algoprof.profiles.tree import Profile

_DATA = bytes(65536)
_NUMBERS = [float(number) for number in range(30_000)]
_TEXT = "the quick brown fox " * 500


def in_python() -> int:
    """Run bytecode alone."""
    total = 0
    for number in range(2000):
        total += number * number
    return total


def in_calls() -> int:
    """Call Python functions."""
    return sum(_square(number) for number in range(800))


def _square(number: int) -> int:
    return number * number


def in_c() -> float:
    """Run C code that holds the GIL."""
    return sum(_NUMBERS)


def in_strings() -> int:
    """Run short C calls."""
    return sum(len(_TEXT.replace("quick", "slow").split("o")) for _ in range(4))


def in_c_without_the_gil() -> bytes:
    """Run C code that lets others run."""
    return hashlib.sha256(_DATA).digest()


def waiting() -> None:
    """Wait."""
    time.sleep(0.002)


PHASES: tuple[Callable[[], object], ...] = (in_python, in_calls, in_c, in_strings, in_c_without_the_gil, waiting)


def work(seconds: float, phase_seconds: float, truth: dict[str, float]) -> None:
    """Go from phase to phase, and note how long each took."""
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        for phase in PHASES:
            began = now = time.perf_counter()
            while now - began < phase_seconds:
                phase()
                now = time.perf_counter()
            truth[phase.__name__] = truth.get(phase.__name__, 0.0) + now - began


def errors(found: Profile, truth: dict[str, float], *, concurrent: bool) -> dict[str, float]:
    """Return by how many percentage points the share of each phase is off."""
    seen = dict.fromkeys(truth, 0)
    for sample in found.samples:
        names = {frame.name for frame in sample.stack} & truth.keys()
        if sample.concurrent == concurrent:
            for name in names:
                seen[name] += sample.count
    return {name: 100 * (seen[name] / max(1, sum(seen.values())) - truth[name] / sum(truth.values())) for name in truth}


def main() -> None:
    """Work for some seconds, in the main thread or in another one, and print how far off the samples are."""
    seconds, phase_seconds, where = float(sys.argv[1]), float(sys.argv[2]), sys.argv[3]
    truth: dict[str, float] = {}
    with profile("phases") as run:
        if where == "main":
            work(seconds, phase_seconds, truth)
        else:
            thread = threading.Thread(target=work, args=(seconds, phase_seconds, truth))
            thread.start()
            thread.join()
        recorded = run.snapshot()
    if where != "main":  # outside the run: a thread begins with no context
        import algoprof  # noqa: PLC0415  (only then)

        recorded = algoprof.snapshot()
    found = errors(recorded, truth, concurrent=where != "main")
    print(json.dumps({"worst": max(map(abs, found.values())), "errors": found, "sampler": recorded.sampler}))


if __name__ == "__main__":
    main()
