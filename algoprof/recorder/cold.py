"""The cold half of the writer: what an enter or a leave needs only now and then. Both writers share it."""

from _thread import _local, get_ident, get_native_id  # threading would add a tenth to a cold start
from contextvars import ContextVar
from itertools import count
from os import urandom
from time import monotonic_ns

from algoprof.profiles.buckets import bucket_of
from algoprof.recorder import layout as at
from algoprof.recorder.blocks import Block
from algoprof.recorder.flight import FlightFile, OutOfSpace
from algoprof.recorder.suspensions import Held, Steps, waited
from algoprof.recorder.tasks import current_task

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any

    from algoprof.recorder._python import Occurrence, Row
    from algoprof.recorder.run_table import RunState, RunTable

DEPTH_LIMIT = 128
NOWHERE = object()
"""The home of an open occurrence in which nothing nests without a closer look."""


class ColdWriter:
    """Everything but the two hot paths, `enter` and `leave`.

    Args:
        flight: the file.
        runs: its run table.
    """

    new_row: "type[Row]"
    new_occurrence: "type[Occurrence]"

    def __init__(self, flight: FlightFile, runs: "RunTable") -> None:
        self.flight = flight
        self.runs = runs
        self.current: ContextVar[Occurrence | None] = ContextVar("algoprof.current", default=None)
        """The innermost open occurrence of each context, or one that was closed since."""
        self.inherited = False
        """Whether this is a forked child, and the file its parent's: then nothing is written any more."""
        self._words = flight.words
        self.threads = _local()
        self._ended: list[Block] = []  # blocks of threads that have ended
        self._shared: Block | None = None
        self._folded = flight.name(at.FOLDED_NAME)
        self.holds: dict[FrameType, Occurrence] = {}
        """What generators hold open, by the generator's frame: the innermost one."""
        self.next_span = count(int.from_bytes(urandom(7), "little")).__next__

    def enter(self, name: int, attributes: dict[str, object] | None = None) -> "Occurrence":
        """Open an occurrence of a section, wherever it stands, and make it its context's innermost."""
        raise NotImplementedError

    def leave(self, occurrence: "Occurrence", error: BaseException | None = None) -> None:
        """Close an occurrence. Closing it a second time does nothing."""
        raise NotImplementedError

    def make_lease(self, block: Block, ended: list[Block]) -> "Any":
        """Return what a thread holds for as long as it lives; its end hands the block to the next thread."""
        return Lease(block, ended)

    def enter_root(self, run: "RunState", attributes: dict[str, object] | None = None) -> "Occurrence":
        """Open a run's root, and make it its context's innermost."""
        block = self.block()
        root = self.make(run.name, self.current.get())
        row = self.make_row(block, run, run.name, None, 0)
        root.home = block
        return self.open(root, row, None, attributes)

    def make(self, name: int, above: "Occurrence | None") -> "Occurrence":
        """Return an occurrence that has no place so far, and is nested in nothing."""
        made = self.new_occurrence()
        made.name, made.above = name, above
        made.scope = self.scope()
        made.flags = 0
        made.closed = False
        made.section = None
        return made

    def open(
        self, occurrence: "Occurrence", row: "Row", above: "Occurrence | None", attributes: dict[str, object] | None
    ) -> "Occurrence":
        """Write the open entry of a new occurrence whose place is found."""
        words = self._words
        occurrence.row = row
        occurrence.entry = entry = row.block.take_entry()
        occurrence.span = span = self.next_span()
        words[entry + at.OPEN_SPAN] = span
        words[entry + at.OPEN_PARENT] = above.row.offset >> 3 if above is not None else 0
        words[entry + at.OPEN_PARENT_SPAN] = above.span if above is not None else 0
        if attributes:
            self.keep_attributes(occurrence, attributes)
        self.set_current(occurrence)
        words[entry + at.OPEN_STARTED] = occurrence.started = monotonic_ns()
        words[entry] = row.offset >> 3 | occurrence.flags << 32
        return occurrence

    def enter_held(self, name: int, attributes: dict[str, object] | None, frame: "FrameType") -> "Occurrence":
        """Open an occurrence in the body of a generator, below what is open there already."""
        before = self.current.get()
        own = self.holds.get(frame)
        if own is not None:
            self.set_current(own)
        occurrence = self.enter(name, attributes)
        occurrence.held = Held(frame, before, waited(occurrence.above))
        occurrence.home = NOWHERE
        self.holds[frame] = occurrence
        return occurrence

    def leave_held(self, name: int, frame: "FrameType", error: BaseException | None) -> bool:
        """Close the innermost occurrence of a name in a generator's body; False if it has none."""
        found = self.holds.get(frame)
        while found is not None and found.held is not None and (found.closed or found.name != name):
            found = found.above
        if found is None or found.held is None or found.held.frame is not frame:
            return False
        innermost = self.current.get() is found
        self.leave(found, error)
        found.held.frame = None
        if innermost:
            self.set_current(found.held.before)
        if self.holds.get(frame) is found:
            outer = found.above
            if outer is not None and outer.held is not None and outer.held.frame is frame and not outer.closed:
                self.holds[frame] = outer
            else:
                del self.holds[frame]
        return True

    def set_current(self, occurrence: "Occurrence | None") -> None:
        """Make an occurrence the context's innermost."""
        self.current.set(occurrence)

    def scope(self) -> object:
        """Return what tells nested from concurrent: an occurrence is nested in one of the same thread and scope."""
        return current_task()

    def above(self, occurrence: "Occurrence | None", scope: object, block: Block) -> "Occurrence | None":
        """Return what an occurrence that is entered now stands in, looking from another one outwards.

        It is the innermost open one that is not a suspended generator's; or, in a thread or task that was started
        inside one, that one, even after its end.
        """
        while occurrence is not None:
            held = occurrence.held
            own = self.is_own(occurrence, scope, block)
            if occurrence.closed:
                if not own and _may_be_outlived(occurrence):
                    return occurrence
            elif not own or held is None or not held.suspended:
                return occurrence
            occurrence = occurrence.above if held is None else held.before
        return None

    def is_own(self, occurrence: "Occurrence", scope: object, block: Block) -> bool:
        """Whether an occurrence was opened by the same thread, in the same scope."""
        return occurrence.scope is scope and occurrence.row.block is block

    def _shorten(self, closed: "Occurrence") -> None:
        """Have a closed occurrence point past closed ones of its own: no chain of them grows behind a context."""
        above, scope, block = closed.above, closed.scope, closed.row.block
        while above is not None and above.closed and (above.vacant or self.is_own(above, scope, block)):
            above = above.above
        closed.above = above

    def count(self, node: int, occurrence: "Occurrence", ended: int, error: BaseException | None) -> int:
        """Add an occurrence to a node row, and return how much of its parent's time it took."""
        words = self._words
        active = elapsed = ended - occurrence.started
        steps, held = occurrence.steps, occurrence.held
        if steps is not None:
            words[node + at.NODE_FLAGS] |= at.STEPPED
            if steps.generator:
                active = steps.active
        inside = active if held is None else active - (waited(occurrence.above) - held.waited)
        words[node + at.NODE_COUNT] = counted = words[node + at.NODE_COUNT] + 1
        if occurrence.flags & at.RECURSIVE:
            words[node + at.NODE_RECURSIONS] += 1
            if occurrence.flags & at.NESTED:
                words[node + at.NODE_NESTED] -= inside  # which the one it is nested in takes for another's
        else:
            words[node + at.NODE_TOTAL] += elapsed
            words[node + at.NODE_HISTOGRAM + bucket_of(elapsed)] += 1
            if counted - words[node + at.NODE_RECURSIONS] == 1:
                words[node + at.NODE_SHORTEST] = words[node + at.NODE_LONGEST] = elapsed
                self.keep(node, at.FIRST, occurrence, ended, error)
            elif elapsed > words[node + at.NODE_LONGEST]:
                words[node + at.NODE_LONGEST] = elapsed
                self.keep(node, at.SLOWEST, occurrence, ended, error)
            elif elapsed < words[node + at.NODE_SHORTEST]:
                words[node + at.NODE_SHORTEST] = elapsed
            if steps is not None:
                words[node + at.NODE_ACTIVE] += steps.active
            words[node + at.NODE_NESTED] += elapsed - active
        if error is not None:
            words[node + at.NODE_ERRORS] += 1
            self.keep(node, at.FAILED, occurrence, ended, error)
        return inside

    def leave_slowly(self, occurrence: "Occurrence", ended: int, error: BaseException | None) -> None:
        """Close an occurrence, wherever it is closed from and whatever it is."""
        if error is not None and is_harmless(error):
            error = None
        top = self.current.get()
        while top is not None and top is not occurrence and top.vacant:
            top = top.above
        if top is occurrence:
            self.set_current(occurrence.above)
        block, row = self.block(), occurrence.row
        if block is not row.block or row.run.ended:
            self._leave_elsewhere(occurrence, block, ended, error)
        else:
            words, node = self._words, row.offset
            words[node] = sequence = words[node] | 1
            inside = self.count(node, occurrence, ended, error)
            words[occurrence.entry] = 0
            if occurrence.flags & at.NESTED and occurrence.above is not None:
                words[occurrence.above.row.offset + at.NODE_NESTED] += inside
            words[node] = sequence + 1
            block.free_entry(occurrence.entry, occurrence.slot)
        self._shorten(occurrence)
        if not occurrence.row.depth:
            occurrence.scope = None  # a run that is kept is not to keep the context it was opened in

    def _leave_elsewhere(self, occurrence: "Occurrence", block: Block, ended: int, error: BaseException | None) -> None:
        """Close an occurrence in another thread than its own, or after its run."""
        own = occurrence.row.block
        parent, inside = own.scratch_row, 0
        if occurrence.row.run.ended:
            self.runs.count_late(occurrence, ended, error)
        else:
            node = self._row_beside(occurrence, block).offset
            words = self._words
            words[node] = sequence = words[node] | 1
            inside = self.count(node, occurrence, ended, error)
            words[node] = sequence + 1
            if occurrence.flags & at.NESTED and occurrence.above is not None:
                parent = occurrence.above.row.offset
        own.post(occurrence.entry, occurrence.slot, parent, inside)

    def abandon(self, name: int) -> None:
        """Undo what was entered last, if it has that name: a signal handler raised before its caller knew of it."""
        top = self.current.get()
        if top is None or top.closed or top.name != name or not top.row.depth or self.inherited:
            return
        top.closed = True
        self.set_current(top.above)
        self._words[top.entry] = 0
        if top.row.block is self.block():
            top.row.block.free_entry(top.entry, top.slot)

    def innermost(self, name: int) -> "Occurrence | None":
        """Return the innermost open occurrence of a name in the calling context, or None.

        What a suspended generator holds is not the caller's: beyond it comes what was the innermost before.
        """
        occurrence = self.current.get()
        while occurrence is not None:
            held = occurrence.held
            suspended = held is not None and held.suspended
            if not occurrence.closed and not suspended and occurrence.name == name:
                return occurrence
            occurrence = held.before if suspended and held is not None else occurrence.above
        return None

    def set_attributes(self, occurrence: "Occurrence", values: dict[str, object]) -> None:
        """Add attributes to an open occurrence."""
        if self.inherited:
            return
        self.keep_attributes(occurrence, (occurrence.attributes or {}) | values)

    def add_cpu(self, occurrence: "Occurrence", nanoseconds: int) -> None:
        """Add processor time to an occurrence's node. The thread that owns it calls this, before `leave`."""
        if not self.inherited:
            self._words[occurrence.row.offset + at.NODE_CPU] += nanoseconds

    def add_device(self, occurrence: "Occurrence", nanoseconds: int) -> None:
        """Add device time to an occurrence's node; that may be after `leave`."""
        if not self.inherited and not occurrence.row.run.ended:
            self._words[occurrence.row.offset + at.NODE_DEVICE] += nanoseconds

    def time_steps(self, occurrence: "Occurrence", *, generator: bool) -> None:
        """Say that an occurrence will be suspended and resumed."""
        occurrence.steps = Steps(occurrence, generator=generator)
        occurrence.section = None
        if not self.inherited:
            flags = at.STEPS_OF_GENERATOR if generator else at.STEPS_OF_COROUTINE
            self._words[occurrence.entry] |= flags << 32

    def suspend(self, occurrence: "Occurrence") -> None:
        """Stop the clock of a stepped occurrence, and give its context back to whoever resumed it."""
        steps = occurrence.steps
        if steps is not None:
            steps.active += monotonic_ns() - steps.resumed
            steps.inner = self.current.get()
            self.set_current(steps.saved)
            if not occurrence.closed and not self.inherited:
                self._words[occurrence.entry + at.OPEN_ACTIVE] = steps.active

    def resume(self, occurrence: "Occurrence") -> None:
        """Run the clock of a stepped occurrence again, below whoever resumes it now."""
        steps = occurrence.steps
        if steps is not None:
            steps.saved = self.current.get()
            self.set_current(steps.inner)
            steps.resumed = monotonic_ns()

    def block(self) -> Block:
        """Return the running thread's block: its own, an ended thread's, a new one, or the shared one."""
        try:
            found: Block = self.threads.block
        except AttributeError:
            found = self._take_block()
        return found

    def _take_block(self) -> Block:
        try:
            block = self._ended.pop()
        except IndexError:
            block = self._new_block()
        self._words[block.home + at.BLOCK_THREAD] = get_native_id()
        self._words[block.home + at.BLOCK_IDENT] = get_ident()
        self.threads.block = block
        self.threads.lease = self.make_lease(block, self._ended if block is not self._shared else [])
        return block

    def _new_block(self) -> Block:
        try:
            block = Block(self.flight)
        except OutOfSpace:
            self._words[at.HEADER_SHARED_THREADS] += 1
            block = self._shared = self.runs.spare_block
        return block

    def place(self, occurrence: "Occurrence", above: "Occurrence", block: Block) -> "Row":
        """Find or make the row of an occurrence: its own, an outer one that it recurs into, or the folded one."""
        name, parent = occurrence.name, above.row
        if parent.depth >= DEPTH_LIMIT:
            name = self._folded
            self._words[parent.run.slot + at.RUN_FOLDED] += 1
        outer = parent.folds.get(name) if not above.folding else None
        names = above.names
        if outer is None and (names is None or name in names):
            outer = _outermost(above, name, block)
        if outer is not None:
            if not above.folding:
                parent.folds[name] = outer
            occurrence.flags |= at.RECURSIVE
            occurrence.folding = True
            occurrence.names = names or _open_names(above)
            return outer
        occurrence.folding = above.folding
        if not above.folding:
            occurrence.home = block
        occurrence.names = names if names is None or name in names else names | {name}
        if occurrence.flags & at.NESTED:
            row = parent.children.get(name)
            if row is None:
                row = parent.children[name] = self.make_row(block, parent.run, name, parent, 0)
            return row
        row = parent.beside.get((block, name))
        if row is None:
            row = parent.beside[block, name] = self.make_row(block, parent.run, name, parent, at.CONCURRENT)
        return row

    def _row_beside(self, occurrence: "Occurrence", block: Block) -> "Row":
        """Return this thread's row for an occurrence that another thread opened."""
        row = occurrence.row
        found = row.beside.get((block, 0))
        if found is None:
            parent = occurrence.above.row if row.depth and occurrence.above is not None else None
            flags = 0 if occurrence.flags & at.NESTED else at.CONCURRENT
            found = row.beside[block, 0] = self.make_row(block, row.run, row.name, parent, flags)
        return found

    def make_row(self, block: Block, run: "RunState", name: int, parent: "Row | None", flags: int) -> "Row":
        """Publish a new row; where there is none left, the run's folded one, and then one that nobody reads."""
        folded = name == self._folded
        offset = block.take_row(folded=folded)
        if offset is None and self.runs.forget_ended():
            offset = block.take_row(folded=folded)
        if offset is None:
            self._words[run.slot + at.RUN_FOLDED] += 1
            row = run.folded_rows.get(block)
            if row is None:
                row = run.folded_rows[block] = self._make_folded_row(block, run, flags)
            return row
        if block is self._shared:
            self._words[run.slot + at.RUN_FLAGS] |= at.INEXACT  # its rows have several writers
        self._publish(block, offset, run, (parent.offset >> 3 if parent is not None else 0) | name << 32, flags)
        return self.new_row(block, offset, run, name, parent.depth + 1 if parent is not None else 0)

    def _make_folded_row(self, block: Block, run: "RunState", flags: int) -> "Row":
        offset = block.take_row(folded=True)
        if offset is not None:
            self._publish(block, offset, run, run.root_reference | self._folded << 32, flags)
        return self.new_row(block, block.scratch_row if offset is None else offset, run, self._folded, 1)

    def _publish(self, block: Block, offset: int, run: "RunState", link: int, flags: int) -> None:
        words = self._words
        words[offset + at.NODE_PARENT] = link
        words[offset + at.NODE_FLAGS] = flags
        run.rows.append((block, offset))
        words[offset + at.NODE_RUN] = run.serial

    def keep(self, node: int, which: int, occurrence: "Occurrence", ended: int, error: BaseException | None) -> None:
        """Keep an occurrence as one of its node's three sampled spans."""
        words = self._words
        span = node + at.NODE_SPANS + which * at.SPAN_WORDS
        words[span + at.SPAN_ID] = occurrence.span
        words[span + at.SPAN_PARENT] = occurrence.above.span if occurrence.above is not None else 0
        words[span + at.SPAN_STARTED] = occurrence.started
        words[span + at.SPAN_ENDED] = ended
        words[span + at.SPAN_THREAD] = get_native_id()
        words[span + at.SPAN_ERROR] = self.flight.name(type(error).__qualname__) if error is not None else 0
        words[span + at.SPAN_ATTRIBUTES] = 0
        if occurrence.attributes is not None:
            data, lost = at.encode_attributes(occurrence.attributes)
            start = (span + at.SPAN_ATTRIBUTES) * 8
            self.flight.bytes[start : start + len(data)] = data
            words[occurrence.row.run.slot + at.RUN_DROPPED] += lost

    def keep_attributes(self, occurrence: "Occurrence", values: dict[str, object]) -> None:
        """Write what an open occurrence carries, so that a kill does not lose it."""
        occurrence.attributes, occurrence.section = values, None
        slot = occurrence.slot = occurrence.slot or occurrence.row.block.take_attributes()
        if slot:
            data, _ = at.encode_attributes(values)
            self.flight.bytes[slot : slot + len(data)] = data
            self._words[occurrence.entry + at.OPEN_ATTRIBUTES] = slot >> 6


class Lease:
    """Held by a thread for as long as it lives; its end hands the block to the next thread."""

    def __init__(self, block: Block, ended: list[Block]) -> None:
        self.block = block
        self._ended = ended

    def __del__(self) -> None:
        self._ended.append(self.block)


def is_harmless(error: BaseException) -> bool:
    """Whether an exception is just a way out: a generator closed, a program that ends with success."""
    return isinstance(error, GeneratorExit) or (isinstance(error, SystemExit) and error.code in (None, 0))


def _may_be_outlived(closed: "Occurrence") -> bool:
    """Whether what was started in an occurrence still counts there after its end."""
    row = closed.row
    return not closed.vacant and not row.run.ended and row.depth < DEPTH_LIMIT


def _outermost(above: "Occurrence", name: int, block: Block) -> "Row | None":
    """Return the row of the outermost open occurrence of a name in the same run and thread, or None.

    The innermost one has the same row: it recurs into the outermost.
    """
    walk: Occurrence | None = above
    while walk is not None and walk.row.run is above.row.run:
        row = walk.row
        if row.name == name and row.block is block and row.depth and not walk.closed:
            return row
        walk = walk.above
    return None


def _open_names(innermost: "Occurrence") -> frozenset[int]:
    """Return the names of an occurrence and of all that it stands in, in the same run."""
    names = set()
    walk: Occurrence | None = innermost
    while walk is not None and walk.row.run is innermost.row.run:
        names.add(walk.row.name)
        walk = walk.above
    return frozenset(names)
