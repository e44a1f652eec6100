"""A block: the node rows and open entries that one thread writes, grown by segments."""

from algoprof.recorder import layout as at
from algoprof.recorder.flight import FlightFile, OutOfSpace

_SCRATCH_ENTRY = 16  # a word offset in the block's header: where an occurrence without an entry writes
_RESERVED_ROWS = 16  # of a block's rows, kept for `(folded)`
_LAST_ROWS = 2  # kept for it where the file is full, and the block never gets as many as it may have


class Block:
    """One thread's part of the flight file.

    Args:
        flight: the file.
        state: what the block is for: a thread, threads that found no block, or the cumulative trees.
        limit: how many node rows it may have.
        segments: how many segments it may have.

    Raises:
        OutOfSpace: if the file has no segment left for it.
    """

    def __init__(
        self,
        flight: FlightFile,
        state: int = at.BLOCK_LIVE,
        limit: int = at.NODE_LIMIT,
        segments: int = at.BLOCK_SEGMENTS,
    ) -> None:
        home = flight.take_segment(at.HOME, 0, 0, last=state == at.BLOCK_SHARED)
        self._flight = flight
        self._owner = home // at.SEGMENT_BYTES
        self._limit = limit
        self._segments_left = segments - 1
        self._ordinals = dict.fromkeys((at.NODES, at.OPENS, at.ATTRIBUTES), 0)
        self._rows_used = 0
        self.home = home // 8
        self.opens: list[int] = _offsets(home + at.HOME_OPENS_AT, at.HOME_OPENS, at.OPEN_BYTES)
        rows = _offsets(home + at.HOME_NODES_AT, at.HOME_NODES, at.NODE_BYTES)
        self.scratch_row = rows.pop(0)  # never published: where what finds no row is written
        self.scratch_entry = self.home + _SCRATCH_ENTRY
        self._rows = rows
        self.slots: list[int] = []
        """Byte offsets of free attribute slots."""
        self._posted: list[tuple[int, int, int, int]] = []
        self._released: list[list[int]] = []
        flight.words[self.home + at.BLOCK_STATE] = state

    def take_entry(self) -> int:
        """Return the word offset of a free open entry, or of the scratch entry, counted, if there is none."""
        self.settle()
        if not self.opens:
            start = self._grow(at.OPENS)
            if start is not None:
                self.opens.extend(_offsets(start, at.OPENS_PER_SEGMENT, at.OPEN_BYTES))
        if self.opens:
            return self.opens.pop()
        self._flight.words[self.home + at.BLOCK_UNLISTED] += 1
        return self.scratch_entry

    def free_entry(self, entry: int, attributes: int) -> None:
        """Take an entry back, already cleared, and its attribute slot, if it has one."""
        if entry != self.scratch_entry:
            self.opens.append(entry)
        else:
            self._flight.words[self.home + at.BLOCK_UNLISTED] -= 1
        words = self._flight.words
        words[entry + at.OPEN_ATTRIBUTES] = words[entry + at.OPEN_ACTIVE] = 0
        if attributes:
            self.slots.append(attributes)

    def take_row(self, *, folded: bool = False) -> int | None:
        """Return the word offset of a free node row, all zero, or None if there is none.

        Args:
            folded: whether it is for what is folded, which may use the last few rows.
        """
        self.settle()
        if self._rows_used >= self._limit - (0 if folded else _RESERVED_ROWS):
            return None
        if len(self._rows) <= (0 if folded else _LAST_ROWS):
            start = self._grow(at.NODES)
            if start is None:
                return None
            self._rows.extend(_offsets(start, at.NODES_PER_SEGMENT, at.NODE_BYTES))
        self._rows_used += 1
        return self._rows.pop()

    def take_attributes(self) -> int:
        """Return the byte offset of a free attribute slot, or 0 if there is none."""
        if not self.slots:
            start = self._grow(at.ATTRIBUTES)
            if start is None:
                return 0
            size = at.ATTRIBUTES_BYTES_EACH
            self.slots.extend(range(start + at.SEGMENT_BYTES - size, start - size, -size))
        return self.slots.pop()

    def post(self, entry: int, attributes: int, parent_row: int, nested_ns: int) -> None:
        """Close an entry from another thread: its owner does the rest when it next needs room."""
        self._flight.words[entry + at.OPEN_NODE] = 0
        self._posted.append((entry, attributes, parent_row, nested_ns))

    def release(self, rows: list[int]) -> None:
        """Hand rows of an ended run back; their owner frees them when it next needs room."""
        self._released.append(rows)

    def settle(self) -> None:
        """Do what other threads have left for the owner to do."""
        words = self._flight.words
        while self._posted:
            entry, attributes, parent_row, nested_ns = self._posted.pop()
            self.free_entry(entry, attributes)
            words[parent_row + at.NODE_NESTED] += nested_ns
        while self._released:
            for row in self._released.pop():
                words[row + at.NODE_RUN] = 0
                words[row : row + at.NODE_WORDS] = _NO_ROW
                self._rows.append(row)
                self._rows_used -= 1

    def _grow(self, kind: int) -> int | None:
        """Take one more segment, and return its byte offset, or None if the block or the file is full."""
        if not self._segments_left:
            return None
        try:
            start = self._flight.take_segment(kind, self._ordinals[kind], self._owner)
        except OutOfSpace:
            return None
        self._ordinals[kind] += 1
        self._segments_left -= 1
        return start


_NO_ROW = memoryview(bytes(at.NODE_BYTES)).cast(at.WORD)


def _offsets(start: int, count: int, size: int) -> list[int]:
    """Return the word offsets of `count` records, last first, so that the first is taken first."""
    return [(start + position * size) // 8 for position in reversed(range(count))]
