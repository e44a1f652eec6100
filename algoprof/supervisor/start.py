"""The first thing that a supervised Python program runs: it records from here on, and runs the program as Python would.

It is a program itself: `python start.py script.py ARGUMENT...` or `python start.py -m module ARGUMENT...`.
"""

import os
import sys
from types import ModuleType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType, TracebackType


def main() -> None:
    """Run what the command line names, as `__main__`."""
    what, *rest = sys.argv[1:]
    if not sys.flags.safe_path:
        del sys.path[0]  # where this file is
    main_module = ModuleType("__main__")
    if what == "-m":
        name, *arguments = rest
        sys.argv = ["-m", *arguments]
        _record(name)
        _look_first_in(os.getcwd())  # noqa: PTH109  (as Python does)
        sys.modules["__main__"] = main_module
        _guarded(lambda: _run_module(name))
    else:
        sys.argv = [what, *rest]
        _record(os.path.basename(what))  # noqa: PTH119  (a cold start)
        _look_first_in(os.path.dirname(os.path.realpath(what)))  # noqa: PTH120  (as Python does)
        path = os.path.abspath(what)  # noqa: PTH100  (as Python does)
        _guarded(lambda: _run_script(path, main_module))


def _record(program: str) -> None:
    """Open the implicit run, so that a program with no section at all has a profile.

    What that imports comes before the program's own folder is looked in.
    """
    from algoprof.recorder import process  # noqa: PLC0415  (the program's arguments are set now)
    from algoprof.sections import DISABLED  # noqa: PLC0415

    if not DISABLED:
        arguments, sys.argv = sys.argv, [program]
        process.run_table().implicit_root()
        sys.argv = arguments


def _look_first_in(folder: str) -> None:
    if not sys.flags.safe_path:
        sys.path.insert(0, folder)


def _run_module(name: str) -> None:
    import runpy  # noqa: PLC0415  (only modules need it)

    runpy._run_module_as_main(name)  # type: ignore[attr-defined]  # noqa: SLF001  (what `python -m` calls)


def _run_script(path: str, main_module: ModuleType) -> None:
    code = _compiled(path)
    loader = type(globals()["__loader__"])  # of source files; importlib.machinery would have to be imported
    names = main_module.__dict__
    names |= {"__file__": path, "__cached__": None, "__annotations__": {}, "__builtins__": sys.modules["builtins"]}
    names["__loader__"] = loader("__main__", path)
    sys.modules["__main__"] = main_module
    exec(code, names)  # noqa: S102  (the program that the user asked for)


def _compiled(path: str) -> "CodeType":
    try:
        with open(path, "rb") as file:  # noqa: PTH123  (a cold start)
            return compile(file.read(), path, "exec", dont_inherit=True)
    except OSError as error:
        print(f"{sys.executable}: can't open file {path!r}: [Errno {error.errno}] {error.strerror}", file=sys.stderr)  # noqa: T201
        sys.exit(2)


def _guarded(run: "Callable[[], None]") -> None:
    """Run the program; what ends it is told as Python tells it, without the frames that stand here."""
    try:
        run()
    except SystemExit:
        raise
    except BaseException as error:  # noqa: BLE001  (the program's, whatever it is)
        error.__traceback__ = _own(error.__traceback__)
        sys.last_type, sys.last_value, sys.last_traceback = type(error), error, error.__traceback__
        sys.excepthook(type(error), error, error.__traceback__)
        if isinstance(error, KeyboardInterrupt):
            from algoprof.recorder.process import keep_interrupt  # noqa: PLC0415  (loaded already)

            keep_interrupt()
            return
        sys.exit(1)


def _own(trace: "TracebackType | None") -> "TracebackType | None":
    """Return a traceback from the program's own first frame on."""
    while trace is not None and trace.tb_frame.f_code.co_filename in (__file__, "<frozen runpy>"):
        trace = trace.tb_next
    return trace


if TYPE_CHECKING:
    from collections.abc import Callable

if __name__ == "__main__":
    main()
