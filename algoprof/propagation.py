"""Work handed to another thread, and still counted where it was asked for: `propagate`."""

import functools
from contextvars import copy_context

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import ParamSpec, TypeVar

    P = ParamSpec("P")
    R = TypeVar("R")


def propagate(function: "Callable[P, R]") -> "Callable[P, R]":
    """Return a function whose sections stand below the section that is open now, in whatever thread it is called.

    `asyncio.create_task` and `asyncio.to_thread` do this by themselves; `threading.Thread`, executors and
    `loop.run_in_executor` do not. The budget of the open run goes along too.

    >>> from concurrent.futures import ThreadPoolExecutor
    >>> from algoprof import profile, propagate, section
    >>> with ThreadPoolExecutor() as pool, profile("job") as run:
    ...     _ = list(pool.map(propagate(section("square")(lambda n: n * n)), range(3)))
    >>> run.snapshot().node("job", "square").count
    3
    """
    context = copy_context()

    @functools.wraps(function)
    def propagated(*args: "P.args", **kwargs: "P.kwargs") -> "R":
        return context.copy().run(function, *args, **kwargs)

    return propagated
