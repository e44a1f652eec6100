"""The trees of stack samples in a flight file, read into samples of its runs."""

import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from algoprof.profiles.samples import SAMPLE_LIMIT, Frame, Sample
from algoprof.recorder import layout as at

_SEGMENT = struct.Struct(f"<{at.SEGMENT_WORDS}q")
_TREES = 4  # two for each rate that was chosen
_DEEPEST = at.STACK_DEPTH + 300  # runs, sections and frames; what is deeper is torn
_NESTED_RUNS = 8
_MASK = at.REFERENCE_MASK
_PARTS: Mapping[int, str] = {0: "", at.BY_SIGNAL: "signal", at.BY_THREAD: "thread"}

Segment = tuple[int, int, int]
"""Kind, owner and byte offset."""

Key = tuple[int, int]
"""Of a run: the number of its name, and its serial, 0 for all those that are forgotten."""


@dataclass(frozen=True, slots=True)
class Samples:
    """What the file has of one run, or of all the ended ones of a name.

    Args:
        samples: them, the heaviest first.
        interval_ns: between two ticks; 0 if nobody has sampled.
        left_out: ticks of samples that are too many.
        folded: ticks of the whole file that count above their own place, since there was no room.
        sampler: who took them.
    """

    samples: tuple[Sample, ...] = ()
    interval_ns: int = 0
    left_out: int = 0
    folded: int = 0
    sampler: str = ""


class SampleReader:
    """Reads the trees of a mapped file.

    Args:
        view: the file.
        words: the same, as words.
        segments: the segments that hold trees and their functions, in the order they were taken.
        names: every name of the file.

    `found` has the runs with samples.
    """

    def __init__(
        self, view: memoryview, words: memoryview, segments: Iterable[Segment], names: "list[tuple[str, str, int]]"
    ) -> None:
        self._view = view
        self._words = words
        self._names = names
        self.found: dict[Key, dict[tuple[tuple[str, ...], tuple[int, ...], bool], int]] = {}
        self._frames: list[Frame] = []
        self._numbers: dict[Frame, int] = {}
        self._left_out: dict[Key, int] = {}
        self._interval_ns = self._folded = self._flags = 0
        owners: dict[int, list[Segment]] = {}
        for segment in segments:
            owners.setdefault(segment[1], []).append(segment)
        for own in list(owners.values())[:_TREES]:
            stacks = [offset for kind, _, offset in own if kind == at.STACKS][: at.STACK_SEGMENTS]
            codes = [offset for kind, _, offset in own if kind == at.CODES][: at.CODE_LIMIT // at.CODES_PER_SEGMENT]
            if stacks:
                self._read_tree(stacks, codes)

    def of(self, keys: Iterable[Key]) -> Samples:
        """Return the samples of some runs together."""
        counts: dict[tuple[tuple[str, ...], tuple[int, ...], bool], int] = {}
        left_out = 0
        for key in keys:
            for what, count in self.found.get(key, {}).items():
                counts[what] = counts.get(what, 0) + count
            left_out += self._left_out.get(key, 0)
        ordered = sorted(counts.items(), key=lambda item: -item[1])
        left_out += sum(count for _, count in ordered[SAMPLE_LIMIT:])
        samples = tuple(
            Sample(path, tuple(self._frames[number] for number in stack), count, beside)
            for (path, stack, beside), count in ordered[:SAMPLE_LIMIT]
        )
        sampler = " and ".join(_PARTS[flag] for flag in (at.BY_SIGNAL, at.BY_THREAD) if self._flags & flag)
        if self._flags & at.SIGNAL_LOST:
            sampler = "signal, then thread"
        return Samples(samples, self._interval_ns, left_out, self._folded, sampler)

    def _read_tree(self, stacks: list[int], codes: list[int]) -> None:
        words, header = self._words, stacks[0] // 8
        interval, folded = words[header + at.STACKS_INTERVAL], words[header + at.STACKS_FOLDED]
        if interval <= 0:
            return
        self._interval_ns = self._interval_ns or interval
        self._folded += max(0, folded)
        self._flags |= words[header + at.STACKS_SAMPLER]
        nodes: list[int] = []
        for start in stacks:
            nodes += _SEGMENT.unpack_from(self._view, start)
        count = min(max(words[header + at.STACKS_NODES], 0), len(nodes) // at.STACK_WORDS)
        ticks = nodes[at.STACK_TICKS : count * at.STACK_WORDS : at.STACK_WORDS]
        counted = [node for node in range(at.FIRST_STACK, count) if ticks[node] > 0]
        counted.sort(key=lambda node: -ticks[node])
        functions = self._functions(codes, words[header + at.STACKS_CODES])
        for position, node in enumerate(counted):
            spent = (
                ticks[node] if interval == self._interval_ns else max(1, ticks[node] * interval // self._interval_ns)
            )
            self._add(nodes, count, node, functions, spent, keep=position < SAMPLE_LIMIT)

    def _add(
        self, nodes: list[int], count: int, node: int, functions: list[tuple[str, str]], ticks: int, *, keep: bool
    ) -> None:
        runs: list[tuple[Key, list[str]]] = []
        stack: list[int] = []
        beside = False
        for kind, number, more in reversed(list(_upwards(nodes, count, node))):
            if kind == at.STACK_RUN:
                runs.append(((number, more), []))
            elif kind == at.STACK_SECTION and runs:
                runs[-1][1].append(self._names[number][0] if 0 <= number < len(self._names) else "(unknown)")
            elif kind == at.STACK_FRAME:
                stack.append(self._frame(functions, number, more))
            elif kind == at.STACK_BESIDE:
                beside = True
        for key, path in runs[-_NESTED_RUNS:]:
            if keep:
                found = self.found.setdefault(key, {})
                what = (tuple(path), tuple(stack), beside)
                found[what] = found.get(what, 0) + ticks
            else:
                self._left_out[key] = self._left_out.get(key, 0) + ticks

    def _frame(self, functions: list[tuple[str, str]], number: int, line: int) -> int:
        name, file = functions[number - 1] if 0 < number <= len(functions) else ("(unknown)", "")
        frame = Frame(name, file, line)
        found = self._numbers.get(frame)
        if found is None:
            found = self._numbers[frame] = len(self._frames)
            self._frames.append(frame)
        return found

    def _functions(self, segments: list[int], count: int) -> list[tuple[str, str]]:
        """Return the name and the file of each function."""
        functions = []
        for number in range(min(max(count, 0), len(segments) * at.CODES_PER_SEGMENT)):
            segment, position = divmod(number, at.CODES_PER_SEGMENT)
            offset = segments[segment] + position * at.CODE_BYTES_EACH
            name_bytes, file_bytes, _ = at.CODE_HEAD.unpack_from(self._view, offset)
            offset += at.CODE_HEAD.size
            name = bytes(self._view[offset : offset + min(name_bytes, at.CODE_NAME_MAX)])
            offset += at.CODE_NAME_MAX
            file = bytes(self._view[offset : offset + min(file_bytes, at.CODE_FILE_MAX)])
            functions.append((name.decode("utf-8", "replace"), file.decode("utf-8", "replace")))
        return functions


def _upwards(nodes: list[int], count: int, node: int) -> Iterator[tuple[int, int, int]]:
    """Yield kind, number and what goes with it, of a node and of those that it is below."""
    for _ in range(_DEEPEST):
        if not at.FIRST_STACK <= node < count:
            return
        offset = node * at.STACK_WORDS
        link, kind = nodes[offset + at.STACK_LINK], nodes[offset + at.STACK_KIND]
        yield kind & _MASK, (link >> 32) & _MASK, (kind >> 32) & _MASK
        node = link & _MASK
