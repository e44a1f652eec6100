"""What is algoprof's own in a stack: threads that began in it, and frames that start a program for it."""

import os

PACKAGE = os.path.dirname(os.path.dirname(__file__)) + os.sep
"""The folder of this package, with a separator at its end."""
STARTER = os.path.join(PACKAGE, "supervisor", "start.py")
"""The file whose frames stand below a program that a supervisor has started."""
BEGINNINGS = tuple(
    PACKAGE + name for name in ("watcher.py", *(f"{room}{os.sep}" for room in ("delivery", "exporters", "recorder")))
)
"""How the paths of files begin in which threads of ours do. In others the program's may begin, as by `propagate`."""
THREADING = os.sep + "threading.py"
"""How the path of the file ends in which every thread of that module begins."""


def is_own(path: str) -> bool:
    """Whether a thread is one of ours.

    Args:
        path: the file of its outermost frame that is not of threading.
    """
    return path.startswith(BEGINNINGS)
