"""What a program was doing at the end, judged from outside: by its processor time and its heartbeat."""

from dataclasses import dataclass

WINDOW_NS = 600_000_000
"""How far back a verdict looks."""
_QUIET = 0.15
_HELD_BACK = 0.25
_SILENT_NS = 400_000_000  # four heartbeats


@dataclass(frozen=True, slots=True)
class Sample:
    """What is known of a program at one moment.

    Args:
        at_ns: when, on the monotonic clock.
        cpu_ns: processor time of all its processes.
        throttled_ns: for how long its control group was held back; None without a quota.
    """

    at_ns: int
    cpu_ns: int
    throttled_ns: int | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a program was doing.

    Args:
        kind: `stopped`, `throttled`, `blocked`, `native`, `python` or `running`, where nothing tells which.
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
        }[self.kind]


def judge(first: Sample, last: Sample, *, stopped: bool, beat_ns: int) -> Verdict:
    """Judge what a program did between two samples.

    Args:
        first: the earlier one.
        last: the later one.
        stopped: whether its process is stopped by a signal.
        beat_ns: its last heartbeat, on the monotonic clock; 0 without any.

    >>> judge(Sample(0, 0, None), Sample(10**9, 10**9, None), stopped=False, beat_ns=10**8).kind
    'native'
    """
    passed = max(1, last.at_ns - first.at_ns)
    cpu = max(0, last.cpu_ns - first.cpu_ns)
    held = (last.throttled_ns or 0) - (first.throttled_ns or 0)
    silent = last.at_ns - beat_ns if beat_ns else None
    if stopped:
        kind = "stopped"
    elif held > passed * _HELD_BACK:
        kind = "throttled"
    elif cpu < passed * _QUIET:
        kind = "blocked"
    elif silent is None:
        kind = "running"
    else:
        kind = "native" if silent > _SILENT_NS else "python"
    return Verdict(kind, passed / 1e9, cpu / 1e9, silent / 1e9 if silent is not None else None)
