"""What each thread of this process is doing, as text."""

import sys

from algoprof.recorder.own_threads import STARTER, THREADING, is_own

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType

_MOST_THREADS, _MOST_FRAMES = 100, 100


def stacks() -> str:
    """Return the stack of each thread but our own, the innermost frame first, as faulthandler shows them.

    At most 100 threads, and 100 frames of each.
    """
    shown = []
    for ident, frame in _frames().items():
        lines = _lines(frame)
        if lines:
            shown.append("\n".join([f"Thread 0x{ident:016x} (most recent call first):", *lines]))
    return "\n".join(shown[:_MOST_THREADS])


def _frames() -> "dict[int, FrameType]":
    """Return each thread's innermost frame.

    Before 3.12 the garbage collector may run in the middle of that, and what it runs may wait for the lock held here.
    """
    if sys.version_info >= (3, 12):
        return sys._current_frames()  # noqa: SLF001  (what the interpreter offers for this)
    import gc  # noqa: PLC0415  (only a slow run needs it)

    was_enabled = gc.isenabled()
    gc.disable()
    try:
        return sys._current_frames()  # noqa: SLF001  (as above)
    finally:
        if was_enabled:
            gc.enable()


def _lines(innermost: "FrameType") -> list[str]:
    """Return a line for each frame; none for a thread that began in algoprof."""
    lines: list[str] = []
    began = ""
    frame: FrameType | None = innermost
    while frame is not None:
        path = frame.f_code.co_filename
        if path != STARTER:
            if len(lines) < _MOST_FRAMES:
                lines.append(f'  File "{path}", line {frame.f_lineno} in {frame.f_code.co_name}')
            if not path.endswith(THREADING):
                began = path
        frame = frame.f_back
    return [] if is_own(began) else lines
