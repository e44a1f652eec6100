"""How much Python allocates at once during a run, on request: the peaks of `tracemalloc`, kept apart for each run."""

import tracemalloc
from _thread import RLock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class AllocationPeaks:
    """The peaks of the open runs that asked for them.

    `tracemalloc` has one peak for the whole process. It is noted for every open run before another one resets it, so
    that each has its own. Tracing is stopped when the last of them ends, unless the program had started it.

    Args:
        note: writes a run's peak, given its slot, in bytes over what was allocated when the run began.
    """

    def __init__(self, note: "Callable[[int, int], None]") -> None:
        self._note = note
        self._lock = RLock()
        self._open: dict[int, tuple[int, int]] = {}  # by slot: allocated when it began, and the peak since
        self._started = False

    def begin(self, slot: int) -> None:
        """Trace from now on, for a run."""
        with self._lock:
            if not tracemalloc.is_tracing():
                tracemalloc.start(1)
                self._started = True
            self.observe()
            tracemalloc.reset_peak()
            allocated = tracemalloc.get_traced_memory()[0]
            self._open[slot] = (allocated, allocated)
            self._note(slot, 0)

    def observe(self) -> None:
        """Bring the peaks of all open runs up to date."""
        if self._open:
            with self._lock:
                if not tracemalloc.is_tracing():  # the program has stopped it
                    for slot, (began, peak) in self._open.items():
                        if peak == began:
                            self._note(slot, -1)
                    return
                highest = tracemalloc.get_traced_memory()[1]
                for slot, (began, peak) in self._open.items():
                    if highest > peak:
                        self._open[slot] = began, highest
                        self._note(slot, highest - began)

    def end(self, slot: int) -> None:
        """Note a run's peak for the last time. A run that did not ask for it has none."""
        if slot in self._open:
            with self._lock:
                self.observe()
                del self._open[slot]
                if not self._open:
                    self.stop()

    def stop(self) -> None:
        """Stop tracing, if it was started here."""
        self._open = {}
        if self._started:
            self._started = False
            tracemalloc.stop()
