"""One callable made to look like another: what we need of functools, whose import would add a third to a cold start."""

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeVar

    T = TypeVar("T")

_NAMES = ("__module__", "__name__", "__qualname__", "__doc__", "__annotations__")


def like(original: "Any", wrapper: "T") -> "T":
    """Give a wrapper the names, documentation, annotations and attributes of what it wraps, and return it.

    >>> def greet():
    ...     "Say hello."
    >>> like(greet, lambda: None).__doc__
    'Say hello.'
    """
    for name in _NAMES:
        try:
            setattr(wrapper, name, getattr(original, name))
        except AttributeError:  # a callable object has no name
            continue
    vars(wrapper).update(getattr(original, "__dict__", {}))
    wrapper.__wrapped__ = original  # type: ignore[attr-defined]
    return wrapper


def within_partials(function: "Any") -> "Any":
    """Return what a partial calls in the end, or the function itself if it is none."""
    functools = sys.modules.get("functools")  # else nobody can have made one
    while functools is not None and isinstance(function, functools.partial):
        function = function.func
    return function
