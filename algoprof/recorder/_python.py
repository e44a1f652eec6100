"""The writer in Python: what the enter and the exit of a section write into the flight file."""

import os
import sys
import threading
from bisect import bisect_left
from collections import deque
from contextvars import ContextVar
from time import monotonic_ns

from algoprof.profiles.buckets import BOUNDS_NS
from algoprof.recorder import layout as at
from algoprof.recorder.blocks import Block
from algoprof.recorder.flight import FlightFile, OutOfSpace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from algoprof.recorder.run_table import RunState, RunTable

DEPTH_LIMIT = 128
FOLDED = "(folded)"

COROUTINE, GENERATOR = 1, 2
"""Whose steps are timed. While a generator is suspended its caller's time passes, not its own."""


class Row:
    """A node of one run in one thread's block, and the rows below it."""

    __slots__ = ("beside", "block", "children", "folds", "name", "offset")

    def __init__(self, block: Block, offset: int, name: int) -> None:
        self.block = block
        self.offset = offset  # in words
        self.name = name
        self.children: dict[int, Row] = {}  # nested, by name
        self.folds: dict[int, Row] = {}  # recursive, by name: the outer row that counts them
        self.beside: dict[tuple[Block, int], Row] = {}  # concurrent, by block and name


class Occurrence:
    """One open occurrence of a section."""

    __slots__ = (
        "above", "active", "attributes", "block", "closed", "depth", "entry", "folding", "inner", "name", "nested",
        "recursive", "resumed", "row", "run", "saved", "slot", "span", "started", "steps", "task", "writer",
    )  # fmt: skip

    above: "Occurrence | None"
    active: int  # nanoseconds it has run, where its steps are timed
    attributes: dict[str, object] | None
    block: Block  # of the thread that opened it
    closed: bool
    depth: int
    entry: int  # word offset of its open entry
    folding: bool  # whether it, or one it stands in, recurs
    inner: "Occurrence | None"  # while suspended: the innermost one inside it
    name: int
    nested: bool  # whether it was opened in its parent's thread and task
    recursive: bool
    resumed: int
    row: Row
    run: "RunState"
    saved: "Occurrence | None"  # while it runs: the innermost one of whoever resumed it
    slot: int  # byte offset of its attributes
    span: int
    started: int
    steps: int
    task: object
    writer: "Writer"


current: ContextVar[Occurrence | None] = ContextVar("algoprof.current", default=None)
"""The innermost open occurrence of each context."""


class Writer:
    """Writes what happens into a flight file, every thread into its own block.

    Args:
        flight: the file.
        runs: its run table.
    """

    def __init__(self, flight: FlightFile, runs: "RunTable") -> None:
        self.flight = flight
        self.runs = runs
        self._words = flight.words
        self._threads = threading.local()
        self._ended: deque[Block] = deque()  # blocks of threads that have ended
        self._shared: Block | None = None
        self._folded = flight.name(FOLDED)
        self._last_span = int.from_bytes(os.urandom(7), "little")

    def enter(self, name: int, attributes: dict[str, object] | None = None) -> Occurrence:
        """Open an occurrence of a section, and make it its context's innermost."""
        above = current.get()
        while above is not None and above.closed:
            above = above.above
        if above is None or above.writer is not self or above.run.ended:
            above = self.runs.implicit_root()
        block = self._block()
        occurrence = Occurrence()
        occurrence.above = above
        occurrence.block = block
        occurrence.name = name
        occurrence.task = current_task()
        occurrence.nested = nested = above.block is block and above.task is occurrence.task
        occurrence.depth = above.depth + 1
        occurrence.folding = above.folding
        occurrence.recursive = False
        row = above.row.children.get(name) if nested and not above.folding else None
        occurrence.row = row if row is not None else self._place(occurrence, above)
        return self._open(occurrence, above.run, above, attributes)

    def enter_root(self, run: "RunState", name: int, attributes: dict[str, object] | None = None) -> Occurrence:
        """Open a run's root, and make it its context's innermost."""
        root = Occurrence()
        root.above = current.get()
        root.block = self._block()
        root.name = name
        root.task = current_task()
        root.nested = root.folding = root.recursive = False
        root.depth = 0
        root.row = self._make_row(root.block, run, name, parent=0, flags=0)
        return self._open(root, run, None, attributes)

    def _open(
        self, occurrence: Occurrence, run: "RunState", above: Occurrence | None, attributes: dict[str, object] | None
    ) -> Occurrence:
        words = self._words
        block = occurrence.block
        occurrence.writer = self
        occurrence.run = run
        occurrence.closed = False
        occurrence.attributes = attributes
        occurrence.active = occurrence.slot = occurrence.steps = 0
        self._last_span = occurrence.span = self._last_span + 1
        entry = occurrence.entry = block.opens.pop() if block.opens else block.take_entry()
        if attributes:
            self._write_attributes(occurrence)
        words[entry + at.OPEN_PARENT] = above.row.offset >> 3 if above is not None else 0
        words[entry + at.OPEN_ATTRIBUTES] = occurrence.slot >> 6
        words[entry + at.OPEN_SPAN] = occurrence.span
        words[entry + at.OPEN_PARENT_SPAN] = above.span if above is not None else 0
        words[entry + at.OPEN_ACTIVE] = 0
        current.set(occurrence)
        words[entry + at.OPEN_STARTED] = occurrence.started = monotonic_ns()
        words[entry] = (occurrence.row.offset >> 3) | (occurrence.nested | occurrence.recursive << 1) << 32
        return occurrence

    def leave(self, occurrence: Occurrence, error: BaseException | None = None) -> None:
        """Close an occurrence. Closing it a second time does nothing."""
        ended = monotonic_ns()
        if occurrence.closed or occurrence.writer is not self:
            return
        occurrence.closed = True
        if current.get() is occurrence:
            current.set(occurrence.above)
        words = self._words
        own = occurrence.block
        entry = occurrence.entry
        elapsed = ended - occurrence.started
        inside = occurrence.active if occurrence.steps == GENERATOR else elapsed
        if occurrence.run.ended:
            self.runs.count_late(occurrence, ended, error)
            own.post(entry, occurrence.slot, own.scratch_row, 0)
            return
        block = self._block()
        row = occurrence.row if block is own else self._row_beside(occurrence, block)
        node = row.offset
        sequence = words[node] | 1
        words[node] = sequence
        self.count(node, occurrence, ended, error)
        above = occurrence.above.row.offset if occurrence.nested and occurrence.above is not None else own.scratch_row
        if block is own:
            words[entry] = 0
            words[above + at.NODE_NESTED] += inside
            own.free_entry(entry, occurrence.slot)
        else:
            own.post(entry, occurrence.slot, above, inside)
        words[node] = sequence + 1

    def count(self, node: int, occurrence: Occurrence, ended: int, error: BaseException | None) -> None:
        """Add an occurrence to a node row."""
        words = self._words
        elapsed = ended - occurrence.started
        words[node + at.NODE_COUNT] += 1
        if occurrence.recursive:
            words[node + at.NODE_RECURSIONS] += 1
            words[node + at.NODE_NESTED] -= elapsed
        else:
            words[node + at.NODE_TOTAL] += elapsed
            words[node + at.NODE_HISTOGRAM + bisect_left(BOUNDS_NS, elapsed)] += 1
            first = words[node + at.NODE_COUNT] - words[node + at.NODE_RECURSIONS] == 1
            if first or elapsed < words[node + at.NODE_SHORTEST]:
                words[node + at.NODE_SHORTEST] = elapsed
            if first or elapsed > words[node + at.NODE_LONGEST]:
                words[node + at.NODE_LONGEST] = elapsed
                self._keep(node, at.FIRST if first else at.SLOWEST, occurrence, ended, error)
        if occurrence.steps:
            words[node + at.NODE_FLAGS] |= at.STEPPED
            words[node + at.NODE_ACTIVE] += occurrence.active
            if occurrence.steps == GENERATOR:
                words[node + at.NODE_NESTED] += elapsed - occurrence.active
        if error is not None:
            words[node + at.NODE_ERRORS] += 1
            self._keep(node, at.FAILED, occurrence, ended, error)

    def set_attributes(self, occurrence: Occurrence, attributes: dict[str, object]) -> None:
        """Add attributes to an open occurrence."""
        occurrence.attributes = {**occurrence.attributes, **attributes} if occurrence.attributes else attributes
        self._write_attributes(occurrence)
        self._words[occurrence.entry + at.OPEN_ATTRIBUTES] = occurrence.slot >> 6

    def time_steps(self, occurrence: Occurrence, kind: int) -> None:
        """Say that an occurrence will be suspended and resumed, and of what kind it is."""
        occurrence.steps = kind
        occurrence.resumed = occurrence.started
        occurrence.inner = occurrence
        occurrence.saved = occurrence.above
        flags = at.STEPS_OF_GENERATOR if kind == GENERATOR else at.STEPS_OF_COROUTINE
        self._words[occurrence.entry] |= flags << 32

    def suspend(self, occurrence: Occurrence) -> None:
        """Stop the clock of a stepped occurrence, and give its context back to whoever resumed it."""
        occurrence.active += monotonic_ns() - occurrence.resumed
        occurrence.inner = current.get()
        current.set(occurrence.saved)
        if not occurrence.closed and occurrence.writer is self:
            self._words[occurrence.entry + at.OPEN_ACTIVE] = occurrence.active

    def resume(self, occurrence: Occurrence) -> None:
        """Run the clock of a stepped occurrence again, below whoever resumes it now."""
        occurrence.saved = current.get()
        current.set(occurrence.inner)
        occurrence.resumed = monotonic_ns()

    def _block(self) -> Block:
        try:
            return self._threads.lease.block  # type: ignore[no-any-return]
        except AttributeError:
            return self._take_block()

    def _take_block(self) -> Block:
        """Give the running thread a block: an ended thread's, a new one, or the one shared by those that found none."""
        try:
            block = self._ended.popleft()
        except IndexError:
            block = self._new_block()
        self._words[block.home + at.BLOCK_THREAD] = threading.get_native_id()
        self._threads.lease = _Lease(block, self._ended if block is not self._shared else deque(maxlen=0))
        return block

    def _new_block(self) -> Block:
        try:
            block = Block(self.flight)
        except OutOfSpace:
            self._words[at.HEADER_SHARED_THREADS] += 1
            block = self._shared = self._shared or self.runs.spare_block
        return block

    def _place(self, occurrence: Occurrence, above: Occurrence) -> Row:
        """Find or make the row of an occurrence: its own, an outer one that it recurs into, or the folded one."""
        name, block = occurrence.name, occurrence.block
        row = above.row
        if above.depth >= DEPTH_LIMIT:
            name = self._folded
            self._words[above.run.slot + at.RUN_FOLDED] += 1
        outer = row.folds.get(name) if not above.folding else None
        if outer is None:
            outer = _outermost(above, name, block)
        if outer is not None:
            row.folds[name] = outer
            occurrence.recursive = occurrence.folding = True
            return outer
        if occurrence.nested:
            found = row.children.get(name)
            if found is None:
                found = self._make_row(block, above.run, name, parent=row.offset >> 3, flags=0)
                row.children[name] = found
            return found
        found = row.beside.get((block, name))
        if found is None:
            found = self._make_row(block, above.run, name, parent=row.offset >> 3, flags=at.CONCURRENT)
            row.beside[block, name] = found
        return found

    def _row_beside(self, occurrence: Occurrence, block: Block) -> Row:
        """Return this thread's row for an occurrence that another thread opened."""
        above = occurrence.above.row if occurrence.above is not None else occurrence.row
        name = occurrence.row.name
        found = above.beside.get((block, name))
        if found is None:
            flags = 0 if occurrence.nested else at.CONCURRENT
            parent = above.offset >> 3 if occurrence.depth else 0
            found = self._make_row(block, occurrence.run, name, parent=parent, flags=flags)
            above.beside[block, name] = found
        return found

    def _make_row(self, block: Block, run: "RunState", name: int, *, parent: int, flags: int) -> Row:
        """Publish a new row; where there is none left, the run's folded one, and then one that nobody reads."""
        folded = name == self._folded
        offset = block.take_row(folded=folded)
        if offset is None and self.runs.forget_ended():
            offset = block.take_row(folded=folded)
        words = self._words
        if offset is None:
            words[run.slot + at.RUN_FOLDED] += 1
            known = run.folded_rows.get(block)
            if known is None:
                offset = block.take_row(folded=True)
                known = Row(block, block.scratch_row if offset is None else offset, self._folded)
                run.folded_rows[block] = known
                if offset is not None:
                    self._publish(block, offset, run, self._folded, parent=run.root_reference, flags=flags)
            return known
        self._publish(block, offset, run, name, parent=parent, flags=flags)
        return Row(block, offset, name)

    def _publish(self, block: Block, offset: int, run: "RunState", name: int, *, parent: int, flags: int) -> None:
        words = self._words
        words[offset + at.NODE_PARENT] = parent | name << 32
        words[offset + at.NODE_FLAGS] = flags
        run.rows.append((block, offset))
        words[offset + at.NODE_RUN] = run.serial

    def _keep(self, node: int, which: int, occurrence: Occurrence, ended: int, error: BaseException | None) -> None:
        """Keep an occurrence as one of its node's three sampled spans."""
        words = self._words
        span = node + at.NODE_SPANS + which * at.SPAN_WORDS
        words[span + at.SPAN_ID] = occurrence.span
        words[span + at.SPAN_PARENT] = occurrence.above.span if occurrence.above is not None else 0
        words[span + at.SPAN_STARTED] = occurrence.started
        words[span + at.SPAN_ENDED] = ended
        words[span + at.SPAN_THREAD] = threading.get_native_id()
        words[span + at.SPAN_ERROR] = self.flight.name(type(error).__qualname__) if error is not None else 0
        words[span + at.SPAN_ATTRIBUTES] = 0
        if occurrence.attributes:
            data, lost = at.encode_attributes(occurrence.attributes)
            start = (span + at.SPAN_ATTRIBUTES) * 8
            self.flight.bytes[start : start + len(data)] = data
            words[occurrence.run.slot + at.RUN_DROPPED] += lost

    def _write_attributes(self, occurrence: Occurrence) -> None:
        if not occurrence.slot:
            occurrence.slot = occurrence.block.take_attributes()
        if occurrence.slot and occurrence.attributes:
            data, _ = at.encode_attributes(occurrence.attributes)
            self.flight.bytes[occurrence.slot : occurrence.slot + len(data)] = data


class _Lease:
    """Held by a thread for as long as it lives; its end hands the block to the next thread."""

    def __init__(self, block: Block, ended: deque[Block]) -> None:
        self.block = block
        self._ended = ended

    def __del__(self) -> None:
        self._ended.append(self.block)


def innermost(name: int) -> Occurrence | None:
    """Return the innermost open occurrence of a name in the calling context, or None."""
    occurrence = current.get()
    while occurrence is not None and (occurrence.closed or occurrence.name != name):
        occurrence = occurrence.above
    return occurrence


def _outermost(above: Occurrence, name: int, block: Block) -> Row | None:
    """Return the row of the outermost open occurrence of a name in the same run and thread, or None."""
    found = None
    walk: Occurrence | None = above
    while walk is not None and walk.run is above.run:
        if walk.row.name == name and walk.block is block and walk.depth and not walk.closed:
            found = walk.row
        walk = walk.above
    return found


def current_task() -> object:
    """Return the running asyncio task, None outside one. It is kept while it is compared, so it cannot be mistaken."""
    tasks = sys.modules.get("asyncio.tasks")
    if tasks is None:
        return None
    loop = tasks.events._get_running_loop()  # noqa: SLF001  (asyncio.get_running_loop without its exception)
    return None if loop is None else tasks.current_task(loop)
