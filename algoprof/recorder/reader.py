"""A live or dead flight file, read into profiles. Its writer notices nothing, and need not be alive."""

import mmap
import os
import stat
import struct
import time
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace

from algoprof.errors import ProfileFileError
from algoprof.profiles.environment import Environment
from algoprof.profiles.tree import Profile
from algoprof.recorder import layout as at
from algoprof.recorder.assembly import Clock, Names, OpenEntry, RunRecord, Words, assemble
from algoprof.recorder.copies import copied as copied_file
from algoprof.recorder.copies import segment_count
from algoprof.recorder.directory import is_locked
from algoprof.recorder.environment_reader import EnvironmentRecord
from algoprof.recorder.sample_reader import Key, SampleReader, Samples

_ROW = struct.Struct(f"<{at.NODE_WORDS}q")
_RUN = struct.Struct(f"<{at.RUN_WORDS}q")
_REQUEST = f"<{at.REQUEST_BYTES // 8}q"
_PATIENCE_SECONDS, _PATIENCE_IN_ALL_SECONDS, _PAUSE_SECONDS = 0.2, 2.0, 0.0001  # with one row, and with a file
_TRIES = 100  # between two pauses
_LOOKS, _LOOK_SECONDS = 25, 0.004  # for a moment in which no run ends


@dataclass(frozen=True, slots=True)
class Flight:
    """What a flight file says.

    Args:
        pid: the process that writes or wrote it.
        alive: whether that process is still there.
        program: what it runs.
        runs: the open runs (their outcome is `killed` if the process is dead) and the last few that ended, in order.
        cumulative: the ended runs, one merged profile per name; those that ended just now stand apart.
        errors: faults of the recorder that it kept from the program.
        closed: whether the program came to its end by itself; False while it runs, and after a kill or `os._exit`.
        seen_ns: the last moment that the file knows of, nanoseconds since the Unix epoch; now if the process lives.
    """

    pid: int
    alive: bool
    program: str
    runs: tuple[Profile, ...]
    cumulative: tuple[Profile, ...]
    errors: int = 0
    closed: bool = False
    seen_ns: int = 0


def read(
    path: str | os.PathLike[str], *, at_ns: int | None = None, copied: bool = False, request_id: str | None = None
) -> Flight:
    """Read a flight file, or as much of one as its program has used: its end, which holds nothing, may be cut off.

    Args:
        path: the file, of a process that lives or is dead. Not the running process's own: see `own_flight`.
        at_ns: for a dead process, when it died, on the monotonic clock; else the last moment that the file knows of.
        copied: whether to read copies of the file rather than to map it. Whoever may write it may cut it off at any
            moment, and that kills a process which reads a mapped one.
        request_id: only the runs that served this request are wanted, and the parts of runs of other processes; others
            may be left out, which takes a fraction of the time where there were many.

    Raises:
        ProfileFileError: if it is no flight file, or of another version, or cut off.
        OSError: if it cannot be opened.
    """
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0))
    try:
        status = os.fstat(handle)
        size = status.st_size if stat.S_ISREG(status.st_mode) else 0  # a pipe would keep its reader waiting
        if size < at.SEGMENT_BYTES:
            raise ProfileFileError(path, "shorter than a flight file, so cut off or none")
        alive = is_locked(handle)
        if copied:
            with copied_file(handle) if alive else nullcontext() as before, copied_file(handle) as view:
                return read_view(view, alive=alive, path=path, at_ns=at_ns, request_id=request_id, before=before)
        whole = min(size, at.FILE_BYTES) // at.SEGMENT_BYTES * at.SEGMENT_BYTES
        with mmap.mmap(handle, whole, access=mmap.ACCESS_READ) as mapped, memoryview(mapped) as view:
            return read_view(view, alive=alive, path=path, at_ns=at_ns, request_id=request_id)
    finally:
        os.close(handle)


def read_view(
    view: memoryview,
    *,
    alive: bool,
    path: str | os.PathLike[str] = "this process",
    at_ns: int | None = None,
    serial: int | None = None,
    request_id: str | None = None,
    parts_only: bool = False,
    before: memoryview | None = None,
) -> Flight:
    """Read a mapped flight file, or just the run of one serial, or of one request, or the parts of others' runs.

    Where the view is a copy of a living process's file, `before` is one that was made before it.
    """
    with view.cast(at.WORD) as words:
        if not words or words[at.HEADER_MAGIC] != at.MAGIC:
            raise ProfileFileError(path, "not a flight file, or one whose process died while it was made")
        if words[at.HEADER_VERSION] != at.VERSION:
            raise ProfileFileError(
                path, f"of layout {words[at.HEADER_VERSION]}, and this algoprof reads layout {at.VERSION}"
            )
        used, there = segment_count(words), len(view) // at.SEGMENT_BYTES
        if there < used:
            raise ProfileFileError(
                path, f"cut off: {used - there} of the {used} segments that it uses are missing; copy it whole"
            )
        if not alive and at_ns is None:
            request_id = None  # when it died is known from all that it left
        only = None if request_id is None else _request_words(request_id)
        reading = _Reading(
            view, words, alive=alive, at_ns=at_ns, serial=serial, request=only, parts_only=parts_only, before=before
        )
        return reading.flight()


def read_run(
    view: memoryview, slot: int, rows: list[int], names: Names, sampled: Mapping[int, Sequence[int]]
) -> Profile | None:
    """Return an ended run of this process, from the places its writer knows it to be at.

    Args:
        view: the mapped flight file.
        slot: of the run, a word offset.
        rows: of its nodes, word offsets.
        names: every name of the file.
        sampled: the nodes of its stack samples, by the first segment of their tree.
    """
    with view.cast(at.WORD) as words:
        reading = _Reading(view, words, alive=True, at_ns=None, serial=words[slot + at.RUN_SERIAL])
        return reading.run(slot * 8, [row * 8 for row in rows], names, sampled)


def _request_words(request_id: str) -> Words:
    """Return a request id as it stands in a run."""
    return struct.unpack(_REQUEST, request_id.encode()[: at.REQUEST_BYTES].ljust(at.REQUEST_BYTES, b"\0"))


def _is_to_add(run: Words) -> bool:
    """Whether a run has ended and was not, or not wholly, added to the cumulative one of its name."""
    return run[at.RUN_STATE] == at.ENDED and not run[at.RUN_FLAGS] & at.ADDED


def _not_summed(rows: list[tuple[int, Words]]) -> list[tuple[int, Words]]:
    """Return the rows of a run with nothing counted in those that the cumulative tree holds already."""
    nothing = (0,) * (at.NODE_WORDS - at.NODE_COUNT)
    return [
        (reference, (*row[: at.NODE_COUNT], *nothing) if row[at.NODE_FLAGS] & at.SUMMED else row)
        for reference, row in rows
    ]


def _stages(runs: Iterable[Words]) -> list[tuple[int, int, int]] | None:
    """Return how far each run has got; None while one is being added to the cumulative one of its name."""
    stages = [(run[at.RUN_SERIAL], run[at.RUN_STATE], run[at.RUN_FLAGS] & at.ADDED) for run in runs]
    return None if any(state == at.ENDED and not added for _, state, added in stages) else stages


_MASK = 0x7FFFFFFF  # of a serial, in a sample


def _sampled(profile: Profile, found: Samples | None) -> Profile:
    if found is None or not found.interval_ns:
        return profile
    return replace(
        profile,
        samples=found.samples,
        sample_interval_ns=found.interval_ns,
        samples_left_out=found.left_out,
        samples_folded=found.folded,
        sampler=found.sampler,
    )


class _Reading:
    def __init__(
        self,
        view: memoryview,
        words: memoryview,
        *,
        alive: bool,
        at_ns: int | None,
        serial: int | None,
        request: Words | None = None,
        parts_only: bool = False,
        before: memoryview | None = None,
    ) -> None:
        self._view = view
        self._before = before
        self._words = words
        self._alive = alive
        self._names: list[tuple[str, str, int]] = [("", "", 0)]
        self._at_ns = at_ns
        self._only = serial
        self._request_only = request
        self._parts_only = parts_only
        self._patience = _PATIENCE_IN_ALL_SECONDS

    def flight(self) -> Flight:
        runs, rows, opens = self._tables()
        self._read_names()  # last: a name is there before what refers to it
        clock = self._clock(runs, rows, opens)
        samples = self._samples(runs)
        program = self._text(at.PROGRAM_AT, at.PROGRAM_BYTES)
        pid = self._words[at.HEADER_PID]
        by_serial: dict[int, list[tuple[int, Words]]] = {}
        for reference, row in rows:
            by_serial.setdefault(row[at.NODE_RUN], []).append((reference, row))
        node_of = {reference: row[at.NODE_RUN] for reference, row in rows}
        opens_by_serial: dict[int, list[OpenEntry]] = {}
        for entry in opens:
            opens_by_serial.setdefault(node_of.get(entry.node, 0), []).append(entry)
        profiles, to_add = [], []
        for run in sorted(runs, key=lambda run: run[at.RUN_SERIAL]):
            serial = run[at.RUN_SERIAL]
            record = RunRecord(run, by_serial.get(serial, []), opens_by_serial.get(serial, []), self._request(run))
            profile = _sampled(self._profile(record, self._names, clock), samples.get(serial))
            if run[at.RUN_STATE] in (at.OPEN, at.ENDED):
                profiles.append(profile)
            if run[at.RUN_STATE] == at.CUMULATIVE:
                to_add.append(profile)
            elif _is_to_add(run):
                rest = self._profile(replace(record, rows=_not_summed(record.rows)), self._names, clock)
                to_add.append(_sampled(rest, samples.get(serial)))
        return Flight(
            pid=pid,
            alive=self._alive,
            program=program,
            runs=tuple(profiles),
            cumulative=tuple(to_add),
            errors=self._words[at.HEADER_ERRORS],
            closed=self._words[at.HEADER_CLOSED] != 0,
            seen_ns=clock.now_ns + clock.to_wall_ns,
        )

    def _tables(self) -> tuple[list[Words], list[tuple[int, Words]], list[OpenEntry]]:
        """Return runs, rows and open entries, if possible of a moment in which no run ended."""
        for _ in range(_LOOKS):
            runs = list(self._runs())
            rows = list(self._rows({run[at.RUN_SERIAL] for run in runs} if self._request_only else None))
            opens = list(self._opens())
            stages = _stages(runs)
            if not self._alive or self._before is not None:
                break
            if stages is not None and stages == _stages(self._runs()):
                break
            time.sleep(_LOOK_SECONDS)  # the writer may have been interrupted in the middle of the adding
        return runs, rows, opens

    def run(self, slot: int, offsets: list[int], names: Names, sampled: Mapping[int, Sequence[int]]) -> Profile | None:
        """Return the ended run at a byte offset, with the rows at others and the samples of some nodes."""
        run = _RUN.unpack_from(self._view, slot)
        rows = [(offset // at.UNIT, self._row(offset)) for offset in offsets]
        record = RunRecord(run, rows, [], self._request(run))
        if not run[at.RUN_SERIAL]:
            return None
        self._names = list(names)
        samples = self._samples([run], sampled).get(run[at.RUN_SERIAL])
        return _sampled(self._profile(record, names, self._clock([run], rows, [])), samples)

    def _samples(self, runs: list[Words], only: Mapping[int, Sequence[int]] | None = None) -> dict[int, Samples]:
        """Return the samples of each run, by its serial; an added-up one has those of the ended runs of its name."""
        segments = list(self._tree_segments()) if runs else []
        if not segments:
            return {}
        reader = SampleReader(self._view, self._words, segments, self._names, only)
        totals = {run[at.RUN_NAME]: run[at.RUN_SERIAL] for run in runs if run[at.RUN_STATE] == at.CUMULATIVE}
        others = next((serial for name, serial in totals.items() if self._name(name) == at.OTHER_RUNS), 0)
        by_serial = {run[at.RUN_SERIAL] & _MASK: run for run in runs}
        keys: dict[int, list[Key]] = {}
        for key in reader.found:
            name, serial = key
            run = by_serial.get(serial)
            if run is not None and run[at.RUN_STATE] != at.CUMULATIVE:
                keys.setdefault(run[at.RUN_SERIAL], []).append(key)
                if _is_to_add(run) or run[at.RUN_STATE] == at.OPEN:
                    continue
            keys.setdefault(totals.get(name, others), []).append(key)
        return {run[at.RUN_SERIAL]: reader.of(keys.get(run[at.RUN_SERIAL], ())) for run in runs}

    def _name(self, number: int) -> str:
        return self._names[number][0] if 0 <= number < len(self._names) else ""

    def _tree_segments(self) -> Iterator[tuple[int, int, int]]:
        """Yield kind, owner and byte offset of the segments that hold samples."""
        for kind, start in self._segments(at.STACKS, at.CODES):
            entry = at.DIRECTORY_AT + start // at.SEGMENT_BYTES * at.DIRECTORY_ENTRY.size
            yield kind, at.DIRECTORY_ENTRY.unpack_from(self._view, entry)[2], start

    def _profile(self, record: RunRecord, names: Names, clock: Clock) -> Profile:
        python = self._text(at.PYTHON_AT, at.PYTHON_BYTES)
        around = self._environment(record.run)
        profile = assemble(record, names, clock, alive=self._alive)
        return replace(
            profile,
            pid=self._words[at.HEADER_PID],
            program=self._text(at.PROGRAM_AT, at.PROGRAM_BYTES),
            environment=around.environment(python) if around is not None else Environment(python),
            allocation_peak=around.allocation_peak if around is not None else None,
            cpu_ns=profile.cpu_ns if profile.cpu_ns is not None or around is None else around.cpu_ns,
        )

    def _environment(self, run: Words) -> EnvironmentRecord | None:
        """Return what the file has of what was around a run; None if it has nothing."""
        start = next((offset for _, offset in self._segments(at.ENVIRONMENT)), None)
        if start is None:
            return None
        size = at.ENVIRONMENT_WORDS
        for slot in range(at.RUN_COUNT):
            serial = self._words[(at.RUNS_AT + slot * at.RUN_BYTES) // 8 + at.RUN_SERIAL]
            if serial == run[at.RUN_SERIAL]:
                record, process = start // 8 + slot * size, start // 8 + at.RUN_COUNT * size
                if self._words[record + at.ENVIRONMENT_SERIAL] != serial:
                    return None
                return EnvironmentRecord(
                    self._words[record : record + size].tolist(),
                    self._words[process : process + size].tolist(),
                    is_open=run[at.RUN_STATE] == at.OPEN,
                )
        return None

    def _segments(self, *kinds: int) -> Iterator[tuple[int, int]]:
        """Yield the kind and the byte offset of the segments of some kinds, in the order they were taken."""
        for segment in range(1, min(segment_count(self._words), len(self._view) // at.SEGMENT_BYTES)):
            kind, _, _ = at.DIRECTORY_ENTRY.unpack_from(self._view, at.DIRECTORY_AT + segment * at.DIRECTORY_ENTRY.size)
            if kind in kinds:
                yield kind, segment * at.SEGMENT_BYTES

    def _read_names(self) -> None:
        left = min(max(self._words[at.HEADER_NAMES], 0), at.NAME_LIMIT)
        for _, start in self._segments(at.NAMES):
            for slot in range(min(left, at.NAMES_PER_SEGMENT)):
                offset = start + slot * at.NAME_BYTES_EACH
                name_bytes, module_bytes, line = at.NAME_HEAD.unpack_from(self._view, offset)
                offset += at.NAME_HEAD.size
                name = bytes(self._view[offset : offset + min(name_bytes, at.NAME_MAX)])
                offset += at.NAME_MAX
                module = bytes(self._view[offset : offset + min(module_bytes, at.MODULE_MAX)])
                self._names.append((name.decode("utf-8", "replace"), module.decode("utf-8", "replace"), line))
            left -= min(left, at.NAMES_PER_SEGMENT)

    def _runs(self) -> Iterator[Words]:
        for offset, serial in self._column(at.RUNS_AT, at.RUN_COUNT, at.RUN_BYTES, at.RUN_SERIAL):
            if serial and self._only in (None, serial):
                run = _RUN.unpack_from(self._view, offset)
                if self._words[offset // 8 + at.RUN_SERIAL] == serial and self._is_wanted(run):
                    yield run

    def _column(self, first: int, count: int, size: int, word: int) -> Iterator[tuple[int, int]]:
        """Yield the byte offset of each record of a table and one of its words, all of which are read first."""
        start = first // 8 + word
        values = self._words[start : start + count * (size // 8) : size // 8].tolist()
        return zip(range(first, first + count * size, size), values, strict=True)

    def _is_wanted(self, run: Words) -> bool:
        if run[at.RUN_FLAGS] & at.PART:
            return True
        served = run[at.RUN_REQUEST : at.RUN_REQUEST + at.REQUEST_BYTES // 8]
        return not self._parts_only and self._request_only in (None, served)

    def _rows(self, serials: Container[int] | None) -> Iterator[tuple[int, Words]]:
        for kind, start in self._segments(at.HOME, at.NODES):
            first, count = (
                (start + at.HOME_NODES_AT, at.HOME_NODES) if kind == at.HOME else (start, at.NODES_PER_SEGMENT)
            )
            for offset, serial in self._column(first, count, at.NODE_BYTES, at.NODE_RUN):
                if serial and self._only in (None, serial) and (serials is None or serial in serials):
                    yield offset // at.UNIT, self._row(offset)

    def _row(self, offset: int) -> Words:
        """Return a row that was not being written while it was read; of a dead writer, whatever it left.

        A row that its writer never leaves alone for long enough is returned as one that is being written.
        """
        if not self._alive:
            return _ROW.unpack_from(self._view, offset)
        words, sequence_at, end = self._words, offset // 8, offset + at.NODE_BYTES
        if self._before is not None:  # equal in two copies that were made one after the other, so not torn in either
            row = _ROW.unpack_from(self._view, offset)
            whole = self._before[offset:end].tobytes() == self._view[offset:end].tobytes()
            return row if whole else (row[0] | 1, *row[1:])
        began = time.monotonic()
        give_up = began + min(_PATIENCE_SECONDS, self._patience)
        while True:
            for _ in range(_TRIES):  # a copy is made between two updates; unpacking would take longer
                sequence = words[sequence_at]
                copy = self._view[offset:end].tobytes()
                if words[sequence_at] == sequence and not sequence % 2:
                    return _ROW.unpack(copy)
            if time.monotonic() >= give_up:
                self._patience -= time.monotonic() - began
                return (sequence | 1, *_ROW.unpack(copy)[1:])
            time.sleep(_PAUSE_SECONDS)  # the writer may have been interrupted in the middle of the row

    def _opens(self) -> Iterator[OpenEntry]:
        for kind, start in self._segments(at.HOME, at.OPENS):
            first, count = (
                (start + at.HOME_OPENS_AT, at.HOME_OPENS) if kind == at.HOME else (start, at.OPENS_PER_SEGMENT)
            )
            thread = self._thread(kind, start)
            for offset, head in self._column(first, count, at.OPEN_BYTES, at.OPEN_NODE):
                if head:
                    word = offset // 8
                    slot = (self._words[word + at.OPEN_ATTRIBUTES] & at.REFERENCE_MASK) * at.UNIT
                    in_file = 0 < slot <= len(self._view) - at.ATTRIBUTES_BYTES_EACH
                    entry = OpenEntry(
                        node=head & at.REFERENCE_MASK,
                        flags=head >> 32,
                        started_ns=self._words[word + at.OPEN_STARTED],
                        parent=self._words[word + at.OPEN_PARENT],
                        span_id=self._words[word + at.OPEN_SPAN],
                        parent_span_id=self._words[word + at.OPEN_PARENT_SPAN],
                        active_ns=self._words[word + at.OPEN_ACTIVE],
                        thread=thread,
                        attributes=bytes(self._view[slot : slot + at.ATTRIBUTES_BYTES_EACH]) if in_file else b"",
                    )
                    if self._words[word] == head:
                        yield entry

    def _thread(self, kind: int, start: int) -> int:
        """Return the native id of the thread that a segment belongs to; 0 where several share it."""
        _, _, owner = at.DIRECTORY_ENTRY.unpack_from(
            self._view, at.DIRECTORY_AT + start // at.SEGMENT_BYTES * at.DIRECTORY_ENTRY.size
        )
        home = start if kind == at.HOME else owner * at.SEGMENT_BYTES
        if home + at.SEGMENT_BYTES > len(self._view) or self._words[home // 8 + at.BLOCK_STATE] == at.BLOCK_SHARED:
            return 0
        return self._words[home // 8 + at.BLOCK_THREAD]

    def _clock(
        self,
        runs: list[Words],
        rows: list[tuple[int, Words]],
        opens: list[OpenEntry],
    ) -> Clock:
        to_wall = self._words[at.HEADER_WALL] - self._words[at.HEADER_MONOTONIC]
        if self._alive:
            return Clock(time.monotonic_ns(), to_wall)
        if self._at_ns is not None:
            return Clock(self._at_ns, to_wall)
        if self._words[at.HEADER_CLOSED]:
            return Clock(self._words[at.HEADER_CLOSED], to_wall)
        moments = [self._words[at.HEADER_HEARTBEAT], *self._sampled_at(), *(entry.started_ns for entry in opens)]
        for run in runs:
            if run[at.RUN_STATE] != at.CUMULATIVE:
                moments += [run[at.RUN_STARTED], run[at.RUN_ENDED]]
                if not run[at.RUN_FLAGS] & at.INEXACT:  # a shared one has the thresholds of many
                    reached = run[at.RUN_TIMEOUT] * run[at.RUN_THRESHOLD] // 1_000_000
                    moments.append(run[at.RUN_STARTED] - run[at.RUN_SPENT] + reached)
        for _, row in rows:
            moments += [row[at.NODE_SPANS + which * at.SPAN_WORDS + at.SPAN_ENDED] for which in range(3)]
        return Clock(max(moments), to_wall)

    def _sampled_at(self) -> Iterator[int]:
        """Yield when each sampler took its last sample: its process lived then, and what is open was open."""
        for kind, owner, start in self._tree_segments():
            if kind == at.STACKS and owner == start // at.SEGMENT_BYTES:
                yield self._words[start // 8 + at.STACKS_LAST]

    def _text(self, offset: int, room: int) -> str:
        return bytes(self._view[offset : offset + room]).rstrip(b"\0").decode("utf-8", "replace")

    @staticmethod
    def _request(run: Words) -> str:
        words = run[at.RUN_REQUEST : at.RUN_REQUEST + at.REQUEST_BYTES // 8]
        return struct.pack(f"<{len(words)}q", *words).rstrip(b"\0").decode("utf-8", "replace")
