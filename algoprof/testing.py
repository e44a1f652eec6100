"""For the tests of those who extend algoprof: whether an exporter of theirs does what delivery relies on."""

import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager, suppress
from dataclasses import fields
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, get_args

from algoprof.errors import AlgoprofError
from algoprof.exporters.protocol import Context, Exporter, ExporterFactory
from algoprof.profiles.batch import Batch, CallInFlight
from algoprof.profiles.builds import Build
from algoprof.profiles.calls import Call, Outcome
from algoprof.profiles.histogram import Histogram
from algoprof.profiles.samples import Frame, Sample
from algoprof.profiles.tree import Node, Profile, RunOutcome, Span
from algoprof.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

T = TypeVar("T")

HOSTILE_NAMES = (
    "",
    "a/b;c|d",
    'quote" \\ `tick`',
    "two\nlines\r",
    "nul \0, escape \x1b[2J, C1 \x85",
    "\u202eturned round",
    "</script><script>",
    "\udcff alone",
    "日本 \U0001f600",
    "x" * 100_000,
)
"""Names that sections, attributes and runs may have: none of them may fail a batch."""

_START = 1_700_000_000 * 10**9
_RUN_ID = "0af7651916cd43dd8448eb211c80319c"


def example_batch() -> Batch:
    """Return a batch with a bit of everything: runs and calls that ended in every way, hostile names, a build.

    >>> sorted({profile.outcome for profile in example_batch().profiles})
    ['error', 'killed', 'merged', 'ok', 'open']
    """
    runs = tuple(_run(outcome, number) for number, outcome in enumerate(get_args(RunOutcome)))
    hostile = tuple(_run("ok", 100 + number, name) for number, name in enumerate(HOSTILE_NAMES))
    calls = tuple(
        Call(f"demo/Routes/{number}.0.0", _START, 2 * 10**9, outcome, duration_ns=None if number % 2 else 10**9)
        for number, outcome in enumerate(get_args(Outcome))
    )
    return Batch(
        profiles=(*runs, *hostile, Profile("nothing recorded", ())),
        calls=(*calls, *(Call(name, _START, 0, "refused", message=name) for name in HOSTILE_NAMES)),
        open_runs=(_run("open", 200),),
        calls_in_flight=(CallInFlight("demo/Routes", 10**9, 300.0),),
        builds=(Build("demo/Routes", "b1", "failed", started_ns=_START, finished_ns=_START + 10**9),),
    )


def check_exporter(factory: ExporterFactory, *, settings: Settings | None = None, patience: float = 30.0) -> None:
    """Check that an exporter does what delivery relies on; use it as a test.

    It is made twice, as after a second `configure` or a fork, and used as delivery uses it, on a thread of its own: it
    takes empty batches, `example_batch`, and each record of it alone; changes nothing in them; prints nothing to
    stdout and stays in the working directory, which belong to the program; lets go by the deadline of `shutdown`, and
    may be shut down twice; and leaves no thread behind that keeps a program from ending. Where it cannot deliver it may
    raise an `AlgoprofError` that says why; anything else that it raises is a defect.

    Args:
        factory: what an entry point of group `algoprof.exporters` would name, such as the class.
        settings: what it is made with; the defaults if not given.
        patience: seconds for each step; an exporter that needs more counts as one that hangs.

    Raises:
        AssertionError: if it does not; the message says what.

    >>> class Forgetful:
    ...     def __init__(self, context): pass
    ...     def export(self, batch): pass
    ...     def shutdown(self, deadline): pass
    >>> check_exporter(Forgetful)
    """
    batch = example_batch()
    with _nothing_left_behind():
        for _ in range(2):
            context = Context(settings or Settings(), current=example_batch, family="test")
            exporter = _within(patience, "it was not made", partial(factory, context))
            if not isinstance(exporter, Exporter):
                raise AssertionError(f"it made a {type(exporter).__name__}, which has no export() and shutdown()")  # noqa: TRY004
            for each in (Batch(), batch, *_one_by_one(batch)):
                _within(patience, "export() did not return", partial(_export, exporter, each))
            if batch != example_batch():
                raise AssertionError("it changed the batch, which other exporters get as well")
            for _ in range(2):
                _shut_down(exporter, patience)


def _run(outcome: RunOutcome, number: int, name: str = "routes") -> Profile:
    """Return a run whose section carries the name, too."""
    is_open = outcome in ("open", "killed")
    spans = (
        Span("first", _START, _START + 10**9, 2, 1, thread=7, attributes={name: name, "n": 2**70, "x": float("inf")}),
        Span("failed", _START + 10**9, _START + 2 * 10**9, 3, 1, thread=8, error="ValueError"),
    )
    load = Node(
        name,
        2,
        closed_ns=2 * 10**9,
        shortest_ns=10**9,
        longest_ns=10**9,
        errors=1,
        histogram=Histogram(((186, 2),)),
        spans=spans,
        concurrent=bool(number % 2),
    )
    root = Node(
        name,
        int(not is_open),
        closed_ns=0 if is_open else 3 * 10**9,
        open_count=int(is_open),
        open_ns=3 * 10**9 if is_open else 0,
        nested_ns=2 * 10**9,
        spans=(Span("open" if is_open else "first", _START, _START + 3 * 10**9, 1),),
        children=(load,),
    )
    return Profile(
        name,
        (root,),
        outcome=outcome,
        run_id="" if outcome == "merged" else f"{int(_RUN_ID, 16) + number:032x}",
        started_ns=_START,
        duration_ns=3 * 10**9,
        timeout=None if number % 3 else 10.0,
        runs=2 if outcome == "merged" else 1,
        failed_runs=int(outcome == "error"),
        pid=4242,
        program=name,
        samples=(Sample((name, name), (Frame(name, "routes.py", 7),), 3),),
        sample_interval_ns=10**7,
        sampler="signal",
    )


def _one_by_one(batch: Batch) -> "Iterator[Batch]":
    """Yield batches of one record each, which say which one an exporter cannot take."""
    for field in fields(batch):
        records = getattr(batch, field.name)
        for record in records if isinstance(records, tuple) else ():
            only: dict[str, Any] = {field.name: (record,)}
            yield Batch(**only)


def _export(exporter: Exporter, batch: Batch) -> None:
    with suppress(AlgoprofError):
        exporter.export(batch)


def _shut_down(exporter: Exporter, patience: float) -> None:
    deadline = time.monotonic() + patience / 2
    _within(patience, "shutdown() did not return", lambda: exporter.shutdown(deadline))
    late = time.monotonic() - deadline
    if late > 0:
        raise AssertionError(f"shutdown() returned {late:.1f} s after its deadline")


def _within(patience: float, otherwise: str, work: Callable[[], T]) -> T:
    """Do something on a thread, as delivery does, and return what comes of it."""
    done: dict[str, Any] = {}

    def run() -> None:
        try:
            done["result"] = work()
        except BaseException as error:  # noqa: BLE001  (raised again by whoever waits)
            done["error"] = error

    thread = threading.Thread(target=run, name="check_exporter", daemon=True)
    thread.start()
    thread.join(patience)
    if thread.is_alive():
        raise AssertionError(f"{otherwise} within {patience:g} s")
    if "error" in done:
        raise AssertionError(f"it raised {type(done['error']).__name__}: {done['error']}") from done["error"]
    result: T = done["result"]
    return result


@contextmanager
def _nothing_left_behind() -> "Iterator[None]":
    before, folder = set(threading.enumerate()), os.getcwd()  # noqa: PTH109  (compared, not used)
    stdout = sys.stdout
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="backslashreplace") as caught:
        sys.stdout = caught
        try:
            yield
        finally:
            sys.stdout = stdout
        printed = caught.tell()
    if printed:
        raise AssertionError("it printed to stdout, which belongs to the program: use stderr, or logging")
    if os.getcwd() != folder:  # noqa: PTH109
        raise AssertionError("it changed the working directory, which belongs to the program")
    left = [thread.name for thread in set(threading.enumerate()) - before if thread.is_alive() and not thread.daemon]
    if left:
        raise AssertionError(f"it left threads that keep a program from ending: {', '.join(left)}")
