"""Work handed to another thread or process, and still counted where it was asked for: `propagate`."""

import os
import time
from contextvars import Context, copy_context
from time import monotonic_ns

from algoprof import budgets
from algoprof.likeness import like, within_partials
from algoprof.recorder import process
from algoprof.recorder.flight import boot_id
from algoprof.recorder.origins import Place
from algoprof.runs import work_on_share
from algoprof.sections import DISABLED
from algoprof.timeouts import Grant

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator
    from typing import Any, ParamSpec, TypeVar

    P = ParamSpec("P")
    R = TypeVar("R")

_GENERATOR, _COROUTINE = 0x20, 0x80  # flags of a code object


class Propagated:
    """What `propagate` returns: the function, and where it was handed on. It can be pickled where the function can.

    Args:
        function: what to call.
        handover: where it was handed on.
    """

    def __init__(self, function: "Callable[..., Any]", handover: "Handover") -> None:
        like(function, self)
        self._function = function
        self._handover = handover

    def __call__(self, *args: "Any", **kwargs: "Any") -> "Any":
        """Call the function where it was handed on."""
        flags = _code_flags(self._function)
        if flags & _COROUTINE:
            return _coroutine(self._handover, self._function, args, kwargs)
        if flags & _GENERATOR:
            return _generator(self._handover, self._function, args, kwargs)
        visit = self._handover.begin()
        try:
            return visit.context.run(self._function, *args, **kwargs)
        finally:
            visit.end()

    def __reduce__(self) -> "tuple[Any, ...]":
        process.expect_workers()
        return _received, (self._function, *self._handover.state())

    def __repr__(self) -> str:
        return f"propagate({self._function!r})"


class Handover:
    """Where work was handed on.

    Args:
        place: the node; None if nothing is recorded.
        granted: the budget there; None without one.
        context: the context it was handed on in; None in another process.
    """

    def __init__(self, place: Place | None, granted: Grant | None, context: Context | None) -> None:
        self.place = place
        self.granted = granted
        self.context = context
        self.pid = os.getpid()

    def begin(self) -> "Visit":
        """Return a context to do a piece of the work in."""
        if self.context is not None and self.pid == os.getpid():
            return Visit(self.context.copy(), None)
        context = copy_context()
        return Visit(context, context.run(work_on_share, self.place, self.granted))

    def state(self) -> "tuple[Any, ...]":
        """Return it as plain values, with the moment, so that another machine's clocks can be told apart."""
        place, granted = self.place, self.granted
        return (
            (place.run_id, place.run_name, place.path, place.span) if place is not None else None,
            (granted.source, granted.timeout_ns, granted.began_ns, granted.request_id) if granted is not None else None,
            (boot_id(), monotonic_ns(), time.time_ns()),
        )


class Visit:
    """One piece of work that was handed on, while it is done.

    Args:
        context: what it is done in.
        end: what to call when it is done, in another process than it was handed on in.
    """

    def __init__(self, context: Context, end: "Callable[[], None] | None") -> None:
        self.context = context
        self._end = end

    def end(self) -> None:
        """Say that it is done. A second time does nothing."""
        end, self._end = self._end, None
        if end is not None:
            end()


def propagate(function: "Callable[P, R]") -> "Callable[P, R]":
    """Return a function whose sections stand below the section that is open now, in whatever thread or process it runs.

    `asyncio.create_task`, `asyncio.gather` and `asyncio.to_thread` do this by themselves; `threading.Thread`,
    executors, `loop.run_in_executor`, `multiprocessing` and `os.fork` do not. The budget of the open run goes along.

    What it returns can be pickled where the function can. A coroutine function stays one to await, a generator
    function one to iterate over: each of their steps stands below that section too.

    >>> from concurrent.futures import ThreadPoolExecutor
    >>> from algoprof import profile, propagate, section
    >>> with ThreadPoolExecutor() as pool, profile("job") as run:
    ...     _ = list(pool.map(propagate(section("square")(lambda n: n * n)), range(3)))
    >>> run.snapshot().node("job", "square").count
    3
    """
    budget = budgets.innermost()
    handover = Handover(_place(), budget.granted() if budget is not None else None, copy_context())
    return Propagated(function, handover)


@process.never_raises
def _place() -> Place | None:
    return None if DISABLED else process.place()


def _received(
    function: "Callable[..., Any]",
    place: "tuple[bytes, str, tuple[str, ...], int] | None",
    granted: "tuple[str, int, int, str] | None",
    moment: tuple[bytes, int, int],
) -> Propagated:
    """Make it again in the process that it was sent to."""
    found = None
    if granted is not None:
        source, timeout_ns, began_ns, request_id = granted
        boot, monotonic_then, wall_then = moment
        if boot != boot_id():  # another machine, whose monotonic clock is another
            began_ns += monotonic_ns() - monotonic_then - (time.time_ns() - wall_then)
        found = Grant(source, timeout_ns, began_ns)
        found.request_id = request_id
    return Propagated(function, Handover(Place(*place) if place is not None else None, found, None))


def _code_flags(function: object) -> int:
    return getattr(getattr(within_partials(function), "__code__", None), "co_flags", 0)


def _generator(
    handover: Handover, function: "Callable[..., Any]", args: "tuple[Any, ...]", kwargs: "dict[str, Any]"
) -> "Generator[Any, Any, Any]":
    """Run a generator, or the steps of a coroutine, where it was handed on."""
    visit = handover.begin()
    run = visit.context.run
    try:
        steps = run(function, *args, **kwargs)
        try:
            item = run(steps.send, None)
            while True:
                try:
                    sent = yield item
                except GeneratorExit:
                    run(steps.close)
                    raise
                except BaseException as error:  # noqa: BLE001  (whatever is thrown in goes on)
                    item = run(steps.throw, error)
                else:
                    item = run(steps.send, sent)
        except StopIteration as stop:
            return stop.value
    finally:
        visit.end()


class _Steps:
    """Awaits a generator's items."""

    def __init__(self, steps: "Generator[Any, Any, Any]") -> None:
        self._steps = steps

    def __await__(self) -> "Generator[Any, Any, Any]":
        return self._steps


def _coroutine(
    handover: Handover, function: "Callable[..., Any]", args: "tuple[Any, ...]", kwargs: "dict[str, Any]"
) -> "Coroutine[Any, Any, Any]":
    async def awaited() -> "Any":
        return await _Steps(_generator(handover, function, args, kwargs))

    return awaited()
