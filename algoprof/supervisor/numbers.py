"""The number of a supervision: it is in the headers of the flight files under it, and names the supervisor."""

import os
import time

from algoprof.recorder.flight import process_start_time
from algoprof.supervisor.processes import TICK_NS

_PID_BITS = 22  # Linux has no larger pids
_MOMENT_BITS = 20  # nanoseconds that are left out: about a millisecond


def new_number() -> int:
    """Return the number of a supervision by this process that begins now; on this boot no other one has it."""
    return os.getpid() | _now_ns() >> _MOMENT_BITS << _PID_BITS


def supervisor_of(number: int) -> int:
    """Return the pid of the supervisor that a number names."""
    return number & (1 << _PID_BITS) - 1


def is_there(number: int) -> bool:
    """Whether the supervisor that a number names still runs, and not another process of its pid."""
    started = process_start_time(supervisor_of(number))
    return 0 < started * TICK_NS <= number >> _PID_BITS << _MOMENT_BITS


def _now_ns() -> int:
    """Return the time since the boot: what the start times of processes count from."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)
