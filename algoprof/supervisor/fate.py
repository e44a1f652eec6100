"""How the process of a flight file came to its end, as far as the file and the machine tell afterwards."""

import errno
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from algoprof.recorder import layout as at
from algoprof.recorder.cgroups import read_oom_kills
from algoprof.recorder.flight import boot_id, process_start_time
from algoprof.recorder.reader import Flight
from algoprof.supervisor import numbers, processes
from algoprof.supervisor.flights import header_of, supervisions_of

NEARLY = 0.9
"""Who held this share of the memory limit, or had used this share of the timeout, most likely ended by that."""
_HALF = 0.5
_HEARTBEAT_SECONDS = 1.0  # so old may the last sign of life be
_KERNEL_LOG = "/dev/kmsg"
_LOG_RECORDS = 100_000
_FIRST_PID_NAMESPACE = 0xEFFFFFFC  # the inode that Linux gives it; the kernel's log names pids of that one
_OUT_OF_MEMORY = re.compile(rb"Killed process (\d+) \(")
_CRASHED = re.compile(rb"\S\[(\d+)\]:? (?:segfault at|trap |general protection)")


@dataclass(frozen=True, slots=True)
class Fate:
    """How a process ended.

    Args:
        how: `running`, `replaced` by another program in the same process, `exited`, `restarted`, where the machine was,
            `out_of_memory`, `crashed`, `timeout` or `unknown`: killed, or left by `os._exit`.
        certain: whether that is known; else it is the most likely.
        evidence: what tells; empty where nothing needs to.
        supervisor: the pid of the `algoprof run` that it ran under; 0 if none.
        is_supervised: whether that one is still there.
    """

    how: str
    certain: bool = True
    evidence: str = ""
    supervisor: int = 0
    is_supervised: bool = False


class Fates:
    """Tells of many files; the kernel's log is read once, and only if a file leaves it open how its process ended."""

    def __init__(self) -> None:
        self._log: dict[int, tuple[str, int]] | None = None

    def of(self, path: str | os.PathLike[str], flight: Flight) -> Fate:
        """Return how the process of a flight file ended."""
        header = header_of(os.fspath(path)) or (0,) * 32
        how, certain, evidence = self._end(os.fspath(path), header, flight)
        supervision = next((number for number in reversed(supervisions_of(header)) if number > 0), 0)
        is_supervised = bool(supervision) and _is_this_boot(header) and numbers.is_there(supervision)
        return Fate(how, certain, evidence, numbers.supervisor_of(supervision), is_supervised)

    def _end(self, path: str, header: tuple[int, ...], flight: Flight) -> tuple[str, bool, str]:
        if flight.alive:
            return "running", True, ""
        if flight.closed:
            return "exited", True, ""
        if not _is_this_boot(header):
            return "restarted", True, "the machine has been started anew since"
        if _is_there(flight.pid, header[at.HEADER_START_TIME]):
            if _maps(flight.pid, path):
                return "running", True, "it closed the descriptors that its file's lock is held by"
            return "replaced", True, f"process {flight.pid} is still there, as another program"
        how, when_ns = self._logged(flight.pid)
        if how and when_ns >= header[at.HEADER_START_TIME] * processes.TICK_NS * _NO_LATER:
            return how, True, _LOGGED[how]
        kills = _kills_since(path, header)
        if kills:
            return "out_of_memory", True, _counted(kills)
        return _guessed(flight)

    def _logged(self, pid: int) -> tuple[str, int]:
        if self._log is None:
            self._log = _read_log()
        return self._log.get(pid, ("", 0))


_NO_LATER = 0.999  # the log's clock and that of the start times drift apart
_LOGGED = {
    "out_of_memory": "the kernel's log says that it killed it for want of memory",
    "crashed": "the kernel's log says that it crashed in C code",
}


def _counted(kills: int) -> str:
    several = "a process" if kills == 1 else f"{kills} processes"
    return f"the kernel has killed {several} of its control group for want of memory since its last sign of life"


def _guessed(flight: Flight) -> tuple[str, bool, str]:
    """Return what most likely ended a process of which nobody tells, from how near to its limits it last was."""
    killed = [run for run in flight.runs if run.outcome == "killed"]
    memory = max((run.environment.memory_peak_ratio or 0.0 for run in killed), default=0.0)
    if memory >= NEARLY:
        return "out_of_memory", False, f"it was at {memory:.0%} of its memory limit"
    budgets = [(run.budget_used_ratio or 0.0, run.timeout or 0.0) for run in killed]
    for used, timeout in sorted(budgets, reverse=True):
        if used >= NEARLY or (used >= _HALF and used + _HEARTBEAT_SECONDS / timeout >= 1):
            return "timeout", False, f"{used:.0%} of its timeout of {timeout:g} s was used at its last sign of life"
    return "unknown", True, ""


def _is_this_boot(header: tuple[int, ...]) -> bool:
    words = header[at.HEADER_BOOT_ID : at.HEADER_BOOT_ID + 2]
    written = b"".join(word.to_bytes(8, "little", signed=True) for word in words)
    return not any(written) or written == boot_id()


def _is_there(pid: int, started: int) -> bool:
    """Whether a process is there, and neither another one of its pid nor its exit status alone."""
    if not started or process_start_time(pid) != started:
        return False
    status = processes.status(pid)
    return status is not None and status.state not in "ZX"


def _maps(pid: int, path: str) -> bool:
    """Whether a process still has its flight file in its memory; where that cannot be seen, it is taken to have."""
    try:
        return Path(path).name in Path(f"/proc/{pid}/maps").read_text("utf-8", "replace")
    except OSError:
        return True


def _kills_since(path: str, header: tuple[int, ...]) -> int:
    """Return how many processes of its control group the kernel has killed since a process last looked."""
    if not header[at.HEADER_MEMORY_GROUP]:
        return 0
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            file.seek(at.MEMORY_EVENTS_AT)
            events = os.fsdecode(file.read(at.MEMORY_EVENTS_BYTES).rstrip(b"\0"))
        if not events.startswith("/sys/fs/cgroup/") or Path(events).stat().st_ino != header[at.HEADER_MEMORY_GROUP]:
            return 0
    except (OSError, ValueError):  # the group is gone
        return 0
    return max(0, (read_oom_kills(events) or 0) - header[at.HEADER_OOM_KILLS])


def _read_log() -> dict[int, tuple[str, int]]:
    """Return what the kernel's log tells of processes' ends and when, by pid; nothing where it may not be read."""
    found: dict[int, tuple[str, int]] = {}
    for record in _log_records():
        for how, pattern in (("out_of_memory", _OUT_OF_MEMORY), ("crashed", _CRASHED)):
            match = pattern.search(record)
            if match is not None:
                found[int(match[1])] = how, _moment(record)
    return found


def _moment(record: bytes) -> int:
    """Return when a record of the kernel's log was written, in nanoseconds since the boot."""
    try:
        return int(record.split(b",", 3)[2]) * 1000
    except (ValueError, IndexError):
        return 0


def _log_records() -> Iterator[bytes]:
    try:
        if Path("/proc/self/ns/pid").stat().st_ino != _FIRST_PID_NAMESPACE:
            return
        handle = os.open(_KERNEL_LOG, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, AttributeError):
        return
    try:
        for _ in range(_LOG_RECORDS):
            try:
                yield os.read(handle, 8192)
            except OSError as error:
                if error.errno != errno.EPIPE:  # that one was overwritten meanwhile; all else is the end
                    return
    finally:
        os.close(handle)
