"""Children of multiprocessing, which begin and end in ways of their own."""

import atexit
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_SPAWNED = "--multiprocessing-fork"


def is_spawned() -> bool:
    """Whether this process was started afresh as such a child, not forked."""
    return _SPAWNED in sys.orig_argv


def parent_pid() -> int:
    """Return the process that started this one, if it is such a child; 0 if it is none."""
    module = sys.modules.get("multiprocessing.process")
    parent = module.parent_process() if module is not None else None
    if parent is not None:
        return parent.pid or 0
    return os.getppid() if is_spawned() else 0  # it still imports what it needs


def at_beginning(function: "Callable[[], None]") -> None:
    """Have a function called when such a child is ready to run: this process, just forked, or one that it forks later.

    The function may start threads then. This takes no lock, for it is asked for in the middle of a fork.
    """
    register = getattr(sys.modules.get("multiprocessing.util"), "register_after_fork", None)
    if register is not None:  # else nobody has imported it, or has only begun to
        register(sys.modules[__name__], lambda _: function())


def at_exit(function: "Callable[[], None]", priority: int, in_child: "Callable[[], None] | None" = None) -> None:
    """Have a function called when this process comes to its end by itself.

    Args:
        function: what is called; registered again, it is called once.
        priority: in such a child, which leaves past atexit: the highest is called first.
        in_child: what is called there instead, if not the same.
    """
    atexit.unregister(function)  # a forked child has its parent's registration
    atexit.register(function)
    child, util = sys.modules.get("multiprocessing.process"), sys.modules.get("multiprocessing.util")
    if child is not None and util is not None and child.parent_process() is not None:
        util.Finalize(None, in_child or function, exitpriority=priority)
