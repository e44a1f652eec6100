"""What the machine lets this process have: the control groups' limits, and how often they held it back."""

import os

_ROOM = 4096  # bytes of a file that are read; the kernel's are far shorter
_LARGEST = 1 << 60  # what is more says that there is no limit


class ControlGroups:
    """The control groups that this process is in, of version 1 or 2, found once.

    A limit of any group above counts too, so the tightest one is given. Whatever the machine does not tell is None.

    Args:
        root: where the file system begins; another folder in tests.
    """

    def __init__(self, root: str = "/") -> None:
        self.cpu_quota: float | None = None
        """So many processors' worth of time, if there is a quota."""
        self.memory_limit: int | None = None
        """Bytes that the processes of the group may use together, if there is a limit."""
        self.memory_events = ""
        """The file in which the kernel counts the processes of the group that it has killed; empty if it does not."""
        self._cpu_stat = self._memory_peak = ""
        self._throttled_unit = 1000  # nanoseconds
        for controller, path in _groups(_read(os.path.join(root, "proc/self/cgroup"))):
            if controller in ("", "cpu"):
                self._find_quota(root, controller, path)
            if controller in ("", "memory"):
                self._find_memory_limit(root, controller, path)

    def throttling(self) -> tuple[int, int, int] | None:
        """Return how many periods there were, in how many the group was held back, and for how many nanoseconds.

        The nanoseconds are those of all its processors together. None without a quota.
        """
        if not self._cpu_stat:
            return None
        found = {key: value for key, _, value in (line.partition(b" ") for line in _read(self._cpu_stat).splitlines())}
        periods, throttled = _number(found.get(b"nr_periods")), _number(found.get(b"nr_throttled"))
        time = _number(found.get(b"throttled_usec" if self._throttled_unit > 1 else b"throttled_time"))
        if periods is None or throttled is None or time is None:
            return None
        return periods, throttled, time * self._throttled_unit

    def memory_peak(self) -> int | None:
        """Return the most that the group with the tightest limit ever used, in bytes; None without a limit."""
        return _number(_read(self._memory_peak)) if self._memory_peak else None

    def oom_kills(self) -> int | None:
        """Return how many processes of the group the kernel has killed for want of memory; None if it does not tell."""
        return read_oom_kills(self.memory_events) if self.memory_events else None

    def _find_quota(self, root: str, controller: str, path: str) -> None:
        for folder in _folders(root, controller, path):
            if controller:
                quota = _number(_read(f"{folder}/cpu.cfs_quota_us"))
                period = _number(_read(f"{folder}/cpu.cfs_period_us"))
            else:
                words = _read(f"{folder}/cpu.max").split()
                quota, period = (_number(words[0]), _number(words[1])) if len(words) == 2 else (None, None)
            if quota and period and (self.cpu_quota is None or quota / period < self.cpu_quota):
                self.cpu_quota = quota / period
                self._cpu_stat = f"{folder}/cpu.stat"
                self._throttled_unit = 1 if controller else 1000

    def _find_memory_limit(self, root: str, controller: str, path: str) -> None:
        limit_file, peak_file = (
            ("memory.limit_in_bytes", "memory.max_usage_in_bytes") if controller else ("memory.max", "memory.peak")
        )
        events = "memory.oom_control" if controller else "memory.events"
        for folder in _folders(root, controller, path):
            if not self.memory_events and os.path.exists(f"{folder}/{events}"):
                self.memory_events = f"{folder}/{events}"
            limit = _number(_read(f"{folder}/{limit_file}"))
            if limit and (self.memory_limit is None or limit < self.memory_limit):
                self.memory_limit = limit
                self._memory_peak = f"{folder}/{peak_file}"


def _groups(listing: bytes) -> list[tuple[str, str]]:
    r"""Return the controllers and paths of `/proc/self/cgroup`; version 2 has no controller's name.

    >>> _groups(b"4:memory:/job\n3:cpu,cpuacct:/job\n0::/init.scope\n")
    [('memory', '/job'), ('cpu', '/job'), ('cpuacct', '/job'), ('', '/init.scope')]
    """
    found = []
    for line in listing.decode("utf-8", "replace").splitlines():
        parts = line.split(":", 2)
        if len(parts) == 3:
            found += [(controller, parts[2]) for controller in parts[1].split(",")]
    return found


def _folders(root: str, controller: str, path: str) -> list[str]:
    """Return the folders of a group and of those above it, where they are seen from here."""
    base = os.path.join(root, "sys/fs/cgroup")
    choices = {"": ["", "unified"], "cpu": ["cpu", "cpu,cpuacct", "cpuacct,cpu"]}.get(controller, [controller])
    folders = []
    for choice in choices:
        mount = os.path.join(base, choice).rstrip("/")
        names = [name for name in path.split("/") if name]
        if ".." in names:  # a group outside of what this container sees
            names = []
        # In a container the path may be the host's, which is not there; then the mount itself is the group.
        steps = ["/".join([mount, *names[:length]]) for length in range(len(names), -1, -1)]
        folders += [folder for folder in steps if os.path.isdir(folder)]
    return folders


def read_oom_kills(events: str) -> int | None:
    """Return how many processes the kernel has killed for want of memory, as a control group's file counts them."""
    for line in _read(events).splitlines():
        key, _, value = line.partition(b" ")
        if key == b"oom_kill":
            return _number(value)
    return None


def read_memory_peak(root: str = "/", process: str | int = "self") -> int | None:
    """Return the most memory that a process, this one if not said, ever held, in bytes; None where nothing tells.

    Not from `getrusage` on Linux: its figure is also that of the process which started this one.
    """
    for line in _read(os.path.join(root, f"proc/{process}/status")).splitlines():
        if line.startswith(b"VmHWM:"):
            kibibytes = _number(line[6:].removesuffix(b"kB"))
            return kibibytes * 1024 if kibibytes is not None else None
    return None


def _read(path: str) -> bytes:
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0))
    except (OSError, ValueError):
        return b""
    try:
        return os.read(handle, _ROOM)
    except OSError:
        return b""
    finally:
        os.close(handle)


def _number(text: bytes | None) -> int | None:
    r"""Return a number that can be meant; None for a word, a negative or an absurd one.

    >>> [_number(text) for text in (b"200000\n", b"max", b"-1", b"9223372036854771712", None)]
    [200000, None, None, None, None]
    """
    try:
        value = int(text or b"")
    except ValueError:
        return None
    return value if 0 <= value < _LARGEST else None
