"""Thresholds that are told of even while no Python code can run: by a thread that needs no GIL."""

import atexit
import os

from algoprof.recorder.own_threads import BEGINNINGS, STARTER
from algoprof.recorder.writer import backend

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


_set: "Callable[[memoryview, int, int, int, int], None] | None" = None
_take: "Callable[[int, int, int], None] | None" = None
_watch_here: "Callable[[], None] | None" = None

if backend == "native" and not TYPE_CHECKING:
    from algoprof.recorder._native import (
        forget_alarms,
        set_alarm,
        show_none_of,
        silence_alarms,
        take_alarm,
        watch_here,
    )

    _set, _take, _watch_here = set_alarm, take_alarm, watch_here
    show_none_of(os.fsencode("\0".join((*BEGINNINGS, ""))), os.fsencode(STARTER))
    atexit.register(silence_alarms)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=forget_alarms)


def set_alarm_at(words: memoryview, slot: int, serial: int, due_ns: int, millionths: int) -> None:
    """Have a threshold told of on stderr, unless it is taken within 20 ms after it is due.

    Args:
        words: the flight file's.
        slot: the word offset of the run's slot in it.
        serial: the run's.
        due_ns: when it is due, on the monotonic clock.
        millionths: the share of the timeout.
    """
    if _set is not None:
        _set(words, slot, serial, due_ns, millionths)


def watch_from_this_thread() -> None:
    """Say that the running thread is the one that takes: it may be busy with that, and is not shown."""
    if _watch_here is not None:
        _watch_here()


def take(slot: int, serial: int, millionths: int) -> None:
    """Take over what is due: from now on it is the caller's to tell, unless the run's slot says that it is told."""
    if _take is not None:
        _take(slot, serial, millionths)
