"""The stack sampler: at each tick, where the program's threads are, and in which sections.

The main thread is interrupted by a signal where it runs, and looked at by a helper where it waits. The other threads
are looked at by the helper, which has to wait for the GIL. A sample counts the ticks since the one before, so that C
code that lets nothing run gets all of its time.
"""

import os
import signal
import sys
from _thread import _count, allocate_lock, get_ident, get_native_id, start_new_thread
from time import monotonic_ns

from algoprof.recorder import layout as at
from algoprof.recorder.own_threads import is_own
from algoprof.recorder.sample_tree import Busy, SampleTree
from algoprof.recorder.stacks import current_frames

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType, FrameType, ModuleType

    from algoprof.recorder.flight import FlightFile
    from algoprof.recorder.run_table import RunTable

    Stack = list[tuple[CodeType, int]]

_SWITCH_SECONDS = 0.0005
_NUMBER = getattr(signal, "SIGURG", 0)  # nobody's, and ignored where it has no handler
_SETTLE_EVERY = 16  # samples
_PATIENCE_SECONDS = 1.0  # with a program that has other threads now and then


_sampler: "Sampler | None" = None
_trees: "list[SampleTree]" = []  # the signal handler's and the helper's, of each rate that was chosen


def begin(table: "RunTable", flight: "FlightFile", fault: "Callable[[], None]", choice: str, rate: int) -> None:
    """Sample this process from now on.

    Args:
        table: of its flight file.
        flight: that file.
        fault: counts an exception of ours that is being handled, or raises it if it is the program's.
        choice: `on`, by signal where that can be; `thread`, by a thread alone; `off` ends it.
        rate: ticks per second.

    Raises:
        OutOfSpace: if the file has no room for samples.
    """
    global _sampler  # noqa: PLW0603  (the one sampler of the process)
    stop()
    if choice != "off":
        table.implicit_root()  # what runs outside every run is sampled too
        _sampler = Sampler(table, flight, rate, fault)
        _sampler.begin(by_signal=choice == "on")


def _trees_of(flight: "FlightFile", interval_ns: int) -> "list[SampleTree]":
    """Return the signal handler's tree and the helper's, those of before if there are any of this interval."""
    found = [tree for tree in _trees if tree.flight is flight and tree.interval_ns == interval_ns]
    if not found:
        found = [SampleTree(flight, interval_ns), SampleTree(flight, interval_ns)]
        _trees.extend(found)
    return found


def nodes_of(serial: int) -> dict[int, list[int]]:
    """Return the nodes with the samples of a run that is open or has just ended, by the first segment of their tree."""
    return {tree.segment: tree.nodes_of(serial) for tree in _trees}


def stop() -> None:
    """End sampling, if it goes on, and give back what it has taken."""
    global _sampler  # noqa: PLW0603  (see begin)
    if _sampler is not None:
        _sampler.stop()
        _sampler = None


def forget() -> bool:
    """In a forked child: be as if nothing was ever sampled; return whether the parent is."""
    global _sampler
    before, _sampler = _sampler, None
    _trees.clear()
    if before is not None:
        before.forget()
    return before is not None


class Sampler:
    """Samples this process from `begin` to `stop`.

    Args:
        table: of the flight file.
        flight: that file.
        rate: ticks per second.
        fault: counts an exception of ours that is being handled, or raises it if it is the program's.

    What has no underscore is the compiled clock's to use.

    Raises:
        OutOfSpace: if the file has no room for samples.
    """

    def __init__(self, table: "RunTable", flight: "FlightFile", rate: int, fault: "Callable[[], None]") -> None:
        self.table = table
        self.words = flight.words
        self.fault = fault
        self._interval = 1_000_000_000 // rate
        self.main, self._others = _trees_of(flight, self._interval)
        self._origin = monotonic_ns()
        self._counted_main = self._counted_others = 0
        self._ticker: ModuleType | None = None
        self.in_handler = self._is_lost = False
        self._main_ident = _main_ident()
        self._stopped = allocate_lock()
        self._stopped.acquire()
        self.threads_seen = -1  # until the helper counts them, itself included
        self.wants_others = False
        self._quiet = 0  # ticks since the program had other threads
        self._samples = 0
        self._switch_before = 0.0
        self._homes: list[int] = []
        self._segments_seen = 1

    def begin(self, *, by_signal: bool) -> None:
        """Begin, in the main thread by signal if that can be."""
        if by_signal and self._install():
            self.main.note(at.BY_SIGNAL)
        else:
            self._begin_others()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())  # what the thread takes over: none
        try:
            start_new_thread(self._help, ())
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def stop(self) -> None:
        """End it, and give back what it has taken."""
        if self._ticker is not None:
            self._ticker.stop()
            self._give_back()
        self._end_others()
        if self._stopped.locked():
            self._stopped.release()

    def forget(self) -> None:
        """In a forked child: the threads are the parent's, and the file too."""
        if self._ticker is not None:
            self._ticker.stop()
            self._give_back()
        self._end_others()

    def _give_back(self) -> None:
        try:
            if self._ticker is not None and signal.getsignal(_NUMBER) is self._ticker.on_signal:
                signal.signal(_NUMBER, signal.SIG_DFL)
        except ValueError:  # not in the main thread: the handler does nothing any more
            return

    def _install(self) -> bool:
        """Have the main thread interrupted, if this is it, and nobody has the signal."""
        try:
            from algoprof.recorder import _ticker  # type: ignore[attr-defined]  # noqa: PLC0415  (where it is built)
        except ImportError:
            return False
        if signal.getsignal(_NUMBER) is not signal.SIG_DFL or not _ticker.is_free(_NUMBER):
            return False
        try:
            signal.signal(_NUMBER, _ticker.on_signal)
        except ValueError:  # not the main thread, or not the main interpreter
            return False
        self._ticker = _ticker
        if _ticker.start(_NUMBER, self, self._origin, self._interval):
            return True
        self._give_back()
        self._ticker = None
        return False

    def sample_main(self, rows: list[int], stack: "Stack", now: int) -> None:
        """Take a sample of the main thread, in the middle of whatever it does.

        Args:
            rows: the innermost open row of each open run, innermost run first.
            stack: code and position of each frame, innermost first.
            now: how many ticks there were.
        """
        self.in_handler = True
        try:
            self.main.settle()
            if self._has_other_threads():
                self._begin_others()
            place = self.main.place_of(rows)
            ticks = self._due_in_main(now)
            if ticks:
                self.main.count(place, stack, ticks)
        except Busy:
            return  # the ticks are the next sample's
        except Exception:  # noqa: BLE001  (the profiler never breaks the program)
            self.fault()
        finally:
            self.in_handler = False

    def _has_other_threads(self) -> bool:
        return not self.wants_others and self.threads_seen not in (-1, _count())

    def _now(self) -> int:
        """Return how many ticks there were."""
        return (monotonic_ns() - self._origin) // self._interval

    def _due_in_main(self, now: int) -> int:
        """Return the ticks that the main thread is to be given up to one; another sample's are not given twice."""
        if self._ticker is not None:
            return int(self._ticker.due(now))
        ticks, self._counted_main = now - self._counted_main, now  # the helper alone counts
        return ticks

    def _implicit_row(self) -> list[int]:
        run = self.table.implicit
        return [run.root_reference << 3] if run is not None else []

    def _help(self) -> None:
        """Be the helper: look at the threads that cannot be interrupted, whenever that is wanted."""
        ticker = self._ticker
        self.threads_seen = _count()
        try:
            if ticker is None:
                while not self._stopped.acquire(timeout=self._interval / 1e9):
                    self._look(main=True, others=True)
                return
            while True:
                wanted = ticker.wait()
                if wanted & ticker.STOP or not self._stopped.locked():
                    return
                if ticker.is_lost() and not self._is_lost:
                    self._is_lost = True
                    self.main.note(at.SIGNAL_LOST)
                    self._begin_others()
                self._look(main=bool(wanted & ticker.MAIN), others=bool(wanted & ticker.OTHERS))
        except ValueError:  # the file was given back
            return

    def _look(self, *, main: bool, others: bool) -> None:
        try:
            self._sample_threads(main=main, others=others)
        except Busy:
            return
        except Exception:  # noqa: BLE001  (the profiler never breaks the program)
            self.fault()

    def _sample_threads(self, *, main: bool, others: bool) -> None:
        own, now = get_ident(), self._now()
        stacks = {ident: stack for ident, stack in _all_stacks().items() if ident != own and not _is_ours(stack)}
        self._others.note(at.BY_THREAD)
        open_rows = self._open_rows()
        if main and self._main_ident in stacks:
            ticks = self._due_in_main(now)
            if ticks:
                rows = open_rows.get(self._main_ident) or self._implicit_row()
                self._others.count(self._others.place_of(rows), stacks[self._main_ident], ticks)
        stacks.pop(self._main_ident, None)
        self._samples += 1
        if self._samples % _SETTLE_EVERY == 0:
            self._others.settle()
        if others:
            ticks, self._counted_others = now - self._counted_others, now
            for ident, stack in stacks.items():
                if ticks:
                    rows = open_rows.get(ident) or self._implicit_row()
                    self._others.count(self._others.place_of(rows), stack, ticks, beside=True)
            self._consider_ending(bool(stacks))
        elif stacks and not self.wants_others:
            self._begin_others()

    def _consider_ending(self, has_threads: bool) -> None:
        """Go back to the main thread alone when the program has had no other for a while."""
        self._quiet = 0 if has_threads else self._quiet + 1
        if self._ticker is not None and not self._is_lost and self._quiet * self._interval > _PATIENCE_SECONDS * 1e9:
            self.threads_seen = _count()
            self._end_others()

    def _begin_others(self) -> None:
        """Have the helper look at the other threads at each tick; it is to get the GIL in time for that."""
        self.wants_others, self._quiet = True, 0
        self._counted_others = self._now()
        if not self._switch_before and sys.getswitchinterval() > _SWITCH_SECONDS:
            self._switch_before = sys.getswitchinterval()
            sys.setswitchinterval(_SWITCH_SECONDS)
        if self._ticker is not None:
            self._ticker.want_others(True)

    def _end_others(self) -> None:
        self.wants_others = False
        if self._ticker is not None:
            self._ticker.want_others(False)
        before, self._switch_before = self._switch_before, 0.0
        if before and abs(sys.getswitchinterval() - _SWITCH_SECONDS) < 1e-6:  # else the program has set it since
            sys.setswitchinterval(before)

    def _open_rows(self) -> dict[int, list[int]]:
        """Return the row of what each thread has entered last and not left, by the thread's ident."""
        words = self.words
        count = words[at.HEADER_SEGMENTS]
        for segment in range(self._segments_seen, count):
            entry = words[at.DIRECTORY_AT // 8 + segment]
            if entry & 0xFFFF == at.HOME:
                self._homes.append(segment * at.SEGMENT_WORDS)
        self._segments_seen = count
        return {
            words[home + at.BLOCK_IDENT]: rows
            for home in self._homes
            if words[home + at.BLOCK_STATE] == at.BLOCK_LIVE and (rows := self._innermost_row(home))
        }

    def _innermost_row(self, home: int) -> list[int]:
        words, first = self.words, home + at.HOME_OPENS_AT // 8
        step = at.OPEN_BYTES // 8
        heads = words[first : first + at.HOME_OPENS * step : step].tolist()
        entries = [
            (words[first + place * step + at.OPEN_STARTED], head & at.REFERENCE_MASK)
            for place, head in enumerate(heads)
            if head
        ]
        return [max(entries)[1] << 3] if entries else []


def _main_ident() -> int:
    """Return what Python calls the main thread; 0 if that cannot be told."""
    if get_native_id() == os.getpid():
        return get_ident()
    threading = sys.modules.get("threading")
    return threading.main_thread().ident or 0 if threading is not None else 0


def _all_stacks() -> "dict[int, Stack]":
    """Return the stack of each thread by its ident, as code and position of each frame, innermost first."""
    frames = current_frames()
    stacks: dict[int, Stack] = {}
    while frames:
        frame: FrameType | None
        ident, frame = frames.popitem()
        stack: Stack = []
        while frame is not None and len(stack) < at.STACK_DEPTH:
            stack.append((frame.f_code, frame.f_lasti))
            frame = frame.f_back
        stacks[ident] = stack
    return stacks


def _is_ours(stack: "Stack") -> bool:
    """Whether a thread is one of algoprof's; not, if it is too deep to tell."""
    return len(stack) < at.STACK_DEPTH and is_own(code.co_filename for code, _ in reversed(stack))
