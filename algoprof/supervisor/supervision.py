"""One supervised program: started, watched, stopped at its timeout, and what is known of it then."""

import contextlib
import os
import signal
import subprocess
import termios
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from algoprof.profiles.tree import Profile
from algoprof.recorder.cgroups import ControlGroups, read_memory_peak
from algoprof.supervisor import numbers, processes
from algoprof.supervisor.external import External
from algoprof.supervisor.flights import Flights, Recorded
from algoprof.supervisor.guard import Guard
from algoprof.supervisor.stacks import Stacks
from algoprof.supervisor.verdict import WINDOW_NS, Sample, Verdict, judge

if TYPE_CHECKING:
    import resource

_TAKEN = {
    signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGCHLD,
}  # fmt: skip
_SAMPLE_SECONDS = 0.2
_FOR_EVER = 3600.0
_KILL_SECONDS = 10.0
_SWEEP_SECONDS = 0.004


@dataclass(frozen=True, slots=True)
class Ending:
    """How a program ended, and what it left.

    Args:
        seconds: how long it ran.
        status: its exit status, or minus the signal that ended it.
        timed_out: whether it was stopped at its timeout.
        killed: whether it took SIGKILL to stop it, or something that it has started.
        out_of_memory: whether the kernel killed a process of its memory group meanwhile; None where it does not tell.
        cpu: processor seconds, those of its children included.
        memory_peak: bytes of memory that its largest process used at the most.
        is_memory_exact: whether it used so much; else no more is known than that it used less.
        verdict: what it was doing at its timeout; None if it ended by itself.
        stacks: the stack of each thread at its timeout; empty if nobody could tell.
        recorded: what its processes have recorded, each as it was at the timeout or at the end.
        unrecorded: why one of its processes has no flight file; empty if none has said so.
        seen: what was seen of its stacks from outside, with nothing else in it; None if nobody looked.
    """

    seconds: float
    status: int
    timed_out: bool
    killed: bool
    out_of_memory: bool | None
    cpu: float
    memory_peak: int
    is_memory_exact: bool
    verdict: Verdict | None
    stacks: str
    recorded: list[Recorded]
    unrecorded: str = ""
    seen: Profile | None = None


def supervise(
    command: Sequence[str],
    environment: Mapping[str, str],
    flights: Flights,
    stacks: Stacks,
    *,
    timeout: float | None = None,
    grace: float = 2.0,
    external: External | None = None,
) -> Ending:
    """Run a program to its end, or to its timeout, and return what is known of it.

    It has the terminal, stdin, stdout and stderr to itself. Signals that are sent here go on to it.

    Args:
        command: the program and its arguments.
        environment: its environment.
        flights: where its processes record.
        stacks: where they write their stacks.
        timeout: seconds until it is asked to end, with SIGTERM; None for as long as it takes.
        grace: seconds from then until it is killed, with all that descends from it.
        external: what samples its stacks from outside.

    Raises:
        OSError: if it cannot be started.
    """
    return _Supervision(flights, stacks, timeout, grace, external).run(command, environment)


class _Supervision:
    def __init__(
        self, flights: Flights, stacks: Stacks, timeout: float | None, grace: float, external: External | None
    ) -> None:
        self._external = external
        self._flights = flights
        self._stacks = stacks
        self._timeout = timeout
        self._grace = grace
        self._groups = ControlGroups()
        self._samples: deque[Sample] = deque(maxlen=2 + int(WINDOW_NS / 1e9 / _SAMPLE_SECONDS))
        self._others = frozenset(processes.descendants(os.getpid()))
        """Children that this process had before, as after an `exec`: none of the program's."""
        self._pid = 0
        self._status: int | None = None
        self._usage: resource.struct_rusage | None = None
        self._reaped_ns = self._started_ns = 0
        self._memory_floor = self._memory_seen = 0

    def run(self, command: Sequence[str], environment: Mapping[str, str]) -> Ending:
        processes.adopt_orphans()
        child = signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # ignored, it would take the exit status away
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _TAKEN)
        terminal = _terminal()
        guard = Guard(self._flights.supervision, self._stacks.folder)
        try:
            return self._run(command, environment, before)
        finally:
            guard.dismiss()
            _restore(terminal)
            for number in signal.sigpending() & _TAKEN:
                signal.sigwait([number])  # it came too late for the program
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            signal.signal(signal.SIGCHLD, child)

    def _run(self, command: Sequence[str], environment: Mapping[str, str], mask: set[int | signal.Signals]) -> Ending:
        oom_before = self._groups.oom_kills()
        started, self._started_ns = time.monotonic(), time.monotonic_ns()
        self._start(command, environment, mask)
        deadline = started + self._timeout if self._timeout is not None else None
        self._wait(deadline)
        verdict, stacks, then = None, "", []
        timed_out = self._status is None
        killed = False
        if timed_out:
            then = self._flights.read()
            verdict = self._judge(then)
            self._memory_seen = max((read_memory_peak(process=pid) or 0 for pid in self._everybody()), default=0)
            stacks = self._stacks.ask(then, self._everybody())
            self._end_external()
            killed = self._stop()
        ended = time.monotonic()
        self._end_external()
        now = self._flights.read(time.monotonic_ns())
        memory_peak, is_memory_exact = self._memory_peak(now)
        return Ending(
            seconds=ended - started,
            status=self._status if self._status is not None else -signal.SIGKILL,
            timed_out=timed_out,
            killed=killed,
            out_of_memory=None if oom_before is None else (self._groups.oom_kills() or 0) > oom_before,
            cpu=self._reaped_ns / 1e9,
            memory_peak=memory_peak,
            is_memory_exact=is_memory_exact,
            verdict=verdict,
            stacks=stacks,
            recorded=_as_of(then, now),
            unrecorded=self._stacks.unrecorded(),
        )

    def _start(self, command: Sequence[str], environment: Mapping[str, str], mask: set[int | signal.Signals]) -> None:
        """Start it in this process's own group: the terminal and the shell treat both as one job."""
        parent = os.getpid()
        self._memory_floor = read_memory_peak() or 0  # what the kernel tells of the program may be a copy of this one

        def prepare() -> None:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            processes.end_with_parent(signal.SIGKILL)
            if os.getppid() != parent:
                os._exit(125)

        process = subprocess.Popen(
            command,
            env=environment,
            close_fds=False,
            preexec_fn=prepare,  # noqa: PLW1509  (this process has one thread)
        )
        self._pid = process.pid
        process.returncode = 0  # reaped here, where its usage is told

    def _wait(self, deadline: float | None) -> None:
        """Wait for the program's end, until a deadline on the monotonic clock."""
        while self._reap() and self._status is None:
            self._begin_external()
            now = time.monotonic()
            if deadline is not None and now >= deadline:
                return
            self._pause(self._until_next(now, deadline))

    def _begin_external(self) -> None:
        if self._external is not None:
            self._external.begin(self._pid)
            self._others |= {self._external.pid}

    def _end_external(self) -> None:
        if self._external is not None:
            self._external.end()

    def _until_next(self, now: float, deadline: float | None) -> float:
        """Return for how long to sleep; shortly before a timeout, what the program uses is looked at meanwhile."""
        if deadline is None:
            return _FOR_EVER
        looks = deadline - WINDOW_NS / 1e9 - _SAMPLE_SECONDS
        if now < looks:
            return min(looks - now, _FOR_EVER)
        self._samples.append(self._sample())
        return min(_SAMPLE_SECONDS, deadline - now)

    def _pause(self, seconds: float) -> None:
        """Sleep until a signal comes; one that somebody sent here goes on to the program.

        What the terminal sends, it has sent to the program too.
        """
        came = signal.sigtimedwait(_TAKEN, max(0.0, seconds))
        if came is not None and came.si_signo != signal.SIGCHLD and came.si_code <= 0:
            self._send(self._pid, signal.Signals(came.si_signo))

    def _sample(self) -> Sample:
        found = {pid: processes.status(pid) for pid in self._everybody()}
        throttling = self._groups.throttling()
        return Sample(
            time.monotonic_ns(),
            {pid: one.cpu_ns for pid, one in found.items() if one is not None},
            self._reaped_ns,
            throttling[2] if throttling is not None else None,
            {pid: processes.delayed_ns(pid) for pid in found},
        )

    def _judge(self, recorded: list[Recorded]) -> Verdict:
        last = self._sample()
        first = self._samples[0] if self._samples else last
        found = processes.status(self._pid)
        stopped = found is not None and found.state == "T"  # and not t, by who looks into it
        beats = {one.flight.pid: one.beat_ns for one in recorded}
        beat_ns = beats.get(last.busiest_since(first), 0)
        return judge(first, last, started_ns=self._started_ns, stopped=stopped, beat_ns=beat_ns)

    def _memory_peak(self, recorded: list[Recorded]) -> tuple[int, bool]:
        """Return the most that a process used, and whether it did, from whoever tells: the kernel, or its own file."""
        told = self._usage.ru_maxrss * 1024 if self._usage is not None else 0
        own = [run.environment.memory_peak or 0 for one in recorded for run in one.flight.runs]
        known = max(self._memory_seen, told if told > self._memory_floor else 0, *own, 0)
        return (known, True) if known else (told, False)

    def _stop(self) -> bool:
        """Ask all that the program has started to end, and kill what is left after the grace; return whether it was."""
        everybody = self._everybody()
        inner = {numbers.supervisor_of(number) for pid in everybody for number in processes.supervisions_of(pid)}
        for pid in everybody:
            if pid not in inner:  # a supervisor would hand it on to its program, which is asked itself
                self._send(pid, signal.SIGTERM)
            self._send(pid, signal.SIGCONT)
        until = time.monotonic() + self._grace
        while self._reap() and self._left() and time.monotonic() < until:
            self._pause(min(0.05, until - time.monotonic()))
        killed = False
        until = time.monotonic() + _KILL_SECONDS
        while self._reap() and time.monotonic() < until:
            left = self._left()
            if not left:
                break
            killed = True
            for pid in left:
                self._send(pid, signal.SIGKILL)
            self._kill_children()
        while self._status is None and self._reap() and time.monotonic() < until:
            self._pause(0.002)
        return killed

    def _kill_children(self) -> None:
        """For a moment, kill whoever loses its parent: of those that fork faster than one looks, each comes here."""
        until = time.monotonic() + _SWEEP_SECONDS
        while time.monotonic() < until:
            for pid in self._children():
                self._send(pid, signal.SIGKILL)
            self._reap()

    def _left(self) -> list[int]:
        """Return whoever is left: those that are here and gone while one looks lose their parents, and come here."""
        return self._everybody() or self._children()

    def _children(self) -> list[int]:
        return [pid for pid in processes.own_children() if pid not in self._others]

    def _everybody(self) -> list[int]:
        """Return the processes that the program has started, itself included."""
        return processes.descendants(os.getpid(), besides=self._others)

    @staticmethod
    def _send(pid: int, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):  # it has ended, or is another user's by now
            os.kill(pid, number)

    def _reap(self) -> bool:
        """Take note of what has ended; return whether any children are left."""
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if not pid:
                return True
            if pid not in self._others:
                self._reaped_ns += round((usage.ru_utime + usage.ru_stime) * 1e9)
            if pid == self._pid:
                self._status, self._usage = os.waitstatus_to_exitcode(status), usage


def _terminal() -> "tuple[int, list[Any]] | None":
    """Return stdin's terminal with its settings, if it is one."""
    try:
        return 0, termios.tcgetattr(0)
    except termios.error:
        return None


def _restore(terminal: "tuple[int, list[Any]] | None") -> None:
    """Set the terminal as it was: a program that was killed may have left it without echo."""
    if terminal is not None:
        handle, settings = terminal
        with contextlib.suppress(termios.error, OSError):
            if os.tcgetpgrp(handle) == os.getpgrp() and termios.tcgetattr(handle) != settings:
                termios.tcsetattr(handle, termios.TCSADRAIN, settings)


def _as_of(then: list[Recorded], now: list[Recorded]) -> list[Recorded]:
    """Return what each process had recorded at the timeout, or now, if it was killed or had nothing then.

    A program that ends as it was asked to closes its sections: what was open at its timeout is what one wants to know.
    """
    at_timeout = {one.flight.pid: one for one in then}
    return [one if not one.flight.closed else at_timeout.get(one.flight.pid, one) for one in now] + [
        one for one in then if all(one.path != left.path for left in now)
    ]
