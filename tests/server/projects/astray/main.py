# ruff: noqa: A002, PTH104, PTH110, PTH123  (`input` is what the platform calls it; a fork is quicker without pathlib)
"""An algorithm that starts processes which leave it, and one that closes what the server talks to it by."""

import os
import signal
import subprocess
import sys
import threading
import time


def apply(input):
    """Start what is asked for, note its pid, and go on as asked."""
    if input["start"]:
        globals()[input["start"]](input["pids"])
    return globals()[input["then"]](input)


def child(pids):
    note(pids, subprocess.Popen(["sleep", "1000"]).pid)


def daemon(pids):
    """Start a daemon as daemons are: in a session of its own, with no parent, no file and no environment of ours."""
    between = os.fork()
    if between == 0:
        os.setsid()
        if os.fork() == 0:
            os.closerange(0, 256)
            os.chdir("/")
            note(pids, os.getpid())
            os.execve("/bin/sleep", ["sleep", "1000"], {})
        os._exit(0)
    os.waitpid(between, 0)
    while not os.path.exists(pids):
        time.sleep(0.005)


def runner(pids):
    """Start a process that never stays one: each forks the next and ends."""
    if os.fork() == 0:
        os.setsid()
        note(pids, os.getpid())
        while True:
            if os.fork():
                os._exit(0)
    while not os.path.exists(pids):
        time.sleep(0.005)


def note(path, pid):
    with open(path + ".new", "w") as file:
        file.write(str(pid))
    os.rename(path + ".new", path)


def answer(input):
    return os.getpid()


def hang(input):
    print("about to hang")
    time.sleep(1000)


def end(input):
    os._exit(5)


def stop_the_keeper(input):
    os.kill(os.getppid(), signal.SIGSTOP)
    time.sleep(1000)


def stop_the_group(input):
    os.killpg(0, signal.SIGSTOP)


def end_the_group(input):
    os.killpg(0, signal.SIGKILL)


def close_all(input):
    os.closerange(0, 256)
    return os.getpid()


def close_output(input):
    os.close(1)
    os.close(2)
    return os.getpid()


def close_requests(input):
    """Close what the server sends requests by, and be there all the same."""
    threading.Thread(target=time.sleep, args=[1000]).start()
    os.closerange(3, 256)
    return os.getpid()


def reply_nothing(input):
    open(os.environ["ALGOPROF_REPLY_FIFO"], "w").close()
    time.sleep(1000)


def flood(input):
    block = b"x" * 2**20
    for _ in range(100):
        sys.stdout.buffer.write(block)
    return os.getpid()
