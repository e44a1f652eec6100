"""Sessions: a call from outside with all calls that its algorithm makes here, and the limit on how many there are."""

import uuid
from collections import Counter

from algoprof.server.envelopes import INVALID_REQUEST, Refusal

MAX_CHILDREN = 24
"""Calls that the algorithms of one session may have under way at once, as on the platform."""

_RETRY_AFTER = 1  # seconds


class Sessions:
    """The sessions that are under way.

    Args:
        limit: how many may be at once.

    >>> sessions = Sessions(1)
    >>> first = sessions.enter("")
    >>> sessions.enter(first) == first
    True
    >>> sessions.enter("")
    Traceback (most recent call last):
    algoprof.server.envelopes.Refusal: 1 sessions are under way, and this server takes no more; call again later
    >>> sessions.leave(first), sessions.leave(first)
    (False, True)
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._calls: Counter[str] = Counter()  # by session: those that wait or run

    def __len__(self) -> int:
        return len(self._calls)

    def enter(self, around: str) -> str:
        """Return the session of a new call, for `leave` at its end.

        Args:
            around: the session of the algorithm that makes the call; empty if it comes from outside.

        Raises:
            Refusal: if there are too many calls already.
        """
        if not around and len(self._calls) >= self._limit:
            raise _too_many(f"{self._limit} sessions are under way, and this server takes no more")
        if self._calls[around] > MAX_CHILDREN:
            raise _too_many(f"the algorithms of this session have {MAX_CHILDREN} calls under way")
        session = around or f"rses-{uuid.uuid4()}"
        self._calls[session] += 1
        return session

    def leave(self, session: str) -> bool:
        """End one call of a session, and return whether it was the last: then the session has ended."""
        self._calls[session] -= 1
        if self._calls[session]:
            return False
        del self._calls[session]
        return True


def _too_many(what: str) -> Refusal:
    return Refusal(429, INVALID_REQUEST, f"{what}; call again later", retry_after=_RETRY_AFTER)
