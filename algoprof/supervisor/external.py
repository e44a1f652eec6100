"""py-spy, which samples a program from outside: started beside the program, and stopped before that is killed."""

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from algoprof.profiles.samples import Frame, Sample, heaviest
from algoprof.recorder.own_threads import PACKAGE, is_own
from algoprof.supervisor import processes

_TRIES = 20  # to look into a process that may not have begun to be a Python program
_END_SECONDS = 5.0
_LOOK_SECONDS = 0.005
_LARGEST = 64 * 1024 * 1024
_DEEPEST = 128
_OURS = (PACKAGE, "<frozen runpy>")
MISSING = "there is no py-spy: pip install 'algoprof[sampler]'"


class External:
    """py-spy for one program.

    Args:
        folder: where it may write.
        rate: samples per second.
    """

    def __init__(self, folder: str, rate: int) -> None:
        beside = Path(sys.executable).with_name("py-spy")
        self._program = shutil.which("py-spy") or (str(beside) if beside.exists() else "")
        self._output, self._errors = Path(folder, "py-spy.txt"), Path(folder, "py-spy-errors.txt")
        self._target = self._tries = 0
        self.rate = rate
        self.pid = 0
        """Its process; 0 before it was started."""
        self.failure = "" if self._program else MISSING
        """Why there are no samples, as far as is known."""

    def begin(self, target: int) -> None:
        """Start it for a process. Where it ended for it found no Python there yet, start it again."""
        if not self._program or self._tries >= _TRIES or (self.pid and (self._lives() or self._output.exists())):
            return
        self._target, self._tries = target, self._tries + 1
        options = ["--format", "raw", "--rate", str(self.rate), "--threads", "--idle", "--full-filenames"]
        with self._errors.open("wb") as errors:
            self.pid = subprocess.Popen(
                [self._program, "record", *options, "--pid", str(target), "--output", str(self._output)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                env={name: value for name, value in os.environ.items() if not name.startswith("ALGOPROF_")},
                preexec_fn=_prepare,  # noqa: PLW1509  (this process has one thread)
            ).pid

    def end(self) -> None:
        """Have it write what it has seen, and wait for that; the program may then be killed."""
        if self.pid and self._lives():
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGINT)
            until = time.monotonic() + _END_SECONDS
            while self._lives() and time.monotonic() < until:
                time.sleep(_LOOK_SECONDS)
            if self._lives():
                os.kill(self.pid, signal.SIGKILL)

    def samples(self) -> tuple[Sample, ...]:
        """Return what it has seen, in no section; empty, and `failure` says why, if nothing."""
        try:
            with self._output.open(encoding="utf-8", errors="replace") as file:
                text = file.read(_LARGEST)
        except OSError:
            if not self.failure:
                self.failure = f"py-spy could not look into the program{self._reason()}"
            return ()
        return heaviest(_parsed(text, self._target))[0]

    def _reason(self) -> str:
        with suppress(OSError):
            lines = [line.strip() for line in self._errors.read_text("utf-8", "replace").splitlines() if line.strip()]
            if lines:
                return f": {lines[-1][:200]}"
        return ""

    def _lives(self) -> bool:
        with suppress(ChildProcessError):  # reaped already
            return os.waitpid(self.pid, os.WNOHANG)[0] == 0
        return False


def _prepare() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.setsid()  # what the terminal sends is meant for the program
    processes.end_with_parent(signal.SIGKILL)


def _parsed(text: str, pid: int) -> list[Sample]:
    """Return the samples of collapsed stacks, each of which begins with its thread.

    >>> _parsed("thread (7): MainThread;<module> (a.py:3);f (a.py:1) 5", 7)[0].stack[-1]
    Frame(name='f', file='a.py', line=1)
    """
    found = []
    for line in text.splitlines():
        stack, _, count = line.rpartition(" ")
        thread, *frames = stack.split(";")
        if frames and count.isascii() and count.isdecimal() and 0 < len(count) < 19 and int(count):
            every = [_frame(frame) for frame in frames]
            if is_own(frame.file for frame in every):
                continue
            seen = [frame for frame in every if not frame.file.startswith(_OURS)]
            main = thread.startswith(f"thread ({pid})")
            found.append(Sample((), tuple(seen[-_DEEPEST:]), int(count), concurrent=not main))
    return [sample for sample in found if sample.stack]


def _frame(text: str) -> Frame:
    name, _, place = text.rpartition(" (")
    file, _, line = place.removesuffix(")").rpartition(":")
    if not name or not line.isascii() or not line.isdecimal() or len(line) > 9:
        return Frame(text[:200])
    return Frame(name[:200], file[:1000], int(line))
