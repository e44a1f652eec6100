"""A file that holds a profile: one that was saved, or a flight file."""

import os
import stat
import sys
from pathlib import Path
from typing import Literal

from algoprof.cli.printing import printable
from algoprof.errors import AlgoprofError, ProfileFileError
from algoprof.profiles.tree import Profile
from algoprof.recorder import layout
from algoprof.recorder.reader import Flight, read

_KINDS = "`Profile.save` and `algoprof demo` write profiles, and a process that uses algoprof writes a *.flight file"
_MAGIC = layout.MAGIC.to_bytes(8, sys.byteorder)


def read_file(file: Path) -> Profile | Flight:
    """Read a file by what it holds, whatever its name is.

    Raises:
        AlgoprofError: if it cannot be read, or is neither; the message says why, and what would be.
    """
    shown = printable(str(file))
    try:
        kind = _kind(file)
        return Profile.load(file) if kind == "profile" else read(file)
    except ProfileFileError as error:
        raise AlgoprofError(f"{error}; {_KINDS}") from error
    except FileNotFoundError:
        raise AlgoprofError(f"there is no file {shown}; {_KINDS}") from None
    except PermissionError:
        raise AlgoprofError(f"{shown} may not be read by this user: profiles are their owner's only") from None
    except OSError as error:
        raise AlgoprofError(f"{shown} cannot be read ({error.strerror or error})") from error


def _kind(file: Path) -> Literal["profile", "flight"]:
    handle = os.open(file, os.O_RDONLY | os.O_NONBLOCK)  # a pipe that nobody writes to would hold us up
    try:
        mode = os.fstat(handle).st_mode
        if not stat.S_ISREG(mode):
            raise ProfileFileError(file, "is a folder" if stat.S_ISDIR(mode) else "is no regular file")
        first = os.read(handle, 1024)
    finally:
        os.close(handle)
    if not first:
        raise ProfileFileError(file, "is empty")
    if first.lstrip().startswith(b"{"):
        return "profile"
    if first.startswith(_MAGIC) or not first.strip(b"\0"):  # zeros: killed while it was made, which `read` explains
        return "flight"
    raise ProfileFileError(file, "is neither a profile nor a flight file")
