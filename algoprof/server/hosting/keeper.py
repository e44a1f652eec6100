"""What the server starts for each worker: it stands between the two, and nothing that the worker starts outlives it.

A daemon leaves its process group and its session, but not the tree below this process, which adopts whoever loses its
parent there. One file, standard library only: it runs with the Python of the algorithm's own environment. Arguments:
the file that the worker runs, and that one's arguments.
"""

import ctypes
import os
import signal
import sys
import time
from typing import NoReturn

SERVER = "ALGOPROF_SERVER_PID"
"""The environment variable that names the server; the worker does not see it."""
WORKER = "ALGOPROF_WORKER_PID_FILE"
"""The environment variable that names the file for the worker's pid; likewise."""

PID, ENDED = "pid", "ended"
"""The files in a worker's directory with its pid, and with when it was ended or seen to have ended: monotonic ns."""

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_NAME, _PR_SET_CHILD_SUBREAPER = 1, 4, 15, 36
_NAME = b"algoprof-keeper"
_EVENTS = (signal.SIGCHLD, signal.SIGTERM)
_LOOK = 0.05  # seconds between two looks for who is still to be killed
_PATIENCE = 4.0  # seconds for the kernel to end what is killed


def fork() -> None:
    """Fork; return in the worker alone, and end this process when the worker or the server ends, or the server says so.

    It then ends as the worker did, after all that the worker has started; by SIGKILL if the server has said so.
    """
    server, noted = int(os.environ.pop(SERVER)), os.environ.pop(WORKER)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _EVENTS)
    control = ctypes.CDLL(None).prctl
    control(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != server:
        os._exit(1)
    control(_PR_SET_CHILD_SUBREAPER, 1)
    keeper, worker = os.getpid(), os.fork()
    if worker:
        with open(noted, "w", encoding="ascii") as file:  # noqa: PTH123  (pathlib would be one more import)
            file.write(str(worker))
        os.closerange(0, 3)  # the pipes are the worker's
        control(_PR_SET_NAME, _NAME)
        code = _keep(worker, server, os.path.join(os.path.dirname(noted), ENDED))  # noqa: PTH118, PTH120
        control(_PR_SET_DUMPABLE, 0)  # a core, if one is kept, is the worker's
        _end_as(code)
    os.setsid()
    control(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != keeper:
        os._exit(1)
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _keep(worker: int, server: int, ended: str) -> int:
    """Wait until the worker is to end or has ended, note when, kill what is left below, and return how it has ended."""
    while True:
        event = signal.sigwaitinfo(_EVENTS)
        if event.si_signo == signal.SIGTERM:
            if event.si_pid == server or os.getppid() != server:
                _note_now(ended)
                _end_children()
                return -signal.SIGKILL
            os.kill(worker, signal.SIGTERM)  # somebody else's, and meant for the worker
        status = _reap(worker)
        if status is not None:
            _note_now(ended)
            _end_children()
            return os.waitstatus_to_exitcode(status)


def _note_now(path: str) -> None:
    """Write the monotonic time to a file, if there is room for it."""
    try:
        with open(path, "w", encoding="ascii") as file:  # noqa: PTH123
            file.write(str(time.monotonic_ns()))
    except OSError:
        pass


def _reap(worker: int) -> int | None:
    """Take leave of children that have ended, adopted ones too, up to the worker, and return its status if it has."""
    while True:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == worker:
            return status
        if pid == 0:
            return None


def _end_children() -> None:
    """Kill children until there is none: those of whoever is killed are adopted, and are the next."""
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until:
        try:
            if os.waitpid(-1, os.WNOHANG)[0]:
                continue
        except ChildProcessError:
            return
        for child in _children():
            try:
                os.kill(child, signal.SIGKILL)  # ours until it is waited for, so the number is still its own
            except PermissionError:
                continue  # it has become another user's
        signal.sigtimedwait((signal.SIGCHLD,), _LOOK)


def _children() -> list[int]:
    """Return this process's children; where one ends meanwhile, perhaps not all of them."""
    own = os.getpid()
    try:
        with open(f"/proc/{own}/task/{own}/children", "rb") as file:  # noqa: PTH123
            return [int(pid) for pid in file.read().split()]
    except OSError:  # a kernel without it
        return [int(name) for name in os.listdir("/proc") if name.isdecimal() and _parent(name) == own]  # noqa: PTH208


def _parent(pid: str) -> int:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123
            return int(file.read().rpartition(b")")[2].split()[1])
    except OSError:  # it has ended
        return 0


def _end_as(code: int) -> NoReturn:
    """End with an exit code, or by minus that signal."""
    if code < 0:
        if -code != signal.SIGKILL:
            signal.signal(-code, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, (-code,))
        os.kill(os.getpid(), -code)
    os._exit(code)


if __name__ == "__main__":
    fork()
    sys.argv = sys.argv[1:]
    __file__ = sys.argv[0]
    with open(__file__, "rb") as _source:  # noqa: PTH123
        _code = compile(_source.read(), __file__, "exec")
    exec(_code)  # noqa: S102  (without a process or a frame more than that)
