# ruff: noqa: A002  (`input` is what the platform calls it)
"""An algorithm that answers, raises, hangs or dies, as each of many calls asks; all it says has the call's token."""

import ctypes
import os
import signal
import subprocess
import sys
import time

from algoprof import profile, section

print("loaded")


@profile
def apply(input):
    """Do what the input asks for.

    Args:
        input: `do`, the name of a function here; `token`, the call's own text.
    """
    print(input["token"], "begins")
    with section(input["do"]):
        return globals()[input["do"]](input["token"], **input.get("with", {}))


def echo(token, size=0):
    print(token, "to stderr", file=sys.stderr)
    return {"token": token, "more": token[:1] * size}


def fail(token):
    error = ValueError(f"{token} fails")
    error.error_type = "InputError"
    raise error


def hang(token):
    print(token, "half a line", end="")
    time.sleep(1000)


def hang_with_family(token, mark):
    """Hang, with a child that is stopped and one that ignores SIGTERM, and this process stopped in the end."""
    ignoring = "import signal, sys; signal.signal(15, signal.SIG_IGN); signal.pause()"
    subprocess.Popen([sys.executable, "-I", "-S", "-c", ignoring, mark])
    stopped = child(mark)
    os.kill(stopped.pid, signal.SIGSTOP)
    print(token, "half a line", end="")
    os.kill(os.getpid(), signal.SIGSTOP)


def leave_behind(token, mark):
    """Return while a child goes on, which prints nothing."""
    child(mark)
    return {"token": token, "more": ""}


def be_killed(token):
    os.kill(os.getpid(), signal.SIGKILL)


def exit_at_once(token):
    os._exit(7)


def crash(token):
    ctypes.string_at(0)


def child(mark):
    return subprocess.Popen(["sh", "-c", "sleep 1000; :", mark])
