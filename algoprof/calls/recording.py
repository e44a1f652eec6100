"""Where each call is told of when it begins and when it has ended: delivery, and whoever captures calls here."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar

from algoprof import delivery
from algoprof.profiles.calls import Call

_capturing: ContextVar[tuple[list[Call], ...]] = ContextVar("algoprof.captured_calls", default=())


def started(algorithm: str, timeout: float) -> int:
    """Note that a call is in flight, and return a token to end it with.

    Args:
        algorithm: as asked for.
        timeout: its budget in seconds.
    """
    return delivery.call_started(algorithm, timeout)


def ended(token: int, call: Call) -> None:
    """Hand on a call that ended, however it did.

    Args:
        token: what `started` returned.
        call: its record.
    """
    for calls in _capturing.get():
        calls.append(call)
    delivery.call_ended(token, call)


@contextmanager
def capture_calls() -> Iterator[list[Call]]:
    """Collect the calls that end within, failed ones too: one `Call` per attempt, in the order in which they end.

    The list belongs to the context, so it has the calls of tasks and of `asyncio.to_thread`, but none of a thread that
    was started without it. Within another one, both collect.

    >>> from algoprof.calls.client import client
    >>> with capture_calls() as calls, client("simKey", "http://127.0.0.1:1") as caller:
    ...     try:
    ...         caller.algo("demo/Routes").set_options(timeout=60).pipe(None)
    ...     except ConnectionError:
    ...         pass
    >>> [(call.algorithm, call.outcome, call.timeout) for call in calls]
    [('demo/Routes', 'unreachable', 60.0)]
    """
    calls: list[Call] = []
    token = _capturing.set((*_capturing.get(), calls))
    try:
        yield calls
    finally:
        with suppress(ValueError):  # left in another context, as a fixture may be: that one never saw the list
            _capturing.reset(token)
