"""How much of a timeout is used, and how much is left."""

from contextvars import ContextVar
from time import monotonic_ns

from algoprof.errors import BudgetExceeded
from algoprof.timeouts import Grant, grant, nanoseconds

current: "ContextVar[Budget | None]" = ContextVar("algoprof.budget", default=None)
"""The budget of the run that was entered last, in each context; see `innermost`."""

_PROGRAM_BEGAN_NS = monotonic_ns()
_INFINITE = float("inf")


class Budget:
    """A timeout, and how much of it is used.

    Made by `profile`, and by sections that have a timeout of their own; asked for with `budget()`. `run` is the name of
    the run, and `section` of the section whose budget it is; that is empty where it is the run's.

    >>> import algoprof
    >>> with algoprof.profile("job", timeout=60) as run:
    ...     0 < run.budget.remaining <= 60
    True
    """

    __slots__ = (
        "_deadline_ns", "around", "began_ns", "ended", "ended_ns", "opener", "run", "section", "source", "timeout",
    )  # fmt: skip

    def __init__(self, run: str, granted: Grant, around: "Budget | None" = None, section: str = "") -> None:
        self.around = around
        self.ended = False
        self.ended_ns = 0
        self.run = run
        self.section = section
        self.opener: object = None
        self.source = granted.source
        self.timeout = granted.timeout_ns / 1e9 if granted.timeout_ns else _INFINITE
        self.began_ns = granted.began_ns
        self._deadline_ns = granted.deadline_ns

    @property
    def elapsed(self) -> float:
        """Seconds since the clock of the timeout began; under a server that is before the run did."""
        return (monotonic_ns() - self.began_ns) / 1e9

    @property
    def remaining(self) -> float:
        """Seconds left, never below 0; `math.inf` without a timeout."""
        return max(0.0, (self._deadline_ns - monotonic_ns()) / 1e9)

    @property
    def used_ratio(self) -> float:
        """The share of the timeout that is used, above 1 when it is exceeded; 0 without a timeout."""
        return self.elapsed / self.timeout

    def check(self) -> None:
        """Do nothing while there is time left.

        Raises:
            BudgetExceeded: if there is none; it names the run, the section and the times. Where what remained around it
                was all that it had, they are those of the run around it.
        """
        if monotonic_ns() < self._deadline_ns:
            return
        around = _open_one(self.around) if self.source == "parent" else None
        if around is not None:
            around.check()
        from algoprof.recorder.process import open_path  # noqa: PLC0415  (not while there is time)

        raise BudgetExceeded(self.run, open_path(), timeout=self.timeout, elapsed=self.elapsed, limited=self.section)

    def end(self) -> None:
        """Stop counting for whoever still runs in the context of a run that is over."""
        self.ended_ns = self.ended_ns or monotonic_ns()
        self.ended = True
        self.around = _open_one(self.around)

    def granted(self) -> Grant | None:
        """Return its timeout, to go on with it in another process; None without one."""
        return Grant(self.source, round(self.timeout * 1e9), self.began_ns) if self.timeout != _INFINITE else None

    def within(self, timeout: float | None) -> Grant:
        """Return what a run inside this one is given: its own timeout, or what remains, whichever is less."""
        now = monotonic_ns()
        own = now + timeout * 1e9 if timeout is not None else _INFINITE
        if own <= self._deadline_ns:
            return Grant("", 0, now) if timeout is None else Grant("argument", nanoseconds(timeout), now)
        return Grant("parent", max(1, int(self._deadline_ns - now)), now)

    def __repr__(self) -> str:
        whose = self.section or self.run or "the program"
        if self.timeout == _INFINITE:
            return f"<Budget of {whose}: no timeout>"
        return f"<Budget of {whose}: {self.elapsed:.3f} s of {self.timeout:g} s, from {self.source}>"


def innermost() -> Budget | None:
    """Return the innermost open run's budget; None outside every run. A task may outlive the run it began in."""
    return _open_one(current.get())


def _open_one(found: Budget | None) -> Budget | None:
    while found is not None and found.ended:
        found = found.around
    return found


def budget() -> Budget:
    """Return the innermost run's budget; outside every run, what the server or the environment says.

    Never None: where there is no timeout, `remaining` is `math.inf`.

    >>> budget().remaining
    inf
    """
    return innermost() or Budget("", grant(None, _PROGRAM_BEGAN_NS))
