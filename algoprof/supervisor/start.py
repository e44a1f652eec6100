"""The first thing that a supervised Python program runs: it records from here on, and runs the program as Python would.

It is a program itself: `python start.py script.py ARGUMENT...` or `python start.py -m module ARGUMENT...`.
"""

import os
import sys
from types import CodeType, ModuleType, TracebackType


def main() -> None:
    """Run what the command line names, as `__main__`."""
    what, *rest = sys.argv[1:]
    if what == "-m":
        name, *arguments = rest
        sys.path[0] = os.getcwd()  # noqa: PTH109  (as Python does)
        sys.argv = [name, *arguments]
        _record()
        _run_module(name)
    else:
        sys.path[0] = os.path.dirname(os.path.realpath(what))  # noqa: PTH120  (as Python does)
        sys.argv = [what, *rest]
        _record()
        _run_script(what)


def _record() -> None:
    """Open the implicit run, so that a program with no section at all has a profile."""
    from algoprof.recorder import process  # noqa: PLC0415  (the program's path and arguments are set now)
    from algoprof.sections import DISABLED  # noqa: PLC0415

    if not DISABLED:
        process.run_table().implicit_root()


def _run_module(name: str) -> None:
    import runpy  # noqa: PLC0415  (only modules need it)

    try:
        runpy.run_module(name, run_name="__main__", alter_sys=True)
    except Exception as error:  # noqa: BLE001  (the program's, told as Python tells it)
        _tell(error)


def _run_script(path: str) -> None:
    main_module = ModuleType("__main__")
    main_module.__dict__.update(__file__=path, __builtins__=__builtins__)
    code = _compiled(path)
    sys.modules["__main__"] = main_module
    try:
        exec(code, main_module.__dict__)  # noqa: S102  (the program that the user asked for)
    except Exception as error:  # noqa: BLE001  (the program's, told as Python tells it)
        _tell(error)


def _compiled(path: str) -> CodeType:
    try:
        with open(path, "rb") as file:  # noqa: PTH123  (a cold start)
            return compile(file.read(), path, "exec", dont_inherit=True)
    except OSError as error:
        print(f"{sys.executable}: can't open file {path!r}: [Errno {error.errno}] {error.strerror}", file=sys.stderr)  # noqa: T201
        sys.exit(2)
    except (SyntaxError, ValueError) as error:
        error.__traceback__ = None
        _tell(error)


def _tell(error: Exception) -> "NoReturn":
    """Say what ended the program as Python does, without the frames that stand here."""
    error.__traceback__ = _own(error.__traceback__)
    sys.excepthook(type(error), error, error.__traceback__)
    sys.exit(1)


def _own(trace: TracebackType | None) -> TracebackType | None:
    while trace is not None and trace.tb_frame.f_code.co_filename in (__file__, "<frozen runpy>"):
        trace = trace.tb_next
    return trace


TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

if __name__ == "__main__":
    main()
