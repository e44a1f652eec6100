"""The cumulative trees: what ended runs leave behind, one tree per run name."""

from algoprof.recorder import layout as at
from algoprof.recorder.blocks import Block
from algoprof.recorder.flight import FlightFile


class Totals:
    """The block of the cumulative trees; whoever ends a run writes it, one at a time.

    Args:
        flight: the file.

    Raises:
        OutOfSpace: if the file has no room for it.
    """

    def __init__(self, flight: FlightFile) -> None:
        self._words = flight.words
        self._block = Block(flight, at.BLOCK_TOTALS, limit=at.TOTALS_LIMIT, segments=at.TOTALS_LIMIT // 16)
        self._rows: dict[
            tuple[int, int, int], int
        ] = {}  # by parent (a run's serial, negative, at the root), name, flags
        self._of: dict[int, int] = {}  # the totals row of a readable run's row

    def add(self, rows: list[int], serial: int) -> int:
        """Add a run's node rows to a cumulative tree; return how many occurrences found no row.

        Args:
            rows: word offsets, a parent before its children.
            serial: of the cumulative run.
        """
        lost = 0
        for row in rows:
            total = self._total_of(row, serial)
            if total is None:
                lost += self._words[row + at.NODE_COUNT]
            else:
                self._of[row] = total
                self._add_row(total, row)
        return lost

    def row_of(self, row: int) -> int | None:
        """Return the cumulative row of an ended run's row; None if there is none."""
        return self._of.get(row)

    def forget(self, row: int) -> None:
        """An ended run's row is about to be used again."""
        self._of.pop(row, None)

    def _total_of(self, row: int, serial: int) -> int | None:
        words = self._words
        link = words[row + at.NODE_PARENT]
        parent, name = link & at.REFERENCE_MASK, link >> 32
        above = self._of.get(parent << 3, 0) if parent else -serial
        if not above:
            return None
        key = (above, name, words[row + at.NODE_FLAGS] & at.CONCURRENT)
        found = self._rows.get(key)
        if found is None:
            found = self._block.take_row()
            if found is None:
                return None
            words[found + at.NODE_PARENT] = (above >> 3 if above > 0 else 0) | name << 32
            words[found + at.NODE_FLAGS] = words[row + at.NODE_FLAGS] & ~at.SUMMED
            words[found + at.NODE_RUN] = serial
            self._rows[key] = found
        return found

    def _add_row(self, total: int, row: int) -> None:
        words = self._words
        sequence = words[total] | 1
        words[total] = sequence
        counted, known = (words[of + at.NODE_COUNT] - words[of + at.NODE_RECURSIONS] for of in (row, total))
        words[total + at.NODE_FLAGS] |= words[row + at.NODE_FLAGS] & at.STEPPED
        if counted:
            shortest, longest = words[row + at.NODE_SHORTEST], words[row + at.NODE_LONGEST]
            self._copy_spans(total, row, known=known, slower=longest > words[total + at.NODE_LONGEST])
            words[total + at.NODE_SHORTEST] = min(shortest, words[total + at.NODE_SHORTEST]) if known else shortest
            words[total + at.NODE_LONGEST] = max(longest, words[total + at.NODE_LONGEST])
        # Never more than the total: the own time of a cumulative tree only grows, as a counter must.
        words[total + at.NODE_NESTED] += min(words[row + at.NODE_NESTED], words[row + at.NODE_TOTAL])
        for word in at.NODE_SUMS:
            words[total + word] += words[row + word]
        source, target = row + at.NODE_HISTOGRAM, total + at.NODE_HISTOGRAM
        for bucket, count in enumerate(words[source : source + at.HISTOGRAM_WORDS].tolist()):
            if count:
                words[target + bucket] += count
        words[row + at.NODE_FLAGS] |= at.SUMMED
        words[total] = sequence + 1

    def _copy_spans(self, total: int, row: int, *, known: int, slower: bool) -> None:
        """Keep the first of all, the slowest of all (a run's only one may be its first), and the latest failed."""
        words = self._words
        first, slowest, failed = (at.NODE_SPANS + which * at.SPAN_WORDS for which in (at.FIRST, at.SLOWEST, at.FAILED))
        copies = [(failed, failed)]
        if not known:
            copies += [(first, first), (slowest, slowest)]
        elif slower:
            copies.append((slowest if words[row + slowest + at.SPAN_ID] else first, slowest))
        for source, target in copies:
            if words[row + source + at.SPAN_ID]:
                words[total + target : total + target + at.SPAN_WORDS] = words[
                    row + source : row + source + at.SPAN_WORDS
                ]
