"""What is to be run, and how it is started: a script, a module, or any command."""

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from algoprof import timeouts
from algoprof.recorder.flight import STACKS, SUPERVISION, supervisions
from algoprof.recorder.process import SAMPLE_RATE, SAMPLER
from algoprof.supervisor import start


def script(path: str, arguments: Sequence[str]) -> list[str]:
    """Return the command line that runs a Python script, recorded from its first moment."""
    return [sys.executable, start.__file__, path, *arguments]


def module(name: str, arguments: Sequence[str]) -> list[str]:
    """Return the command line that runs a Python module as `python -m` does, recorded from its first moment."""
    return [sys.executable, start.__file__, "-m", name, *arguments]


def is_script(path: str) -> bool:
    """Whether a path is that of a Python script, by its name or its first line."""
    if path.endswith((".py", ".pyw")):
        return True
    try:
        with Path(path).open("rb") as file:
            first = file.readline(200)
    except OSError:
        return False
    return first.startswith(b"#!") and b"python" in first


def environment(
    timeout: float | None, supervision: int, stacks: str, *, sampler: str | None = None, rate: int | None = None
) -> dict[str, str]:
    """Return the environment of a supervised program.

    Args:
        timeout: seconds; the runs inside learn of it, unless a supervisor of this process will stop them earlier.
        supervision: what its flight files have in their headers, after what those of this process have.
        stacks: the folder for stacks.
        sampler: what its own stack sampler is to do; None leaves that to the variable, and samples without one.
        rate: samples per second; None leaves that to the variable.
    """
    found = dict(os.environ)
    found.setdefault("ALGOPROF_REPORT", "never")  # the supervisor reports
    found[SUPERVISION] = " ".join(map(str, (*supervisions(), supervision)))
    found[STACKS] = stacks
    if sampler is None:
        found.setdefault(SAMPLER, "on")
    else:
        found[SAMPLER] = sampler
    if rate is not None:
        found[SAMPLE_RATE] = str(rate)
    if timeout is not None:
        now = time.monotonic_ns()
        around = timeouts.enforced_until(now)
        if around is None or now + timeout * 1e9 < around:
            found[timeouts.VARIABLE] = repr(timeout)
            found[timeouts.BEGAN_VARIABLE] = str(now)
    return found
