"""What an author writes around an entry point: `profile` opens a run, with its budget."""

from contextvars import ContextVar
from time import monotonic_ns

from algoprof import budgets, timeouts, watcher
from algoprof.budgets import Budget
from algoprof.recorder import process
from algoprof.recorder.cold import is_harmless
from algoprof.recorder.run_table import RunFacts
from algoprof.run_delivery import hand_on
from algoprof.run_options import RunOptions
from algoprof.sections import DISABLED, caller
from algoprof.timeouts import Grant
from algoprof.wrapping import wrap

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType
    from typing import Any, Protocol, overload

    from algoprof.profiles.tree import Profile
    from algoprof.recorder.origins import Place
    from algoprof.recorder.run_table import RunState
    from algoprof.recorder.shares import Share
    from algoprof.recorder.writer import Occurrence
    from algoprof.sections import F
    from algoprof.watcher import Threshold


class Run:
    """One execution of a profiled entry point, while it is open and after.

    Args:
        name: what it is called.
        granted: the timeout it is given.
    """

    def __init__(self, name: str, granted: "Grant", opener: "Profiled | None") -> None:
        self.name = name
        self.opener = opener
        self.budget = Budget(name, granted, budgets.innermost())
        self.threshold = 0.0
        """The highest share of the timeout that was noticed to be used; 0 before the first threshold."""
        self.thresholds: tuple[float, ...] = watcher.THRESHOLDS
        self.on_threshold: Callable[[Threshold], object] | None = None
        self.keeps_profile = False
        """Whether its profile is taken when it ends, so that `snapshot` gives it for ever after."""
        self._around = _innermost()
        self._is_outermost = self._around is None
        self._inside: tuple[Run | None, Budget | None] = (self, self.budget)  # the innermost when it was suspended
        self._profile: Profile | None = None
        self._section: Occurrence | None = None  # what it is in the run around it
        self._state: RunState | None = None

    @property
    def around(self) -> "Run | None":
        """The nearest run around it that is open."""
        return _open_one(self._around)

    @property
    def ended(self) -> bool:
        """Whether it is over."""
        return self.budget.ended

    def snapshot(self) -> "Profile":
        """Return this run's profile: while it is open, as it is at this moment; from any thread.

        What other processes have recorded of it is part of it, if `propagate` or a fork took the run there.

        Raises:
            RuntimeError: if there is none: `ALGOPROF_DISABLED` is set, too many runs are open at once, or it is the
                parent process's run.
        """
        if self._profile is not None:
            return self._profile
        found = process.run_with_workers(self._state) if self._state is not None else None
        if found is None:
            raise RuntimeError(
                f"the run {self.name!r} has no profile: ALGOPROF_DISABLED is set, too many runs are open at once,"
                " or it was opened in another process"
            )
        return found

    @process.never_raises
    def record(
        self,
        granted: "Grant",
        attributes: dict[str, object] | None,
        place: tuple[str, int],
        options: "RunOptions",
    ) -> None:
        """Open it in the recorder. Inside another run it is also one of that run's sections."""
        table = process.run_table()
        facts = RunFacts(self.name)
        facts.allocations = options.allocations
        facts.module, facts.line = place
        facts.timeout_ns, facts.source = granted.timeout_ns, granted.source
        facts.spent_ns = max(0, monotonic_ns() - granted.began_ns) if granted.timeout_ns else 0
        facts.request_id = granted.request_id
        facts.run_id, facts.parent_span = _trace(granted.traceparent)
        around = self._around._state if self._around is not None else None  # noqa: SLF001  (another Run)
        if around is not None and around.writer is table.writer:
            facts.parent_id = table.run_id(around)
            self._section = table.writer.enter(table.name(self.name, *place))
        elif around is not None:  # a forked worker's: it stands in the run that was open at the fork
            facts.parent_id = around.run_id
            self._section = table.writer.enter(table.name(self.name, *place))
        self._state = table.open(facts, attributes)

    def enter(self) -> None:
        """Make it the context's innermost run."""
        _current.set(self)
        budgets.current.set(self.budget)

    def end(self, error: BaseException | None) -> None:
        """End it, and hand its profile on. A second time does nothing."""
        if self.ended:
            return
        if error is not None and is_harmless(error):
            error = None
        self.budget.end()
        self._around = _open_one(self._around)
        if _current.get() is self:
            self._step_out()
        try:
            state = self._state
            if state is not None and not state.writer.inherited:
                self._end(state, error)
        except Exception:  # noqa: BLE001  (the profiler never breaks the program)
            process.count_error()

    def _end(self, state: "RunState", error: BaseException | None) -> None:
        table = state.writer.runs
        table.end(state, error)
        try:
            if self._section is not None:
                table.writer.leave(self._section, error)
            if state.shared:
                return  # it has no tree of its own
            if self.keeps_profile:
                self._profile = self.snapshot()
            hand_on(
                table.seconds(state),
                self.snapshot,
                outermost=self._is_outermost,
                failed=error is not None,
                threshold_reached=self.threshold > 0,
            )
        finally:
            table.release(state)

    def time_steps(self, *, generator: bool) -> None:
        """Expect it to be suspended and resumed."""
        if self._state is not None:
            self._state.writer.time_steps(self._state.root, generator=generator)

    def suspend(self) -> None:
        """Give the context back to the caller of a generator or coroutine."""
        if self._state is not None:
            self._state.writer.suspend(self._state.root)
        self._inside = _current.get(), budgets.current.get()
        self._step_out()

    def resume(self) -> None:
        """Take the context again."""
        self._around = _innermost()
        self.budget.around = budgets.innermost()
        run, budget = self._inside
        _current.set(run)
        budgets.current.set(budget)
        if self._state is not None:
            self._state.writer.resume(self._state.root)

    def set_alarm(self, ratio: float, due_ns: int) -> None:
        """Have a share of the timeout told of even if no Python code can run at that moment of the monotonic clock."""
        if self._state is not None and not self._state.writer.inherited:
            self._state.writer.runs.set_alarm(self._state, ratio, due_ns)

    def mark_threshold(self, ratio: float) -> bool:
        """Note, here and in the flight file, that this share of the timeout is used; return whether to tell."""
        self.threshold = ratio
        if self._state is None or self._state.writer.inherited:
            return True
        return self._state.writer.runs.mark_threshold(self._state, ratio)

    def stand_in(self, state: "RunState") -> None:
        """Be a share of a run that another process opened."""
        self._around = None
        self._state = state

    def _step_out(self) -> None:
        _current.set(self._around)
        budgets.current.set(self.budget.around)

    def __repr__(self) -> str:
        return f"<Run {self.name!r}, {self.budget!r}>"


_current: "ContextVar[Run | None]" = ContextVar("algoprof.run", default=None)


def work_on_share(place: "Place | None", granted: "Grant | None") -> "Callable[[], None]":
    """Stand where another process stood when it handed work on, in its run and with its budget; return how to end that.

    Args:
        place: the node there; None if nothing is recorded.
        granted: the budget there; None without one.
    """
    share = _enter_share(place) if place is not None and not DISABLED else None
    run = Run(place.run_name if place is not None else "", granted or Grant("", 0, monotonic_ns()), None)
    if share is not None:
        run.stand_in(share.state)
    if granted is not None or share is not None:
        run.enter()

    def end() -> None:
        run.budget.end()
        if share is not None:
            process.shares().leave(share)

    return end


@process.never_raises
def _enter_share(place: "Place") -> "Share | None":
    return process.shares().enter(place)


def _innermost() -> Run | None:
    """Return the calling context's innermost open run: a task may outlive the run that it began in."""
    return _open_one(_current.get())


def _open_one(run: Run | None) -> Run | None:
    """Return a run, or the nearest one around it that is open."""
    while run is not None and run.ended:
        run = run._around  # noqa: SLF001  (a function of Run's own)
    return run


class Profiled:
    """What `profile` returns: it opens a run each time it is entered, or the decorated function is called."""

    __slots__ = ("_attributes", "_entered", "_name", "_options", "_place", "_timeout")

    def __init__(
        self,
        name: str,
        timeout: float | None = None,
        attributes: dict[str, object] | None = None,
        place: tuple[str, int] = ("", 0),
        options: RunOptions = RunOptions(),  # noqa: B008  (never changed)
    ) -> None:
        self._options = options
        self._name = name
        self._timeout = timeout
        self._attributes = attributes
        self._place = place
        self._entered: list[Run] = []

    def __enter__(self) -> Run:
        run = self.enter()
        run.keeps_profile = True
        self._entered.append(run)
        return run

    def __exit__(self, kind: object, error: BaseException | None, traceback: "TracebackType | None") -> None:
        run = _innermost()
        while run is not None and run.opener is not self:
            run = run.around
        if run is None and self._entered:  # it was entered in another context
            run = self._entered[-1]
        if run is not None and run in self._entered:
            self._entered.remove(run)
            run.end(error)

    async def __aenter__(self) -> Run:
        return self.__enter__()

    async def __aexit__(self, kind: object, error: BaseException | None, traceback: "TracebackType | None") -> None:
        self.__exit__(kind, error, traceback)

    def __call__(self, function: "F") -> "F":
        """Decorate a function: each call is a run.

        Raises:
            TypeError: if it is no function; a class has many entry points, so decorate the method that is one.
        """

        def scope(name: str, module: str, line: int) -> "Profiled":
            return Profiled(self._name or name, self._timeout, self._attributes, (module, line), self._options)

        return wrap(function, scope, whole_class=False)  # type: ignore[no-any-return]

    def enter(self) -> Run:
        """Open a run, and make it the context's innermost."""
        if not DISABLED:
            _start_recorder()  # before the clock: what that costs the first run is not its own
        outer = budgets.innermost()
        granted = timeouts.grant(self._timeout, monotonic_ns()) if outer is None else outer.within(self._timeout)
        run = Run(self._name, granted, self)
        if not DISABLED:
            run.record(granted, self._attributes, self._place, self._options)
        run.enter()
        run.thresholds, run.on_threshold = self._options.thresholds, self._options.on_threshold
        if granted.timeout_ns and (outer is None or run.budget.remaining):  # else the outer one is told of
            _watch(run)
        return run

    def leave(self, run: Run | None, error: BaseException | None) -> None:
        """End what `enter` opened."""
        if run is not None:
            run.end(error)

    @process.never_raises
    def time_steps(self, run: Run, *, generator: bool) -> None:
        """Expect a run to be suspended and resumed."""
        run.time_steps(generator=generator)

    @process.never_raises
    def suspend(self, run: Run) -> None:
        """Give the context back to the caller of a generator or coroutine."""
        run.suspend()

    @process.never_raises
    def resume(self, run: Run) -> None:
        """Take the context again."""
        run.resume()

    def __repr__(self) -> str:
        return f"profile({self._name!r})"


if TYPE_CHECKING:

    class ProfileFactory(Protocol):
        """What `profile` is to a type checker."""

        @overload
        def __call__(self, name: str = "", /, *, timeout: float | None = None, **attributes: object) -> Profiled: ...

        @overload
        def __call__(self, name: F, /) -> F: ...

        def with_options(
            self,
            *,
            allocations: bool = False,
            thresholds: Iterable[float] = watcher.THRESHOLDS,
            on_threshold: Callable[[Threshold], object] | None = None,
        ) -> "ProfileFactory":
            """Return a `profile` that measures more, or tells of other thresholds."""

    profile: ProfileFactory


def profile(  # type: ignore[no-redef]  # a type checker sees the factory, with its options
    name: "Any" = "", /, *, timeout: float | None = None, **attributes: object
) -> "Any":
    """Open a run: one execution of an entry point, with a budget and a profile of its own.

    Use it as `with profile("job", timeout=60) as run:`, as `async with`, as `@profile(timeout=60)`, or as a bare
    `@profile`; the decorated function's qualified name is then the run's.

    Args:
        name: what to call the run; or the function to decorate.
        timeout: the budget in seconds. Without it the budget is what the server or `ALGOPROF_TIMEOUT` says; inside
            another run it is never more than what remains there.
        attributes: kept with the run: text, numbers and booleans, within limits.

    Raises:
        ConfigurationError: if the timeout is not a positive number.
        TypeError: if `name` is neither a name nor a function.

    >>> from algoprof import profile
    >>> with profile("job", timeout=60) as run:
    ...     pass
    >>> run.snapshot().name, run.snapshot().timeout
    ('job', 60.0)
    """
    return _profiled(name, timeout, attributes)


def _with_options(
    *,
    allocations: bool = False,
    thresholds: "Iterable[float]" = watcher.THRESHOLDS,
    on_threshold: "Callable[[Threshold], object] | None" = None,
    **unknown: object,
) -> "Any":
    """Return a `profile` that measures more, or tells of other thresholds; it is used as `profile` is.

    Args:
        allocations: whether to trace what Python allocates, with `tracemalloc`, which slows the run down. The peak is
            in `Profile.allocation_peak`: over what was allocated when the run began, by the whole process.
        thresholds: the shares of the timeout, above 0 and at most 1, at which a warning says what is open.
        on_threshold: is called then, in a thread of its own, with a `Threshold`: `run`, `ratio` and `late_by`, the
            seconds since that moment. What it raises is logged.
        unknown: none of them is known.

    Raises:
        ConfigurationError: if a threshold is not such a share.
        TypeError: if there is no such option.

    >>> from algoprof import profile
    >>> with profile.with_options(allocations=True)("job") as run:
    ...     held = bytearray(1_000_000)
    >>> run.snapshot().allocation_peak > 1_000_000
    True
    """
    if unknown:
        known = "it has allocations, thresholds and on_threshold, and timeout as an argument"
        raise TypeError(f"profile has no option {', '.join(unknown)}; {known}")
    options = RunOptions(allocations=allocations, thresholds=thresholds, on_threshold=on_threshold)
    if options.are_default:
        return profile
    if allocations:
        with process.importing():
            import algoprof.recorder.allocations  # noqa: F401, PLC0415  (few runs ask for them)

    def with_options(name: "Any" = "", /, *, timeout: float | None = None, **attributes: object) -> "Any":
        return _profiled(name, timeout, attributes, options)

    return with_options


profile.with_options = _with_options  # type: ignore[method-assign]


def _profiled(
    name: "Any",
    timeout: float | None,
    attributes: dict[str, object],
    options: RunOptions = RunOptions(),  # noqa: B008
) -> "Any":
    seconds = timeouts.checked(timeout)
    if isinstance(name, str):
        return Profiled(str(name), seconds, attributes or None, caller(3), options)
    return Profiled("", seconds, attributes or None, ("", 0), options)(name)


@process.never_raises
def _start_recorder() -> None:
    process.run_table()


@process.never_raises  # no thread may be to be had, or the program is ending
def _watch(run: Run) -> None:
    watcher.watch(run)


def _trace(traceparent: str) -> tuple[bytes, int]:
    """Return the trace id and the caller's span of a W3C trace context; nothing if it is none."""
    parts = traceparent.split("-")
    try:
        trace, span = bytes.fromhex(parts[1]), int(parts[2], 16)
    except (IndexError, ValueError):
        return b"", 0
    return (trace, span) if len(trace) == 16 and any(trace) and 0 < span < 2**64 else (b"", 0)
