"""A bar for each call of `algoprof demo`, filling towards its timeout; a plain line each where there is no terminal."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import Progress, ProgressColumn, Task, TextColumn
from rich.progress_bar import ProgressBar
from rich.text import Text


class Bars:
    """Shows calls as they run, as a context manager around them all.

    Args:
        console: where to show them.
        timeout: the seconds at which a bar is full.
    """

    def __init__(self, console: Console, timeout: float) -> None:
        self._console = console
        self._timeout = timeout
        columns = (
            TextColumn("  {task.description:<20}"),
            _BudgetBar(),
            _Seconds(),
            TextColumn("{task.fields[outcome]}"),
        )
        self._progress = Progress(*columns, console=console) if console.is_terminal else None

    def __enter__(self) -> Self:
        if self._progress:
            self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._progress:
            self._progress.stop()

    @contextmanager
    def running(self, asked: str) -> Iterator[Callable[[str, float], None]]:
        """Show a call while it runs; call what is yielded with its outcome and its seconds when it ends."""
        task = self._progress.add_task(asked, total=self._timeout, outcome="") if self._progress else None

        def end(outcome: str, seconds: float) -> None:
            if self._progress and task is not None:
                self._progress.update(task, completed=min(seconds, self._timeout), outcome=outcome)
                self._progress.stop_task(task)
            else:
                self._console.print(f"  {asked:<20} {seconds:6.2f} s of {self._timeout:g} s  {outcome}")

        yield end


class _BudgetBar(ProgressColumn):
    """How much of the timeout is gone: what the call took, else the time since it began."""

    def render(self, task: Task) -> ProgressBar:
        return ProgressBar(total=task.total, completed=_spent(task), width=40)


class _Seconds(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{_spent(task):6.2f} s of {task.total:g} s")


def _spent(task: Task) -> float:
    return task.completed or min(task.elapsed or 0.0, task.total or 0.0)
