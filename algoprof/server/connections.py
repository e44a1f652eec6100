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
        self._since: dict[Any, tuple[object, bool, float]] = {}  # with its last request, and whether that is answered

    def late(self, connections: Iterable[Any], now: float) -> list[Any]:
        """Return those that have kept the server waiting for too long; then the oldest of those that are too many.

        One that was not waited for at the last look is none of them.

        Args:
            connections: uvicorn's, whichever of its protocols they speak.
            now: in seconds, on a clock that does not go back.
        """
        before, self._since = self._since, {}
        for connection in connections:
            request = connection.cycle
            asks = request is None or request.response_complete
            if asks or request.more_body:
                *last, since = before.get(connection, (request, asks, now))
                self._since[connection] = request, asks, since if last == [request, asks] else now
        oldest = sorted(
            (not asks, since, number, connection)
            for number, (connection, (_, asks, since)) in enumerate(self._since.items())
            if since < now
        )
        count = sum(not sends and now - since > PATIENCE for sends, since, _, _ in oldest)
        return [connection for *_, connection in oldest[: max(count, len(self._since) - self._most)]]


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
