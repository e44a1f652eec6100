"""What Linux tells of other processes: who descends from whom, what they do, and what they have used."""

import ctypes
import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from algoprof.recorder.flight import SUPERVISION

_PR_SET_PDEATHSIG, _PR_SET_NAME, _PR_SET_CHILD_SUBREAPER = 1, 15, 36
TICK_NS = 1_000_000_000 // (os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100)
"""What the kernel counts the time of processes in."""
GUARD = "algoprof-guard"
"""What the process is called that a supervisor leaves when it is killed; it counts as nobody's."""
_LONGEST_ENVIRONMENT = 1 << 20
_SUPERVISED = f"{SUPERVISION}=".encode()
_STATE, _PARENT = 0, 1  # fields of /proc/PID/stat, counted from the state
_TIMES = slice(11, 15)  # in user mode and in the kernel, its own and that of the children it has waited for


@dataclass(frozen=True, slots=True)
class Status:
    """A process at one moment.

    Args:
        state: the kernel's letter for what it does: R runs, S and D wait, T is stopped, Z has ended.
        parent: its parent's pid.
        name: what it is called.
        cpu_ns: processor time it has used, with all its threads, and the children that it has waited for.
    """

    state: str
    parent: int
    cpu_ns: int
    name: str


def status(pid: int) -> Status | None:
    """Return what a process does; None if there is none of that pid."""
    try:
        before, _, after = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")
        fields = after.split()
        cpu_ns = sum(map(int, fields[_TIMES])) * TICK_NS
        return Status(
            fields[_STATE].decode(), int(fields[_PARENT]), cpu_ns, before.partition(b"(")[2].decode("utf-8", "replace")
        )
    except (OSError, ValueError, IndexError):
        return None


def delayed_ns(pid: int) -> int:
    """Return for how long a process was ready to run and found no processor, its first thread alone; 0 if unknown."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_bytes().split()[1])
    except (OSError, ValueError, IndexError):
        return 0


def descendants(pid: int, besides: Collection[int] = ()) -> list[int]:
    """Return the processes that descend from one, guards and those that have ended left out.

    Args:
        pid: the one.
        besides: to be left out, with all that descends from them.
    """
    children: dict[int, list[int]] = {}
    for one in pids():
        found = status(one)
        if found is not None and found.state != "Z" and found.name != GUARD:
            children.setdefault(found.parent, []).append(one)
    left, every = [pid], []
    while left:
        below = [one for one in children.pop(left.pop(), []) if one not in besides]
        left += below
        every += below
    return every


def catches(pid: int, number: int) -> bool:
    """Whether a process has a handler of its own for a signal: else the signal might end it."""
    try:
        for line in Path(f"/proc/{pid}/status").read_text("ascii", "replace").splitlines():
            if line.startswith("SigCgt:"):
                return bool(int(line.split()[1], 16) >> (number - 1) & 1)
    except (OSError, ValueError, IndexError):
        pass
    return False


def own_children() -> list[int]:
    """Return this process's children, guards left out; far quicker than `descendants`, and nobody where it cannot be.

    The process has one thread.
    """
    try:
        listed = Path(f"/proc/self/task/{os.getpid()}/children").read_bytes().split()
        return [int(pid) for pid in listed if Path(f"/proc/{int(pid)}/comm").read_bytes().strip() != GUARD.encode()]
    except (OSError, ValueError):  # one is gone meanwhile, or the kernel does not list them
        return []


def supervisions_of(pid: int) -> list[int]:
    """Return the numbers of the supervisions that a process was started under, the outermost first.

    A guard has none, and whoever's environment cannot be read.
    """
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:  # noqa: PTH123
            environment = file.read(_LONGEST_ENVIRONMENT).split(b"\0")
    except OSError:
        return []
    found = next((one[len(_SUPERVISED) :] for one in environment if one.startswith(_SUPERVISED)), b"")
    numbers = [int(word) for word in found.split() if word.isdigit()]
    if numbers:
        of = status(pid)
        return numbers if of is not None and of.name != GUARD else []
    return numbers


def call_this(name: str) -> None:
    """Give this process a name, as `ps` shows it."""
    ctypes.CDLL(None).prctl(_PR_SET_NAME, name.encode())


def adopt_orphans() -> None:
    """Become the parent of whatever descends from this process and loses its own parent: no daemon escapes."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)


def end_with_parent(number: int) -> None:
    """Have Linux send this process a signal when its parent ends, however that ends."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)


def pids() -> Iterator[int]:
    """Return every process that is seen from here."""
    for entry in os.scandir("/proc"):
        if entry.name.isdecimal():
            yield int(entry.name)
