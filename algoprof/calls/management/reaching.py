"""One platform as it is asked about one algorithm: by a thread that waits for each answer, or by a task."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, TypeVar

from algoprof.calls.access.platforms import Platform
from algoprof.calls.management.managed import Operations
from algoprof.calls.references import Reference
from algoprof.calls.wire.plans import Carrier, Plan, run, run_async

if TYPE_CHECKING:
    from algoprof.calls.wire.async_transport import AsyncTransport

T = TypeVar("T")

_end: ContextVar[float] = ContextVar("end", default=math.inf)


@contextmanager
def until(end: float) -> Iterator[None]:
    """Have whatever is asked within, in this thread or task, answered by a moment of `time.monotonic`."""
    token = _end.set(end)
    try:
        yield
    finally:
        _end.reset(token)


class Management:
    """Asks one platform about one algorithm.

    Args:
        platform: the platform.
        reference: the algorithm.
        transport: what carries the requests.
    """

    def __init__(self, platform: Platform, reference: Reference, transport: Carrier) -> None:
        self.operations = Operations(platform, reference)
        self._transport = transport

    def run(self, plan: Plan[T]) -> T:
        """Carry out an operation."""
        return run(plan, self._transport, end=_end.get())


class AsyncManagement:
    """Asks one platform about one algorithm, for asyncio.

    Args:
        platform: the platform.
        reference: the algorithm.
        transport: what carries the requests.
    """

    def __init__(self, platform: Platform, reference: Reference, transport: "AsyncTransport") -> None:
        self.operations = Operations(platform, reference)
        self._transport = transport

    async def run(self, plan: Plan[T]) -> T:
        """Carry out an operation."""
        return await run_async(plan, self._transport, end=_end.get())
