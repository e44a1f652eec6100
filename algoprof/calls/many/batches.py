"""What `pipe_many` is, by whatever client: what is asked for, when a call may begin, which outcome comes next."""

from collections.abc import AsyncIterable, Callable, Iterable, Mapping, Sized
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, Literal, TypeVar

from algoprof.calls.attempts import Response
from algoprof.calls.many.throttle import Throttle
from algoprof.calls.tries import Tries
from algoprof.calls.wire.protocol import MOST_AT_ONCE
from algoprof.errors import CallError, ConfigurationError

T = TypeVar("T")

CONCURRENCY = 16
"""Calls on their way at once unless told otherwise, as the platform suggests."""


class OnError(StrEnum):
    """What becomes of a call that fails."""

    RAISE = "raise"
    RETURN = "return"


@dataclass(frozen=True, slots=True)
class Asked(Generic[T]):
    """How to make many calls.

    Args:
        concurrency: how many at once.
        ordered: whether responses come in the order of the inputs; else as they are there.
        on_error: what becomes of a failed call; a callable gets its error, and its value stands for the response.
        progress: whether to show how far it is: None on a terminal only.
    """

    concurrency: int
    ordered: bool
    on_error: "OnError | Callable[[CallError], T]"
    progress: bool | None

    @property
    def ahead(self) -> int:
        """Inputs that are taken at most before their responses are handed out: a slow one is not to stop the others."""
        return 2 * self.concurrency


def checked(
    inputs: object,
    *,
    concurrency: object,
    ordered: bool,
    on_error: "Literal['raise', 'return'] | Callable[[CallError], T]",
    progress: bool | None,
) -> Asked[T]:
    """Return what is asked for.

    Raises:
        ConfigurationError: if it cannot be meant; the message says what can.

    >>> checked("abc", concurrency=4, ordered=True, on_error="raise", progress=None)
    Traceback (most recent call last):
        ...
    algoprof.errors.ConfigurationError: inputs are many, and this is one str: pass [it], or call pipe
    """
    if isinstance(inputs, (str, bytes, bytearray, memoryview, Mapping)):
        raise ConfigurationError(f"inputs are many, and this is one {type(inputs).__name__}: pass [it], or call pipe")
    if not isinstance(inputs, (Iterable, AsyncIterable)):
        raise ConfigurationError(f"inputs are something to iterate over, not {type(inputs).__name__}")
    if isinstance(concurrency, bool) or not isinstance(concurrency, int) or not 1 <= concurrency <= MOST_AT_ONCE:
        raise ConfigurationError(
            f"concurrency is a number of calls from 1 to {MOST_AT_ONCE}, what the platform takes of an account,"
            f" not {concurrency!r:.80}"
        )
    if not callable(on_error) and on_error not in tuple(OnError):
        raise ConfigurationError(f'on_error is "raise", "return" or a callable, not {on_error!r:.80}')
    what = on_error if callable(on_error) else OnError(on_error)
    return Asked(concurrency, bool(ordered), what, progress)


def length(inputs: object) -> int | None:
    """Return how many inputs there are, where they say so."""
    return len(inputs) if isinstance(inputs, Sized) else None


def instead(failure: BaseException, on_error: "OnError | Callable[[CallError], T]") -> T:
    """Return what stands for the response of a call that failed.

    Raises:
        BaseException: the failure, where that is asked for, or if it is none of a call.
    """
    if isinstance(failure, CallError) and on_error != OnError.RAISE:
        return failure if on_error == OnError.RETURN else on_error(failure)  # type: ignore[return-value]
    raise failure


def admission(throttle: Throttle, tries: Tries, now: float) -> float:
    """Return how many seconds to wait before asking again whether an attempt may begin; 0 if it begins now.

    Args:
        throttle: counts it if it begins.
        tries: what it belongs to.
        now: a moment of `time.monotonic`.

    Raises:
        CallError: how the last attempt failed, if there is no time left for another.
    """
    wait = max(throttle.delay(now), tries.opens - now)
    if wait > 0:
        left = tries.left
        if left > 0:
            return min(wait, left)
        if tries.failure is not None:
            raise tries.failure
    throttle.begin()  # without a budget, too: the attempt itself says so
    return 0.0


class Outcomes:
    """What calls gave, kept until it is asked for.

    Args:
        ordered: whether it is handed out in the order of the inputs.
    """

    def __init__(self, *, ordered: bool) -> None:
        self._ordered = ordered
        self._waiting: dict[int, Response | BaseException] = {}
        self._handed = 0
        self._taken: int | None = None
        self._failure: BaseException | None = None
        self.closed = False
        """Whether no more comes than has come."""

    def put(self, index: int, outcome: Response | BaseException) -> None:
        """Keep the outcome of an input."""
        self._waiting[index] = outcome

    def end(self, taken: int, failure: BaseException | None) -> None:
        """Note how many inputs there were in all, and how they failed if they did."""
        self._taken, self._failure = taken, failure

    @property
    def ready(self) -> bool:
        """Whether `take` need not wait."""
        there = self._handed in self._waiting if self._ordered else bool(self._waiting)
        return there or self.closed or self._handed == self._taken

    def take(self, end: type[Exception]) -> Response | BaseException:
        """Return the next outcome; once closed, in order there may be gaps, of calls that were given up.

        Raises:
            BaseException: if nothing is left: how the inputs failed, else what is to be raised at the end.
        """
        if not self._waiting:
            failure, self._failure = self._failure, None
            raise failure or end
        self._handed += 1
        return self._waiting.pop(min(self._waiting) if self._ordered else next(iter(self._waiting)))
