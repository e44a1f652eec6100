"""The run table: runs are opened, ended, added to the cumulative tree of their name, and in time forgotten."""

import os
import time
from _thread import RLock
from time import monotonic_ns

from algoprof.recorder import alarms
from algoprof.recorder import layout as at
from algoprof.recorder.blocks import Block
from algoprof.recorder.environment import Environments
from algoprof.recorder.flight import FlightFile, OutOfSpace, program_name
from algoprof.recorder.origins import WORKER, implicit_run_id
from algoprof.recorder.totals import Totals
from algoprof.recorder.writer import Occurrence, RunMark, Writer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from algoprof.recorder._python import Row
    from algoprof.recorder.origins import Origin

READABLE_AFTER_END = 4
"""So many ended runs stay in the file, for a server that reads a run right after its answer."""
CUMULATIVE_LIMIT = 64
"""Run names that have a cumulative tree of their own; all others share `layout.OTHER_RUNS`."""

before_end: "Callable[[RunState], None] | None" = None
"""Called before a run's rows are added up; set by whoever measures what comes late."""


class RunState(RunMark):
    """A slot of the run table, as its writer sees it.

    Args:
        writer: who writes its sections.
        serial: what its node rows carry.
        slot: its word offset.
        name: the number of its name.
    """

    def __init__(self, writer: Writer, serial: int, slot: int, name: int) -> None:
        super().__init__(writer)
        self.serial = serial
        self.slot = slot
        self.name = name
        self.shared = False
        self.part = False
        self.run_id = b""
        self.title = ""
        self.rows: list[tuple[Block, int]] = []
        self.folded_rows: dict[Block, Row] = {}
        self.root: Occurrence
        self.root_reference = 0


class RunFacts:
    """What is known of a run when it opens; whoever opens it fills in what there is.

    Args:
        name: its name.
    """

    module = ""  # where it is written; empty if unknown
    line = 0
    run_id = b""  # 16 bytes, its trace id too; a random one if empty
    parent_id = b""  # the run around it
    parent_span = 0  # the caller's
    timeout_ns = 0  # 0 without a budget
    spent_ns = 0  # of the budget, before the run
    source = ""  # where the timeout comes from
    request_id = ""  # what the server calls the request
    allocations = False  # whether to measure how much is allocated
    flags = 0

    def __init__(self, name: str) -> None:
        self.name = name


class RunTable:
    """The run table of a flight file, and the writer that fills the runs."""

    def __init__(self, flight: FlightFile, origin: "Origin | None" = None) -> None:
        self._flight = flight
        self._origin = origin
        self.implicit_id = implicit_run_id(flight.words[at.HEADER_PID], flight.words[at.HEADER_START_TIME])
        """The id that its implicit run has, or would have."""
        self._words = flight.words
        self._lock = RLock()
        self._free = [(at.RUNS_AT + slot * at.RUN_BYTES) // 8 for slot in reversed(range(at.RUN_COUNT))]
        self._readable: list[RunState] = []
        self._cumulative: dict[int, RunState] = {}
        self._totals = _totals(flight)
        self._implicit: RunState | None = None
        self.spare_block = Block(flight, at.BLOCK_SHARED, segments=1)
        """The one shared by threads that find no other, set aside while there is room."""
        self.writer = Writer(flight, self)
        self.environments = Environments(flight)

    def open(self, facts: RunFacts, attributes: dict[str, object] | None = None) -> RunState:
        """Open a run and enter its root. Where the table is full, it becomes a section of the implicit run instead."""
        name = self._flight.name(facts.name, facts.module, facts.line)
        with self._lock:
            run = self._claim(name, CUMULATIVE_LIMIT + 2 - len(self._cumulative))
        if run is None:
            return self._open_shared(name, attributes)
        return self._open(run, facts, attributes)

    def _open(self, run: RunState, facts: RunFacts, attributes: dict[str, object] | None) -> RunState:
        with self._lock:
            self.environments.begin(run.slot, run.serial, allocations=facts.allocations)
        self._write_facts(run, facts)
        self._publish(run, at.OPEN)
        run.root = self.writer.enter_root(run, attributes)
        run.root_reference = self._words[run.slot + at.RUN_ROOT] = run.root.row.offset >> 3
        return run

    def open_part(self, facts: RunFacts, root: str) -> RunState | None:
        """Open a part of another process's run; None if the table is full.

        Args:
            facts: of the part.
            root: what the root of its tree is called; it is there, but nothing is ever counted in it.
        """
        with self._lock:
            run = self._claim(self._flight.name(root), CUMULATIVE_LIMIT + 2 - len(self._cumulative))
        if run is not None:
            self._write_facts(run, facts)
            self._publish(run, at.OPEN)
            run.root = self.anchor(run, run.name, None)
            run.root_reference = self._words[run.slot + at.RUN_ROOT] = run.root.row.offset >> 3
        return run

    def anchor(self, run: RunState, name: int, above: Occurrence | None) -> Occurrence:
        """Return an occurrence that stands for a node of another process: sections stand below it, beside each other.

        It is no entry of the file, and is never counted.
        """
        writer = self.writer
        block = writer.block()
        anchor = writer.make(name, above)
        parent = above.row if above is not None else None
        anchor.row = writer.make_row(block, run, name, parent, at.CONCURRENT if parent is not None else 0)
        anchor.row.depth = 0  # as a root's: what it holds does not recur in it
        anchor.entry = block.scratch_entry
        anchor.span = anchor.started = 0
        anchor.scope = anchor.task = _NOBODY
        return anchor

    def end(self, run: RunState, error: BaseException | None = None) -> None:
        """Leave a run's root, and add its rows to the cumulative tree of its name.

        It stays readable until it is released, and for some runs after that.
        """
        self.writer.leave(run.root, error)
        if run.shared or run.ended:
            return
        if before_end is not None:
            before_end(run)
        words = self._words
        with self._lock:
            run.ended = True
            words[run.slot + at.RUN_ENDED] = monotonic_ns()
            words[run.slot + at.RUN_CPU] = time.process_time_ns() - words[run.slot + at.RUN_CPU]
            words[run.slot + at.RUN_FAILED] = int(error is not None)
            self.environments.end(run.slot)
            words[run.slot + at.RUN_STATE] = at.ENDED
            if self._accumulate(run):
                words[run.slot + at.RUN_FLAGS] |= at.ADDED

    def release(self, run: RunState) -> None:
        """Let an ended run be forgotten in its turn."""
        with self._lock:
            if run.ended and not run.shared:
                self._readable.append(run)
                if len(self._readable) > READABLE_AFTER_END:
                    self._forget(self._readable.pop(0))

    def name(self, name: str, module: str = "", line: int = 0) -> int:
        """Return the number of a name."""
        return self._flight.name(name, module, line)

    def name_of(self, number: int) -> str:
        """Return the name that a number stands for."""
        return self._flight.text(number)

    def run_id(self, run: RunState) -> bytes:
        """Return a run's id, 16 bytes."""
        start = (run.slot + at.RUN_ID) * 8
        return bytes(self._flight.bytes[start : start + 16])

    def set_alarm(self, run: RunState, ratio: float, due_ns: int) -> None:
        """Have a share of the timeout told of even if no Python code can run when it is used.

        Args:
            run: the run.
            ratio: the share.
            due_ns: when it is used, on the monotonic clock.
        """
        if not run.shared:
            alarms.set_alarm_at(self._words, run.slot, run.serial, due_ns, round(ratio * 1e6))

    def mark_threshold(self, run: RunState, ratio: float) -> bool:
        """Note the share of the timeout that is used; return whether that is still to be told."""
        millionths = round(ratio * 1e6)
        alarms.take(run.slot, run.serial, millionths)
        if run.ended or (self._words[run.slot + at.RUN_THRESHOLD] >= millionths and not run.shared):
            return False
        self._words[run.slot + at.RUN_THRESHOLD] = millionths
        return True

    def implicit_root(self) -> Occurrence:
        """Return the root that holds whatever happens outside every run; it is opened when first asked for."""
        with self._lock:
            if self._implicit is None:
                around = self.writer.current.get()
                facts = self._implicit_facts()
                run = self._claim(self._flight.name(self.implicit_root_name))
                if run is None:
                    raise OutOfSpace  # never: a slot is kept for it
                self._implicit = self._open(run, facts, None)
                if self._origin is not None:
                    self._words[run.root.row.offset + at.NODE_FLAGS] |= at.INHERITED
                self.writer.set_current(around)
            return self._implicit.root

    @property
    def implicit(self) -> RunState | None:
        """The open run that holds whatever happens outside every run, if there is one."""
        return self._implicit

    @property
    def implicit_name(self) -> str:
        """What the implicit run is called: a worker's is a part of its parent's run."""
        return self._origin.run_name if self._origin is not None else program_name()

    @property
    def implicit_root_name(self) -> str:
        """What the implicit run's root is called."""
        return WORKER if self._origin is not None else program_name()

    def _implicit_facts(self) -> RunFacts:
        facts = RunFacts(self.implicit_name)
        facts.run_id = self.implicit_id
        if self._origin is not None:
            facts.parent_id = self._origin.run_id
            facts.flags = at.PART
        return facts

    def end_implicit(self) -> RunState | None:
        """End the implicit run, if there is one, and return it; the next section outside every run opens another."""
        with self._lock:
            run, self._implicit = self._implicit, None
        if run is not None:
            self.end(run)
        return run

    def seconds(self, run: RunState) -> float:
        """Return how long an ended run took."""
        return float(self._words[run.slot + at.RUN_ENDED] - self._words[run.slot + at.RUN_STARTED]) / 1e9

    def count_late(self, occurrence: Occurrence, ended: int, error: BaseException | None) -> None:
        """Count an occurrence that outlived its run, in the cumulative tree."""
        with self._lock:
            if self._totals is not None:
                row = self._totals.row_of(occurrence.row.offset)
                if row is not None:
                    self.writer.count(row, occurrence, ended, error)

    def count_dropped(self, run: RunState) -> None:
        """Count something that is left out of an open run."""
        if not run.ended and not self.writer.inherited:
            self._words[run.slot + at.RUN_DROPPED] += 1

    def forget_ended(self) -> bool:
        """Make room: give up the ended runs that are still readable; return whether there were any."""
        with self._lock:
            found = bool(self._readable)
            while self._readable:
                self._forget(self._readable.pop(0))
            return found

    def _claim(self, name: int, kept: int = 0) -> RunState | None:
        """Take a free slot, and leave some free; None if there are too few."""
        if len(self._free) <= kept:
            self.forget_ended()
        if len(self._free) <= kept:
            return None
        self._words[at.HEADER_RUN_SERIAL] += 1
        return RunState(self.writer, self._words[at.HEADER_RUN_SERIAL], self._free.pop(), name)

    def _open_shared(self, name: int, attributes: dict[str, object] | None) -> RunState:
        self._words[at.HEADER_SHARED_RUNS] += 1
        root = self.implicit_root()
        shared = RunState(self.writer, root.row.run.serial, root.row.run.slot, name)
        shared.shared = True
        shared.root = self.writer.enter(name, attributes)
        self._words[root.row.run.slot + at.RUN_FLAGS] |= at.INEXACT
        return shared

    def _write_facts(self, run: RunState, facts: RunFacts) -> None:
        words, slot = self._words, run.slot
        identity, room = slot * 8, self._flight.bytes
        words[slot : slot + at.RUN_WORDS] = _NO_RUN
        words[slot + at.RUN_NAME] = self._flight.name(facts.name)
        words[slot + at.RUN_FLAGS] = facts.flags
        run.part = bool(facts.flags & at.PART)
        run.title = facts.name
        run.run_id = facts.run_id or os.urandom(16)
        room[identity + at.RUN_ID * 8 : identity + at.RUN_ID * 8 + 16] = run.run_id
        room[identity + at.RUN_PARENT * 8 : identity + at.RUN_PARENT * 8 + 16] = facts.parent_id or bytes(16)
        words[slot + at.RUN_PARENT_SPAN] = _signed(facts.parent_span)
        words[slot + at.RUN_TIMEOUT] = facts.timeout_ns
        words[slot + at.RUN_SPENT] = facts.spent_ns
        words[slot + at.RUN_SOURCE] = self._flight.name(facts.source) if facts.source else 0
        words[slot + at.RUN_CPU] = time.process_time_ns()
        request = facts.request_id.encode()[: at.REQUEST_BYTES]
        start = identity + at.RUN_REQUEST * 8
        room[start : start + len(request)] = request
        words[slot + at.RUN_STARTED] = monotonic_ns()

    def _publish(self, run: RunState, state: int) -> None:
        self._words[run.slot + at.RUN_STATE] = state
        self._words[run.slot + at.RUN_SERIAL] = run.serial

    def _accumulate(self, run: RunState) -> bool:
        """Add an ended run to the cumulative one of its name; False, and counted, if there is no room for one."""
        total = self._cumulative_of(self._words[run.slot + at.RUN_NAME]) if self._totals is not None else None
        if self._totals is None or total is None:
            self._flight.count_error()
            return False
        words, slot = self._words, total.slot
        words[slot + at.RUN_FOLDED] += self._totals.add([offset for _, offset in run.rows], total.serial)
        if not run.part:
            self.environments.add(slot, total.serial, run.slot)
            words[slot + at.RUN_RUNS] += 1
            words[slot + at.RUN_FAILED] += words[run.slot + at.RUN_FAILED]
            words[slot + at.RUN_CPU] += words[run.slot + at.RUN_CPU]
            words[slot + at.RUN_ENDED] += words[run.slot + at.RUN_ENDED] - words[run.slot + at.RUN_STARTED]
        words[slot + at.RUN_DROPPED] += words[run.slot + at.RUN_DROPPED]
        words[slot + at.RUN_FOLDED] += words[run.slot + at.RUN_FOLDED]
        words[slot + at.RUN_FLAGS] |= words[run.slot + at.RUN_FLAGS] & at.INEXACT
        return True

    def _cumulative_of(self, name: int) -> RunState | None:
        total = self._cumulative.get(name)
        if total is None:
            if len(self._cumulative) >= CUMULATIVE_LIMIT:
                name = self._flight.name(at.OTHER_RUNS)
                if name in self._cumulative:
                    return self._cumulative[name]
            total = self._claim(name)
            if total is None:
                return None
            words = self._words
            words[total.slot : total.slot + at.RUN_WORDS] = _NO_RUN
            words[total.slot + at.RUN_NAME] = name
            words[total.slot + at.RUN_STARTED] = monotonic_ns()
            self._publish(total, at.CUMULATIVE)
            self._cumulative[name] = total
        return total

    def _forget(self, run: RunState) -> None:
        """Free the slot of an ended run, and hand its rows back to their owners."""
        self._words[run.slot + at.RUN_SERIAL] = 0
        by_block: dict[Block, list[int]] = {}
        for block, offset in run.rows:
            by_block.setdefault(block, []).append(offset)
            if self._totals is not None:
                self._totals.forget(offset)
        for block, offsets in by_block.items():
            block.release(offsets)
        run.rows = []
        self._free.append(run.slot)


_NO_RUN = memoryview(bytes(at.RUN_BYTES)).cast(at.WORD)
_NOBODY = object()  # no task is this one, so nothing is nested in an anchor


def _totals(flight: FlightFile) -> Totals | None:
    """Set the cumulative trees' room aside while there is some."""
    try:
        return Totals(flight)
    except OutOfSpace:
        return None


def _signed(value: int) -> int:
    return value - 2**64 if value >= 2**63 else value
