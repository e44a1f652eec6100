"""What is around a run, written into the flight file: its processors and memory, and what kept it waiting."""

import gc
import os
from time import monotonic_ns, process_time_ns

from algoprof.recorder import layout as at
from algoprof.recorder.cgroups import ControlGroups, read_memory_peak
from algoprof.recorder.flight import FlightFile, OutOfSpace
from algoprof.recorder.writer import CollectionTimer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from algoprof.recorder.allocations import AllocationPeaks

_FRESH_NS = 5_000_000  # files are not read again for so long: runs may be shorter than that
_MILLION = 1_000_000
_NOTHING = memoryview(b"\xff" * at.ENVIRONMENT_WORDS * 8).cast(at.WORD)  # -1 everywhere
_COUNTERS = range(at.ENVIRONMENT_COUNTERS, at.ENVIRONMENT_COUNTERS_END)
_PEAKS = (at.ENVIRONMENT_MEMORY_PEAK, at.ENVIRONMENT_GROUP_PEAK, at.ENVIRONMENT_GC_LONGEST)


class Environments:
    """The environment records of a flight file.

    What is known when a run begins is written then. What is counted is written for the process, as it is observed,
    and for the run when it ends: after a kill, the difference to the run's beginning is what is known.

    Args:
        flight: the file. Without room in it nothing is recorded.
        groups: the control groups.
    """

    def __init__(self, flight: FlightFile, groups: ControlGroups | None = None) -> None:
        self._words = flight.words
        self._groups = groups or ControlGroups()
        self._counts_kills = self._note_memory_group(flight)
        self.open_records: tuple[int, ...] = ()  # records of open runs; replaced, never changed
        self._read_ns = -_FRESH_NS
        self._load = -1
        try:
            self._base = flight.take_segment(at.ENVIRONMENT, 0, 0) // 8
        except OutOfSpace:
            self._base = 0
        self._process = self._base + at.RUN_COUNT * at.ENVIRONMENT_WORDS
        if self._base:
            self._words[self._process : self._process + at.ENVIRONMENT_WORDS] = _NOTHING
        self._measured = self._measure_collections()
        if self._base and self._measured is not None:
            self._words[self._process + at.ENVIRONMENT_GC_PAUSES] = 0
            self._words[self._process + at.ENVIRONMENT_GC_PAUSED] = 0
        self._allocations: AllocationPeaks | None = None  # few runs ask for them

    def begin(self, slot: int, serial: int, *, allocations: bool = False) -> None:
        """Write what is known when a run begins.

        Args:
            slot: the run's, a word offset.
            serial: the run's.
            allocations: whether to measure how much is allocated.
        """
        if not self._base:
            return
        self.observe()
        words, record, process = self._words, self.record(slot), self._process
        words[record] = 0
        words[record : record + at.ENVIRONMENT_WORDS] = _NOTHING
        words[record + at.ENVIRONMENT_CPU_COUNT] = _cpu_count()
        words[record + at.ENVIRONMENT_CPU_QUOTA] = _millionths(self._groups.cpu_quota)
        words[record + at.ENVIRONMENT_LOAD] = self._load
        words[record + at.ENVIRONMENT_MEMORY_LIMIT] = _known(self._groups.memory_limit)
        words[record + at.ENVIRONMENT_GC_LONGEST] = 0 if self._measured is not None else -1
        for counter in _COUNTERS:
            words[record + counter + at.ENVIRONMENT_BEFORE] = words[process + counter]
        words[record] = serial
        if not self.open_records and self._measured is not None:
            gc.callbacks.append(self._measured)
        self.open_records = (*self.open_records, record)
        if allocations:
            if self._allocations is None:
                from algoprof.recorder.allocations import AllocationPeaks  # noqa: PLC0415  (whoever asks imports it)

                self._allocations = AllocationPeaks(self._note_allocation_peak)
            self._allocations.begin(slot)

    def end(self, slot: int) -> None:
        """Write what was counted during a run, and its peaks."""
        record = self.record(slot)
        if record not in self.open_records:
            return
        self.open_records = tuple(one for one in self.open_records if one != record)
        if not self.open_records:
            self._stop_measuring_collections()
        self.observe()
        if self._allocations is not None:
            self._allocations.end(slot)
        words, process = self._words, self._process
        for word in (at.ENVIRONMENT_MEMORY_PEAK, at.ENVIRONMENT_GROUP_PEAK):
            words[record + word] = words[process + word]
        for counter in _COUNTERS:
            before, now = words[record + counter + at.ENVIRONMENT_BEFORE], words[process + counter]
            if before >= 0 and now >= 0:
                words[record + counter] = max(0, now - before)

    def add(self, slot: int, serial: int, run_slot: int) -> None:
        """Add an ended run's record to that of the cumulative tree of its name."""
        if not self._base:
            return
        words, total, record = self._words, self.record(slot), self.record(run_slot)
        if words[total] != serial:
            words[total] = 0
            words[total : total + at.ENVIRONMENT_WORDS] = _NOTHING
            words[total] = serial
        for word in range(at.ENVIRONMENT_CPU_COUNT, at.ENVIRONMENT_MEMORY_PEAK):
            words[total + word] = words[record + word]  # as it was last
        for word in (*_PEAKS, at.ENVIRONMENT_ALLOCATION_PEAK):
            words[total + word] = max(words[total + word], words[record + word])
        for counter in _COUNTERS:
            if words[record + counter] >= 0:
                words[total + counter] = max(0, words[total + counter]) + words[record + counter]

    def observe(self) -> None:
        """Read what is counted for the process. Called when runs begin and end, when they are read, and every second.

        The files that tell are read at most every 5 ms.
        """
        if not self._base:
            return
        words, process = self._words, self._process
        words[process + at.ENVIRONMENT_CPU] = process_time_ns()
        if self._allocations is not None:
            self._allocations.observe()
        now = monotonic_ns()
        if now - self._read_ns < _FRESH_NS:
            return
        self._read_ns = now
        self._load = _load()
        words[process + at.ENVIRONMENT_MEMORY_PEAK] = _known(_memory_peak())
        words[process + at.ENVIRONMENT_GROUP_PEAK] = _known(self._groups.memory_peak())
        if self._counts_kills:
            words[at.HEADER_OOM_KILLS] = self._groups.oom_kills() or 0
        throttling = self._groups.throttling()
        if throttling is not None:
            words[process + at.ENVIRONMENT_PERIODS] = throttling[0]
            words[process + at.ENVIRONMENT_THROTTLED_PERIODS] = throttling[1]
            words[process + at.ENVIRONMENT_THROTTLED] = throttling[2]

    def _note_allocation_peak(self, slot: int, peak: int) -> None:
        if self._base:
            self._words[self.record(slot) + at.ENVIRONMENT_ALLOCATION_PEAK] = peak

    def abandon(self) -> None:
        """Write nothing any more: the file is a parent process's, or the program ends."""
        self._base = 0
        self.open_records = ()
        self._stop_measuring_collections()
        if self._allocations is not None:
            self._allocations.stop()

    def record(self, slot: int) -> int:
        """Return the word offset of the record of a run's slot."""
        return self._base + (slot - at.RUNS_AT // 8) // at.RUN_WORDS * at.ENVIRONMENT_WORDS

    def _note_memory_group(self, flight: FlightFile) -> bool:
        """Note where the kernel counts whom it killed for want of memory; return whether it counts that."""
        kills = self._groups.oom_kills()
        if kills is None:
            return False
        flight.words[at.HEADER_OOM_KILLS] = kills
        try:
            flight.set_memory_group(self._groups.memory_events)
        except OSError:  # the group is gone
            return False
        return True

    def _stop_measuring_collections(self) -> None:
        if self._measured is not None and self._measured in gc.callbacks:
            gc.callbacks.remove(self._measured)

    def _measure_collections(self) -> "Callable[[str, dict[str, int]], None] | None":
        """Return what the garbage collector calls before and after each of its pauses; None without the compiled one.

        In a callback in Python, what a signal handler raises would be lost to the program.
        """
        return CollectionTimer(self, self._words, self._process) if CollectionTimer is not None else None


def _cpu_count() -> int:
    """Return how many processors this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except (AttributeError, OSError):
        return _known(os.cpu_count())


def _load() -> int:
    try:
        return _millionths(os.getloadavg()[0])
    except (AttributeError, OSError):
        return -1


def _memory_peak() -> int | None:
    peak = read_memory_peak()
    if peak is not None:
        return peak
    try:
        import resource  # noqa: PLC0415  (not on every platform, and not needed on Linux)
    except ImportError:
        return None
    unit = 1 if os.uname().sysname == "Darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _millionths(value: float | None) -> int:
    return round(value * _MILLION) if value is not None else -1


def _known(value: int | None) -> int:
    return value if value is not None else -1
