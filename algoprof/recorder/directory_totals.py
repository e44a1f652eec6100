"""The directory's totals: what processes counted that came to their end by themselves, added up in one file.

A process that ends only marks its file. When many marked files lie there, whoever starts or ends next folds the oldest
into `totals.flight` and removes them. It is a flight file itself, with cumulative trees and nothing else, so it is
read as any other and bounded as any other. Nothing is imported for it: a forked child could not finish an import that
another thread began.
"""

import mmap
import os
import time
from contextlib import suppress

from algoprof.recorder import directory as place
from algoprof.recorder import layout as at
from algoprof.recorder.flight import FlightFile, process_start_time
from algoprof.recorder.tree_sums import TreeSums, segments_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self

    from algoprof.recorder.reader import Flight

    Entry = tuple[str, os.stat_result]

FEW_FILES, FEW_BYTES = 32, 8 * 1024 * 1024
"""When closed files have piled up, the newest are kept: so many, and of this size in all."""
PRESSING_FILES, PRESSING_BYTES = 256, 32 * 1024 * 1024
"""From here on, the files of workers are folded too whose parent process lives, and might still add them to its run."""
PATIENCE_SECONDS = 0.25
"""What is not folded by then waits for the next process."""

_LOCK_NAME, _NEW_NAME = "totals.lock", "totals.new"
_PROGRAM = b"(ended processes)"


class Unfit(Exception):  # noqa: N818  (an answer, not a fault)
    """A file that cannot be folded: of a living process, not closed, or no flight file."""


class Ledger:
    """Whose files the directory's totals hold.

    Args:
        birth: tells these totals from others that had to replace them.
        count: how many processes they hold.
        processes: pid and start time of the last of them, `FOLDED_LIMIT` at the most.
    """

    __slots__ = ("birth", "count", "processes")

    def __init__(self, birth: int, count: int, processes: set[tuple[int, int]]) -> None:
        self.birth = birth
        self.count = count
        self.processes = processes


def fold(folder: str, own: str = "") -> int:
    """Fold what has piled up into the directory's totals; return how many files that were.

    Another process that is at it is not waited for. Whatever happens in the middle, no file is counted twice: the
    totals name what they hold, and replace the former ones in one step before anything is removed.

    Args:
        folder: the flight directory.
        own: the path of this process's own file, which must not be opened: closing it would drop the writer's lock.

    Raises:
        OSError, OutOfSpace: if the totals cannot be written, as on a full disk. Then everything is as it was.
    """
    closed = [(path, status) for path, status in place.flight_entries(folder) if place.is_closed(status)]
    surplus = [path for path in _surplus(closed) if not _is_own(path, own)]
    if len(closed) < PRESSING_FILES and _size(closed) < PRESSING_BYTES:
        surplus = [path for path in surplus if not _is_awaited(path)]
    if not surplus or not place.HAS_LOCKS:
        return 0
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
    handle = os.open(os.path.join(folder, _LOCK_NAME), flags, 0o600)
    try:
        try:
            place.hold_lock(handle)
        except OSError:
            return 0
        return _fold(folder, surplus)
    finally:
        os.close(handle)


def read_totals(folder: str, *, copied: bool = False) -> "tuple[Ledger, Flight]":
    """Read the directory's totals: whose files they hold, and the cumulative trees.

    Args:
        folder: the flight directory.
        copied: whether to read a copy rather than to map the file; see `reader.read`.

    Raises:
        FileNotFoundError: if there are none yet.
        ProfileFileError: if they are damaged.
        OSError: if they cannot be opened.
    """
    from algoprof.errors import ProfileFileError  # noqa: PLC0415  (who only records does not need these)
    from algoprof.recorder.reader import read_view  # noqa: PLC0415

    path = os.path.join(folder, place.TOTALS_NAME)
    try:
        with _Mapped(path, copied=copied) as totals:
            return _ledger(totals), read_view(totals.bytes, alive=False, path=path)
    except Unfit:
        raise ProfileFileError(path, "damaged, so it is replaced when the next files are folded into it") from None


def _surplus(closed: "list[Entry]") -> list[str]:
    """Return what is to be folded of the closed files, given newest first: the oldest come first."""
    oldest = time.time() - place.KEPT_SECONDS
    many = len(closed) > place.MANY_FILES or _size(closed) > place.MANY_BYTES
    kept, chosen = 0, []
    for position, (path, status) in enumerate(closed):
        kept += status.st_blocks * 512
        if status.st_mtime < oldest or (many and (position >= FEW_FILES or kept > FEW_BYTES)):
            chosen.append(path)
    return chosen[::-1]


def _size(closed: "list[Entry]") -> int:
    return sum(status.st_blocks * 512 for _, status in closed)


def _is_awaited(path: str) -> bool:
    """Whether the process that started this file's one as its worker still lives."""
    try:
        with _Mapped(path) as ended:
            parent, start = ended.words[at.HEADER_PARENT_PID], ended.words[at.HEADER_PARENT_START]
    except (OSError, Unfit):
        return False
    return bool(parent) and process_start_time(parent) == start


def _is_own(path: str, own: str) -> bool:
    """Whether a file is this process's, or one that a user named, who will want to find it there."""
    process = place.process_of(path)
    return process is None or process[0] == os.getpid() or os.path.abspath(path) == os.path.abspath(own or "-")


def _fold(folder: str, paths: list[str]) -> int:
    target, new = os.path.join(folder, place.TOTALS_NAME), os.path.join(folder, _NEW_NAME)
    with suppress(FileNotFoundError):
        os.unlink(new)  # of one that was killed in the middle
    give_up = time.monotonic() + PATIENCE_SECONDS
    flight = FlightFile(new)
    try:
        book = _Book(flight)
        book.take_over(target)
        done = []
        for path in paths:
            if book.add(path):
                done.append(path)
            if time.monotonic() > give_up:
                break
        book.finish()
    except BaseException:
        flight.release()
        os.unlink(new)
        raise
    flight.release()
    os.replace(new, target)
    for path in done:
        with suppress(FileNotFoundError):
            os.unlink(path)
    return len(done)


class _Book:
    """New totals in the making."""

    def __init__(self, flight: FlightFile) -> None:
        self._flight = flight
        self._sums = TreeSums(flight)
        self._ring = flight.take_segment(at.FOLDED, 0, 0) // 8
        self._held: set[tuple[int, int]] = set()
        flight.words[at.HEADER_BIRTH] = int.from_bytes(os.urandom(7), "little")

    def take_over(self, path: str) -> None:
        """Begin with what the former totals hold; damaged ones are given up, which is counted."""
        words = self._flight.words
        try:
            with _Mapped(path) as former:
                held = _ledger(former)
                self._sums.add(former.bytes, former.words)
                start = _ring(former)
                words[self._ring : self._ring + at.SEGMENT_WORDS] = former.words[start : start + at.SEGMENT_WORDS]
                words[at.HEADER_ERRORS] += former.words[at.HEADER_ERRORS]
        except FileNotFoundError:
            return
        except (OSError, Unfit):
            self._flight.count_error()
            return
        self._held = held.processes
        words[at.HEADER_BIRTH], words[at.HEADER_FOLDED] = held.birth, held.count

    def add(self, path: str) -> bool:
        """Add an ended process's file, unless it is in already; return whether it may go."""
        process = place.process_of(path)
        if process is None:
            return False
        if process in self._held:
            return True
        try:
            with _Mapped(path) as ended:
                if ended.is_locked or not ended.words[at.HEADER_CLOSED]:
                    return False
                self._sums.add(ended.bytes, ended.words)
        except (OSError, Unfit):
            return False
        words = self._flight.words
        here = self._ring + words[at.HEADER_FOLDED] % at.FOLDED_LIMIT * 2
        words[here], words[here + 1] = process
        words[at.HEADER_FOLDED] += 1
        return True

    def finish(self) -> None:
        """Say what this file is."""
        words = self._flight.words
        self._flight.bytes[at.PROGRAM_AT : at.PROGRAM_AT + at.PROGRAM_BYTES] = _PROGRAM.ljust(at.PROGRAM_BYTES, b"\0")
        words[at.HEADER_PID] = words[at.HEADER_START_TIME] = 0
        words[at.HEADER_CLOSED] = time.monotonic_ns()


class _Mapped:
    """A dead process's file, mapped for reading, or a copy of it.

    Raises:
        Unfit: if it is none.
        OSError: if it cannot be opened.
    """

    def __init__(self, path: str, *, copied: bool = False) -> None:
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
        handle = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))  # a pipe would wait for somebody who writes
        try:
            if os.fstat(handle).st_size < at.FILE_BYTES:
                raise Unfit
            self.is_locked = place.is_locked(handle)
            self._map = None if copied else mmap.mmap(handle, at.FILE_BYTES, access=mmap.ACCESS_READ)
            self.bytes = memoryview(_copy(handle) if self._map is None else self._map)
        finally:
            os.close(handle)
        self.words = self.bytes.cast(at.WORD)
        if not self.words or self.words[at.HEADER_MAGIC] != at.MAGIC or self.words[at.HEADER_VERSION] != at.VERSION:
            self.__exit__()
            raise Unfit

    def __enter__(self) -> "Self":
        return self

    def __exit__(self, *_: object) -> None:
        self.words.release()
        self.bytes.release()
        if self._map is not None:
            self._map.close()


def _copy(handle: int) -> bytes:
    from algoprof.recorder.copies import copy_of  # noqa: PLC0415  (who only records does not need it)

    return copy_of(handle)


def _ledger(totals: _Mapped) -> Ledger:
    words, start = totals.words, _ring(totals)
    count = words[at.HEADER_FOLDED]
    if count < 0:
        raise Unfit
    held = words[start : start + 2 * min(count, at.FOLDED_LIMIT)].tolist()
    return Ledger(words[at.HEADER_BIRTH], count, set(zip(held[::2], held[1::2], strict=True)))


def _ring(totals: _Mapped) -> int:
    """Return the word offset of the list of processes."""
    found = next(segments_of(totals.bytes, totals.words, at.FOLDED), None)
    if found is None:
        raise Unfit
    return found[1] // 8
