"""`algoprof serve --watch`: builds a project anew when its files change; until then what was built before is served."""

import asyncio
import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from algoprof.errors import AlgoprofError, ProjectError
from algoprof.server.building import projects, snapshots
from algoprof.server.hosting.host import Host

_INTERVAL = 0.3  # seconds between two looks at a folder, at least
_SHARE = 20  # of the time, looks take one part in so many at most


class Watcher:
    """Notices changes of folders from now on, those included that come while they are first built.

    Args:
        directories: one project each; what is no folder is left out.
    """

    def __init__(self, directories: Sequence[str]) -> None:
        folders = [Path(directory).resolve() for directory in directories if Path(directory).is_dir()]
        self._first = {folder: _look(folder) for folder in folders}

    @property
    def watches(self) -> bool:
        """Whether there is anything to look at."""
        return bool(self._first)

    async def follow(self, host: Host, say: Callable[[str], None]) -> None:
        """Build each folder anew when it has changed, until this is cancelled.

        What is saved in several steps is built once, when two looks in a row have found the same. A build that fails,
        for whatever reason, is told and changes nothing.

        Args:
            host: what serves them.
            say: is told what happens, for whoever watches.
        """
        await asyncio.gather(*(_follow(directory, first, host, say) for directory, first in self._first.items()))


class _Look(NamedTuple):
    """How a folder looked, and how many seconds it took to see that."""

    found: str
    took: float


async def _follow(directory: Path, look: _Look, host: Host, say: Callable[[str], None]) -> None:
    tried = ""
    while True:
        look = await _changed(directory, look)
        try:
            content = await asyncio.to_thread(_content, directory)
            if content == tried:
                continue  # touched, or changed and changed back
            tried = content
            project = projects.find(directory)
            version = await host.add(project)
        except (AlgoprofError, OSError, sqlite3.Error) as failed:
            say(f"not built: {failed}")
            served = host.served_from(directory)
            say(f"still serving {', '.join(served)}" if served else f"nothing is served from {directory} yet")
        else:
            say(f"serving {project.algorithm} version {version.semantic}")


def _content(directory: Path) -> str:
    if not directory.is_dir():
        raise ProjectError(directory, "is no folder any more; put it back, and it is built anew")
    return snapshots.digest(directory)


async def _changed(directory: Path, before: _Look) -> _Look:
    """Wait until a folder looks otherwise than before, and then until it looks the same twice. Returns that look."""
    look = before
    while look.found == before.found:
        await asyncio.sleep(max(_INTERVAL, _SHARE * look.took))
        look = await asyncio.to_thread(_look, directory)
    while True:
        await asyncio.sleep(_INTERVAL)
        last, look = look, await asyncio.to_thread(_look, directory)
        if look.found == last.found:
            return look


def _look(directory: Path) -> _Look:
    began = time.monotonic()
    try:
        found = snapshots.looks(directory)
    except (ProjectError, OSError) as error:  # a file that has just gone, or too many
        found = str(error)
    return _Look(found, time.monotonic() - began)
