"""Keeps each call's run: in memory that outlives the server before it is answered, then in the database.

The database is written off the path of the answers, many runs at a time, in a thread.
"""

import asyncio
import contextlib
import sqlite3
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from algoprof.errors import AlgoprofError
from algoprof.server.state.run_log import Run, RunLog, packed
from algoprof.server.state.under_way import Journal, UnderWay, forget

if TYPE_CHECKING:
    from algoprof.profiles.tree import Profile

    _Waiting: TypeAlias = tuple[UnderWay, Run, bytes | None, Callable[[], Profile | None] | None]

_BATCH = 200
_GATHERING = 0.1  # seconds for which runs are gathered: each transaction costs as much as a dozen of its rows
_PROFILES_WAITING = 10  # beyond that a flight file has likely gone on to later runs, and the reading would only cost
_PATIENCE = 2  # seconds for what is left when the server stops


class Keeper:
    """Writes runs in a thread, by a connection of its own.

    Profiles are read at once, as a worker's flight file has only its last few runs: in the thread, which then does not
    wait for more runs, or by `keep`, where that is quick: two threads that compute take turns of milliseconds, and so
    would the answers.

    Args:
        path: the store's file.
        directory: where the files of runs under way are; made here.
        say: is told what goes wrong, once.
    """

    def __init__(self, path: Path | str, directory: Path, say: Callable[[str], None]) -> None:
        self._path = path
        directory.mkdir(mode=0o700)
        self._journal = Journal(directory)
        self._say = say
        self._database: sqlite3.Connection | None = None
        self._waiting: deque[_Waiting] = deque()
        self._task: asyncio.Task[None] | None = None
        self._at_once = asyncio.Event()
        self._failed = False

    def begin(self, run: Run, received_ns: int) -> UnderWay:
        """Note a run that begins; from now on it is kept, however the server ends.

        Args:
            run: what is known of it.
            received_ns: when its request was complete, on the monotonic clock.
        """
        return self._journal.begin(run, received_ns)

    def keep(
        self,
        record: UnderWay,
        run: Run,
        profile: bytes | None = None,
        recorded: "Callable[[], Profile | None] | None" = None,
        *,
        quick: bool = False,
    ) -> bool:
        """Keep a run that has ended; it may be answered then.

        Args:
            record: what `begin` returned.
            run: it.
            profile: its profile as it is kept, if it was read already.
            recorded: reads it, in any thread; None if there is none to read.
            quick: whether that takes less than a millisecond.

        Returns:
            False if its profile is not read, since there is no time for that.
        """
        if recorded is not None and profile is None and quick:
            profile = _packed(recorded)
        if profile is not None or quick:
            recorded = None
        in_time = recorded is None or sum(one[-1] is not None for one in self._waiting) < _PROFILES_WAITING
        if not in_time:
            recorded = None
        record.finish(run, profile)
        self._waiting.append((record, run, profile, recorded))
        if recorded is not None:
            self._at_once.set()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._write())
        return in_time

    async def close(self) -> None:
        """Write what is left at once, and wait for that, for a moment."""
        self._at_once.set()
        if self._task is not None and (await asyncio.wait({self._task}, timeout=_PATIENCE))[1]:
            return  # a thread still uses the connection, which ends with the process
        if self._database is not None:
            self._database.close()
            self._database = None

    async def _write(self) -> None:
        while self._waiting:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._at_once.wait(), _GATHERING)
            self._at_once.clear()
            batch = [self._waiting.popleft() for _ in range(min(_BATCH, len(self._waiting)))]
            try:
                await asyncio.to_thread(self._add, batch)
            except sqlite3.Error as error:  # a full disk: the calls go on
                if not self._failed:
                    self._say(f"runs are not kept ({error}); calls are answered all the same")
                self._failed = True
            else:
                self._failed = False
            forget(record for record, *_ in batch)

    def _add(self, batch: "Sequence[_Waiting]") -> None:
        rows = [
            (run, _packed(recorded) if profile is None and recorded is not None else profile)
            for _, run, profile, recorded in batch
        ]
        if self._database is None:  # one thread at a time uses it, but not always the same
            self._database = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
            self._database.execute("pragma synchronous = normal")
        RunLog(self._database).add(rows)


def _packed(recorded: "Callable[[], Profile | None]") -> bytes | None:
    try:
        profile = recorded()
    except (AlgoprofError, OSError, ValueError):  # its worker has gone, and the files with it
        return None
    return None if profile is None else packed(profile)
