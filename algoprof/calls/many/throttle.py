"""How many calls may be on their way at once, and from when: fewer after each refusal, one more after some successes.

The rule is TCP's. A platform that refuses one call with 429 refuses those beside it too, so that all of them wait,
and fewer of them come back. It knows no clock and no threads; whoever asks brings the time.
"""

import math


class Throttle:
    """What one batch of calls may do.

    Args:
        most: calls at once, as long as none is refused.

    >>> throttle = Throttle(2)
    >>> throttle.delay(now=0.0)
    0.0
    >>> throttle.begin()
    >>> throttle.end(now=0.1, began=0.0, pause=3.0)
    >>> throttle.delay(now=1.1)
    2.0
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._width = float(most)
        self._busy = 0
        self._opens = self._narrowed = -math.inf

    @property
    def limits(self) -> bool:
        """Whether fewer calls may be on their way than without a refusal."""
        return self._width < self._most

    def delay(self, now: float) -> float:
        """Return the seconds until a call may begin: 0 if it may now, infinity if another one has to end first."""
        if now < self._opens:
            return self._opens - now
        return 0.0 if self._busy < math.floor(self._width) else math.inf

    def begin(self) -> None:
        """Count a call that begins."""
        self._busy += 1

    def end(self, now: float, began: float, pause: float | None = None) -> None:
        """Count a call that has ended.

        Args:
            now: when.
            began: when it began.
            pause: seconds after which calls may come again, if it was refused for now.
        """
        self._busy -= 1
        if pause is not None:
            if began > self._narrowed:  # those that began together are refused together
                self._width, self._narrowed = max(1.0, self._width / 2), now
            self._opens = max(self._opens, now + pause)
        elif self.limits:
            self._width = min(float(self._most), self._width + 1 / self._width)
