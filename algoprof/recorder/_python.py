"""The hot paths in Python: what the enter and the exit of a section write into the flight file."""

import struct
import sys
from bisect import bisect_left
from contextvars import ContextVar, copy_context
from time import monotonic_ns

from algoprof.profiles.buckets import BOUNDS_NS
from algoprof.recorder.cold import NOWHERE, ColdWriter
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
    from types import CodeType, FrameType, TracebackType
    from typing import Any, Self

    from algoprof.recorder.blocks import Block
    from algoprof.recorder.run_table import RunState
    from algoprof.recorder.suspensions import Held, Steps


def _octave(bits: int) -> tuple[int, tuple[int, ...]]:
    """Return for durations of so many bits: the shift that leaves five, and for those the bucket of the shortest.

    No more than one bucket's bound lies among the durations that begin alike.
    """
    shift = max(bits - 5, 0)
    return shift, (0,) * 16 + tuple(bisect_left(BOUNDS_NS, start << shift) for start in range(16, 32))


_OCTAVES = tuple(map(_octave, range(65)))
_BOUNDS = (*BOUNDS_NS, 1 << 64)

# An open entry: nothing yet in its first word, start, parent's row, no attributes yet, span and parent's span.
_write_open = struct.Struct(f"8x2{WORD}8x2{WORD}").pack_into
_GENERATOR = 0x20 | 0x200  # flags of a code object: a generator function's, an asynchronous one's
_frame = sys._getframe  # noqa: SLF001  (what inspect.currentframe does)
_modules = sys.modules
_hold = copy_context if sys.version_info < (3, 12) else bool
"""Holds the context's map while one of its variables is set, where the garbage collector may run just then.

A finalizer that sets one of the same context would free the map that is being read.
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


class _OfRow:
    """An occurrence's name: its row's, until it is given another."""

    def __get__(self, occurrence: "Occurrence", owner: type) -> int:
        return occurrence.row.name


class Occurrence:
    """One open occurrence of a section. What few of them have is kept in the class until it is set."""

    __slots__ = ("__dict__", "above", "entry", "home", "row", "scope", "section", "span", "started")

    above: "Occurrence | None"
    entry: int  # word offset of its open entry
    home: object  # the block in whose thread sections nest in it with nothing to see to; None once it is closed
    row: Row
    section: "SectionBase | None"  # whose exit has nothing to see to but to count it
    scope: object  # the asyncio task that opened it
    span: int
    started: int

    attributes: "dict[str, object] | None" = None
    flags = NESTED
    folding = False  # whether it, or one it stands in, recurs
    held: "Held | None" = None
    name: int = _OfRow()  # type: ignore[assignment]  # which it reads as
    names: "frozenset[int] | None" = None  # in a recursion: those of all that are open
    slot = 0  # byte offset of its attributes; 0 if it has none, or there was no room
    steps: "Steps | None" = None
    task: object = None  # the compiled writer's
    vacant = False  # closed, and known to be in no context but where it may be opened again: the compiled writer's

    @property
    def closed(self) -> bool:
        """Whether it is closed. Once that is set, nothing is entered in it and it is not left without a closer look."""
        return self.home is None

    @closed.setter
    def closed(self, closed: bool) -> None:
        self.home = None if closed else NOWHERE
        self.section = None


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
        if occurrence.home is not None and not self.inherited:
            occurrence.home = occurrence.section = None
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
        _ = _hold()
        self.current.set(occurrence)


class SectionBase:
    """What a section does when it is entered and left; `algoprof.sections` makes it whole."""

    __slots__ = ("attributes", "code", "name", "number", "place", "writer")

    def __init__(
        self, name: str, attributes: dict[str, object] | None = None, place: tuple[str, int] = ("", 0)
    ) -> None:
        self.name = name
        self.attributes = attributes
        self.place = place
        self.code: CodeType | None = None  # what entered it last, if that is no generator's
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
            above: Any = _innermost()
            try:
                here = self.writer.threads.block  # type: ignore[union-attr]  # an AttributeError is what is meant
                parent = above.row
                row = parent.children[self.number]
            except (AttributeError, KeyError):  # the first in its thread, outside of everything, or of its name there
                return self._enter_slowly()
            # A block is one writer's: `above` is never at home in that of a section which is bound to another.
            if above.home is not here or row.run.ended:
                return self._enter_slowly()
            scope = None
            if "asyncio.tasks" in _modules:  # else what is at home here has no other scope
                scope = current_task()
                if above.scope is not scope:
                    return self._enter_slowly()
            try:
                entry = here.opens.pop()
            except IndexError:  # no room: it grows
                return self._enter_slowly()
            occurrence = Occurrence()
            occurrence.above = above
            occurrence.row = row
            occurrence.scope = scope
            occurrence.home = here
            occurrence.section = self
            occurrence.entry = entry
            occurrence.span = span = _next_span()
            _ = _hold()
            _set_innermost(occurrence)
            occurrence.started = started = monotonic_ns()
            _write_open(_data, entry * 8, started, parent.reference, span, above.span)
            if self.attributes:
                row.run.writer.keep_attributes(occurrence, self.attributes)
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
        if _frame(1).f_code is not self.code:  # as a rule there is one
            caller = _frame(1)
            if caller.f_code.co_flags & _GENERATOR:
                self._enter_held(caller)
                return self
            self.code = caller.f_code
        self.enter()
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: "TracebackType | None") -> None:
        ended = monotonic_ns()
        opened: Any = _innermost()
        try:
            here = _threads.block
            row = opened.row
            above = opened.above
            elapsed = ended - opened.started
        except AttributeError:  # nothing is open here, or nothing was yet in this thread
            self._leave_slowly(_frame(1), error, ended)
            return
        if (
            opened.section is not self
            or error is not None
            or row.run.ended
            or elapsed > row.longest
            or row.block is not here
            or (_holds and _frame(1) in _holds)
        ):
            self._leave_slowly(_frame(1), error, ended)
            return
        try:
            opened.home = opened.section = None
            _ = _hold()
            _set_innermost(above)
            words = _words
            node = row.offset
            shift, buckets = _OCTAVES[elapsed.bit_length()]
            bucket = buckets[elapsed >> shift]
            if elapsed > _BOUNDS[bucket]:
                bucket += 1
            bucket += row.histogram_at
            words[node] = sequence = row.sequence + 1
            words[row.count_at] = row.count = row.count + 1
            words[row.total_at] = row.total = row.total + elapsed
            words[bucket] += 1
            words[above.row.nested_at] += elapsed
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

    def _enter_slowly(self) -> Occurrence:
        """Open an occurrence, wherever it stands."""
        writer = self.writer
        if writer is not _active:
            writer = self.resolve()
        return writer.enter(self.number, self.attributes)

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

    def _leave_slowly(self, caller: "FrameType", error: BaseException | None, ended: int = 0) -> None:
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
            self._close(opened, error, ended)

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
_threads: "Any" = None
_nothing = ContextVar[Occurrence | None]("algoprof.nothing", default=None).get
_innermost: "Callable[[], Occurrence | None]" = _nothing
_set_innermost: "Callable[[Occurrence | None], object]"
_next_span: "Callable[[], int]"
_holds: "dict[FrameType, Occurrence]" = {}


def activate(writer: Writer | None) -> None:
    """Say who records in this process from now on."""
    global _active, _words, _data, _threads, _innermost, _set_innermost, _next_span, _holds  # noqa: PLW0603
    if writer is None:
        _active, _innermost, _holds = _NOBODY, _nothing, {}
    else:
        _active = writer
        _words, _data, _threads = writer.flight.words, writer.flight.bytes, writer.threads
        _innermost, _set_innermost, _next_span = writer.current.get, writer.current.set, writer.next_span
        _holds = writer.holds


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
