"""Adding up the trees of flight files in another one, word by word: as merging profiles does, without making any."""

from algoprof.recorder import layout as at
from algoprof.recorder.flight import FlightFile, OutOfSpace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    Row = list[int]

RUN_LIMIT = at.RUN_COUNT - 2
"""Run names that have a tree of their own; all others share `layout.OTHER_RUNS`."""

_DEPTH_LIMIT = 256  # the writer folds at 128; a deeper tree is a torn one
_SMALLEST, _LARGEST = -(2**63), 2**63 - 1


class TreeSums:
    """Cumulative trees in a file that nobody else writes, one per run name, `TOTALS_LIMIT` nodes in all.

    What finds no node is counted as folded, as where a process's own cumulative trees are full.

    Args:
        flight: the file, which has nothing in it so far.
    """

    def __init__(self, flight: FlightFile) -> None:
        self._flight = flight
        self._words = flight.words
        self._slots = [(at.RUNS_AT + slot * at.RUN_BYTES) // 8 for slot in reversed(range(at.RUN_COUNT))]
        self._runs: dict[str, int] = {}  # word offset of each name's slot
        self._rows: dict[tuple[int, int, int], int] = {}  # by parent (minus the run's slot, at the root), name, flags
        self._free: list[int] = []

    def add(self, view: memoryview, words: memoryview) -> None:
        """Add the trees of a dead process's file: of the runs that ended, and of those that were open when it did.

        Raises:
            OutOfSpace: if the file system has no room. Then the sums are of no use any more.
        """
        names = _names(view, words)
        trees: dict[int, list[tuple[int, Row]]] = {}
        for reference, row in _rows(view, words):
            trees.setdefault(row[at.NODE_RUN], []).append((reference, row))
        to_wall = words[at.HEADER_WALL] - words[at.HEADER_MONOTONIC]
        shift = to_wall - self._words[at.HEADER_WALL] + self._words[at.HEADER_MONOTONIC]
        for run in _runs(words):
            rows = trees.get(run[at.RUN_SERIAL], [])
            if run[at.RUN_STATE] == at.OPEN:
                _take_open_time_off(rows, view, words)
            self._add_run(run, rows, names, shift, words[at.HEADER_CLOSED])

    def _add_run(
        self,
        run: "Row",
        rows: "list[tuple[int, Row]]",
        names: list[tuple[str, str, int]],
        shift: int,
        closed_ns: int,
    ) -> None:
        slot = self._slot_of(_name(names, run[at.RUN_NAME]), run[at.RUN_STARTED] + shift)
        words = self._words
        if run[at.RUN_STATE] == at.CUMULATIVE:
            self._add_to(slot + at.RUN_RUNS, run[at.RUN_RUNS])
            self._add_to(slot + at.RUN_CPU, run[at.RUN_CPU])
            self._add_to(slot + at.RUN_ENDED, run[at.RUN_ENDED])
        elif not run[at.RUN_FLAGS] & at.PART:
            self._add_to(slot + at.RUN_RUNS, 1)
            self._add_to(slot + at.RUN_ENDED, max(0, (run[at.RUN_ENDED] or closed_ns) - run[at.RUN_STARTED]))
        for word in (at.RUN_FAILED, at.RUN_DROPPED, at.RUN_FOLDED):
            self._add_to(slot + word, run[word])
        words[slot + at.RUN_FLAGS] |= run[at.RUN_FLAGS] & at.INEXACT
        words[slot + at.RUN_STARTED] = min(words[slot + at.RUN_STARTED], _bounded(run[at.RUN_STARTED] + shift))
        if any(row[at.NODE_SEQUENCE] % 2 for _, row in rows):
            words[slot + at.RUN_FLAGS] |= at.INEXACT
        self._add_tree(slot, rows, names)

    def _add_tree(self, slot: int, rows: "list[tuple[int, Row]]", names: list[tuple[str, str, int]]) -> None:
        known = {reference for reference, _ in rows}
        below: dict[int, list[tuple[int, Row]]] = {}
        for reference, row in rows:
            parent = row[at.NODE_PARENT] & at.REFERENCE_MASK
            below.setdefault(parent if parent in known and parent != reference else 0, []).append((reference, row))
        level = [(-slot, found) for found in below.get(0, ())]
        for _ in range(_DEPTH_LIMIT):
            deeper = []
            for parent, (reference, row) in level:
                total = self._total_of(parent, row, names, self._words[slot + at.RUN_SERIAL])
                if total:
                    self._add_row(total, row)
                else:
                    self._add_to(slot + at.RUN_FOLDED, row[at.NODE_COUNT])
                deeper += [(total, found) for found in below.get(reference, ())]
            level = deeper
            if not level:
                return

    def _slot_of(self, name: tuple[str, str, int], started_ns: int) -> int:
        text = name[0] if name[0] in self._runs or len(self._runs) < RUN_LIMIT else at.OTHER_RUNS
        found = self._runs.get(text)
        if found is None:
            found = self._runs[text] = self._slots.pop()
            words = self._words
            words[found + at.RUN_NAME] = self._number(name if text == name[0] else (at.OTHER_RUNS, "", 0))
            words[found + at.RUN_STARTED] = _bounded(started_ns)
            words[found + at.RUN_STATE] = at.CUMULATIVE
            words[at.HEADER_RUN_SERIAL] += 1
            words[found + at.RUN_SERIAL] = words[at.HEADER_RUN_SERIAL]
        return found

    def _total_of(self, parent: int, row: "Row", names: list[tuple[str, str, int]], serial: int) -> int:
        """Return the word offset of the sum's row, made if need be; 0 if there is no room for one."""
        if not parent:
            return 0
        number = self._number(_name(names, row[at.NODE_PARENT] >> 32))
        flags = row[at.NODE_FLAGS]
        key = (parent, number, flags & at.CONCURRENT)
        found = self._rows.get(key)
        if found is None:
            if len(self._rows) >= at.TOTALS_LIMIT:
                return 0
            found = self._rows[key] = self._new_row()
            words = self._words
            words[found + at.NODE_PARENT] = (max(0, parent) * 8 // at.UNIT) | number << 32
            words[found + at.NODE_FLAGS] = flags & (at.CONCURRENT | at.STEPPED | at.INHERITED)
            words[found + at.NODE_RUN] = serial
        self._words[found + at.NODE_FLAGS] |= flags & at.STEPPED
        return found

    def _number(self, name: tuple[str, str, int]) -> int:
        number = self._flight.name(*name)
        if not number:
            raise OutOfSpace
        return number

    def _new_row(self) -> int:
        if not self._free:
            start = self._flight.take_segment(at.NODES, 0, 0)
            self._free = [(start + position * at.NODE_BYTES) // 8 for position in reversed(range(at.NODES_PER_SEGMENT))]
        return self._free.pop()

    def _add_row(self, total: int, row: "Row") -> None:
        if row[at.NODE_FLAGS] & at.SUMMED:  # its process died while it ended the run
            return
        words = self._words
        if row[at.NODE_COUNT] > row[at.NODE_RECURSIONS]:
            is_first = words[total + at.NODE_COUNT] <= words[total + at.NODE_RECURSIONS]
            shortest, longest = words[total + at.NODE_SHORTEST], words[total + at.NODE_LONGEST]
            words[total + at.NODE_SHORTEST] = (
                row[at.NODE_SHORTEST] if is_first else min(row[at.NODE_SHORTEST], shortest)
            )
            words[total + at.NODE_LONGEST] = max(row[at.NODE_LONGEST], longest)
        # Never more than the total: the own time of a cumulative tree only grows, as a counter must.
        self._add_to(total + at.NODE_NESTED, min(row[at.NODE_NESTED], row[at.NODE_TOTAL]))
        for word in at.NODE_SUMS:
            self._add_to(total + word, row[word])
        for bucket in range(at.NODE_HISTOGRAM, at.NODE_HISTOGRAM + at.HISTOGRAM_WORDS):
            if row[bucket] > 0:
                self._add_to(total + bucket, row[bucket])

    def _add_to(self, word: int, value: int) -> None:
        self._words[word] = _bounded(self._words[word] + value)


def segments_of(view: memoryview, words: memoryview, *kinds: int) -> "Iterator[tuple[int, int]]":
    """Yield the kind and the byte offset of a file's segments of some kinds, in the order they were taken."""
    for segment in range(1, min(max(words[at.HEADER_SEGMENTS], 1), at.SEGMENT_COUNT)):
        kind, _, _ = at.DIRECTORY_ENTRY.unpack_from(view, at.DIRECTORY_AT + segment * at.DIRECTORY_ENTRY.size)
        if kind in kinds:
            yield kind, segment * at.SEGMENT_BYTES


def _runs(words: memoryview) -> "Iterator[Row]":
    for slot in range(at.RUN_COUNT):
        start = at.RUNS_AT // 8 + slot * at.RUN_WORDS
        run: Row = words[start : start + at.RUN_WORDS].tolist()
        added = run[at.RUN_STATE] == at.ENDED and run[at.RUN_FLAGS] & at.ADDED
        if run[at.RUN_SERIAL] and run[at.RUN_STATE] in (at.CUMULATIVE, at.OPEN, at.ENDED) and not added:
            yield run


def _rows(view: memoryview, words: memoryview) -> "Iterator[tuple[int, Row]]":
    """Yield each row in use with its reference; of a row, what comes before its spans."""
    for kind, start in segments_of(view, words, at.HOME, at.NODES):
        first, count = (at.HOME_NODES_AT, at.HOME_NODES) if kind == at.HOME else (0, at.NODES_PER_SEGMENT)
        for position in range(count):
            offset = start + first + position * at.NODE_BYTES
            if words[offset // 8 + at.NODE_RUN]:
                yield offset // at.UNIT, words[offset // 8 : offset // 8 + at.NODE_SPANS].tolist()


def _take_open_time_off(rows: "list[tuple[int, Row]]", view: memoryview, words: memoryview) -> None:
    """Have the rows of a run that was open tell the own time that a reader of its file sees, the open time included.

    Only what ended has a place in the sums, so what the open sections took is taken off the time of nested ones.
    """
    row_of = dict(rows)
    closed_ns = words[at.HEADER_CLOSED]
    for entry in _opens(view, words):
        node, flags = row_of.get(entry[at.OPEN_NODE] & at.REFERENCE_MASK), entry[at.OPEN_NODE] >> 32
        if node is None:
            continue
        elapsed = max(0, closed_ns - entry[at.OPEN_STARTED])
        inside = entry[at.OPEN_ACTIVE] if flags & at.STEPS_OF_GENERATOR else elapsed
        node[at.NODE_NESTED] -= inside
        above = row_of.get(entry[at.OPEN_PARENT])
        if flags & at.NESTED and above is not None:
            above[at.NODE_NESTED] += inside


def _opens(view: memoryview, words: memoryview) -> "Iterator[Row]":
    for kind, start in segments_of(view, words, at.HOME, at.OPENS):
        first, count = (at.HOME_OPENS_AT, at.HOME_OPENS) if kind == at.HOME else (0, at.OPENS_PER_SEGMENT)
        for position in range(count):
            word = (start + first + position * at.OPEN_BYTES) // 8
            if words[word]:
                yield words[word : word + at.OPEN_BYTES // 8].tolist()


def _names(view: memoryview, words: memoryview) -> list[tuple[str, str, int]]:
    """Return name, module and line of each number."""
    names = [("", "", 0)]
    left = min(max(words[at.HEADER_NAMES], 0), at.NAME_LIMIT)
    for _, start in segments_of(view, words, at.NAMES):
        for slot in range(min(left, at.NAMES_PER_SEGMENT)):
            offset = start + slot * at.NAME_BYTES_EACH
            name_bytes, module_bytes, line = at.NAME_HEAD.unpack_from(view, offset)
            texts = offset + at.NAME_HEAD.size
            modules = texts + at.NAME_MAX
            name = bytes(view[texts : texts + min(name_bytes, at.NAME_MAX)])
            module = bytes(view[modules : modules + min(module_bytes, at.MODULE_MAX)])
            names.append((name.decode("utf-8", "replace"), module.decode("utf-8", "replace"), line))
        left -= min(left, at.NAMES_PER_SEGMENT)
    return names


def _name(names: list[tuple[str, str, int]], number: int) -> tuple[str, str, int]:
    return names[number] if 0 < number < len(names) else ("(unknown)", "", 0)


def _bounded(value: int) -> int:
    return min(max(value, _SMALLEST), _LARGEST)
