"""What `pipe_many` is asked for, by whatever client: checked before anything is sent."""

from collections.abc import AsyncIterable, Callable, Iterable, Mapping, Sized
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, Literal, TypeVar

from algoprof.calls.protocol import MOST_AT_ONCE
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
