"""Where flight files live: a directory of one's own, in memory where there is one."""

import os
import stat
import time

from algoprof.recorder.layout import MAGIC

try:
    import fcntl

    HAS_LOCKS = True
except ImportError:  # Windows
    HAS_LOCKS = False

SUFFIX = ".flight"
TOTALS_NAME = f"totals{SUFFIX}"
"""The file that the ended processes' files are folded into."""
CLOSED_MODE = 0o400
"""Of the file of a process that came to its end by itself: nobody writes it any more."""
KEPT_SECONDS = 7 * 24 * 3600
"""A dead process's file is kept this long."""
MANY_FILES, MANY_BYTES = 64, 16 * 1024 * 1024
"""Closed files have piled up when there are more, or they are larger in all."""
KEPT_BYTES = 256 * 1024 * 1024
"""Dead processes' files are kept up to this size in all, the newest first."""


def flight_directory() -> str:
    """Return the directory of this machine's flight files, made with mode 0700 if it is not there.

    It is `ALGOPROF_FLIGHT_DIR`, else `$XDG_RUNTIME_DIR/algoprof`, else `/dev/shm/algoprof-UID`, else the temporary
    directory's `algoprof-UID`, which may be on a disk.

    Raises:
        OSError: if it cannot be made, or belongs to someone else, or is a symbolic link.
    """
    named = os.environ.get("ALGOPROF_FLIGHT_DIR")
    if named:
        os.makedirs(named, mode=0o700, exist_ok=True)
        return named
    for path in _in_memory():
        try:
            return _owned(path)
        except OSError:
            continue
    return _owned(_last_resort())


def known_directories() -> list[str]:
    """Return where flight files may be, whatever the environment of who wrote them was; nothing is made.

    `ALGOPROF_FLIGHT_DIR` alone if it is set, else every directory that `flight_directory` may choose.
    """
    named = os.environ.get("ALGOPROF_FLIGHT_DIR")
    return [named] if named else [*_in_memory(), _last_resort()]


def _in_memory() -> list[str]:
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    candidates = [os.path.join(runtime, "algoprof")] if runtime else []
    return [*candidates, os.path.join("/dev/shm", _own_name())]  # noqa: S108  (owner and mode are checked)


def _last_resort() -> str:
    import tempfile  # noqa: PLC0415  (slow to import, and only the last resort needs it)

    return os.path.join(tempfile.gettempdir(), _own_name())


def _own_name() -> str:
    return f"algoprof-{os.getuid()}" if hasattr(os, "getuid") else "algoprof"


def flight_files(directory: str | os.PathLike[str]) -> list[str]:
    """Return the flight files in a directory, newest first; an unreadable directory has none."""
    return [path for path, _ in flight_entries(directory)]


def flight_entries(directory: str | os.PathLike[str]) -> list[tuple[str, os.stat_result]]:
    """Return the flight files in a directory, newest first, each with its status; the totals are not among them."""
    found = []
    try:
        names = os.listdir(directory)
    except OSError:
        names = []
    for name in names:
        if name.endswith(SUFFIX) and name != TOTALS_NAME:
            path = os.path.join(directory, name)
            try:
                status = os.lstat(path)
            except OSError:  # it was removed meanwhile
                continue
            if stat.S_ISREG(status.st_mode):
                found.append((path, status))
    return sorted(found, key=lambda item: (item[1].st_mtime_ns, item[0]), reverse=True)


def is_closed(status: os.stat_result) -> bool:
    """Whether the writer of a flight file of this status marked it when it came to its end."""
    return stat.S_IMODE(status.st_mode) == CLOSED_MODE


def process_of(path: str) -> tuple[int, int] | None:
    """Return the pid and the start time that a flight file is named for; None if somebody else named it.

    >>> process_of("/dev/shm/algoprof-1000/4242-98765.flight")
    (4242, 98765)
    """
    pid, dash, start = os.path.basename(path).removesuffix(SUFFIX).partition("-")
    return (int(pid), int(start)) if dash and _is_number(pid) and _is_number(start) else None


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 19  # what a word of the file holds


def _owned(path: str) -> str:
    """Make a directory of mode 0700, or make sure that it is ours alone and no link to elsewhere."""
    try:
        os.mkdir(path, mode=0o700)
    except FileExistsError:
        status = os.lstat(path)
        if not stat.S_ISDIR(status.st_mode) or (hasattr(os, "getuid") and status.st_uid != os.getuid()):
            raise PermissionError(f"{path} is not a directory of ours") from None
        if status.st_mode & 0o077:
            os.chmod(path, 0o700)
    return path


def has_piled_up(directory: str) -> bool:
    """Whether there are closed files to be folded into the directory's totals: too many, too large or too old."""
    closed = [status for _, status in flight_entries(directory) if is_closed(status)]
    size = sum(status.st_blocks * 512 for status in closed)
    oldest = min((status.st_mtime for status in closed), default=time.time())
    return len(closed) > MANY_FILES or size > MANY_BYTES or oldest < time.time() - KEPT_SECONDS


def tidy(directory: str | os.PathLike[str]) -> None:
    """Remove dead processes' files that are too old, or too many.

    Old ones that were closed stay: they are folded into the directory's totals, so that what they count is not lost.
    """
    kept = 0
    for path, status in flight_entries(directory):
        try:
            kept += status.st_blocks * 512
            too_old = status.st_mtime < time.time() - KEPT_SECONDS and not is_closed(status)
            if (too_old or kept > KEPT_BYTES) and not is_live(path):
                os.unlink(path)
        except OSError:
            continue


def remove_dead(path: str) -> None:
    """Make way at a path that the user named: what a dead process left there goes.

    Raises:
        FileExistsError: if a living process writes there, or it is some other file.
    """
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # opening a pipe would wait for whoever reads it
            raise FileExistsError(f"{path} is no regular file, so it is not replaced")
        if is_live(path):
            raise FileExistsError(f"{path} is written by a living process")
        with open(path, "rb") as file:
            begin = file.read(8)
        if begin.strip(b"\0") and begin != MAGIC.to_bytes(8, "little"):
            raise FileExistsError(f"{path} is no flight file, so it is not replaced")
        os.unlink(path)
    except FileNotFoundError:
        return


def keep_former(path: str) -> None:
    """Make way for this process's file: what stands there is of the program that this one was before an `exec`.

    It is kept, under a name that tells of no process.

    Raises:
        OSError: if it cannot be renamed.
    """
    number = 1
    while os.path.lexists(path):
        former = f"{path.removesuffix(SUFFIX)}-{number}{SUFFIX}"
        if not os.path.lexists(former):
            os.rename(path, former)
        number += 1


def is_live(path: str) -> bool:
    """Whether the process that writes a flight file still holds its lock."""
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
    try:
        return is_locked(handle)
    finally:
        os.close(handle)


def hold_lock(handle: int) -> None:
    """Hold a record lock as long as the process lives: whoever finds the file unlocked knows that it does not."""
    if HAS_LOCKS:
        fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def is_locked(handle: int) -> bool:
    """Whether another process holds the record lock of an open flight file."""
    if not HAS_LOCKS:
        return False
    try:
        fcntl.lockf(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    fcntl.lockf(handle, fcntl.LOCK_UN)
    return False
