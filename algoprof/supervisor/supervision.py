"""One supervised program: started, watched, stopped at its timeout, and what is known of it then."""

import os
import select
import signal
import subprocess
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING, Any

from algoprof.recorder.cgroups import ControlGroups
from algoprof.supervisor import processes
from algoprof.supervisor.flights import Flights, Recorded
from algoprof.supervisor.terminal import Terminal
from algoprof.supervisor.verdict import WINDOW_NS, Sample, Verdict, judge

if TYPE_CHECKING:
    import resource

_FORWARDED = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
_SAMPLE_SECONDS = 0.2
_KILL_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Ending:
    """How a program ended, and what it left.

    Args:
        seconds: how long it ran.
        status: its exit status, or minus the signal that ended it.
        timed_out: whether it was stopped at its timeout.
        killed: whether it took SIGKILL to stop it.
        out_of_memory: whether the kernel killed a process of its memory group meanwhile; None where it does not tell.
        cpu: processor seconds, those of its children that it waited for included.
        memory_peak: bytes of memory that its largest process used at the most.
        verdict: what it was doing at its timeout; None if it ended by itself.
        stacks: the stack of each thread at its timeout; empty if nobody could tell.
        recorded: what its processes have recorded, each as it was at the timeout or at the end.
    """

    seconds: float
    status: int
    timed_out: bool
    killed: bool
    out_of_memory: bool | None
    cpu: float
    memory_peak: int
    verdict: Verdict | None
    stacks: str
    recorded: list[Recorded]


def supervise(
    command: Sequence[str],
    environment: Mapping[str, str],
    flights: Flights,
    *,
    timeout: float | None = None,
    grace: float = 2.0,
) -> Ending:
    """Run a program to its end, or to its timeout, and return what is known of it.

    It has the terminal, stdin, stdout and stderr to itself. Signals that come here go on to it.

    Args:
        command: the program and its arguments.
        environment: its environment.
        flights: where its processes record.
        timeout: seconds until it is asked to end, with SIGTERM; None for as long as it takes.
        grace: seconds from then until it is killed, with all that descends from it.

    Raises:
        OSError: if it cannot be started.
    """
    return _Supervision(flights, timeout, grace).run(command, environment)


class _Supervision:
    def __init__(self, flights: Flights, timeout: float | None, grace: float) -> None:
        self._flights = flights
        self._timeout = timeout
        self._grace = grace
        self._groups = ControlGroups()
        self._terminal = Terminal()
        self._samples: deque[Sample] = deque(maxlen=2 + int(WINDOW_NS / 1e9 / _SAMPLE_SECONDS))
        self._pid = 0
        self._status: int | None = None
        self._usage: resource.struct_rusage | None = None

    def run(self, command: Sequence[str], environment: Mapping[str, str]) -> Ending:
        processes.adopt_orphans()
        awake, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        before: dict[signal.Signals, Any] = {
            number: signal.signal(number, self._forward)
            for number in _FORWARDED
            if signal.getsignal(number) is not signal.SIG_IGN
        }
        before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, _nothing)
        former = signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        try:
            return self._run(command, environment, awake)
        finally:
            signal.set_wakeup_fd(former)
            for number, handler in before.items():
                signal.signal(number, handler)
            self._terminal.take_back()
            os.close(awake)
            os.close(wake)

    def _run(self, command: Sequence[str], environment: Mapping[str, str], awake: int) -> Ending:
        oom_before = self._groups.oom_kills()
        started = time.monotonic()
        self._start(command, environment)
        deadline = started + self._timeout if self._timeout is not None else None
        self._wait(awake, deadline)
        verdict, stacks, then = None, "", []
        timed_out = self._status is None
        killed = False
        if timed_out:
            then = self._flights.read()
            verdict = self._judge(then)
            stacks = self._flights.ask_for_stacks(then)
            killed = self._stop(awake)
        ended = time.monotonic()
        now = self._flights.read(time.monotonic_ns())
        return Ending(
            seconds=ended - started,
            status=self._status if self._status is not None else -signal.SIGKILL,
            timed_out=timed_out,
            killed=killed,
            out_of_memory=None if oom_before is None else (self._groups.oom_kills() or 0) > oom_before,
            cpu=self._usage.ru_utime + self._usage.ru_stime if self._usage is not None else 0.0,
            memory_peak=self._usage.ru_maxrss * 1024 if self._usage is not None else 0,
            verdict=verdict,
            stacks=stacks,
            recorded=_as_of(then, now),
        )

    def _start(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        parent = os.getpid()

        def prepare() -> None:
            processes.end_with_parent(signal.SIGKILL)
            if os.getppid() != parent:
                os._exit(125)
            self._terminal.give(os.getpid())

        process = subprocess.Popen(
            command,
            env=environment,
            process_group=0,
            close_fds=False,
            preexec_fn=prepare,  # noqa: PLW1509  (this process has one thread)
        )
        self._pid = process.pid
        process.returncode = 0  # reaped here, where its usage is told

    def _forward(self, number: int, _frame: FrameType | None) -> None:
        if self._pid and self._status is None:
            os.killpg(self._pid, number)

    def _wait(self, awake: int, deadline: float | None) -> None:
        """Wait for the program's end, until a deadline on the monotonic clock."""
        while self._reap() and self._status is None:
            now = time.monotonic()
            if deadline is not None and now >= deadline:
                return
            self._pause(awake, self._until_next(now, deadline))

    def _until_next(self, now: float, deadline: float | None) -> float | None:
        """Return for how long to sleep; shortly before a timeout, what the program uses is looked at meanwhile."""
        if deadline is None:
            return None
        looks = deadline - WINDOW_NS / 1e9 - _SAMPLE_SECONDS
        if now < looks:
            return looks - now
        self._samples.append(self._sample())
        return min(_SAMPLE_SECONDS, deadline - now)

    @staticmethod
    def _pause(awake: int, seconds: float | None) -> None:
        select.select([awake], [], [], seconds)
        try:
            os.read(awake, 4096)
        except BlockingIOError:
            return

    def _sample(self) -> Sample:
        alive = (processes.status(pid) for pid in processes.descendants(os.getpid()))
        throttling = self._groups.throttling()
        return Sample(
            time.monotonic_ns(),
            sum(one.cpu_ns for one in alive if one is not None),
            throttling[2] if throttling is not None else None,
        )

    def _judge(self, recorded: list[Recorded]) -> Verdict:
        last = self._sample()
        first = self._samples[0] if self._samples else last
        found = processes.status(self._pid)
        beats = [one.beat_ns for one in recorded if one.flight.pid == self._pid]
        stopped = found is not None and found.state in "Tt"
        return judge(first, last, stopped=stopped, beat_ns=beats[0] if beats else 0)

    def _stop(self, awake: int) -> bool:
        """Ask the program to end, and kill what is left of it after the grace; return whether it had to be killed."""
        for number in (signal.SIGTERM, signal.SIGCONT):
            try:
                os.killpg(self._pid, number)
            except ProcessLookupError:
                break
        until = time.monotonic() + self._grace
        while self._reap() and time.monotonic() < until:
            self._pause(awake, max(0.0, until - time.monotonic()))
        killed = self._status is None
        until = time.monotonic() + _KILL_SECONDS
        while self._reap() and time.monotonic() < until:
            for pid in processes.descendants(os.getpid()):
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            self._pause(awake, 0.002)
        return killed

    def _reap(self) -> bool:
        """Take note of what has ended or stopped; return whether any children are left."""
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG | os.WUNTRACED)
            except ChildProcessError:
                return False
            if not pid:
                return True
            if pid == self._pid:
                if os.WIFSTOPPED(status):
                    self._rest()
                else:
                    self._status, self._usage = os.waitstatus_to_exitcode(status), usage

    def _rest(self) -> None:
        """The program was stopped from the keyboard: stop too, as the shell expects, and go on with it."""
        if self._terminal.lent:
            self._terminal.take_back()
            os.kill(os.getpid(), signal.SIGSTOP)
            self._terminal.give(self._pid)
            os.killpg(self._pid, signal.SIGCONT)


def _nothing(_number: int, _frame: FrameType | None) -> None:
    """Only wakes the select up."""


def _as_of(then: list[Recorded], now: list[Recorded]) -> list[Recorded]:
    """Return what each process had recorded at the timeout, or now, if it was killed or had nothing then.

    A program that ends as it was asked to closes its sections: what was open at its timeout is what one wants to know.
    """
    at_timeout = {one.flight.pid: one for one in then}
    return [one if not one.flight.closed else at_timeout.get(one.flight.pid, one) for one in now] + [
        one for one in then if all(one.path != left.path for left in now)
    ]
