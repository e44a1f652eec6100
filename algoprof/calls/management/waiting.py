"""Waiting for a build: looks at it now and then, more and more seldom, until it has ended.

A platform that fails at some of these looks is asked again: a build takes minutes, and such trouble passes.
"""

import time
from collections.abc import Callable

from algoprof import delivery
from algoprof.calls.management.reaching import until
from algoprof.errors import BuildTimeout, ConfigurationError, ManagementError
from algoprof.profiles.builds import Build

LONGEST_BUILD = 3600.0
"""Seconds that a build is waited for at most, unless told otherwise."""

Tell = Callable[[Build | None, float], object]
"""What is told the build, or None while it is not yet listed, and the seconds waited."""

_GRACE = 5.0  # seconds that an answer may take beyond the time to wait
_FAILURES = 5  # looks in a row that may fail
_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 5.0  # seconds between two looks


def tell_nobody(_build: Build | None, _elapsed: float) -> None:
    """Be told of a look, and do nothing."""


class Looks:
    """What looks at a build come to: how long each may take, whether there is another one, and when.

    Args:
        algorithm: `OWNER/NAME`, for messages.
        build_id: the build to look at; empty for the one that the first look finds.
        commit: what the build is to be of; if given, one that is not yet listed is waited for.
        timeout: seconds to wait at most.
        tell: is told the build, or None while it is not yet listed, and the seconds waited, at each look.

    Raises:
        ConfigurationError: if the timeout is no number of seconds from 0 on.
    """

    def __init__(
        self,
        algorithm: str,
        *,
        build_id: str = "",
        commit: str = "",
        timeout: float = LONGEST_BUILD,
        tell: Tell = tell_nobody,
    ) -> None:
        if isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or not timeout >= 0:  # NaN is not
            raise ConfigurationError(f"a timeout is a number of seconds from 0 on, not {timeout!r:.80}")
        self.build_id = build_id
        self._algorithm, self._commit, self._timeout, self._tell = algorithm, commit, timeout, tell
        self._began, self._pause, self._failures = time.monotonic(), _FIRST_PAUSE, 0

    @property
    def end(self) -> float:
        """The moment of `time.monotonic` at which the next look is given up."""
        return max(self._began + self._timeout, time.monotonic()) + _GRACE

    def failed(self, error: ManagementError) -> float:
        """Return the seconds to wait before the look after one that failed.

        Raises:
            ManagementError: that error, if there is none.
        """
        self._failures += 1
        left = self._began + self._timeout - time.monotonic()
        if self._failures > _FAILURES or left <= 0 or not _passes(error):
            raise error
        return self._next_pause(left)

    def saw(self, build: Build | None) -> float:
        """Return the seconds to wait before the look after one that found a build, or None; 0 if it has ended.

        Raises:
            BuildTimeout: if no time is left.
            ManagementError: if there is nothing to wait for.
        """
        self._failures = 0
        elapsed = time.monotonic() - self._began
        self._tell(build, elapsed)
        if build is not None and build.ended:
            return 0.0
        if build is None and not self._commit:
            raise ManagementError(f"{self._algorithm} has no builds to wait for", algorithm=self._algorithm)
        if elapsed >= self._timeout:
            raise BuildTimeout(self._algorithm, build.id if build else "", self._commit, self._timeout)
        self.build_id = build.id if build else self.build_id
        return self._next_pause(self._timeout - elapsed)

    def _next_pause(self, left: float) -> float:
        pause = max(0.0, min(self._pause, left))
        self._pause = min(_LONGEST_PAUSE, self._pause * 1.5)
        return pause


def ended(build: Build | None) -> None:
    """Hand a build to the exporters, if it has ended."""
    if build is not None and build.ended:
        delivery.build_ended(build)


def until_ended(
    look: Callable[[str], Build | None],
    algorithm: str,
    *,
    build_id: str = "",
    commit: str = "",
    timeout: float = LONGEST_BUILD,
    tell: Tell = tell_nobody,
) -> Build:
    """Return a build when it has ended, whether it succeeded or failed.

    Args:
        look: returns the build of an id; of an empty one the one to wait for, or None while it is not listed.
        algorithm: `OWNER/NAME`, for messages.
        build_id: the build; empty for the one that `look` finds first.
        commit: what the build is to be of; if given, one that is not yet listed is waited for.
        timeout: seconds to wait at most.
        tell: is told the build, or None while it is not yet listed, and the seconds waited, at each look.

    Raises:
        ConfigurationError: if the timeout is no number of seconds from 0 on.
        BuildTimeout: if it has not ended by then.
        ManagementError: if there is nothing to wait for, or the platform does not tell.
    """
    looks = Looks(algorithm, build_id=build_id, commit=commit, timeout=timeout, tell=tell)
    while True:
        try:
            with until(looks.end):
                build = look(looks.build_id)
        except ManagementError as error:
            pause = looks.failed(error)
        else:
            pause = looks.saw(build)
            if build is not None and build.ended:
                return build
        time.sleep(pause)


def _passes(error: ManagementError) -> bool:
    """Whether a failure may be over at the next look: no answer, too many questions, or a failure of the platform."""
    return error.status is None or error.status == 429 or error.status >= 500
