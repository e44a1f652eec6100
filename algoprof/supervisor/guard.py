"""Who stays when the supervisor itself is killed: it kills what that had started, and removes its folder."""

import os
import shutil
import signal
import time
from contextlib import suppress
from typing import NoReturn

from algoprof.supervisor import processes

_KILL_SECONDS = 10.0


class Guard:
    """A process beside this one, which sleeps until this one ends. To be dismissed.

    Linux kills the program when its supervisor dies, however it dies; what the program has started would live on.

    Args:
        supervision: what the environments of all that is supervised have in them.
        folder: what is to be removed.
    """

    def __init__(self, supervision: int, folder: str) -> None:
        there, self._here = os.pipe()
        self._pid = os.fork()
        if not self._pid:
            os.close(self._here)
            _stand(there, supervision, folder)
        os.close(there)

    def dismiss(self) -> None:
        """Send it away: this process ends by itself, or goes on."""
        with suppress(BrokenPipeError):  # it was killed
            os.write(self._here, b".")
        os.close(self._here)
        with suppress(ChildProcessError):  # and reaped with the others
            os.waitpid(self._pid, 0)


def _stand(there: int, supervision: int, folder: str) -> NoReturn:
    """Wait for a word or for the end of whoever would give it."""
    try:
        os.setsid()  # what kills or stops the terminal's job is not meant for it
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        processes.call_this(processes.GUARD)
        os.closerange(0, there)
        os.closerange(there + 1, max(os.sysconf("SC_OPEN_MAX"), 4096))
        if not os.read(there, 1):
            _kill(supervision)
            if folder:
                shutil.rmtree(folder, ignore_errors=True)
    finally:
        os._exit(0)


def _kill(supervision: int) -> None:
    """Kill until nobody is left: whoever is killed last may have started another one."""
    until = time.monotonic() + _KILL_SECONDS
    while time.monotonic() < until:
        was_one = False
        for pid in sorted(processes.pids(), reverse=True):  # the newest first: they have the least time to fork
            if supervision in processes.supervisions_of(pid):
                was_one = True
                with suppress(OSError):  # it has ended
                    os.kill(pid, signal.SIGKILL)
        if not was_one:
            return
