"""What a command is given on stdin."""

import sys
from typing import BinaryIO

from algoprof.errors import AlgoprofError


def stdin_bytes() -> BinaryIO:
    """Return stdin.

    Raises:
        AlgoprofError: if it is closed.
    """
    if sys.stdin is None:
        raise AlgoprofError("stdin is closed, so there is nothing to read: give a file instead of -")
    return sys.stdin.buffer
