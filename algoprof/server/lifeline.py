"""Processes that end with the one that started them, even if that is killed; as a program, it runs a command so."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from typing import NoReturn

GRACE = 2.0
"""Seconds between SIGTERM and SIGKILL for what a command has started."""

_PR_SET_PDEATHSIG = 1


class _Stopped(BaseException):
    """SIGTERM has come."""


def hold(parent: int) -> None:
    """Have Linux send this process SIGTERM when its parent ends, however that ends.

    Args:
        parent: the parent's process id, as the parent knows it: it may have ended before this call.
    """
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGTERM)


def command(arguments: Sequence[str]) -> list[str]:
    """Return a command line that runs another one in its process group, which ends with this process or at SIGTERM.

    It must be started as the leader of a session of its own.
    """
    return [sys.executable, "-I", __file__, str(os.getpid()), *arguments]


def main() -> int:
    """Run the command and return its exit status."""
    parent, *arguments = sys.argv[1:]
    try:
        signal.signal(signal.SIGTERM, _stop)
        hold(int(parent))
        with subprocess.Popen(arguments, stdin=subprocess.DEVNULL) as process:
            try:
                status = process.wait()
            except _Stopped:
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
                os.killpg(0, signal.SIGTERM)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(GRACE)
                os.killpg(0, signal.SIGKILL)
    except _Stopped:  # before there was anything to stop
        os.killpg(0, signal.SIGKILL)
    return status if status >= 0 else 128 - status


def _stop(_number: int, _frame: object) -> NoReturn:
    raise _Stopped


if __name__ == "__main__":
    sys.exit(main())
