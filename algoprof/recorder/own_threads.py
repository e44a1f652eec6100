"""What is algoprof's own in a stack: threads that began in it, and frames that start a program for it."""

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

PACKAGE = os.path.dirname(os.path.dirname(__file__)) + os.sep
"""The folder of this package, with a separator at its end."""
STARTER = os.path.join(PACKAGE, "supervisor", "start.py")
"""The file whose frames stand below a program that a supervisor has started."""
BEGINNINGS = tuple(
    PACKAGE + name for name in ("watcher.py", *(f"{room}{os.sep}" for room in ("delivery", "exporters", "recorder")))
)
"""How the paths of files begin in which threads of ours do. In others the program's may begin, as by `propagate`."""
_THREADING = os.sep + "threading.py"  # where every thread of that module begins


def is_own(files: "Iterable[str]") -> bool:
    """Whether a thread is one of ours, or has nothing of the program in it yet.

    Args:
        files: those of its frames, the outermost first.

    >>> is_own(["/usr/lib/python3.11/threading.py", PACKAGE + "watcher.py", "/usr/lib/python3.11/threading.py"])
    True
    >>> is_own(["/usr/lib/python3.11/threading.py", PACKAGE + "propagation.py", "job.py"])
    False
    """
    for file in files:
        if not file.endswith(_THREADING):
            return file.startswith(BEGINNINGS)
    return True
