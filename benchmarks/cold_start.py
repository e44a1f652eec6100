"""What `import algoprof` and a first section add to a cold start, beside the smallest peer's import."""

import os
import statistics
import subprocess
import sys

ROUNDS = 15
PROGRAMS = {
    "import codetiming": "import codetiming",
    "import algoprof": "import algoprof",
    "import algoprof, first section": "from algoprof import section\nwith section('x'): pass",
    "import opentelemetry.sdk.trace": "import opentelemetry.sdk.trace",
}
_TIMED = "import time\nstarted = time.perf_counter_ns()\n{}\nprint(time.perf_counter_ns() - started)"


def main() -> None:
    """Measure in turn and print multiples of codetiming's import."""
    samples: dict[str, list[float]] = {name: [] for name in PROGRAMS}
    for program in PROGRAMS.values():
        _cost(program)  # writes the bytecode
    for _ in range(ROUNDS):
        costs = {name: _cost(program) for name, program in PROGRAMS.items()}
        for name, cost in costs.items():
            samples[name].append(cost / costs["import codetiming"])
    print(f"cold start, as a multiple of `import codetiming` in the same round; median of {ROUNDS}")
    for name, values in samples.items():
        print(f"  {name:32} {statistics.median(values):6.2f}")


def _cost(program: str) -> int:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-c", _TIMED.format(program)]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return int(done.stdout)


if __name__ == "__main__":
    main()
