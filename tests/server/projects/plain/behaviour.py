# ruff: noqa: A002  (`input` is what the platform calls it)
"""An algorithm that does what its input says."""

import asyncio
import ctypes
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

print("loading")
made = []


def apply(input):
    made.append(1)
    if not isinstance(input, dict) or "do" not in input:
        return input
    return globals()[input["do"]](**{key: value for key, value in input.items() if key != "do"})


def say(out="out", err="err"):
    print(out)
    print(err, file=sys.stderr)
    print("unfinished", end="")
    return "said"


def fail(message="it failed", error_type=None):
    error = ValueError(message)
    if error_type:
        error.error_type = error_type
    raise error


def hang(before="before the hang"):
    print(before)
    print("half a line", end="")
    time.sleep(1000)


def hang_with_children():
    """Hang, with a child that ignores SIGTERM and one that is stopped, and this process stopped in the end."""
    ignoring = subprocess.Popen(
        [sys.executable, "-c", "import signal; signal.signal(15, signal.SIG_IGN); signal.pause()"]
    )
    stopped = subprocess.Popen(["sleep", "1000"])
    os.kill(stopped.pid, signal.SIGSTOP)
    print("pids", os.getpid(), ignoring.pid, stopped.pid)
    os.kill(os.getpid(), signal.SIGSTOP)


def key():
    return os.environ["ALGORITHMIA_API_KEY"]


def end(code=3):
    os._exit(code)


def leave(code=4):
    sys.exit(code)


def leave_with_a_thread():
    threading.Thread(target=time.sleep, args=[1000]).start()
    raise KeyboardInterrupt


def fork(end="return"):
    """Fork; the child returns too, fails or exits, and the parent returns once it is gone."""
    child = os.fork()
    if child == 0:
        if end == "return":
            return "from the child"
        raise {"fail": ValueError("of the child"), "exit": SystemExit(7)}[end]
    return ["from the parent", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])]


def crash():
    os.kill(os.getpid(), signal.SIGSEGV)


def late(printed):
    """Print after the answer, and make a file then."""

    def after():
        print("much too late", flush=True)
        Path(printed).touch()

    threading.Timer(0.2, after).start()
    return "early"


def counted():
    return len(made)


def state():
    return {
        "argv": sys.argv,
        "cwd": str(Path.cwd()),
        "stdin": os.fstat(0).st_ino == Path(os.devnull).stat().st_ino,
        "api": os.environ.get("ALGORITHMIA_API"),
        "variables": sorted(name for name in os.environ if name.startswith("ALGOPROF_")),
        "pid": os.getpid(),
        "open": sum(1 for _ in Path("/proc/self/fd").iterdir()),
    }


def read(path):
    """Read from the data API, with what any program finds in its environment."""
    address, key = os.environ["ALGORITHMIA_API"], os.environ["ALGORITHMIA_API_KEY"]
    request = urllib.request.Request(address + path, headers={"Authorization": f"Simple {key}"})
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.read().decode()
    except urllib.error.HTTPError as refused:
        return refused.headers["X-Error-Message"]


def large(mebibytes):
    return "x" * (mebibytes * 1024 * 1024)


def flood(lines):
    for number in range(lines):
        print(number, "x" * 90)
    return lines


def binary():
    return bytes(range(256))


def unserializable():
    return {"frames": [1, 2, 3, object()]}


def nested(depth):
    value = []
    for _ in range(depth - 1):
        value = [value]
    return value


def nan():
    return {"scores": [0.5, float("nan")]}


def tuple_key():
    return {"a": {(1, 2): 3}}


def circular():
    value = []
    value.append({"again": value})
    return value


def surrogate():
    return "\ud800 and \U0001f600"


def garbage(text):
    """Write to the reply pipe what is no reply, and never answer."""
    Path(os.environ["ALGOPROF_REPLY_FIFO"]).write_text(text)
    time.sleep(1000)


def sleep(seconds, begun=None):
    """Sleep; make a file when that begins."""
    if begun is not None:
        Path(begun).touch()
    time.sleep(seconds)
    return seconds


def read_stdin():
    return sys.stdin.read()


def close_stdout():
    print("before it is closed")
    os.close(1)
    return "answered"


def print_from_c(text):
    """Print through the buffer of the C library, which a pipe does not flush."""
    return ctypes.CDLL(None).printf(text.encode())


def buffer_stdout(text):
    """Print through a buffer of one's own."""
    sys.stdout = open(1, "w", buffering=4096, closefd=False)  # noqa: SIM115
    sys.stdout.write(text)
    return text


def write_algoout(text):
    """Write to the file that is the reply pipe on the platform."""
    path = Path("/tmp/algoout")
    with path.open("x") as file:
        file.write(text)
    path.unlink()
    return "answered"


def wander():
    os.environ["WANDERED"] = "yes"
    os.umask(0)
    os.chdir("/")
    return os.getcwd()  # noqa: PTH109


def where():
    return [Path.cwd().name, os.environ.get("WANDERED"), os.environ["ALGOPROF_REPLY_FIFO"]]


def ignore_signals():
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    return os.getpid()


def pool(method):
    print("in the parent")
    with multiprocessing.get_context(method).Pool(2) as workers:
        squares = workers.map(square, [1, 2, 3])
        workers.close()
        workers.join()
        return squares


def square(number):
    print("in a child")
    return number**2


def run_asyncio():
    async def later(number):
        await asyncio.sleep(0.01)
        return number

    async def both():
        return await asyncio.gather(later(1), later(2))

    return asyncio.run(both())


async def coroutine():
    return "never"


def generator():
    yield 1


async def async_generator():
    yield 1


def within():
    return {"rows": [1, (number for number in range(3))]}


def recurse():
    return recurse()


def linger(folder):
    """Leave a thread behind that prints when it is told to."""

    def wait():
        while not Path(folder, "go").exists():
            time.sleep(0.005)
        print("from a thread of an earlier call")
        Path(folder, "gone").touch()

    print("said by the call")
    threading.Thread(target=wait).start()
    return "answered"


def wait_for(path):
    print("waiting")
    while not Path(path).exists():
        time.sleep(0.005)
    print("waited")
    return "answered"
