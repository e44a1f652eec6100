"""Copies of flight files, which their writers may go on with or cut off; those for a moment take no fresh memory."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from algoprof.recorder import layout as at

_SIZE = 16 * at.SEGMENT_BYTES  # of a buffer that is kept: small programs use some seven segments
_MOST = 4  # buffers kept
_kept: list[bytearray] = []


def copy_of(handle: int) -> bytes:
    """Return what is used of an open flight file, in whole segments; nothing if it was cut off."""
    first = os.pread(handle, at.SEGMENT_BYTES, 0)
    if len(first) < at.SEGMENT_BYTES:
        return b""
    with memoryview(first) as view:
        found = os.pread(handle, _used(view), 0)
    return found[: _whole(len(found))]


@contextmanager
def copied(handle: int) -> Iterator[memoryview]:
    """Give the same for as long as it is read. The memory is used again: taking fresh one costs more than the copy."""
    try:
        buffer = _kept.pop()
    except IndexError:
        buffer = bytearray(_SIZE)
    with memoryview(buffer) as view:
        found = os.preadv(handle, [view[: at.SEGMENT_BYTES]], 0)
        used = _used(view) if found == at.SEGMENT_BYTES else 0
        if used > _SIZE:
            yield memoryview(copy_of(handle))
        else:
            yield view[: _whole(os.preadv(handle, [view[:used]], 0))]
    if len(_kept) < _MOST:
        _kept.append(buffer)


def segment_count(words: memoryview) -> int:
    """Return how many segments are in use."""
    return min(max(words[at.HEADER_SEGMENTS], 1), at.SEGMENT_COUNT)


def _used(first: memoryview) -> int:
    with first.cast(at.WORD) as words:
        return segment_count(words) * at.SEGMENT_BYTES


def _whole(size: int) -> int:
    return size // at.SEGMENT_BYTES * at.SEGMENT_BYTES
