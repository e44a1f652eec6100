"""What a program was doing at the end, judged from outside: by its processor time and its heartbeat."""

from dataclasses import dataclass, field

WINDOW_NS = 600_000_000
"""How far back a verdict looks."""
_QUIET = 0.15
_HELD_BACK = 0.25
_START_NS = 1_000_000_000  # so long may Python itself take to start, on a busy machine
_SILENT_NS = 600_000_000  # six heartbeats: a busy machine delays them


@dataclass(frozen=True, slots=True)
class Sample:
    """What is known of a program at one moment.

    Args:
        at_ns: when, on the monotonic clock.
        cpu_ns: processor time of each of its processes, by pid.
        ended_ns: that of those that have ended and were not waited for by another one.
        throttled_ns: for how long its control group was held back; None without a quota.
        delayed_ns: for how long each process was ready to run and found no processor, by pid.
    """

    at_ns: int
    cpu_ns: dict[int, int]
    ended_ns: int = 0
    throttled_ns: int | None = None
    delayed_ns: dict[int, int] = field(default_factory=dict)

    def used_since(self, before: "Sample") -> int:
        """Return the processor time that was used after another sample."""
        now = sum(self.cpu_ns.values()) + self.ended_ns
        return max(0, now - sum(before.cpu_ns.values()) - before.ended_ns)

    def delayed_since(self, before: "Sample") -> int:
        """Return for how long processes found no processor after another sample."""
        return sum(now - before.delayed_ns.get(pid, now) for pid, now in self.delayed_ns.items())

    def busiest_since(self, before: "Sample") -> int:
        """Return the pid of the process that used most after another sample; 0 if there is none."""
        return max(self.cpu_ns, key=lambda pid: self.cpu_ns[pid] - before.cpu_ns.get(pid, 0), default=0)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a program was doing.

    Args:
        kind: `stopped`, `throttled`, `blocked`, `native`, `python`, `running`, where nothing tells which, or
            `starting`, where what is seen may be Python's own start.
        seconds: how far back that was looked at.
        cpu: processor seconds used in them.
        silent: seconds since Python code last ran; None where nothing tells.
    """

    kind: str
    seconds: float
    cpu: float
    silent: float | None

    def __str__(self) -> str:
        used = f"{self.cpu:.2f} s of processor time in the last {self.seconds:.2f} s"
        return {
            "stopped": "stopped: a signal had suspended it",
            "throttled": f"throttled: its control group was held back, {used}",
            "blocked": f"blocked: it waited, {used}",
            "native": f"busy in C code that holds the GIL: no Python ran for {self.silent or 0:.1f} s, {used}",
            "python": f"busy in Python, or in C code that lets Python run: {used}",
            "running": f"busy: {used}",
            "starting": f"busy, if only with the start of Python itself: {used}",
        }[self.kind]


def judge(first: Sample, last: Sample, *, started_ns: int, stopped: bool, beat_ns: int) -> Verdict:
    """Judge what a program did between two samples.

    Args:
        first: the earlier one.
        last: the later one.
        started_ns: when it was started, on the monotonic clock.
        stopped: whether its process is stopped by a signal.
        beat_ns: the last heartbeat of its busiest process, on the monotonic clock; 0 without any.

    >>> first, last = Sample(10**9, {7: 0}), Sample(2 * 10**9, {7: 10**9})
    >>> judge(first, last, started_ns=0, stopped=False, beat_ns=11 * 10**8).kind
    'native'
    >>> judge(first, last, started_ns=11 * 10**8, stopped=False, beat_ns=19 * 10**8).kind
    'starting'

    On a machine that is busy with others it does not wait, though it hardly runs:

    >>> starved = Sample(2 * 10**9, {7: 10**8}, delayed_ns={7: 9 * 10**8})
    >>> judge(Sample(10**9, {7: 0}, delayed_ns={7: 0}), starved, started_ns=0, stopped=False, beat_ns=0).kind
    'running'
    """
    passed = max(1, last.at_ns - first.at_ns)
    cpu = last.used_since(first)
    held = (last.throttled_ns or 0) - (first.throttled_ns or 0)
    silent = last.at_ns - beat_ns if beat_ns else None
    if stopped:
        kind = "stopped"
    elif held > passed * _HELD_BACK:
        kind = "throttled"
    elif cpu + last.delayed_since(first) < passed * _QUIET:
        kind = "blocked"
    elif silent is not None and silent > _SILENT_NS:
        kind = "native"
    elif last.at_ns - started_ns < _START_NS:
        kind = "starting"
    else:
        kind = "running" if silent is None else "python"
    return Verdict(kind, passed / 1e9, cpu / 1e9, silent / 1e9 if silent is not None else None)
