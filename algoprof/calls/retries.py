"""Whether a failed attempt is worth another one, and when: only where the algorithm has certainly not run."""

import random
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from algoprof.errors import CallError, ConfigurationError

MOST = 20
"""Further attempts that may be asked for."""
_FIRST, _LONGEST = 0.5, 20.0  # seconds of the first pause and of the longest, before jitter
_DOUBLINGS = 10  # after so many every pause is the longest
_random = random.SystemRandom()  # the sequence of the module's own functions belongs to the program


@dataclass(frozen=True, slots=True)
class Retries:
    """How often a call is tried again, where that is safe.

    Args:
        most: further attempts after the first; 0 for none.
    """

    most: int = 0

    def pause(self, error: CallError, number: int, left: float) -> float | None:
        """Return how many seconds to wait before the next attempt; None if there is to be none.

        Args:
            error: how the attempt failed.
            number: which attempt that was, from 1.
            left: seconds that the call has left in all.
        """
        if number > self.most or error.retry_after is None:
            return None
        # Many callers are refused at the same moment: they must not come back at the same moment.
        wait = error.retry_after + min(_FIRST * 2 ** min(number - 1, _DOUBLINGS), _LONGEST) * _random.uniform(0.5, 1)
        return wait if wait < left else None


def checked(retries: object) -> Retries:
    """Return what a caller asks for.

    Raises:
        ConfigurationError: if it cannot be meant.

    >>> checked(2)
    Retries(most=2)
    """
    if isinstance(retries, bool) or not isinstance(retries, int) or not 0 <= retries <= MOST:
        raise ConfigurationError(f"retries is a number of further attempts from 0 to {MOST}, not {retries!r:.80}")
    return Retries(int(retries))


def retry_after(status: int, headers: Mapping[str, str], now: float | None = None) -> float | None:
    """Return after how many seconds a refused request may come again; None if nothing says that it may.

    A 429 says so by itself; a 503 only with a `Retry-After`, since without one it may have failed half-way.

    Args:
        status: the HTTP status.
        headers: the answer's, their names in lower case.
        now: seconds since the Unix epoch, for a `Retry-After` that is a date.

    >>> retry_after(503, {"retry-after": "7"}), retry_after(503, {}), retry_after(429, {})
    (7.0, None, 0.0)
    """
    if status not in (429, 503):
        return None
    text = headers.get("retry-after", "").strip()
    if re.fullmatch(r"[0-9]{1,9}", text):
        return float(text)
    try:
        moment = parsedate_to_datetime(text[:100]).timestamp()
    except (ValueError, TypeError, OverflowError):
        return 0.0 if status == 429 else None
    return max(0.0, moment - (time.time() if now is None else now))
