"""The mapped flight file as its writer sees it: making it, taking segments into use, interning names."""

import mmap
import os
import sys
import time
from _thread import RLock

from algoprof._version import __version__
from algoprof.recorder import layout as at
from algoprof.recorder.directory import CLOSED_MODE, hold_lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from algoprof.recorder.origins import Origin


class OutOfSpace(Exception):  # noqa: N818  (an answer, not a fault)
    """The file has no segment left, or the file system has no room for it."""


SUPERVISION = "ALGOPROF_SUPERVISION"
"""Set by a supervisor: its number, after those of the supervisors that it runs under itself, with spaces between."""
STACKS = "ALGOPROF_STACKS"
"""Set by a supervisor: its folder for stacks; a process writes a file there that is named for its pid."""


class FlightFile:
    """The recorder's memory: 48 MiB of address space over a file, backed only where it is used.

    Args:
        path: where to make it; None keeps it in this process's memory, where it does not survive a kill.
    """

    def __init__(self, path: str | None) -> None:
        self.path = path
        self._handle = -1
        self._lock = RLock()
        self._numbers: dict[str, int] = {}
        self.names: list[tuple[str, str, int]] = [("", "", 0)]
        """Name, module and line of each number."""
        self._map = self._made(path) if path else mmap.mmap(-1, at.FILE_BYTES)
        self.bytes = memoryview(self._map)
        self.words = self.bytes.cast(at.WORD)
        self._write_header()

    def _made(self, path: str) -> mmap.mmap:
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
        self._handle = os.open(path, flags, 0o600)
        try:
            hold_lock(self._handle)
            os.ftruncate(self._handle, at.FILE_BYTES)
            self._back(0)
            return mmap.mmap(self._handle, at.FILE_BYTES)
        except BaseException:
            os.close(self._handle)
            os.unlink(path)
            raise

    def _back(self, segment: int) -> None:
        """Have the file system set the segment's room aside: a store into a page it has no room for is a SIGBUS."""
        if self._handle >= 0 and hasattr(os, "posix_fallocate"):
            os.posix_fallocate(self._handle, segment * at.SEGMENT_BYTES, at.SEGMENT_BYTES)

    def _write_header(self) -> None:
        words = self.words
        words[at.HEADER_VERSION] = at.VERSION
        words[at.HEADER_PID] = os.getpid()
        words[at.HEADER_START_TIME] = process_start_time(os.getpid())
        self.bytes[at.HEADER_BOOT_ID * 8 : at.HEADER_BOOT_ID * 8 + 16] = boot_id()
        words[at.HEADER_SEGMENTS] = 1
        for position, number in enumerate(supervisions()):
            words[at.HEADER_SUPERVISIONS + position] = number
        self.set_anchor()
        self._write_text(at.PROGRAM_AT, at.PROGRAM_BYTES, program_name())
        self._write_text(at.PYTHON_AT, at.PYTHON_BYTES, sys.version.split()[0])
        self._write_text(at.ALGOPROF_AT, at.ALGOPROF_BYTES, __version__)
        words[at.HEADER_MAGIC] = at.MAGIC

    def set_anchor(self) -> None:
        """Note which moment of the wall clock the monotonic clock's present one is."""
        self.words[at.HEADER_MONOTONIC] = time.monotonic_ns()
        self.words[at.HEADER_WALL] = time.time_ns()

    def set_origin(self, origin: "Origin | None") -> None:
        """Note what started this process, if it is a worker."""
        if origin is not None:
            start = at.HEADER_PARENT_RUN * 8
            self.bytes[start : start + len(origin.run_id)] = origin.run_id
            self.words[at.HEADER_PARENT_START] = origin.start_time
            self.words[at.HEADER_PARENT_PID] = origin.pid

    def set_memory_group(self, events: str) -> None:
        """Note where the kernel counts which processes of this one's control group it has killed for want of memory."""
        data = os.fsencode(events)
        if len(data) <= at.MEMORY_EVENTS_BYTES:
            self.bytes[at.MEMORY_EVENTS_AT : at.MEMORY_EVENTS_AT + len(data)] = data
            self.words[at.HEADER_MEMORY_GROUP] = os.stat(events).st_ino

    def _write_text(self, offset: int, room: int, text: str) -> None:
        data = text.encode("utf-8", "replace")[:room]
        self.bytes[offset : offset + len(data)] = data

    def take_segment(self, kind: int, ordinal: int, owner: int, *, last: bool = False) -> int:
        """Take the next segment into use and return its byte offset.

        Args:
            kind: what it will hold.
            ordinal: its number among its owner's segments of that kind.
            owner: the HOME segment of the block it belongs to; 0 for itself, or none.
            last: whether it may be the file's last one, which is kept for threads that find no other.

        Raises:
            OutOfSpace: if the file or the file system is full.
        """
        with self._lock:
            segment = self.words[at.HEADER_SEGMENTS]
            if segment >= at.SEGMENT_COUNT - (not last):
                raise OutOfSpace
            try:
                self._back(segment)
            except OSError as error:
                if error.errno is None:
                    raise  # a signal handler's: not the system's
                raise OutOfSpace from None
            at.DIRECTORY_ENTRY.pack_into(
                self.bytes, at.DIRECTORY_AT + segment * at.DIRECTORY_ENTRY.size, kind, ordinal, owner or segment
            )
            self.words[at.HEADER_SEGMENTS] = segment + 1
            return segment * at.SEGMENT_BYTES

    def is_taking(self) -> bool:
        """Whether the calling thread is in the middle of taking something into use: a signal handler asks."""
        owned: bool = self._lock._is_owned()  # type: ignore[attr-defined]  # noqa: SLF001  (what threading asks it)
        return owned

    def name(self, name: str, module: str = "", line: int = 0) -> int:
        """Return the number of a name; where it was first seen written is kept with it.

        Names too long for a slot are cut and end in a checksum. When there is no room for more names, they all are
        `(more names)`, and counted.
        """
        found = self._numbers.get(name)
        if found is not None:
            return found
        with self._lock:
            if self.words[at.HEADER_NAMES] >= at.NAME_LIMIT - 1 and name != MORE_NAMES:
                self.words[at.HEADER_DROPPED_NAMES] += 1
                return self.name(MORE_NAMES)
            if name not in self._numbers:
                self._numbers[name] = self._write_name(name, module, line)
            return self._numbers[name]

    def text(self, number: int) -> str:
        """Return the name that a number stands for."""
        return self.names[number][0]

    def _write_name(self, name: str, module: str, line: int) -> int:
        words = self.words
        count = words[at.HEADER_NAMES]
        slot = count % at.NAMES_PER_SEGMENT
        if slot == 0:
            try:
                self._names_at = self.take_segment(at.NAMES, count // at.NAMES_PER_SEGMENT, 0)
            except OutOfSpace:
                words[at.HEADER_DROPPED_NAMES] += 1
                return 0
        text, place = _shortened(name, at.NAME_MAX), _shortened(module, at.MODULE_MAX)
        offset = self._names_at + slot * at.NAME_BYTES_EACH
        at.NAME_HEAD.pack_into(self.bytes, offset, len(text), len(place), line & 0xFFFFFFFF)
        offset += at.NAME_HEAD.size
        self.bytes[offset : offset + len(text)] = text
        self.bytes[offset + at.NAME_MAX : offset + at.NAME_MAX + len(place)] = place
        self.names.append((text.decode("utf-8", "replace"), place.decode("utf-8", "replace"), line & 0xFFFFFFFF))
        words[at.HEADER_NAMES] = count + 1
        return count + 1

    def count_error(self) -> None:
        """Count a fault of ours that was kept from the program."""
        self.words[at.HEADER_ERRORS] += 1

    def finish(self) -> None:
        """Mark a clean end: nobody writes the file any more, which its mode tells without opening it.

        The mapping stays, so that late writers do no harm, and count.
        """
        self.words[at.HEADER_CLOSED] = time.monotonic_ns()
        if self._handle >= 0:
            try:
                os.fchmod(self._handle, CLOSED_MODE)
            except OSError:
                self.count_error()

    def remove(self) -> None:
        """Give everything back, the file itself included."""
        self.release()
        if self.path:
            os.unlink(self.path)

    def release(self) -> None:
        """Give the mapping and the file's lock back; nothing can be written after that."""
        self.words.release()
        self.bytes.release()
        self._map.close()
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1


MORE_NAMES = "(more names)"


def program_name() -> str:
    """Return what runs here: the script or module that was started."""
    arguments = getattr(sys, "argv", None) or [""]
    if arguments[0] == "-m":
        return "-m"
    return os.path.basename(arguments[0]) or ("-c" if arguments[0] == "-c" else "python")


def boot_id() -> bytes:
    """Return the 16 bytes that name this boot of the machine; zeros where nothing tells."""
    try:
        with open("/proc/sys/kernel/random/boot_id", "rb") as file:
            return bytes.fromhex(file.read().strip().replace(b"-", b"").decode())[:16].ljust(16, b"\0")
    except (OSError, ValueError):
        return bytes(16)


def process_start_time(pid: int) -> int:
    """Return when a process started, in clock ticks since boot; 0 where nothing tells."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return 0


def _shortened(text: str, limit: int) -> bytes:
    data = text.encode("utf-8", "backslashreplace")
    if len(data) <= limit:
        return data
    from zlib import crc32  # noqa: PLC0415  (only long names need it)

    return data[: limit - 12].decode("utf-8", "ignore").encode() + f"...{crc32(data):08x}".encode()


def supervisions() -> list[int]:
    """Return the numbers of the supervisors that this process runs under, the outermost first.

    Of more than the header has room for, the innermost.
    """
    words = os.environ.get(SUPERVISION, "").split()[-at.SUPERVISIONS :]
    return [int(word) % 2**63 for word in words if word.isascii() and word.isdigit() and len(word) < 20]
