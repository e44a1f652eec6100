"""Device time: an event before and one after, read when the device has come to them. Nothing here waits for it."""

import logging
import os
import sys
from collections import deque
from threading import RLock

from algoprof.errors import ConfigurationError
from algoprof.recorder import process, run_table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from algoprof.recorder.run_table import RunState
    from algoprof.recorder.writer import Occurrence

_PENDING_LIMIT = 1024
_ASKED_AT_ONCE = 8


class Lap:
    """What the device was given between two moments.

    Args:
        occurrence: the section's, which may have been left meanwhile.
        stream: the stream that was the thread's at the first moment.
        begun: the event there.
    """

    __slots__ = ("begun", "ended", "occurrence", "stream")

    def __init__(self, occurrence: "Occurrence", stream: "Any", begun: "Any") -> None:
        self.occurrence = occurrence
        self.stream = stream
        self.begun = begun
        self.ended: Any = None


class CudaTimes:
    """Times what sections give to CUDA through torch, on the stream that is current where they are entered.

    torch is never imported here, nor is CUDA started. While a graph is being captured nothing is asked: that would
    break the capture.
    """

    def __init__(self) -> None:
        self._pending: deque[Lap] = deque()  # each is taken out by one thread at a time
        self._lock = RLock()
        self._told = False

    def begin(self, occurrence: "Occurrence") -> Lap | None:
        """Record the first event of a lap; None where CUDA is not in use."""
        self.settle()
        cuda = _cuda()
        if cuda is None:
            return None
        try:
            stream, event = cuda.current_stream(), cuda.Event(enable_timing=True)
            event.record(stream)
        except Exception:  # noqa: BLE001  (an error of the device is the program's to meet)
            return None
        return Lap(occurrence, stream, event)

    def end(self, lap: Lap | None, occurrence: "Occurrence") -> None:
        """Record the second event of a lap, whose time is added when the device has come to it."""
        cuda = _cuda()
        if cuda is None or lap is None:
            if _is_initialized():
                _drop(occurrence)  # the section was the first to use the device, or captures a graph
            else:
                self._tell()
            return
        try:
            lap.ended = cuda.Event(enable_timing=True)
            lap.ended.record(lap.stream)
        except Exception:  # noqa: BLE001  (as above)
            _drop(occurrence)
            return
        self._pending.append(lap)
        if len(self._pending) > _PENDING_LIMIT:
            _drop(self._pending.popleft().occurrence)
        self.settle()

    def settle(self) -> None:
        """Add the times of laps that are over, if a few of those that wait are."""
        if self._pending and _cuda() is not None:
            for _ in range(min(_ASKED_AT_ONCE, len(self._pending))):
                lap = self._next()
                if lap is not None and not self._add(lap):
                    self._pending.append(lap)

    @process.never_raises
    def settle_run(self, run: "RunState") -> None:
        """Add the times of a run's laps that are over, and count the others as dropped: the run ends now."""
        askable = _cuda() is not None
        for _ in range(len(self._pending)):
            lap = self._next()
            if lap is None:
                return
            if lap.occurrence.row.run is not run:
                self._pending.append(lap)
            elif not askable or not self._add(lap):
                _drop(lap.occurrence)

    def forget(self) -> None:
        """In a forked child: what waits is the parent's, and so is the device."""
        self._pending.clear()
        self._lock = RLock()

    def _next(self) -> Lap | None:
        try:
            return self._pending.popleft()
        except IndexError:
            return None

    def _add(self, lap: Lap) -> bool:
        """Add a lap's time, and return whether it is done with."""
        occurrence = lap.occurrence
        try:
            if not lap.ended.query():
                return False
            nanoseconds = round(lap.begun.elapsed_time(lap.ended) * 1e6)
        except Exception:  # noqa: BLE001  (as above)
            _drop(occurrence)
        else:
            with self._lock:  # another thread may have laps in the same row
                occurrence.row.run.writer.add_device(occurrence, max(1, nanoseconds))
        return True

    def _tell(self) -> None:
        if not self._told:
            self._told = True
            logging.getLogger("algoprof").warning(
                'a section asked for the time of the device "cuda", and torch does not use CUDA in this process;'
                " it is recorded without device time"
            )


def checked(device: str | None) -> "CudaTimes | None":
    """Return who times a device.

    Raises:
        ConfigurationError: if nobody here can.

    >>> checked("tpu")
    Traceback (most recent call last):
        ...
    algoprof.errors.ConfigurationError: no device 'tpu' can be timed; give "cuda", or None for the processor alone
    """
    if device is None:
        return None
    if device != "cuda":
        raise ConfigurationError(f'no device {device!r:.80} can be timed; give "cuda", or None for the processor alone')
    run_table.before_end = cuda_times.settle_run
    return cuda_times


def _cuda() -> "Any":
    """Return `torch.cuda` where it is in use and may be asked, else None."""
    cuda = getattr(sys.modules.get("torch"), "cuda", None)
    try:
        usable = cuda is not None and cuda.is_initialized() and not cuda.is_current_stream_capturing()
    except Exception:  # noqa: BLE001  (half imported, or a device in error)
        return None
    return cuda if usable else None


def _is_initialized() -> bool:
    try:
        return bool(sys.modules["torch"].cuda.is_initialized())
    except Exception:  # noqa: BLE001  (not there, or half imported)
        return False


def _drop(occurrence: "Occurrence") -> None:
    run = occurrence.row.run
    run.writer.runs.count_dropped(run)


cuda_times = CudaTimes()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=cuda_times.forget)
