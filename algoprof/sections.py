"""What an author writes around a stretch of code: `section`."""

import os
import sys

from algoprof.recorder import process
from algoprof.recorder.writer import NoSectionBase, Occurrence, SectionBase, Writer, quickened
from algoprof.wrapping import wrap

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Protocol, TypeVar, overload

    F = TypeVar("F", bound="Callable[..., Any] | staticmethod[..., Any] | classmethod[Any, ..., Any]")

DISABLED = os.environ.get("ALGOPROF_DISABLED", "") not in ("", "0")
"""Set by `ALGOPROF_DISABLED=1`: nothing is recorded, and budgets still hold."""

_NAMED_LIMIT = 4096
_named: "dict[str, Section]" = {}


class Section(SectionBase):
    """A named stretch of code: a context manager, with and without `async`, and a decorator.

    One object may be used any number of times, nested in itself and in many threads and tasks at once: what is open
    belongs to the context that opened it, not to this object.
    """

    __slots__ = ()

    def resolve(self) -> "Writer":
        """Return this process's writer, and learn what number it has for the name."""
        writer = process.run_table().writer
        number = writer.flight.name(self.name, *self.place)
        self.bind(writer, number)
        if self.attributes and self.name in _named:
            _named[self.name].bind(writer, number)  # from which the next one with attributes learns it
        return writer

    fault = staticmethod(process.count_error)

    def __reduce__(self) -> "tuple[object, ...]":
        return Section, (self.name, self.attributes, self.place)

    def __call__(self, function: "F") -> "F":
        """Decorate a function, under this section's name.

        >>> import algoprof
        >>> @algoprof.section("greeting")
        ... def greet(name):
        ...     return f"Hello, {name}"
        >>> greet("world")
        'Hello, world'
        """
        return wrap(  # type: ignore[no-any-return]
            function, lambda _, module, line: Section(self.name, self.attributes, (module, line)), whole_class=False
        )

    @process.never_raises
    def set(self, **attributes: object) -> None:
        """Add attributes to the innermost open occurrence of this section in the calling context.

        >>> import algoprof
        >>> with algoprof.section("infer", model="v3") as s:
        ...     s.set(labels=12)
        """
        writer = self.writer
        occurrence = writer.innermost(self.number) if writer is not None else None
        if writer is not None and occurrence is not None:
            writer.set_attributes(occurrence, attributes)

    @process.never_raises
    def time_steps(self, opened: "Occurrence | None", *, generator: bool) -> None:
        """Expect an occurrence to be suspended and resumed."""
        if opened is not None:
            opened.row.run.writer.time_steps(opened, generator=generator)

    @process.never_raises
    def suspend(self, opened: "Occurrence | None") -> None:
        """Give the context back to the caller of a generator or coroutine."""
        if opened is not None:
            opened.row.run.writer.suspend(opened)

    @process.never_raises
    def resume(self, opened: "Occurrence | None") -> None:
        """Take the context again."""
        if opened is not None:
            opened.row.run.writer.resume(opened)

    def __repr__(self) -> str:
        return f"section({self.name!r})"


class _NoSection(NoSectionBase):
    """What `section(name)` is while recording is disabled: it does nothing, in every form."""

    __slots__ = ()

    def __call__(self, function: "F") -> "F":
        return function

    def set(self, **attributes: object) -> None:
        pass


_NO_SECTION = _NoSection()

if TYPE_CHECKING:

    class SectionFactory(Protocol):
        """What `section` is to a type checker."""

        @overload
        def __call__(self, name: str, /, **attributes: object) -> Section: ...

        @overload
        def __call__(self, name: F, /) -> F: ...

        def with_options(
            self, *, cpu: bool = False, device: str | None = None, timeout: float | None = None
        ) -> "SectionFactory":
            """Return a `section` that measures more, or has a budget of its own."""

    section: SectionFactory


def section(name: "Any", /, **attributes: object) -> "Any":  # type: ignore[no-redef]  # the factory to a type checker
    """Time a named stretch of code.

    Use it as `with section("load"):`, as `async with`, as `@section("load")`, or as a bare `@section`, which takes the
    function's qualified name. A decorated class has its own public functions timed.

    Args:
        name: what to call it; or what to decorate.
        attributes: kept with a sample of the occurrences: text, numbers and booleans, within limits.

    Raises:
        TypeError: if `name` is neither a name nor a callable.

    >>> from algoprof import profile, section
    >>> with profile("job") as run:
    ...     with section("load", source="disk"):
    ...         pass
    >>> run.snapshot().node("job", "load").count
    1
    """
    if type(name) is str:
        if DISABLED:
            return _NO_SECTION
        try:
            found = _named[name]
        except KeyError:
            found = Section(name, None, caller(2))
            if len(_named) < _NAMED_LIMIT:
                _named[name] = found
        if not attributes:
            return found
        made = Section(name, attributes, found.place)
        if found.writer is not None:
            made.bind(found.writer, found.number)
        return made
    if isinstance(name, str):
        return section(str(name), **attributes)
    if attributes:
        raise TypeError('to decorate with attributes, give the section a name: @section("name", key=value)')
    return name if DISABLED else wrap(name, lambda called, module, line: Section(called, None, (module, line)))


def _with_options(
    *, cpu: bool = False, device: str | None = None, timeout: float | None = None, **unknown: object
) -> "Any":
    from algoprof import measuring  # noqa: PLC0415  (few measure more)

    return measuring.with_options(cpu=cpu, device=device, timeout=timeout, **unknown)


if not TYPE_CHECKING:
    section = quickened(section, Section, _named, _NO_SECTION if DISABLED else None)
section.with_options = _with_options  # type: ignore[method-assign]


def caller(depth: int) -> tuple[str, int]:
    """Return the module and the line, so many frames up."""
    frame = sys._getframe(depth)  # noqa: SLF001  (what inspect.currentframe does)
    return frame.f_globals.get("__name__", ""), frame.f_lineno
