"""How much of a large file has moved, on stderr: a bar where somebody watches, else a line now and then."""

import sys
import time
from contextlib import suppress
from types import TracebackType
from typing import Self

_LARGE = 8 * 1024 * 1024  # bytes; what is smaller is there before anybody has read a bar
_EVERY = 10.0  # seconds between two lines


class Progress:
    """Is told of bytes as they move, and shows nothing.

    Made by `progress`; a context manager, at whose end what it shows is complete.
    """

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def expect(self, total: int | None) -> None:
        """Take note of how many bytes there will be; None where nobody knows. It begins anew."""

    def moved(self, count: int) -> None:
        """Count bytes that have been sent or received."""

    def stop(self) -> None:
        """Show the end."""


def progress(wanted: bool | None, name: str) -> Progress:
    """Return what shows how far a file is.

    Args:
        wanted: True shows a bar on a terminal and lines elsewhere, None the bar only, False nothing.
        name: the file's.
    """
    if wanted is not False and sys.stderr is not None and sys.stderr.isatty():
        return _Bar(name)
    return _Lines(name) if wanted else Progress()


def human(size: int) -> str:
    """Return a number of bytes for people.

    >>> human(0), human(1023), human(1024), human(10 * 1024**2), human(3 * 2**30 + 2**29)
    ('0 B', '1023 B', '1.0 KiB', '10.0 MiB', '3.5 GiB')
    """
    if size < 1024:
        return f"{size} B"
    value = float(size)
    for unit in ("KiB", "MiB", "GiB", "TiB"):
        value /= 1024
        if value < 1023.95 or unit == "TiB":
            break
    return f"{value:.1f} {unit}"


class _Lines(Progress):
    def __init__(self, name: str) -> None:
        self._name = name
        self._total: int | None = None
        self._moved = 0
        self._told = -1
        self._began = self._last = time.monotonic()

    def expect(self, total: int | None) -> None:
        self._total, self._moved = total, 0

    def moved(self, count: int) -> None:
        self._moved += count
        if time.monotonic() - self._last >= _EVERY:
            self._tell()

    def stop(self) -> None:
        if self._told != self._moved:
            self._tell()

    def _tell(self) -> None:
        self._last, self._told = time.monotonic(), self._moved
        took = max(self._last - self._began, 1e-9)
        of = "" if self._total is None else f" of {human(self._total)}"
        line = f"{self._name}: {human(self._moved)}{of} in {took:.1f} s, {human(round(self._moved / took))}/s"
        with suppress(OSError, ValueError):  # whoever read it has gone
            print(line, file=sys.stderr, flush=True)  # noqa: T201  (asked for)


class _Bar(Progress):
    def __init__(self, name: str) -> None:
        from rich import progress as bars  # noqa: PLC0415  (only a terminal needs it)
        from rich.console import Console  # noqa: PLC0415
        from rich.errors import LiveError  # noqa: PLC0415

        self._bars = bars.Progress(
            bars.TextColumn("{task.description}", markup=False),
            bars.BarColumn(),
            bars.DownloadColumn(binary_units=True),
            bars.TransferSpeedColumn(),
            bars.TimeRemainingColumn(),
            console=Console(stderr=True),
            redirect_stdout=sys.stdout is not None and sys.stdout.isatty(),
        )
        self._task = self._bars.add_task(name, total=None)
        self._total: int | None = None
        self._moved = 0
        self._in_use = LiveError
        self._shown = self._tried = False

    def expect(self, total: int | None) -> None:
        self._total, self._moved = total, 0
        self._bars.reset(self._task, total=total)

    def moved(self, count: int) -> None:
        self._moved += count
        if not self._tried and max(self._total or 0, self._moved) >= _LARGE:
            self._tried = True
            with suppress(self._in_use):  # another bar is there, which some versions of rich want alone
                self._bars.start()
                self._shown = True
        self._bars.update(self._task, completed=self._moved)

    def stop(self) -> None:
        if self._shown:
            self._bars.stop()
