"""The trees of stack samples in a flight file, read into samples of its runs."""

import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
        only: the nodes to look at, by the first segment of their tree; None for all.

    `found` has the runs with samples.
    """

    def __init__(
        self,
        view: memoryview,
        words: memoryview,
        segments: Iterable[Segment],
        names: "list[tuple[str, str, int]]",
        only: Mapping[int, Sequence[int]] | None = None,
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
                self._read_tree(stacks, codes, None if only is None else only.get(own[0][1], ()))

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

    def _read_tree(self, stacks: list[int], codes: list[int], only: Sequence[int] | None) -> None:
        words, header = self._words, stacks[0] // 8
        interval, folded = words[header + at.STACKS_INTERVAL], words[header + at.STACKS_FOLDED]
        if interval <= 0:
            return
        self._interval_ns = self._interval_ns or interval
        self._folded += max(0, folded)
        self._flags |= words[header + at.STACKS_SAMPLER]
        count = min(max(words[header + at.STACKS_NODES], 0), len(stacks) * at.STACKS_PER_SEGMENT)
        nodes: list[int] | _Words
        if only is None:
            nodes = [word for start in stacks for word in _SEGMENT.unpack_from(self._view, start)]
            ticks = dict(enumerate(nodes[at.STACK_TICKS : count * at.STACK_WORDS : at.STACK_WORDS]))
        else:
            nodes = _Words(words, stacks)
            ticks = {node: nodes[node * at.STACK_WORDS + at.STACK_TICKS] for node in only}
        counted = [node for node, spent in ticks.items() if spent > 0 and node >= at.FIRST_STACK]
        counted.sort(key=lambda node: -ticks[node])
        functions = _Functions(self._view, codes, words[header + at.STACKS_CODES])
        for position, node in enumerate(counted):
            spent = (
                ticks[node] if interval == self._interval_ns else max(1, ticks[node] * interval // self._interval_ns)
            )
            self._add(nodes, count, node, functions, spent, keep=position < SAMPLE_LIMIT)

    def _add(
        self, nodes: "list[int] | _Words", count: int, node: int, functions: "_Functions", ticks: int, *, keep: bool
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

    def _frame(self, functions: "_Functions", number: int, line: int) -> int:
        frame = Frame(*functions.name_and_file(number), line)
        found = self._numbers.get(frame)
        if found is None:
            found = self._numbers[frame] = len(self._frames)
            self._frames.append(frame)
        return found


class _Words:
    """The words of a tree's segments, one after the other, each read when it is asked for."""

    def __init__(self, words: memoryview, segments: list[int]) -> None:
        self._words = words
        self._starts = [offset // 8 for offset in segments]

    def __getitem__(self, place: int) -> int:
        segment, position = divmod(place, at.SEGMENT_WORDS)
        return self._words[self._starts[segment] + position]


class _Functions:
    """The functions of a tree, each read when it is asked for."""

    def __init__(self, view: memoryview, segments: list[int], count: int) -> None:
        self._view = view
        self._segments = segments
        self._count = min(max(count, 0), len(segments) * at.CODES_PER_SEGMENT)
        self._found: dict[int, tuple[str, str]] = {}

    def name_and_file(self, number: int) -> tuple[str, str]:
        found = self._found.get(number)
        if found is None:
            found = self._found[number] = self._read(number - 1) if 0 < number <= self._count else ("(unknown)", "")
        return found

    def _read(self, place: int) -> tuple[str, str]:
        segment, position = divmod(place, at.CODES_PER_SEGMENT)
        offset = self._segments[segment] + position * at.CODE_BYTES_EACH
        name_bytes, file_bytes, _ = at.CODE_HEAD.unpack_from(self._view, offset)
        offset += at.CODE_HEAD.size
        name = bytes(self._view[offset : offset + min(name_bytes, at.CODE_NAME_MAX)])
        offset += at.CODE_NAME_MAX
        file = bytes(self._view[offset : offset + min(file_bytes, at.CODE_FILE_MAX)])
        return name.decode("utf-8", "replace"), file.decode("utf-8", "replace")


def _upwards(nodes: "list[int] | _Words", count: int, node: int) -> Iterator[tuple[int, int, int]]:
    """Yield kind, number and what goes with it, of a node and of those that it is below."""
    for _ in range(_DEEPEST):
        if not at.FIRST_STACK <= node < count:
            return
        offset = node * at.STACK_WORDS
        link, kind = nodes[offset + at.STACK_LINK], nodes[offset + at.STACK_KIND]
        yield kind & _MASK, (link >> 32) & _MASK, (kind >> 32) & _MASK
        node = link & _MASK
