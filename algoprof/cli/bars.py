"""The bar of a command that takes long, on stderr while it runs."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any


@contextmanager
def bar(description: str, total: float | None = None) -> Iterator[Callable[..., None]]:
    """Show a bar, and give what changes it: called with `description=` and `completed=`.

    Args:
        description: what it says at first.
        total: what `completed` ends at; None for a bar without an end.
    """
    from rich.console import Console  # noqa: PLC0415  (only a terminal needs it)
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    columns = SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task: Any = progress.add_task(description, total=total)
        yield partial(progress.update, task)
