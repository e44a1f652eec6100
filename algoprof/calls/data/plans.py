"""Carrying out what the data API is asked, for as long as it may take: the budget of the run around it counts too."""

import math
import time
from typing import TYPE_CHECKING, TypeVar

from algoprof.budgets import budget
from algoprof.calls.wire import plans
from algoprof.calls.wire.plans import Carrier, Plan
from algoprof.errors import ConfigurationError, DataTimeout

if TYPE_CHECKING:
    from algoprof.calls.wire.async_transport import AsyncTransport

T = TypeVar("T")

IDLE = 60.0
"""Seconds that may pass, while content is sent or received, with nothing moving."""


def run(plan: Plan[T], transport: Carrier, timeout: float | None = None) -> T:
    """Carry out an operation.

    Args:
        plan: the operation.
        transport: what carries it.
        timeout: seconds that it may take in all; None for as long as something moves, and for what remains of the
            budget of the run around it.

    Raises:
        DataApiError: if it fails.
        ConfigurationError: if the timeout cannot be meant.
    """
    return plans.run(plan, transport, end=_end(timeout), idle=IDLE)


async def run_async(plan: Plan[T], transport: "AsyncTransport", timeout: float | None = None) -> T:  # noqa: ASYNC109
    """Carry out an operation, as `run` does; cancelled, it leaves nothing behind.

    Args:
        plan: the operation.
        transport: what carries it.
        timeout: seconds that it may take in all.
    """
    return await plans.run_async(plan, transport, end=_end(timeout), idle=IDLE)


def _end(timeout: float | None) -> float:
    if timeout is not None and (isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or not timeout > 0):
        raise ConfigurationError(f"timeout is a number of seconds above 0, or None, not {timeout!r:.80}")
    remaining = budget().remaining
    if remaining <= 0:
        raise DataTimeout(
            "the data API was not asked: nothing remains of the budget of the run around it",
            hint="ask it earlier, or give the run a longer timeout",
        )
    return time.monotonic() + min(remaining, math.inf if timeout is None else timeout)
