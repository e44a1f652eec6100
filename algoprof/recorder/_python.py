"""The hot paths in Python: what the enter and the exit of a section write into the flight file."""

import struct
import sys
from bisect import bisect_left
from contextvars import copy_context
from itertools import pairwise
from time import monotonic_ns

from algoprof.profiles.buckets import BOUNDS_NS
from algoprof.recorder.cold import ColdWriter
from algoprof.recorder.layout import (
    NESTED,
    NODE_COUNT,
    NODE_HISTOGRAM,
    NODE_LONGEST,
    NODE_NESTED,
    NODE_RECURSIONS,
    NODE_SHORTEST,
    NODE_TOTAL,
    WORD,
)
from algoprof.recorder.tasks import current_task

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType, TracebackType
    from typing import Any, Self

    from algoprof.recorder.blocks import Block
    from algoprof.recorder.run_table import RunState
    from algoprof.recorder.suspensions import Held, Steps

# For a duration of so many bits: the first of its buckets, and the bounds to search from there.
_FIRST = tuple(bisect_left(BOUNDS_NS, 1 << bits >> 1) for bits in range(129))
_OCTAVES = tuple((first, BOUNDS_NS[first:end]) for first, end in pairwise(_FIRST))

# An open entry: nothing yet in its first word, start, parent's row, attributes (none yet), span and parent's span.
_write_open = struct.Struct(f"8x5{WORD}").pack_into
_GENERATOR = 0x20 | 0x200  # flags of a code object: a generator function's, an asynchronous one's
_frame = sys._getframe  # noqa: SLF001  (what inspect.currentframe does)
_modules = sys.modules
_MUST_HOLD = sys.version_info < (3, 12)
"""Whether the garbage collector may run while a context variable is being set.

A finalizer that sets one of the same context then frees the map that is being read; a copy of the context holds it.
"""


class RunMark:
    """What the hot paths know of a run."""

    __slots__ = ("ended", "writer")

    def __init__(self, writer: "Writer") -> None:
        self.writer = writer
        self.ended = False


class Row:
    """A node of one run in one thread's block, and the rows below it.

    Its counters are kept here too, since reading them from the file costs more than writing them.
    """

    __slots__ = (
        "beside", "block", "children", "count", "count_at", "depth", "folds", "histogram_at", "link", "longest", "name",
        "nested_at", "offset", "reference", "run", "sequence", "shortest", "total", "total_at",
    )  # fmt: skip

    def __init__(self, block: "Block", offset: int, run: "RunState", name: int, depth: int) -> None:
        self.block = block
        self.offset = offset  # in words
        self.count_at, self.total_at = offset + NODE_COUNT, offset + NODE_TOTAL
        self.nested_at, self.histogram_at = offset + NODE_NESTED, offset + NODE_HISTOGRAM
        self.reference = offset >> 3
        self.link = self.reference | NESTED << 32  # in the open entry of one that is nested
        self.run = run
        self.name = name
        self.depth = depth
        self.children: dict[int, Row] = {}  # nested, by name
        self.folds: dict[int, Row] = {}  # recursive, by name: the outer row that counts them
        self.beside: dict[tuple[Block, int], Row] = {}  # concurrent, by block and name
        self.sequence = self.count = self.total = self.shortest = 0
        self.longest = -1  # so that the first is longer

    def reload(self, words: memoryview) -> None:
        """Read the counters again: the cold path has changed them in the file."""
        node = self.offset
        self.sequence, self.count, self.total = words[node], words[node + NODE_COUNT], words[node + NODE_TOTAL]
        if self.count > words[node + NODE_RECURSIONS]:
            self.shortest, self.longest = words[node + NODE_SHORTEST], words[node + NODE_LONGEST]


class Occurrence:
    """One open occurrence of a section. What few of them have is kept in the class until it is set."""

    __slots__ = (
        "__dict__", "above", "closed", "entry", "home", "name", "plain", "row", "scope", "span", "started",
    )  # fmt: skip

    above: "Occurrence | None"
    closed: bool
    entry: int  # word offset of its open entry
    home: "Block | None"  # in whose thread sections are nested in it with nothing to see to; None once it is closed
    name: int
    plain: bool  # whether there is nothing to see to when it is left, but to count it
    row: Row
    scope: object  # the asyncio task that opened it
    span: int
    started: int

    attributes: "dict[str, object] | None" = None
    flags = NESTED
    folding = False  # whether it, or one it stands in, recurs
    held: "Held | None" = None
    names: "frozenset[int] | None" = None  # in a recursion: those of all that are open
    slot = 0  # byte offset of its attributes; 0 if it has none, or there was no room
    steps: "Steps | None" = None
    task: object = None  # the compiled writer's
    vacant = False  # closed, and known to be in no context but where it may be opened again: the compiled writer's


class Writer(ColdWriter):
    """Writes what happens into a flight file, every thread into its own block."""

    new_row = Row
    new_occurrence = Occurrence

    def enter(self, name: int, attributes: dict[str, object] | None = None) -> Occurrence:
        """Open an occurrence of a section, wherever it stands, and make it its context's innermost."""
        block, scope = self.block(), self.scope()
        above = self.current.get()
        if above is not None and (above.closed or above.held is not None):
            above = self.above(above, scope, block)
        if above is None or above.row.run.ended:
            above = self.runs.implicit_root()
        occurrence = self.make(name, above)
        if self.is_own(above, scope, block):
            occurrence.flags = NESTED
        return self.open(occurrence, self.place(occurrence, above, block), above, attributes)

    def leave(self, occurrence: Occurrence, error: BaseException | None = None, ended: int = 0) -> None:
        """Close an occurrence. Closing it a second time does nothing.

        Args:
            occurrence: what `enter` returned.
            error: what it was left by.
            ended: when that was; now, if it is not said.
        """
        ended = ended or monotonic_ns()
        if not occurrence.closed and not self.inherited:
            occurrence.closed, occurrence.home = True, None
            self.leave_slowly(occurrence, ended, error)
            occurrence.row.reload(self.flight.words)

    def mend(self, occurrence: Occurrence) -> None:
        """Close an occurrence whose closing was cut short by what a signal handler raised; its times may be lost."""
        if not occurrence.closed:
            self.leave(occurrence)
        elif not self.inherited:
            words, row = self.flight.words, occurrence.row
            words[row.offset] = (words[row.offset] | 1) + 1
            words[occurrence.entry] = 0
            row.reload(words)
            if self.current.get() is occurrence:
                self.set_current(occurrence.above)

    def set_current(self, occurrence: Occurrence | None) -> None:
        """Make an occurrence the context's innermost."""
        if _MUST_HOLD:
            _ = copy_context()
        self.current.set(occurrence)


class SectionBase:
    """What a section does when it is entered and left; `algoprof.sections` makes it whole."""

    __slots__ = ("attributes", "name", "number", "place", "writer")

    def __init__(
        self, name: str, attributes: dict[str, object] | None = None, place: tuple[str, int] = ("", 0)
    ) -> None:
        self.name = name
        self.attributes = attributes
        self.place = place
        self.writer: Writer | None = None
        self.number = 0

    def bind(self, writer: Writer, number: int) -> None:
        """Use a writer from now on, which knows the name by a number."""
        self.writer, self.number = writer, number

    def resolve(self) -> Writer:
        """Return this process's writer, and learn what number it has for the name."""
        raise NotImplementedError

    def fault(self) -> None:
        """Count a fault of ours that is being handled."""
        raise NotImplementedError

    def enter(self) -> Occurrence | None:
        """Open an occurrence, and return it; None if the recorder failed, which is counted."""
        try:
            writer = self.writer
            if writer is not _active:
                writer = self.resolve()
            number = self.number
            above: Any = _innermost()
            try:
                here = _threads.block
                row = above.row.children[number]
            except (AttributeError, KeyError):  # the first in its thread, outside of everything, or of its name there
                return writer.enter(number, self.attributes)
            scope = current_task() if "asyncio.tasks" in _modules else None
            if above.home is not here or above.scope is not scope or row.run.ended or not here.opens:
                return writer.enter(number, self.attributes)
            occurrence = Occurrence()
            occurrence.above = above
            occurrence.name = number
            occurrence.row = row
            occurrence.scope = scope
            occurrence.home = here
            occurrence.closed = False
            occurrence.plain = True
            occurrence.entry = entry = here.opens.pop()
            occurrence.span = span = _next_span()
            if _MUST_HOLD:
                _ = copy_context()
            _set_innermost(occurrence)
            occurrence.started = started = monotonic_ns()
            _write_open(_data, entry * 8, started, above.row.reference, 0, span, above.span)
            if self.attributes:
                writer.keep_attributes(occurrence, self.attributes)
            _words[entry] = row.link
        except BaseException as fault:
            self._abandon()
            if not isinstance(fault, Exception):
                raise
            self.fault()  # the profiler never breaks the program
            return None
        return occurrence

    def leave(self, opened: Occurrence | None, error: BaseException | None) -> None:
        """Close what `enter` opened."""
        if opened is None:
            if error is not None:
                self._abandon()
        elif opened is _innermost():
            SectionBase.__exit__(self, None, error, None)
        else:
            self._close(opened, error)

    def __enter__(self) -> "Self":
        caller = _frame(1)
        if caller.f_code.co_flags & _GENERATOR:
            self._enter_held(caller)
        else:
            self.enter()
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: "TracebackType | None") -> None:
        ended = monotonic_ns()
        opened = _innermost() if self.writer is _active else None
        if (
            opened is None
            or opened.name != self.number
            or opened.closed
            or (_holds and (_frame(1) in _holds or not opened.plain))
        ):
            self._leave_slowly(_frame(1), error)
            return
        row = opened.row
        above = opened.above
        elapsed = ended - opened.started
        try:
            here = _threads.block
        except AttributeError:  # it was opened in another thread, and this one has opened nothing
            here = None
        if not opened.plain or error is not None or row.run.ended or elapsed > row.longest or row.block is not here:
            self._close(opened, error, ended)
            return
        try:
            opened.closed = True
            opened.home = None
            if _MUST_HOLD:
                _ = copy_context()
            _set_innermost(above)
            words = _words
            node = row.offset
            first, bounds = _OCTAVES[elapsed.bit_length()]
            bucket = row.histogram_at + first + bisect_left(bounds, elapsed)
            words[node] = sequence = row.sequence + 1
            words[row.count_at] = row.count = row.count + 1
            words[row.total_at] = row.total = row.total + elapsed
            words[bucket] += 1
            words[above.row.nested_at] += elapsed  # type: ignore[union-attr]  # it is nested in it
            if elapsed < row.shortest:
                words[node + NODE_SHORTEST] = row.shortest = elapsed
            entry = opened.entry
            words[entry] = 0
            words[node] = row.sequence = sequence + 1
            here.opens.append(entry)
        except BaseException as fault:
            row.run.writer.mend(opened)
            if not isinstance(fault, Exception):
                raise
            self.fault()  # the profiler never breaks the program

    def __aenter__(self) -> "Any":
        caller = _frame(1)
        if caller.f_code.co_flags & _GENERATOR:
            self._enter_held(caller)
        else:
            self.enter()
        return ready(self)

    def __aexit__(self, kind: object, error: BaseException | None, traceback: "TracebackType | None") -> "Any":
        caller = _frame(1)
        if caller in _holds:
            self._leave_slowly(caller, error)
        else:
            SectionBase.__exit__(self, kind, error, traceback)
        return ready(None)

    def _abandon(self) -> None:
        """Undo an enter that was cut short."""
        if self.writer is _active:
            self.writer.abandon(self.number)

    def _enter_held(self, caller: "FrameType") -> None:
        """Open an occurrence in the body of a generator."""
        try:
            writer = self.writer
            if writer is not _active:
                writer = self.resolve()
            writer.enter_held(self.number, self.attributes, caller)
        except Exception:  # noqa: BLE001  (the profiler never breaks the program)
            self.fault()

    def _leave_slowly(self, caller: "FrameType", error: BaseException | None) -> None:
        """Close the caller's innermost open occurrence of this section, or what a generator holds open."""
        writer = self.writer
        if writer is None:
            return
        try:
            if writer.holds and writer.leave_held(self.number, caller, error):
                return
            opened = writer.innermost(self.number)
        except Exception:  # noqa: BLE001  (the profiler never breaks the program)
            self.fault()
            return
        if opened is not None:
            self._close(opened, error)

    def _close(self, opened: Occurrence, error: BaseException | None, ended: int = 0) -> None:
        """Close an occurrence, wherever it is closed from and whatever it is."""
        writer = opened.row.run.writer
        try:
            writer.leave(opened, error, ended)
        except BaseException as fault:
            writer.mend(opened)
            if not isinstance(fault, Exception):
                raise
            self.fault()  # the profiler never breaks the program


_NOBODY: "Any" = object()  # no section is bound to it
_active: Writer = _NOBODY
# What the hot paths use of it.
_words: memoryview
_data: memoryview
_threads: "Any"
_innermost: "Callable[[], Occurrence | None]"
_set_innermost: "Callable[[Occurrence | None], object]"
_next_span: "Callable[[], int]"
_holds: "dict[FrameType, Occurrence]" = {}


def activate(writer: Writer | None) -> None:
    """Say who records in this process from now on."""
    global _active, _words, _data, _threads, _innermost, _set_innermost, _next_span, _holds  # noqa: PLW0603
    if writer is not None:
        _words, _data, _threads = writer.flight.words, writer.flight.bytes, writer.threads
        _innermost, _set_innermost, _next_span = writer.current.get, writer.current.set, writer.next_span
        _holds = writer.holds
    _active = _NOBODY if writer is None else writer


def quickened(function: "Any", cls: type[SectionBase], names: "dict[str, Any]", nothing: object) -> "Any":  # noqa: ARG001  (the twin's)
    """Return `function` as it is: the compiled writer has a `section` that finds the names it knows faster."""
    return function


CollectionTimer: "Callable[..., Callable[[str, dict[str, int]], None]] | None" = None
"""What times the garbage collector's pauses: the compiled writer's alone."""


class NoSectionBase:
    """What is entered and left while recording is disabled."""

    __slots__ = ()

    def __enter__(self) -> "Self":
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: "TracebackType | None") -> None:
        pass

    def __aenter__(self) -> "Any":
        return ready(self)

    def __aexit__(self, kind: object, error: BaseException | None, traceback: "TracebackType | None") -> "Any":
        return ready(None)


async def ready(value: object) -> object:
    """Return a value without a pause: what entering is awaited for."""
    return value
