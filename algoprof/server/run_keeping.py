"""Keeps each call's run once its answer is on its way: reads the profile in a thread, then writes both."""

import asyncio
import sqlite3
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from algoprof.errors import AlgoprofError
from algoprof.server.run_log import Run, RunLog, packed

if TYPE_CHECKING:
    from algoprof.profiles.tree import Profile

_BATCH = 50
_PROFILES_WAITING = 10  # beyond that a flight file has likely gone on to later runs, and the reading would only cost
_PATIENCE = 2  # seconds for what is left when the server stops


class Keeper:
    """Writes runs one after the other, off the path of the answers.

    Args:
        log: where they are kept.
        say: is told what goes wrong, once.
    """

    def __init__(self, log: RunLog, say: Callable[[str], None]) -> None:
        self._log = log
        self._say = say
        self._waiting: deque[tuple[Run, Callable[[], Profile | None] | None]] = deque()
        self._task: asyncio.Task[None] | None = None
        self._failed = False

    def keep(self, run: Run, recorded: "Callable[[], Profile | None] | None") -> None:
        """Keep a run soon.

        Args:
            run: it.
            recorded: reads its profile, in a thread; None if there is none to read.
        """
        self._waiting.append((run, recorded if len(self._waiting) < _PROFILES_WAITING else None))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._write())

    async def close(self) -> None:
        """Wait until what is left is written, for a moment."""
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=_PATIENCE)

    async def _write(self) -> None:
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(_BATCH, len(self._waiting)))]
            read = [(run, None if recorded is None else await _packed(recorded)) for run, recorded in batch]
            try:
                self._log.add(read)
            except sqlite3.Error as error:  # a full disk: the calls go on
                if not self._failed:
                    self._say(f"runs are not kept ({error}); calls are answered all the same")
                self._failed = True
            else:
                self._failed = False


async def _packed(recorded: "Callable[[], Profile | None]") -> bytes | None:
    def read() -> bytes | None:
        profile = recorded()
        return None if profile is None else packed(profile)

    try:
        return await asyncio.to_thread(read)
    except (AlgoprofError, OSError, ValueError):  # its worker has gone, and the files with it
        return None
