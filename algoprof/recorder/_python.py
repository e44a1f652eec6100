"""The hot paths in Python: what the enter and the exit of a section write into the flight file."""

import struct
import sys
from bisect import bisect_left
from contextvars import copy_context
from time import monotonic_ns

from algoprof.profiles.buckets import BOUNDS_NS
from algoprof.recorder import layout as at
from algoprof.recorder.cold import ColdWriter
from algoprof.recorder.layout import (
    NESTED,
    NODE_COUNT,
    NODE_HISTOGRAM,
    NODE_LONGEST,
    NODE_NESTED,
    NODE_SHORTEST,
    NODE_TOTAL,
    SLOWEST,
)
from algoprof.recorder.tasks import current_task

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType, TracebackType
    from typing import Any, Self

    from algoprof.recorder.blocks import Block
    from algoprof.recorder.cold import Held, Steps
    from algoprof.recorder.flight import FlightFile
    from algoprof.recorder.run_table import RunState, RunTable

# For a duration of so many bits, the part of the bounds to search.
_FROM = tuple(bisect_left(BOUNDS_NS, 1 << bits >> 1) for bits in range(128))
_TO = tuple(bisect_left(BOUNDS_NS, 1 << bits) for bits in range(128))

_OPEN = struct.Struct("=5q")  # an open entry's start, parent's row, attributes (none yet), span and parent's span
_OPEN_AT = at.OPEN_STARTED * 8
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
        "beside", "block", "children", "count", "depth", "folds", "link", "longest", "name", "offset", "reference",
        "run", "sequence", "shortest", "total",
    )  # fmt: skip

    def __init__(self, block: "Block", offset: int, run: "RunState", name: int, depth: int) -> None:
        self.block = block
        self.offset = offset  # in words
        self.reference = offset >> 3
        self.link = self.reference | NESTED << 32  # in the open entry of one that is nested
        self.run = run
        self.name = name
        self.depth = depth
        self.children: dict[int, Row] = {}  # nested, by name
        self.folds: dict[int, Row] = {}  # recursive, by name: the outer row that counts them
        self.beside: dict[tuple[Block, int], Row] = {}  # concurrent, by block and name
        self.sequence = self.count = self.total = self.shortest = self.longest = 0

    def reload(self, words: memoryview) -> None:
        """Read the counters again: the cold path has changed them in the file."""
        node = self.offset
        self.sequence, self.count, self.total = words[node], words[node + NODE_COUNT], words[node + NODE_TOTAL]
        self.shortest, self.longest = words[node + NODE_SHORTEST], words[node + NODE_LONGEST]


class Occurrence:
    """One open occurrence of a section. What most of them have in common is kept in the class until it is set."""

    above: "Occurrence | None"
    attributes: "dict[str, object] | None" = None
    closed = False
    entry: int  # word offset of its open entry
    flags = NESTED
    folding = False  # whether it, or one it stands in, recurs
    held: "Held | None" = None
    name: int
    names: "frozenset[int] | None" = None  # in a recursion: those of all that are open
    plain = True  # whether there is nothing to see to when it is left, but to count it
    row: Row
    scope: object = None  # the asyncio task that opened it
    slot = 0  # byte offset of its attributes; 0 if it has none, or there was no room
    span: int
    started: int
    steps: "Steps | None" = None
    task: object = None  # the compiled writer's
    vacant = False  # closed, and known to be in no context but where it may be opened again: the compiled writer's


class Writer(ColdWriter):
    """Writes what happens into a flight file, every thread into its own block."""

    new_row = Row
    new_occurrence = Occurrence

    def __init__(self, flight: "FlightFile", runs: "RunTable") -> None:
        super().__init__(flight, runs)
        self.enter = _enter_of(self)  # type: ignore[method-assign]  # what they use is bound once
        self.leave = _leave_of(self)  # type: ignore[method-assign]


def _enter_of(writer: Writer) -> "Callable[..., Occurrence]":
    """Return a writer's `enter`."""
    words, data, threads = writer.flight.words, writer.flight.bytes, writer.threads
    innermost, set_innermost, next_span = writer.current.get, writer.current.set, writer.next_span
    write_open = _OPEN.pack_into

    def enter(name: int, attributes: dict[str, object] | None = None) -> Occurrence:
        try:
            block = threads.lease.block
        except AttributeError:
            block = writer.block()
        scope = current_task() if "asyncio.tasks" in _modules else None
        above = innermost()
        if above is not None and (above.closed or above.held is not None):
            above = writer.above(above, scope, block)
        if above is None or above.row.run.ended:
            above = writer.runs.implicit_root()
        parent = above.row
        occurrence = Occurrence()
        occurrence.above = above
        occurrence.name = name
        if parent.block is not block or above.scope is not scope:
            occurrence.plain, occurrence.flags = False, 0
            row = writer.place(occurrence, above, block)
        elif above.folding or (found := parent.children.get(name)) is None:
            row = writer.place(occurrence, above, block)
            occurrence.plain = occurrence.flags == NESTED
        else:
            row = found
        if scope is not None:
            occurrence.scope = scope
        occurrence.row = row
        opens = block.opens
        occurrence.entry = entry = opens.pop() if opens else row.block.take_entry()
        occurrence.span = span = next_span()
        if _MUST_HOLD:
            _ = copy_context()
        set_innermost(occurrence)
        occurrence.started = started = monotonic_ns()
        write_open(data, entry * 8 + _OPEN_AT, started, parent.reference, 0, span, above.span)
        if attributes:
            writer.keep_attributes(occurrence, attributes)
        words[entry] = row.link if occurrence.plain else row.reference | occurrence.flags << 32
        return occurrence

    return enter


def _leave_of(writer: Writer) -> "Callable[..., None]":
    """Return a writer's `leave`."""
    words, threads = writer.flight.words, writer.threads
    innermost, set_innermost = writer.current.get, writer.current.set

    def leave(occurrence: Occurrence, error: BaseException | None = None) -> None:
        ended = monotonic_ns()
        if occurrence.closed or writer.inherited:
            return
        occurrence.closed = True
        row, entry = occurrence.row, occurrence.entry
        try:
            block = threads.lease.block
        except AttributeError:
            block = writer.block()
        count = row.count + 1
        if (
            not occurrence.plain
            or error is not None
            or row.block is not block
            or occurrence.slot
            or row.run.ended
            or count == 1
            or entry == block.scratch_entry
        ):
            writer.leave_slowly(occurrence, ended, error)
            row.reload(words)
            return
        if innermost() is occurrence:
            if _MUST_HOLD:
                _ = copy_context()
            set_innermost(occurrence.above)
        node = row.offset
        elapsed = ended - occurrence.started
        octave = elapsed.bit_length()
        bucket = node + NODE_HISTOGRAM + bisect_left(BOUNDS_NS, elapsed, _FROM[octave], _TO[octave])
        words[node] = sequence = row.sequence + 1
        words[node + NODE_COUNT] = row.count = count
        words[node + NODE_TOTAL] = row.total = row.total + elapsed
        words[bucket] += 1
        words[occurrence.above.row.offset + NODE_NESTED] += elapsed  # type: ignore[union-attr]  # it is nested in it
        if elapsed > row.longest:
            words[node + NODE_LONGEST] = row.longest = elapsed
            writer.keep(node, SLOWEST, occurrence, ended, None)
        elif elapsed < row.shortest:
            words[node + NODE_SHORTEST] = row.shortest = elapsed
        words[entry] = 0
        words[node] = row.sequence = sequence + 1
        block.opens.append(entry)

    return leave


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

    def __enter__(self) -> "Self":
        try:
            writer = self.writer
            if writer is None or writer is not _active:
                writer = self.resolve()
            caller = _frame(1)
            if caller.f_code.co_flags & _GENERATOR:
                writer.enter_held(self.number, self.attributes, caller)
            else:
                writer.enter(self.number, self.attributes)
        except Exception:  # noqa: BLE001  (the profiler never breaks the program)
            self.fault()
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: "TracebackType | None") -> None:
        writer = self.writer
        if writer is not None:
            try:
                occurrence = writer.current.get()
                if writer.holds or occurrence is None or occurrence.closed or occurrence.name != self.number:
                    self._leave_slowly(writer, _frame(1), error)
                else:
                    writer.leave(occurrence, error)
            except Exception:  # noqa: BLE001  (the profiler never breaks the program)
                self.fault()

    def __aenter__(self) -> "Any":
        try:
            writer = self.writer
            if writer is None or writer is not _active:
                writer = self.resolve()
            caller = _frame(1)
            if caller.f_code.co_flags & _GENERATOR:
                writer.enter_held(self.number, self.attributes, caller)
            else:
                writer.enter(self.number, self.attributes)
        except Exception:  # noqa: BLE001  (the profiler never breaks the program)
            self.fault()
        return ready(self)

    def __aexit__(self, kind: object, error: BaseException | None, traceback: "TracebackType | None") -> "Any":
        if self.writer is not None:
            try:
                self._leave_slowly(self.writer, _frame(1), error)
            except Exception:  # noqa: BLE001  (the profiler never breaks the program)
                self.fault()
        return ready(None)

    def _leave_slowly(self, writer: Writer, caller: "FrameType", error: BaseException | None) -> None:
        """Close the caller's innermost open occurrence of this section, or what a generator holds open."""
        if writer.holds and writer.leave_held(self.number, caller, error):
            return
        occurrence = writer.innermost(self.number)
        if occurrence is not None:
            writer.leave(occurrence, error)

    def enter(self) -> Occurrence | None:
        """Open an occurrence, and return it; None if the recorder failed, which is counted."""
        try:
            writer = self.writer
            if writer is None or writer is not _active:
                writer = self.resolve()
            return writer.enter(self.number, self.attributes)
        except Exception:  # noqa: BLE001  (the profiler never breaks the program)
            self.fault()
            return None

    def leave(self, opened: Occurrence | None, error: BaseException | None) -> None:
        """Close what `enter` opened."""
        if opened is not None:
            try:
                opened.row.run.writer.leave(opened, error)
            except Exception:  # noqa: BLE001  (the profiler never breaks the program)
                self.fault()


_active: Writer | None = None


def activate(writer: Writer | None) -> None:
    """Say who records in this process from now on."""
    global _active  # noqa: PLW0603  (the one recorder of the process)
    _active = writer


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
