"""What an operation asks, step by step, whatever carries it: written once, for the two clients.

A plan is a generator: it yields the next request and is sent the answer. It ends with the operation's value, or raises.
"""

import math
import time
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

from algoprof.calls.wire.protocol import Answer, NoAnswer, Request
from algoprof.calls.wire.streams import LocalProblem, Sink

if TYPE_CHECKING:
    from algoprof.calls.wire.async_transport import AsyncTransport

T = TypeVar("T")

SHORT = 60.0
"""Seconds that a request may take which sends and receives little."""


@dataclass(frozen=True, slots=True)
class Step:
    """One request of an operation.

    Args:
        request: what is sent.
        sink: where the body of the answer goes, if it takes it.
        longest: seconds that it may take in all; `math.inf` where content is sent or received.
    """

    request: Request
    sink: Sink | None = None
    longest: float = SHORT

    def deadline(self, end: float) -> float:
        """Return the moment of `time.monotonic` at which it is given up, that of the whole operation considered."""
        return min(end, time.monotonic() + self.longest)


Plan = Generator[Step, Answer | NoAnswer, T]
"""An operation; its type says what it gives."""


class Carrier(Protocol):
    """A transport as a plan needs it."""

    def send(
        self, request: Request, deadline: float, *, sink: Sink | None = None, idle: float = math.inf
    ) -> Answer | NoAnswer:
        """Send a request and read its answer."""


def run(plan: Plan[T], transport: Carrier, *, end: float = math.inf, idle: float = math.inf) -> T:
    """Carry out an operation.

    Args:
        plan: the operation; what it raises comes out of this.
        transport: what carries it.
        end: the moment of `time.monotonic` at which all of it is to be over.
        idle: seconds that may pass with nothing moving.
    """
    with closing(plan):  # so that a Ctrl-C on the way leaves nothing behind
        try:
            step = next(plan)
            while True:
                try:
                    answer = transport.send(step.request, step.deadline(end), sink=step.sink, idle=idle)
                except LocalProblem as problem:
                    step = plan.throw(problem.error)
                else:
                    step = plan.send(answer)
        except StopIteration as done:
            value: T = done.value
            return value


async def run_async(plan: Plan[T], transport: "AsyncTransport", *, end: float = math.inf, idle: float = math.inf) -> T:
    """Carry out an operation, as `run` does; cancelled, it leaves nothing behind.

    Args:
        plan: the operation; what it raises comes out of this.
        transport: what carries it.
        end: the moment of `time.monotonic` at which all of it is to be over.
        idle: seconds that may pass with nothing moving.
    """
    with closing(plan):
        try:
            step = next(plan)
            while True:
                try:
                    answer = await transport.send(step.request, step.deadline(end), sink=step.sink, idle=idle)
                except LocalProblem as problem:
                    step = plan.throw(problem.error)
                else:
                    step = plan.send(answer)
        except StopIteration as done:
            value: T = done.value
            return value
