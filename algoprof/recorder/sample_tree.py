"""A tree of stack samples in the flight file: which run and sections were open, and below them which frames.

It has one writer, which may be a signal handler: whatever it does may come between any two steps of the rest. So it
waits for nothing that the interrupted code holds: where that is in the middle of taking a segment, it raises `Busy`,
and nothing is counted.
"""

from time import monotonic_ns

from algoprof.recorder import layout as at
from algoprof.recorder.flight import FlightFile, OutOfSpace
from algoprof.recorder.own_threads import PACKAGE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType

    Stack = list[tuple[CodeType, int]]

_OURS = (PACKAGE, "<frozen runpy>", "<frozen importlib")  # frames that are nobody's concern
_CACHED_CODES, _CACHED_FRAMES, _CACHED_PLACES = 8192, 65_536, 4096
_DEEPEST_ROW = 256  # the writer folds at 128


class Busy(Exception):  # noqa: N818  (an answer, not a fault)
    """The interrupted code is taking a segment."""


class SampleTree:
    """One tree, with at most 32,768 nodes and 4,096 functions; a sample that finds no room counts above its own place.

    Args:
        flight: the file.
        interval_ns: between two ticks.

    Raises:
        OutOfSpace: if the file has no room for it.
    """

    def __init__(self, flight: FlightFile, interval_ns: int) -> None:
        self.flight = flight
        self.interval_ns = interval_ns
        self.words = flight.words
        first = flight.take_segment(at.STACKS, 0, 0)
        self.segment = first // at.SEGMENT_BYTES
        self.header = first // 8
        self.starts = [self.header]
        self._codes_at = flight.take_segment(at.CODES, 0, self.segment)
        self._next = at.FIRST_STACK
        self._free: list[int] = []
        self._children: dict[tuple[int, int, int], int] = {}  # by parent, number and kind
        self.runs: dict[int, tuple[int, int, list[int]]] = {}  # the nodes of runs: serial, slot, and what is below
        self._run_of = [0, 0]  # of each node: the innermost of those that it is below
        self._codes: dict[tuple[str, str, int], int] = {}
        # What can be found again, and may be emptied at any time.
        self._held: dict[int, CodeType] = {}  # so that no other one gets its id
        self.frames: dict[tuple[int, int, int], int] = {}
        self.places: dict[tuple[int, int, int], int] = {}
        words = self.words
        words[self.header + at.STACKS_INTERVAL] = interval_ns
        words[self.header + at.STACKS_NODES] = self._next

    def note(self, flag: int) -> None:
        """Note who takes the samples."""
        self.words[self.header + at.STACKS_SAMPLER] |= flag

    def count(self, place: int, stack: "Stack", ticks: int, *, beside: bool = False) -> None:
        """Count ticks at a stack.

        Args:
            place: the node of what was open, from `place_of`.
            stack: code and position of each frame, innermost first.
            ticks: how many.
            beside: whether it is another thread's than the main one's.

        Raises:
            Busy: if it cannot be done now.
        """
        if len(self.frames) > _CACHED_FRAMES or len(self._held) > _CACHED_CODES:
            self.frames, self._held = {}, {}
        node, frames, full = place, self.frames, False
        for kind in (at.STACK_BESIDE,) * beside + (at.STACK_CUT,) * (len(stack) >= at.STACK_DEPTH):
            found = self._child(node, 0, kind)
            node = node if found is None else found
        for code, position in reversed(stack):
            key = (node, id(code), position)
            found = frames.get(key)
            if found is None:
                found = self._frame(node, code, position)
                if found is None:
                    full = True
                    break
                self._held[id(code)] = code
                frames[key] = found
            node = found
        words = self.words
        if full:
            words[self.header + at.STACKS_FOLDED] += ticks
        if node >= at.FIRST_STACK:
            offset = self._offset(node)
            words[offset + at.STACK_TICKS] += ticks
            words[offset + at.STACK_SAMPLES] += 1
        words[self.header + at.STACKS_LAST] = monotonic_ns()

    def place_of(self, rows: "list[int]") -> int:
        """Return the node of what is open.

        Args:
            rows: the innermost open row of each open run, innermost run first, as word offsets.

        Raises:
            Busy: if it cannot be done now.
        """
        node = 0
        for row in reversed(rows):
            serial = self.words[row + at.NODE_RUN]
            key = (node, row, serial)
            found = self.places.get(key)
            if found is None:
                found = self._place(node, row, serial)
                if len(self.places) > _CACHED_PLACES:
                    self.places = {}
                self.places[key] = found
            node = found
        return node

    def nodes_of(self, serial: int) -> list[int]:
        """Return the nodes of a run that is still there, and of those that stand in it."""
        runs = dict(self.runs)  # in one step: the tree's writer may come between any two
        wanted = [run for run, (number, _, _) in runs.items() if number == serial]
        for outer in wanted:
            wanted += [run for run in runs if run not in wanted and self._run_around(run) == outer]
        return [node for run in wanted for node in (run, *runs[run][2])]

    def settle(self) -> None:
        """Add the samples of runs that are forgotten to those of all runs of their name."""
        words = self.words
        for run in sorted(self.runs, reverse=True):  # what stands in another run comes before that
            serial, slot, _ = self.runs[run]
            if words[slot + at.RUN_SERIAL] != serial and run not in map(self._run_around, self.runs):
                self._merge(run)

    def _run_around(self, run: int) -> int:
        return self._run_of[self.words[self._offset(run) + at.STACK_LINK] & at.REFERENCE_MASK]

    def _merge(self, run: int) -> None:
        """Move what a run's nodes have counted to those that all ended runs of its name share, and free them."""
        words = self.words
        around = self._run_around(run)
        if around in self.runs:
            self.runs[around][2].remove(run)
        nodes = [run, *self.runs.pop(run)[2]]
        self.frames, self.places = {}, {}
        moved: dict[int, int] = {}
        for node in nodes:  # parents first
            offset = self._offset(node)
            link, kind = words[offset + at.STACK_LINK], words[offset + at.STACK_KIND]
            parent = link & at.REFERENCE_MASK
            above = moved.get(parent, parent)
            target = self._child(above, link >> 32, at.STACK_RUN if node == run else kind)
            ticks = words[offset + at.STACK_TICKS]
            if target is None:
                words[self.header + at.STACKS_FOLDED] += ticks
            moved[node] = found = above if target is None else target
            if found:
                words[self._offset(found) + at.STACK_TICKS] += ticks
                words[self._offset(found) + at.STACK_SAMPLES] += words[offset + at.STACK_SAMPLES]
        for node in nodes:
            offset = self._offset(node)
            link, kind = words[offset + at.STACK_LINK], words[offset + at.STACK_KIND]
            words[offset + at.STACK_KIND] = 0
            words[offset + at.STACK_TICKS] = words[offset + at.STACK_SAMPLES] = 0
            self._children.pop((link & at.REFERENCE_MASK, link >> 32, kind), None)
        self._free += nodes

    def _place(self, node: int, row: int, serial: int) -> int:
        words = self.words
        slot = next(
            (slot for slot in _SLOTS if words[slot + at.RUN_SERIAL] == serial and serial),
            None,
        )
        if slot is None:
            return node
        names: list[int] = []
        while row and len(names) < _DEEPEST_ROW:
            link = words[row + at.NODE_PARENT]
            names.append(link >> 32)
            row = (link & at.REFERENCE_MASK) << 3
        found = self._child(node, words[slot + at.RUN_NAME], at.STACK_RUN | (serial & 0x7FFFFFFF) << 32)
        if found is None:
            return node
        if found not in self.runs:
            self.runs[found] = (serial, slot, [])
            self._run_of[found] = found
        for name in reversed(names):
            node = found
            found = self._child(node, name, at.STACK_SECTION)
            if found is None:
                return node
        return found

    def _frame(self, node: int, code: "CodeType", position: int) -> int | None:
        """Return the node of a frame; for one of ours, the node that it would stand below; None if there is no room."""
        if code.co_filename.startswith(_OURS):
            return node
        key = (code.co_filename, code.co_qualname, code.co_firstlineno)
        number = self._codes.get(key)
        if number is None:
            number = self._write_code(key)
            if number is None:
                return None
            self._codes[key] = number
        line = next((line for start, end, line in code.co_lines() if start <= position < end), None)
        return self._child(node, number, at.STACK_FRAME | (line or code.co_firstlineno) << 32)

    def _child(self, parent: int, number: int, kind: int) -> int | None:
        """Return a node below another one, made if there is none yet; None if there is no room."""
        key = (parent, number, kind)
        found = self._children.get(key)
        if found is not None:
            return found
        node = self._taken()
        if node is None:
            return None
        words, offset = self.words, self._offset(node)
        run = self._run_of[node] = self._run_of[parent]
        if run in self.runs:
            self.runs[run][2].append(node)
        words[offset + at.STACK_LINK] = parent | number << 32
        self._children[key] = node
        words[offset + at.STACK_KIND] = kind
        return node

    def _taken(self) -> int | None:
        if self._free:
            return self._free.pop()
        node = self._next
        segment, position = divmod(node, at.STACKS_PER_SEGMENT)
        if position == 0 and segment == len(self.starts):
            start = self._grown(at.STACKS, segment, at.STACK_SEGMENTS)
            if start is None:
                return None
            self.starts.append(start // 8)
        self._next = node + 1
        self._run_of.append(0)
        self.words[self.header + at.STACKS_NODES] = node + 1
        return node

    def _offset(self, node: int) -> int:
        segment, position = divmod(node, at.STACKS_PER_SEGMENT)
        return self.starts[segment] + position * at.STACK_WORDS

    def _grown(self, kind: int, ordinal: int, limit: int) -> int | None:
        if ordinal >= limit:
            return None
        if self.flight.is_taking():
            raise Busy
        try:
            return self.flight.take_segment(kind, ordinal, self.segment)
        except OutOfSpace:
            return None

    def _write_code(self, key: tuple[str, str, int]) -> int | None:
        count = self.words[self.header + at.STACKS_CODES]
        segment, position = divmod(count, at.CODES_PER_SEGMENT)
        if position == 0 and segment:
            start = self._grown(at.CODES, segment, at.CODE_LIMIT // at.CODES_PER_SEGMENT)
            if start is None:
                return None
            self._codes_at = start
        file = key[0].encode("utf-8", "backslashreplace")
        if len(file) > at.CODE_FILE_MAX:
            file = b"..." + file[3 - at.CODE_FILE_MAX :].decode("utf-8", "ignore").encode()
        name = key[1].encode("utf-8", "backslashreplace")[: at.CODE_NAME_MAX].decode("utf-8", "ignore").encode()
        offset = self._codes_at + position * at.CODE_BYTES_EACH
        room = self.flight.bytes
        at.CODE_HEAD.pack_into(room, offset, len(name), len(file), key[2] & 0xFFFFFFFF)
        offset += at.CODE_HEAD.size
        room[offset : offset + len(name)] = name
        room[offset + at.CODE_NAME_MAX : offset + at.CODE_NAME_MAX + len(file)] = file
        self.words[self.header + at.STACKS_CODES] = count + 1
        return int(count) + 1


_SLOTS = [(at.RUNS_AT + slot * at.RUN_BYTES) // 8 for slot in range(at.RUN_COUNT)]
