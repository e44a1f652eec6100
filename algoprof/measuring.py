"""Sections that measure more than their time, on request: `section.with_options(cpu=True, device="cuda")`."""

import os
import sys
from threading import get_ident
from time import thread_time_ns

from algoprof import devices
from algoprof.recorder import layout as at
from algoprof.recorder import process
from algoprof.sections import DISABLED, Section, caller, section
from algoprof.wrapping import wrap

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType, TracebackType
    from typing import Any, Self

    from algoprof.devices import CudaTimes, Lap
    from algoprof.recorder.writer import Occurrence
    from algoprof.sections import F, SectionFactory


_GENERATOR = 0x20 | 0x200  # flags of a code object: a generator function's, an asynchronous one's
_frame = sys._getframe  # noqa: SLF001  (what inspect.currentframe does)


def with_options(
    *, cpu: bool = False, device: str | None = None, timeout: float | None = None, **unknown: object
) -> "SectionFactory":
    """Return a `section` that measures more, or has a budget of its own; it is used as `section` is, in every form.

    Args:
        cpu: whether to add up the processor time of the thread, in `Node.cpu_time`. For a decorated coroutine or
            generator it is that of its own steps. A plain `with` around an `await` or a `yield` counts what the thread
            did for others meanwhile; `async with` always stands around one, so there it is not measured.
        device: `"cuda"` adds up the time that CUDA took, in `Node.device_time`, where torch uses it. Events are
            recorded on the stream that is current, and read later: nothing is waited for. What the device has not come
            to when the run ends is counted in `Profile.dropped`.
        timeout: seconds that each occurrence may take. Inside, `budget()` is the section's: this, or what remains
            around it, whichever is less. Nothing stops it: `budget().check()` raises when the time is used up.
        unknown: none of them is known.

    Raises:
        TypeError: if there is no such option.
        ConfigurationError: if there is no such device, or the timeout is not a positive number of seconds.

    >>> from algoprof import profile
    >>> timed = with_options(cpu=True)
    >>> with profile("job") as run, timed("count"):
    ...     total = sum(range(100_000))
    >>> run.snapshot().node("job", "count").cpu_time > 0
    True
    """
    if unknown:
        raise TypeError(f"section has no option {', '.join(unknown)}; it has cpu, device and timeout")
    options = Options(cpu=bool(cpu), device=devices.checked(device))
    if timeout is not None:
        from algoprof.limits import limited  # noqa: PLC0415  (few sections have a budget)

        made = limited(timeout, options)
        made.with_options = with_options  # type: ignore[method-assign]
        return made
    if DISABLED or not options.measures:
        return section

    def timed(name: "Any", /, **attributes: object) -> "Any":
        if isinstance(name, str):
            return MeasuredSection(str(name), attributes or None, caller(2), options)
        if attributes:
            raise TypeError('to decorate with attributes, give the section a name: @timed("name", key=value)')
        return wrap(name, lambda called, module, line: MeasuredSection(called, None, (module, line), options))

    timed.with_options = with_options  # type: ignore[attr-defined]
    return timed  # type: ignore[return-value]  # a function that has one more name


class Options:
    """What sections measure besides their time.

    Args:
        cpu: processor time.
        device: who times the device.
    """

    __slots__ = ("cpu", "device")

    def __init__(self, *, cpu: bool, device: "CudaTimes | None") -> None:
        self.cpu = cpu
        self.device = device

    @property
    def measures(self) -> bool:
        """Whether there is anything to measure."""
        return self.cpu or self.device is not None


class _Clocks:
    """What is measured of one open occurrence. They stop while it is suspended."""

    __slots__ = ("began_ns", "cpu_ns", "lap", "occurrence", "options", "owner", "runs_in")

    def __init__(self, occurrence: "Occurrence", options: Options) -> None:
        self.occurrence = occurrence
        self.options = options
        self.owner = get_ident()  # the thread whose row it is
        self.runs_in = 0  # the thread in which the clocks run; 0 while they stand
        self.began_ns = self.cpu_ns = 0
        self.lap: Lap | None = None

    def start(self) -> None:
        if self.options.device is not None:
            self.lap = self.options.device.begin(self.occurrence)
        self.runs_in = get_ident()
        if self.options.cpu:
            self.began_ns = thread_time_ns()

    def stop(self) -> None:
        if not self.runs_in:
            return
        if self.options.cpu and self.runs_in == get_ident():  # each thread has a clock of its own
            self.cpu_ns += max(1, thread_time_ns() - self.began_ns)  # a coarse clock may stand still
        self.runs_in = 0
        if self.options.device is not None:
            self.options.device.end(self.lap, self.occurrence)
            self.lap = None

    def add_cpu(self) -> None:
        if self.options.cpu:
            run = self.occurrence.row.run
            if self.owner == get_ident() and self.cpu_ns:
                if not run.ended:
                    run.writer.add_cpu(self.occurrence, self.cpu_ns)
            else:
                run.writer.runs.count_dropped(run)


_open: "dict[Occurrence, _Clocks]" = {}
_held: "dict[FrameType, list[Occurrence]]" = {}  # by the generator whose `with` opened them, the innermost last


class MeasuredSection(Section):
    """A section that measures more than its time.

    Args:
        name: what it is called.
        attributes: kept with a sample of its occurrences.
        place: the module and line where it is written.
        options: what it measures.
    """

    __slots__ = ("_options",)

    def __init__(
        self, name: str, attributes: dict[str, object] | None, place: tuple[str, int], options: Options
    ) -> None:
        super().__init__(name, attributes, place)
        self._options = options

    def __enter__(self) -> "Self":
        self._open_in(_frame(1), measured=True)
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: "TracebackType | None") -> None:
        self._close_in(_frame(1), error)

    async def __aenter__(self) -> "Self":
        self._open_in(_frame(1), measured=False)
        return self

    async def __aexit__(self, kind: object, error: BaseException | None, traceback: "TracebackType | None") -> None:
        self._close_in(_frame(1), error)

    def __call__(self, function: "F") -> "F":
        """Decorate a function, under this section's name."""
        return wrap(  # type: ignore[no-any-return]
            function,
            lambda _, module, line: MeasuredSection(self.name, self.attributes, (module, line), self._options),
            whole_class=False,
        )

    def enter(self) -> "Occurrence | None":
        """Open an occurrence, and return it; None if the recorder failed, which is counted."""
        opened = super().enter()
        self._start(opened)
        return opened

    def leave(self, opened: "Occurrence | None", error: BaseException | None) -> None:
        """Close what `enter` opened."""
        self._finish(opened)
        super().leave(opened, error)

    def suspend(self, opened: "Occurrence | None") -> None:
        """Give the context back to the caller of a generator or coroutine."""
        self._pause(opened)
        super().suspend(opened)

    def resume(self, opened: "Occurrence | None") -> None:
        """Take the context again."""
        super().resume(opened)
        self._go_on(opened)

    @process.never_raises
    def _open_in(self, frame: "FrameType", *, measured: bool) -> None:
        writer = self.resolve()
        if frame.f_code.co_flags & _GENERATOR:
            opened = writer.enter_held(self.number, self.attributes, frame)
            _held.setdefault(frame, []).append(opened)
        else:
            opened = writer.enter(self.number, self.attributes)
        if measured:
            self._start(opened)

    @process.never_raises
    def _close_in(self, frame: "FrameType", error: BaseException | None) -> None:
        writer = self.writer
        if writer is None:
            return
        opened = _taken_from(frame, self.number) or writer.innermost(self.number)
        self._finish(opened)
        held = frame.f_code.co_flags & _GENERATOR and writer.leave_held(self.number, frame, error)
        if not held and opened is not None:
            writer.leave(opened, error)

    @process.never_raises
    def _start(self, opened: "Occurrence | None") -> None:
        if (
            opened is not None and self._options.measures and not opened.flags & at.RECURSIVE
        ):  # its time is in the outermost one's
            clocks = _open[opened] = _Clocks(opened, self._options)
            clocks.start()

    @process.never_raises
    def _finish(self, opened: "Occurrence | None") -> None:
        clocks = _open.pop(opened, None) if opened is not None else None
        if clocks is not None:
            clocks.stop()
            clocks.add_cpu()

    @process.never_raises
    def _pause(self, opened: "Occurrence | None") -> None:
        clocks = _open.get(opened) if opened is not None else None
        if clocks is not None:
            clocks.stop()

    @process.never_raises
    def _go_on(self, opened: "Occurrence | None") -> None:
        clocks = _open.get(opened) if opened is not None else None
        if clocks is not None:
            clocks.start()


def _taken_from(frame: "FrameType", number: int) -> "Occurrence | None":
    """Return the innermost occurrence of a name that a generator's `with` opened, and forget it."""
    opened = _held.get(frame, [])
    for at_position in range(len(opened) - 1, -1, -1):
        if opened[at_position].name == number:
            found = opened.pop(at_position)
            if not opened:
                del _held[frame]
            return found
    return None


def _forget() -> None:
    """In a forked child: what is open is the parent's."""
    _open.clear()
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
