"""What a process does for whoever supervises it: it beats, and writes the stack of each thread when it is asked to."""

import os
import signal
from _thread import start_new_thread
from time import sleep

from algoprof.recorder import layout as at
from algoprof.recorder.flight import FlightFile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

UNRECORDED = ".unrecorded"
"""How the name of a file in that folder ends in which a process says why it has no flight file."""

_BEAT_SECONDS = 0.1
_HIGH = 512  # a file descriptor that no program counts on


def begin(flight: FlightFile, folder: str, beat: "Callable[[], None]") -> None:
    """Beat from now on, and write stacks when the signal comes that the flight file's header names.

    The signal is one of the real-time ones that the program does not use. Its handler is faulthandler's, which needs
    no GIL: C code that holds it is looked through.

    Args:
        flight: this process's flight file.
        folder: where stacks are wanted.
        beat: leaves a sign of life.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())  # what the thread takes over: none
    start_new_thread(_beat, (flight, os.getpid(), beat))
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    import faulthandler  # noqa: PLC0415  (built in, and asked for only here)

    number = next((one for one in _candidates() if signal.getsignal(one) is signal.SIG_DFL), 0)
    if number:
        handle = _opened(os.path.join(folder, str(os.getpid())))
        faulthandler.register(number, file=handle, all_threads=True, chain=False)
        flight.words[at.HEADER_SIGNAL] = number | handle << 32


def tell_unrecorded(folder: str, reason: str) -> None:
    """Tell the supervisor why this process has no flight file, since it cannot read what is in memory alone.

    Raises:
        OSError: if that cannot be written; a file that is empty says that there was no room for it.
    """
    with open(os.path.join(folder, f"{os.getpid()}{UNRECORDED}"), "w", encoding="utf-8") as file:
        file.write(reason)


def _beat(flight: FlightFile, pid: int, beat: "Callable[[], None]") -> None:
    try:
        while os.getpid() == pid and not flight.words[at.HEADER_CLOSED]:
            beat()
            sleep(_BEAT_SECONDS)
    except ValueError:  # the file was given back
        return


def _candidates() -> range:
    """Return the real-time signals, the last first: programs begin with the first."""
    return range(signal.SIGRTMAX, signal.SIGRTMIN, -1) if hasattr(signal, "SIGRTMAX") else range(0)


def _opened(path: str) -> int:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    import fcntl  # noqa: PLC0415  (not on every platform, and none but POSIX has supervisors)

    try:
        high = fcntl.fcntl(handle, fcntl.F_DUPFD_CLOEXEC, _HIGH)
    except OSError:  # the process may not have so many open
        return handle
    os.close(handle)
    return high
