"""Where a command's result goes: tried before the work begins, so that no result is lost for want of a place."""

import errno
import os
import stat
import sys
import tempfile
from pathlib import Path

from algoprof.cli.printing import Closed
from algoprof.errors import AlgoprofError


class Output:
    """A file that is replaced in one step, or stdout.

    A file that is there stays as it is until the new one is whole. A device or a pipe is written as it is.

    Args:
        path: the file; None for stdout.
        option: what it was named with.

    Raises:
        AlgoprofError: if nothing can be written there; the message says why.
    """

    def __init__(self, path: Path | None, option: str = "--output") -> None:
        self._path = path
        if path is None:
            if sys.stdout is None or isinstance(sys.stdout.buffer, Closed):
                raise AlgoprofError(f"stdout is closed, so the result has nowhere to go: say {option} PATH")
            return
        try:
            self._mode = _tried(path)
        except (OSError, RuntimeError) as error:  # RuntimeError: links that lead in a circle
            reason = getattr(error, "strerror", None) or error
            raise AlgoprofError(f"{option} {path} cannot be written ({reason}): choose another place") from error

    def write(self, content: str | bytes) -> None:
        """Write the whole result.

        Raises:
            AlgoprofError: if it cannot be written after all, as on a full disk.
            BrokenPipeError: if whoever read it has gone.
        """
        try:
            self._write(content)
        except BrokenPipeError:
            raise
        except OSError as error:
            place = self._path or "stdout"
            raise AlgoprofError(f"the result could not be written to {place} ({error.strerror or error})") from error

    def _write(self, content: str | bytes) -> None:
        if self._path is None:
            sys.stdout.buffer.write(_bytes(content, sys.stdout.encoding))
            sys.stdout.buffer.flush()
        elif self._mode is None:
            self._path.write_bytes(_bytes(content))
        else:
            target = self._path.resolve()
            handle, temporary = tempfile.mkstemp(prefix=f".{target.name[:100]}.", dir=target.parent)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(_bytes(content))
                Path(temporary).chmod(self._mode)
                Path(temporary).replace(target)
            except BaseException:
                Path(temporary).unlink(missing_ok=True)
                raise


def keep_binary(content: bytes, name: str) -> Path:
    """Write bytes that a terminal cannot show to a new file here, else among the temporary files, and return its path.

    Args:
        content: what to keep.
        name: what the file's name begins with.
    """
    try:
        handle, path = tempfile.mkstemp(prefix=f"{name}-", suffix=".bin", dir=Path.cwd())
    except OSError:
        handle, path = tempfile.mkstemp(prefix=f"{name}-", suffix=".bin")
    with os.fdopen(handle, "wb") as file:
        file.write(content)
    return Path(path)


def _tried(path: Path) -> int | None:
    """Try to write there, and return the mode the file gets; None for what is written in place, as a device is."""
    there = path.stat().st_mode if path.exists() else None
    if there is not None and not os.access(path, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    if there is not None and stat.S_ISDIR(there):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if there is not None and not stat.S_ISREG(there):
        return None
    target = path.resolve()  # a link stays, and what it leads to is replaced
    handle, probe = tempfile.mkstemp(prefix=f".{target.name[:100]}.", dir=target.parent)
    os.close(handle)
    Path(probe).unlink()
    return 0o600 if there is None else stat.S_IMODE(there)


def _bytes(content: str | bytes, encoding: str | None = None) -> bytes:
    return content if isinstance(content, bytes) else content.encode(encoding or "utf-8", "backslashreplace")
