"""Connections that keep the server waiting: cut when they take too long to ask, and when too many do."""

import asyncio
import resource
import time
from collections.abc import Iterable
from typing import Any, NoReturn

PATIENCE = 20.0
"""Seconds in which a connection must have sent the whole head of a request, the next one as well."""
MOST = 1000
"""Connections that may send a request at once, if the process may open twice as many files."""
_PERIOD = 1.0  # seconds between two looks


class Waiting:
    """The connections of a server whose requests are still to come, and since when.

    Args:
        most: how many of them there may be.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._since: dict[Any, tuple[object, float]] = {}  # with the request before: another one begins anew

    def late(self, connections: Iterable[Any], now: float) -> list[Any]:
        """Return those that have kept the server waiting for too long; then the oldest of those that are too many.

        Args:
            connections: uvicorn's, whichever of its protocols they speak.
            now: in seconds, on a clock that does not go back.
        """
        before, self._since = self._since, {}
        sending = []
        for connection in connections:
            request = connection.cycle
            if request is None or request.response_complete:
                last, since = before.get(connection, (request, now))
                self._since[connection] = request, since if last is request else now
            elif request.more_body:
                sending.append(connection)
        oldest = sorted(self._since, key=lambda connection: self._since[connection][1])
        count = sum(now - self._since[connection][1] > PATIENCE for connection in oldest)
        return [*oldest, *sending][: max(count, len(oldest) + len(sending) - self._most)]


async def watch(connections: Iterable[Any]) -> NoReturn:
    """Cut connections that keep the server waiting, until it is cancelled.

    Args:
        connections: all that there are, at any moment.
    """
    waiting = Waiting(min(MOST, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2))
    while True:
        for connection in waiting.late(connections, time.monotonic()):
            transport = connection.transport
            if transport.get_write_buffer_size():
                transport.abort()  # who does not read either would be waited for
            else:
                transport.close()
        await asyncio.sleep(_PERIOD)
