"""How long one call is tried: its attempts share its timeout, and pause in between."""

import math
import time
from dataclasses import replace

from algoprof.budgets import budget
from algoprof.calls.options import Options
from algoprof.calls.retries import Retries
from algoprof.errors import CallError

_SHORTEST = 0.001  # seconds that an attempt is given at least
_ENDLESS = Retries(2**31)


class Tries:
    """The attempts of one call.

    Args:
        options: what is asked for; the time counts from now, or where there is a queue from the first `begin`.
        retries: how often it may be tried again where that is safe.
        insistent: whether an attempt that the platform put off, with 429 or with 503 and a `Retry-After`, is repeated
            as long as there is time, however few `retries` there are.
    """

    def __init__(self, options: Options, retries: Retries, *, insistent: bool = False) -> None:
        self._options = options
        self._retries = retries
        self._insistent = insistent
        self._end = math.inf
        self.number = 0
        self.opens = -math.inf
        """The moment of `time.monotonic` before which the next attempt is not to begin."""
        self.failure: CallError | None = None
        """How the last attempt failed."""

    def begin(self) -> Options:
        """Return what the next attempt asks for, which begins now."""
        now = time.monotonic()
        self.number += 1
        if self.number == 1:
            self._end = now + self._options.timeout
            return self._options
        return replace(self._options, timeout=max(self._end - now, _SHORTEST))

    @property
    def left(self) -> float:
        """Seconds that are left for it in all, those before the first attempt not counted."""
        return min(self._end - time.monotonic(), budget().remaining)

    def pause(self, error: CallError) -> float | None:
        """Return how many seconds to wait before the next attempt; None if there is to be none.

        Args:
            error: how the last one failed.
        """
        self.failure = error
        retries = _ENDLESS if self._insistent and put_off(error) else self._retries
        pause = retries.pause(error, self.number, self.left)
        if pause is not None:
            self.opens = time.monotonic() + pause
        return pause


def put_off(error: CallError) -> bool:
    """Return whether the platform said to come again later, which holds for every call to it."""
    return error.retry_after is not None and error.status in (429, 503)


def pause_of_all(error: CallError, pause: float | None) -> float | None:
    """Return how many seconds every call to the platform is to wait after this one failed; None if none is to.

    Args:
        error: how it failed.
        pause: what this one waits itself; None if it does not go on.
    """
    if not put_off(error):
        return None
    return error.retry_after if pause is None else pause
