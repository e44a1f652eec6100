"""Waiting for a build: looks at it now and then, more and more seldom, until it has ended.

A platform that fails at some of these looks is asked again: a build takes minutes, and such trouble passes.
"""

import time
from collections.abc import Callable

from algoprof.calls.management.requests import until
from algoprof.errors import BuildTimeout, ConfigurationError, ManagementError
from algoprof.profiles.builds import Build

LONGEST_BUILD = 3600.0
"""Seconds that a build is waited for at most, unless told otherwise."""

_GRACE = 5.0  # seconds that an answer may take beyond the time to wait
_FAILURES = 5  # looks in a row that may fail
_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 5.0  # seconds between two looks


def until_ended(
    look: Callable[[str], Build | None],
    algorithm: str,
    *,
    build_id: str = "",
    commit: str = "",
    timeout: float = LONGEST_BUILD,
    tell: Callable[[Build | None, float], object] = lambda _build, _elapsed: None,
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
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or not timeout >= 0:  # NaN is not
        raise ConfigurationError(f"a timeout is a number of seconds from 0 on, not {timeout!r:.80}")
    began, pause, failures = time.monotonic(), _FIRST_PAUSE, 0
    while True:
        try:
            with until(max(began + timeout, time.monotonic()) + _GRACE):
                build = look(build_id)
        except ManagementError as error:
            failures += 1
            left = began + timeout - time.monotonic()
            if failures > _FAILURES or left <= 0 or not _passes(error):
                raise
            time.sleep(min(pause, left))
            pause = min(_LONGEST_PAUSE, pause * 1.5)
            continue
        failures = 0
        elapsed = time.monotonic() - began
        tell(build, elapsed)
        if build is not None and build.ended:
            return build
        if build is None and not commit:
            raise ManagementError(f"{algorithm} has no builds to wait for", algorithm=algorithm)
        if elapsed >= timeout:
            raise BuildTimeout(algorithm, build.id if build else "", commit, timeout)
        time.sleep(max(0.0, min(pause, timeout - elapsed)))
        build_id = build.id if build else build_id
        pause = min(_LONGEST_PAUSE, pause * 1.5)


def _passes(error: ManagementError) -> bool:
    """Whether a failure may be over at the next look: no answer, too many questions, or a failure of the platform."""
    return error.status is None or error.status == 429 or error.status >= 500
