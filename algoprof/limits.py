"""Sections with a budget of their own: `section.with_options(timeout=2)`."""

import sys
from time import monotonic_ns

from algoprof import budgets, timeouts
from algoprof.budgets import Budget
from algoprof.measuring import MeasuredSection, Options
from algoprof.sections import DISABLED, caller
from algoprof.wrapping import wrap

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any, Self

    from algoprof.recorder.writer import Occurrence
    from algoprof.sections import F, SectionFactory

_frame = sys._getframe  # noqa: SLF001  (what inspect.currentframe does)


def limited(timeout: float, options: Options) -> "SectionFactory":
    """Return a `section` whose occurrences have a budget each; see `section.with_options`.

    Args:
        timeout: seconds.
        options: what they measure.

    Raises:
        ConfigurationError: if the timeout is not a positive number of seconds.
    """
    seconds = timeouts.checked(timeout) or 0.0

    def section(name: "Any", /, **attributes: object) -> "Any":
        if isinstance(name, str):
            return LimitedSection(str(name), attributes or None, caller(2), options, seconds)
        if attributes:
            raise TypeError('to decorate with attributes, give the section a name: @limited("name", key=value)')
        return wrap(name, lambda called, module, line: LimitedSection(called, None, (module, line), options, seconds))

    return section  # type: ignore[return-value]  # whoever asked for it gives it its options


class LimitedSection(MeasuredSection):
    """A section with a budget: inside it `budget()` returns that.

    Args:
        name: what it is called.
        attributes: kept with a sample of its occurrences.
        place: the module and line where it is written.
        options: what it measures.
        timeout: seconds.
    """

    __slots__ = ("_timeout",)

    def __init__(
        self,
        name: str,
        attributes: dict[str, object] | None,
        place: tuple[str, int],
        options: Options,
        timeout: float,
    ) -> None:
        super().__init__(name, attributes, place, options)
        self._timeout = timeout

    def __enter__(self) -> "Self":
        if not DISABLED:
            self._open_in(_frame(1), measured=self._options.measures)
        self._begin()
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: "TracebackType | None") -> None:
        _end(self._own())
        if not DISABLED:
            self._close_in(_frame(1), error)

    async def __aenter__(self) -> "Self":
        if not DISABLED:
            self._open_in(_frame(1), measured=False)
        self._begin()
        return self

    async def __aexit__(self, kind: object, error: BaseException | None, traceback: "TracebackType | None") -> None:
        _end(self._own())
        if not DISABLED:
            self._close_in(_frame(1), error)

    def __reduce__(self) -> "tuple[object, ...]":
        return LimitedSection, (self.name, self.attributes, self.place, self._options, self._timeout)

    def __call__(self, function: "F") -> "F":
        """Decorate a function, under this section's name."""
        return wrap(  # type: ignore[no-any-return]
            function,
            lambda _, module, line: LimitedSection(
                self.name, self.attributes, (module, line), self._options, self._timeout
            ),
            whole_class=False,
        )

    def set(self, **attributes: object) -> None:
        """Add attributes to the innermost open occurrence of this section in the calling context."""
        if not DISABLED:
            super().set(**attributes)

    def enter(self) -> "_Visit":  # type: ignore[override]  # what is opened is nobody's business but this class's
        """Open an occurrence with its budget, and return both."""
        return _Visit(None if DISABLED else super().enter(), self._begin())

    def leave(self, visit: "_Visit | None", error: BaseException | None) -> None:  # type: ignore[override]
        """Close what `enter` opened."""
        if visit is not None:
            _end(visit.limit)
        if not DISABLED:
            super().leave(visit.occurrence if visit is not None else None, error)

    def time_steps(self, visit: "_Visit", *, generator: bool) -> None:  # type: ignore[override]
        """Expect an occurrence to be suspended and resumed."""
        if not DISABLED:
            super().time_steps(visit.occurrence, generator=generator)

    def suspend(self, visit: "_Visit") -> None:  # type: ignore[override]
        """Give the context back to the caller of a generator or coroutine."""
        if not DISABLED:
            super().suspend(visit.occurrence)
        visit.inside = budgets.current.get()
        budgets.current.set(visit.limit.around)

    def resume(self, visit: "_Visit") -> None:  # type: ignore[override]
        """Take the context again."""
        visit.limit.around = budgets.innermost()
        budgets.current.set(visit.inside)
        if not DISABLED:
            super().resume(visit.occurrence)

    def _begin(self) -> Budget:
        """Make its budget the context's innermost one."""
        around = budgets.innermost()
        now = monotonic_ns()
        granted = around.within(self._timeout) if around is not None else timeouts.grant(self._timeout, now)
        if granted.source == "argument":
            granted.source = "section"
        limit = Budget(around.run if around is not None else "", granted, around, section=self.name)
        limit.opener = self
        budgets.current.set(limit)
        return limit

    def _own(self) -> Budget | None:
        """Return the innermost budget that this section opened in the calling context."""
        found = budgets.innermost()
        while found is not None and (found.opener is not self or found.ended):
            found = found.around
        return found


class _Visit:
    """One occurrence of a decorated function's section.

    Args:
        occurrence: the open one; None if nothing is recorded.
        limit: its budget.
    """

    __slots__ = ("inside", "limit", "occurrence")

    def __init__(self, occurrence: "Occurrence | None", limit: Budget) -> None:
        self.occurrence = occurrence
        self.limit = limit
        self.inside: Budget | None = limit  # the innermost budget in there, when it was suspended


def _end(limit: Budget | None) -> None:
    if limit is not None:
        limit.end()
        if budgets.current.get() is limit:
            budgets.current.set(limit.around)
