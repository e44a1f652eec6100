"""How far a batch of calls is, on stderr: a bar where somebody watches, else a line now and then."""

import sys
import time
from contextlib import suppress
from typing import Protocol

_EVERY = 10.0  # seconds between two lines


class Progress(Protocol):
    """Is told of calls as they end, from any thread."""

    def start(self) -> None:
        """Begin to show."""

    def ended(self, *, failed: bool) -> None:
        """Count a call that has ended."""

    def stop(self) -> None:
        """Show the end."""


def progress(wanted: bool | None, name: str, total: int | None) -> Progress:
    """Return what shows how far a batch of calls is.

    Args:
        wanted: True shows a bar on a terminal and lines elsewhere, None the bar only, False nothing.
        name: the algorithm's.
        total: how many calls there will be; None where nobody knows.
    """
    interactive = wanted is not False and sys.stderr is not None and sys.stderr.isatty()
    if interactive:
        return _Bar(name, total)
    return _Lines(name, total) if wanted else _Nothing()


class _Nothing:
    def start(self) -> None:
        pass

    def ended(self, *, failed: bool) -> None:
        pass

    def stop(self) -> None:
        pass


class _Lines:
    def __init__(self, name: str, total: int | None) -> None:
        self._name = name
        self._total = "" if total is None else f" of {total:,}"
        self._ended = self._failed = self._told = 0
        self._began = self._last = time.monotonic()

    def start(self) -> None:
        self._began = self._last = time.monotonic()

    def ended(self, *, failed: bool) -> None:
        self._ended += 1
        self._failed += failed
        if time.monotonic() - self._last >= _EVERY:
            self._tell()

    def stop(self) -> None:
        if self._told != self._ended:
            self._tell()

    def _tell(self) -> None:
        self._last, self._told = time.monotonic(), self._ended
        took = max(self._last - self._began, 1e-9)
        line = f"{self._name}: {self._ended:,}{self._total} calls in {took:.1f} s, {self._ended / took:.3g} per second"
        with suppress(OSError, ValueError):  # whoever read it has gone
            print(f"{line}, {self._failed:,} failed", file=sys.stderr, flush=True)  # noqa: T201  (asked for)


class _Bar:
    def __init__(self, name: str, total: int | None) -> None:
        from rich import progress as bars  # noqa: PLC0415  (only a terminal needs it)
        from rich.console import Console  # noqa: PLC0415

        self._bars = bars.Progress(
            bars.TextColumn("{task.description}", markup=False),
            bars.BarColumn(),
            bars.MofNCompleteColumn(),
            bars.TextColumn("{task.fields[failed]}", style="red"),
            bars.TimeElapsedColumn(),
            bars.TimeRemainingColumn(),
            console=Console(stderr=True),
            redirect_stdout=sys.stdout is not None and sys.stdout.isatty(),
        )
        self._task = self._bars.add_task(name, total=total, failed="")
        self._failed = 0

    def start(self) -> None:
        self._bars.start()

    def ended(self, *, failed: bool) -> None:
        if failed:
            self._failed += 1
            self._bars.update(self._task, failed=f"{self._failed:,} failed")
        self._bars.advance(self._task)

    def stop(self) -> None:
        self._bars.stop()
