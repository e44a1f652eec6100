"""What each thread of this process is doing."""

import gc
import sys

from algoprof.recorder.own_threads import STARTER, is_own

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType

_MOST_THREADS, _MOST_FRAMES = 100, 100
_MUST_STOP_COLLECTING = sys.version_info < (3, 12)  # the collector may wait for the lock that _current_frames holds


def stacks() -> str:
    """Return the stack of each thread but our own as text, the innermost frame first, as faulthandler shows them.

    At most 100 threads, and 100 frames of each.
    """
    shown = []
    for ident, frame in current_frames().items():
        found = _frames(frame)
        if found and not is_own(one.f_code.co_filename for one in reversed(found)):
            lines = [
                f'  File "{one.f_code.co_filename}", line {one.f_lineno} in {one.f_code.co_name}'
                for one in found[:_MOST_FRAMES]
            ]
            shown.append("\n".join([f"Thread 0x{ident:016x} (most recent call first):", *lines]))
    return "\n".join(shown[:_MOST_THREADS])


def current_frames() -> "dict[int, FrameType]":
    """Return each thread's innermost frame, by the thread's ident."""
    collects = _MUST_STOP_COLLECTING and gc.isenabled()
    if collects:
        gc.disable()
    try:
        return sys._current_frames()  # noqa: SLF001  (there is no other way to see them)
    finally:
        if collects:
            gc.enable()


def _frames(innermost: "FrameType") -> "list[FrameType]":
    """Return a thread's frames, the innermost first, without those that start a program under a supervisor."""
    found = []
    frame: FrameType | None = innermost
    while frame is not None:
        if frame.f_code.co_filename != STARTER:
            found.append(frame)
        frame = frame.f_back
    return found
