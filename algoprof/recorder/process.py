"""This process's recorder: made on first use, replaced in a forked child, closed at exit."""

import errno
import os
import sys
from _thread import RLock
from time import monotonic_ns

from algoprof.likeness import like
from algoprof.recorder import children, directory
from algoprof.recorder import layout as at
from algoprof.recorder.flight import STACKS, FlightFile, OutOfSpace, process_start_time, program_name
from algoprof.recorder.origins import Origin, here, of_fork, of_multiprocessing, span_here
from algoprof.recorder.run_table import RunTable
from algoprof.recorder.writer import activate

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from types import ModuleType
    from typing import Any, TypeVar

    from algoprof.profiles.tree import Profile
    from algoprof.recorder.origins import Place
    from algoprof.recorder.reader import Flight
    from algoprof.recorder.run_table import RunState
    from algoprof.recorder.shares import Shares

    F = TypeVar("F", bound=Callable[..., Any])

on_start: "Callable[[], None] | None" = None
"""Called before the first recording of a process, forked ones included; set by whoever hands profiles on.

A child that is forked meanwhile cannot finish an import that another thread began: it must import nothing.
"""

on_implicit_end: "Callable[[float, Callable[[], Profile | None]], None] | None" = None
"""Called when the implicit run ends, with its seconds and a way to take its profile."""

_table: RunTable | None = None
_flight: FlightFile | None = None
_closed: FlightFile | None = None
_loaded_families: "ModuleType | None" = None
_loaded_reader: "ModuleType | None" = None
_origin: Origin | None = None
_shares: "Shares | None" = None
_may_have_workers = False
_sampler: "ModuleType | None" = None
_wants_samples: "tuple[str, int] | None" = None
_lock = RLock()
_FORK_PATIENCE_SECONDS = 1.0


def run_table() -> RunTable:
    """Return this process's run table, with its flight file; both are made when first asked for."""
    return _table or _start()


def own_flight() -> "Flight | None":
    """Read this process's own flight file, without touching its lock; None if nothing was recorded yet."""
    flight = _flight
    if flight is None:
        return None
    _observe(flight)
    found: Flight = _reader().read_view(flight.bytes, alive=True)
    return found


def own_run(run: "RunState") -> "Profile | None":
    """Read one run of this process; None if it is no longer there, or is the parent process's, or has no tree."""
    flight = _flight
    if flight is None or run.writer.flight is not flight or run.shared:
        return None
    _observe(flight)
    found: Profile | None
    if run.ended:
        sampled = _sampler.nodes_of(run.serial) if _sampler is not None else {}
        found = _reader().read_run(flight.bytes, run.slot, [offset for _, offset in run.rows], flight.names, sampled)
    else:
        found = next(iter(_reader().read_view(flight.bytes, alive=True, serial=run.serial).runs), None)
    return found


def run_with_workers(run: "RunState") -> "Profile | None":
    """Read one run of this process as `own_run` does, with what other processes have recorded of it."""
    found = own_run(run)
    if found is None or not has_workers():
        return found
    families = _families()
    parts = families.worker_parts(found.run_id, *_folder())
    joined: Profile = families.with_workers(found, [*parts, *_own_parts()])
    return joined


def _own_parts() -> "tuple[Profile, ...]":
    """Read what this process records for other processes' runs, and nothing else: each run's end asks for this."""
    flight = _flight
    if flight is None or _shares is None:
        return ()
    found: tuple[Profile, ...] = _reader().read_view(flight.bytes, alive=True, parts_only=True).runs
    return found


def has_workers() -> bool:
    """Whether another process may have recorded something of this one's runs: only then it is looked for."""
    return _may_have_workers or "multiprocessing.process" in sys.modules


def expect_workers() -> None:
    """Note that another process may record something of this one's runs."""
    global _may_have_workers  # noqa: PLW0603  (once per process)
    _may_have_workers = True


def place() -> "Place":
    """Return where the calling context stands, as another process may be told of it."""
    return here(run_table())


def call_context() -> tuple[str, int] | None:
    """Return the trace id and the span that a call made here is below; None outside every run."""
    return span_here(_table) if _table is not None else None


def shares() -> "Shares":
    """Return this process's shares of runs that other processes opened."""
    global _shares  # noqa: PLW0603  (one of a recorder)
    table = run_table()
    with _lock:
        if _shares is None:
            from algoprof.recorder.shares import Shares  # noqa: PLC0415  (only workers need it)

            _shares = Shares(table)
        return _shares


def _observe(flight: FlightFile) -> None:
    flight.set_anchor()
    if _table is not None:
        _table.environments.observe()


def importing() -> "AbstractContextManager[bool]":
    """Hold off forks for a moment, while something is imported late: a child could not finish another's import."""
    return _lock


def _reader() -> "ModuleType":
    """Return the reader's module, imported once, while a fork waits: a child could not finish another's import."""
    global _loaded_reader  # noqa: PLW0603  (once per process)
    if _loaded_reader is None:
        with importing():
            from algoprof.recorder import reader  # noqa: PLC0415  (imports dataclasses)

            _loaded_reader = reader
    return _loaded_reader


def _families() -> "ModuleType":
    """Return the module that finds workers, imported as the reader is."""
    global _loaded_families  # noqa: PLW0603  (once per process)
    if _loaded_families is None:
        with importing():
            from algoprof.recorder import families  # noqa: PLC0415  (imports dataclasses)

            _loaded_families = families
    return _loaded_families


def _folder() -> tuple[str, str | None]:
    """Return the folder of this process's flight file, and that file's path."""
    path = _flight.path if _flight is not None else None
    return (os.path.dirname(path) if path else directory.flight_directory()), path


def open_path() -> str:
    """Return the names of the innermost run and of its sections that are open here, joined with `/`."""
    names: list[str] = []
    if _table is None:
        return ""
    occurrence = _table.writer.current.get()
    run = occurrence.row.run if occurrence is not None else None
    while occurrence is not None and occurrence.row.run is run:
        if not occurrence.closed:
            names.append(_table.name_of(occurrence.name))
        occurrence = occurrence.above
    return "/".join(reversed(names))


def snapshot() -> "Profile":
    """Return everything recorded in this process and its workers: the ended runs' cumulative trees, and the open runs.

    A `Profile` whose roots are named for the runs. It is plain data, taken at this moment, from any thread.
    """
    from algoprof.profiles.merging import merge  # noqa: PLC0415  (imports dataclasses)

    flight = own_flight()
    flights = [flight] if flight is not None else []
    if has_workers():
        pid = os.getpid()
        flights += _families().workers_of((pid, process_start_time(pid)), *_folder())
    found = [profile for one in flights for profile in one.cumulative]
    found += [run for one in flights for run in one.runs if run.outcome in ("open", "killed")]
    return merge(found, name=flight.program if flight is not None else program_name())


def _start() -> RunTable:
    global _table, _flight, _origin  # noqa: PLW0603  (the one recorder of the process)
    with _lock:
        if _table is not None:
            return _table
        if on_start is not None:
            on_start()
        if _origin is None:
            _origin = of_multiprocessing()
        _flight, table = _made()
        activate(table.writer)
        _table = table
        children.at_exit(_at_exit, 10, in_child=close)
        _serve_supervisor()
        _begin_sampling()
        return table


def _serve_supervisor() -> None:
    folder = os.environ.get(STACKS)
    if folder and _flight is not None:
        try:
            from algoprof.recorder import supervised  # noqa: PLC0415  (few are)

            supervised.begin(_flight, folder, beat)
        except Exception:  # noqa: BLE001  (the profiler never breaks the program)
            count_error()


SAMPLER, SAMPLE_RATE = "ALGOPROF_SAMPLER", "ALGOPROF_SAMPLE_RATE"
"""Variables that say whether, and how many times per second, stacks are sampled."""
SAMPLER_CHOICES = ("on", "thread", "off")
DEFAULT_SAMPLE_RATE, HIGHEST_SAMPLE_RATE = 100, 1000


def sample(choice: str, rate: int) -> None:
    """Sample stacks from now on, or no more; from the first recording on, if there was none.

    Args:
        choice: `on`, `thread` or `off`.
        rate: samples per second.
    """
    global _wants_samples
    with _lock:
        before, _wants_samples = _wants_samples, (choice, rate)
        if _table is not None and before != _wants_samples:
            _begin_sampling()


def _begin_sampling() -> None:
    global _sampler  # noqa: PLW0603  (once per process)
    choice, rate = _wants_samples or _asked_for_samples()
    if _table is None or _flight is None or (choice == "off" and _sampler is None):
        return
    try:
        from algoprof.recorder import sampler  # noqa: PLC0415  (few want it)

        _sampler = sampler
        sampler.begin(_table, _flight, count_error, choice, rate)
    except OutOfSpace:
        _flight.count_error()
    except Exception:  # noqa: BLE001  (the profiler never breaks the program)
        count_error()


def sample_if_worker() -> None:
    """Have this process sampled, though it may record nothing itself, if it is a worker that is to be.

    That is one which was started afresh, or which the forkserver will fork, while it imports what it needs. One that
    its parent forks knows of that whether it is sampled.
    """
    if os.environ.get(SAMPLER) in ("on", "thread"):
        if children.is_spawned():
            _sample_worker()
        else:
            children.at_beginning(_sample_worker)


def _asked_for_samples() -> tuple[str, int]:
    """Return what the variables ask for; what they cannot mean is told, and taken for what it is without them."""
    choice = os.environ.get(SAMPLER) or "off"
    if choice not in SAMPLER_CHOICES:
        _log(f"{SAMPLER} is {choice!r:.80}, but it is one of {', '.join(SAMPLER_CHOICES)}; so nothing is sampled")
        choice = "off"
    rate = os.environ.get(SAMPLE_RATE) or str(DEFAULT_SAMPLE_RATE)
    if not (rate.isascii() and rate.isdecimal() and 1 <= int(rate[:5]) <= HIGHEST_SAMPLE_RATE):
        _log(f"{SAMPLE_RATE} is {rate!r:.80}, but it is a whole number from 1 to 1000; so it is {DEFAULT_SAMPLE_RATE}")
        return choice, DEFAULT_SAMPLE_RATE
    return choice, int(rate)


def _made() -> tuple[FlightFile, RunTable]:
    """Make the flight file; where it cannot be made, record in memory, which does not survive a kill, and say so."""
    flight = _made_file()
    try:
        return flight, RunTable(flight, _origin)
    except OutOfSpace:
        flight.remove()
        _warn(os.strerror(errno.ENOSPC))
        flight = FlightFile(None)
        flight.set_origin(_origin)
        return flight, RunTable(flight, _origin)


def _made_file() -> FlightFile:
    path = os.environ.get("ALGOPROF_FLIGHT_FILE")
    try:
        if path and _origin is None:  # else it is the file of the process that started this one
            directory.remove_dead(path)
        else:
            folder = os.path.dirname(path) if path else directory.flight_directory()
            directory.tidy(folder)
            _fold(folder)
            path = os.path.join(folder, f"{os.getpid()}-{process_start_time(os.getpid())}{directory.SUFFIX}")
            directory.keep_former(path)
        flight = FlightFile(path)
    except OSError as error:
        _warn(error)
        flight = FlightFile(None)
    flight.set_origin(_origin)
    return flight


def _warn(reason: object) -> None:
    _log(
        f"no flight file, so a kill will lose the profile: {reason}. Name a writable directory in ALGOPROF_FLIGHT_DIR."
    )
    folder = os.environ.get(STACKS)
    if folder:
        from algoprof.recorder import supervised  # noqa: PLC0415  (few are)

        try:
            supervised.tell_unrecorded(folder, str(reason))
        except OSError:  # there is no room there either, or no supervisor any more
            return


def _log(warning: str) -> None:
    import logging  # noqa: PLC0415  (only trouble needs it)

    logging.getLogger("algoprof").warning("%s", warning)


def beat() -> None:
    """Leave a sign of life: after a kill, open sections are known to have lasted at least until then."""
    if _flight is not None:
        _flight.words[at.HEADER_HEARTBEAT] = monotonic_ns()
    if _table is not None:
        _table.environments.observe()


def count_error() -> None:
    """Count a fault of ours that was kept from the program; under tests, let it be seen instead.

    Call it while the exception is being handled. What is the program's own, such as the timeout that its signal handler
    raises wherever it is at that moment, goes on to the program.
    """
    error = sys.exception()
    if "PYTEST_CURRENT_TEST" in os.environ or (error is not None and _is_the_programs(error)):
        raise  # noqa: PLE0704  (the exception that the caller handles)
    if _flight is not None:
        _flight.count_error()


_OURS = ("algoprof", "builtins", "struct")
_STANDARD_LIBRARY = os.path.dirname(os.__file__) + os.sep


def _is_the_programs(error: BaseException) -> bool:
    """Whether an exception was raised by the program, of a type of its own or in code of its own, and not by us."""
    kind = type(error)
    if kind is TimeoutError or kind.__module__.partition(".")[0] not in _OURS:
        return True
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return False
    module = str(trace.tb_frame.f_globals.get("__name__", ""))
    path = trace.tb_frame.f_code.co_filename
    if module.partition(".")[0] == "algoprof":
        return False
    return not path.startswith((_STANDARD_LIBRARY, "<frozen ")) or "site-packages" in path


def never_raises(function: "F") -> "F":
    """Decorate what the program calls and does not wait for an answer from: a fault of ours is counted instead."""

    def guarded(*args: "Any", **kwargs: "Any") -> "Any":
        try:
            return function(*args, **kwargs)
        except Exception:  # noqa: BLE001  (the profiler never breaks the program)
            count_error()
            return None

    return like(function, guarded)  # type: ignore[return-value]  # it takes and gives the same


def close() -> None:
    """End the implicit run and mark the file: its program came to its end by itself. A second time does nothing.

    The file stays to be read, until so many have piled up that they are folded into the directory's totals.
    """
    global _closed  # noqa: PLW0603  (once per process)
    if _table is None or _flight is None or _closed is _flight:
        return
    _closed = _flight
    if _sampler is not None:
        _sampler.stop()
    if _shares is not None:
        _shares.end()
    run = _table.end_implicit()
    if run is not None:
        if on_implicit_end is not None and not run.part:  # a part is handed on with its run
            on_implicit_end(_table.seconds(run), lambda: run_with_workers(run))
        _table.release(run)
    _table.environments.abandon()
    _flight.finish()
    if _flight.path and directory.process_of(_flight.path):  # not where a user has named a file
        _fold(os.path.dirname(_flight.path), _flight.path)


def _at_exit() -> None:
    close()
    keep_interrupt()


def keep_interrupt() -> None:
    """Have Python end by SIGINT after all, if an uncaught KeyboardInterrupt is why it ends.

    It forgets that when code is compiled from text meanwhile, as importing dataclasses does, and remembers it when
    such code raises.
    """
    if getattr(sys, "last_type", None) is KeyboardInterrupt:
        try:
            exec("raise KeyboardInterrupt")  # noqa: S102  (a constant)
        except KeyboardInterrupt:
            return


@never_raises
def _sample_worker() -> None:
    if (_wants_samples or _asked_for_samples())[0] != "off":
        run_table().implicit_root()


@never_raises
def _fold(folder: str, own: str = "") -> None:
    if directory.has_piled_up(folder):
        from algoprof.recorder import directory_totals  # noqa: PLC0415  (few find anything to fold)

        directory_totals.fold(folder, own)


def _forget() -> None:
    """In a forked child: the parent's file is the parent's; the child makes its own when it first records."""
    global _table, _flight, _lock, _origin, _shares  # noqa: PLW0603  (the one recorder of the process)
    table, _table = _table, None
    _flight = _shares = None
    _lock = RLock()
    if _sampler is not None and _sampler.forget():
        children.at_beginning(_sample_worker)
    if table is not None:
        table.writer.inherited = True
        table.environments.abandon()
    activate(None)
    if table is not None:
        try:
            _origin = of_fork(table)
        except Exception:  # noqa: BLE001  (what is not known of the parent is left out)
            _origin = None


def _wait_for_imports() -> None:
    """Before a fork: let another thread finish what it imports for us, but never wait for long."""
    _lock.acquire(timeout=_FORK_PATIENCE_SECONDS)


def _go_on() -> None:
    """After a fork, in the parent."""
    expect_workers()
    try:
        _lock.release()
    except RuntimeError:  # the wait was too long, so the lock is not ours
        return


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_wait_for_imports, after_in_parent=_go_on, after_in_child=_forget)
