"""Call trees: the files of `data://.session` last as long as a call of the tree does."""

from collections import Counter
from collections.abc import Coroutine
from typing import Any, TypeVar

from algoprof.server.data.bodies import in_thread
from algoprof.server.data.folders import Folders

_Result = TypeVar("_Result")


class Sessions:
    """The sessions that are under way.

    Args:
        folders: where their files are.
    """

    def __init__(self, folders: Folders) -> None:
        self._folders = folders
        self._calls: Counter[str] = Counter()

    def within(self, session: str, call: Coroutine[Any, Any, _Result]) -> Coroutine[Any, Any, _Result]:
        """Count a call, from now to its end, as one of a session; with the last of them the session's files go."""
        self._calls[session] += 1
        return self._ending(session, call)

    async def _ending(self, session: str, call: Coroutine[Any, Any, _Result]) -> _Result:
        try:
            return await call
        finally:
            self._calls[session] -= 1
            if not self._calls[session]:
                del self._calls[session]
                if self._folders.has_session(session):
                    await in_thread(self._folders.end_session, session)
