"""Processes that a killed server has left: told by what their environment names, and ended."""

import contextlib
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path

from algoprof.server import lifeline

_GRACE = lifeline.GRACE + 1  # seconds for those that end what is below them, as keepers and lifelines do
_PATIENCE = 10.0  # seconds for the kernel to end what is killed
_PAUSE = 0.01


def end(mark: Path) -> None:
    """Wait until nobody is left, for a moment, and then kill, until nobody is: who is killed may have forked.

    Args:
        mark: a process is meant if a variable of its environment is this path, or lies below it.
    """
    begun = time.monotonic()
    while (found := _left(os.fsencode(mark))) and time.monotonic() < begun + _GRACE + _PATIENCE:
        if time.monotonic() > begun + _GRACE:
            for pid in reversed(found):  # the newest first: they have the least time to fork
                with contextlib.suppress(OSError):  # it has ended
                    os.kill(pid, signal.SIGKILL)
        time.sleep(_PAUSE)


def _left(mark: bytes) -> Sequence[int]:
    numbers = sorted(int(path.name) for path in Path("/proc").glob("[0-9]*"))
    return [pid for pid in numbers if pid != os.getpid() and _is_meant(pid, mark)]


def _is_meant(pid: int, mark: bytes) -> bool:
    try:
        entries = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False  # gone, or another user's
    values = [entry.partition(b"=")[2] for entry in entries]
    return any(value == mark or value.startswith(mark + b"/") for value in values)
