"""A run's profile printed among what its algorithm prints, where the caller has no other way to it."""

import os
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from algoprof.profiles.tree import Profile

RUNNER = "/tmp/algoout"  # noqa: S108  (the platform's)
"""What is there where the platform runs an algorithm: the pipe that its answer goes through."""
_PATIENCE = 2.0  # seconds in all that a reader may keep us waiting


def wanted() -> bool:
    """Return whether runs that end here are to be printed.

    `ALGOPROF_INBAND` says so, 1 or 0; else it is where the platform runs. Our own server reads the flight file.
    """
    choice = os.environ.get("ALGOPROF_INBAND", "")
    if choice in ("0", "1"):
        return choice == "1"
    return "ALGOPROF_CONTROL" not in os.environ and os.path.exists(RUNNER)  # noqa: PTH110  (pathlib costs a cold start)


def send(profile: "Profile") -> None:
    """Print a profile to the process's stdout, each line in one piece. What nobody reads in time is left out.

    Args:
        profile: of the run that has ended.

    Raises:
        OSError: if it cannot be written.
    """
    from algoprof.profiles.inband import encode  # noqa: PLC0415  (only a run that is printed needs it)

    if sys.stdout is not None:
        sys.stdout.flush()  # what was printed before comes before
    deadline = time.monotonic() + _PATIENCE
    for line in encode(profile):
        if not _takes_more(1, deadline):
            return
        os.write(1, line)


def _takes_more(descriptor: int, deadline: float) -> bool:
    """Wait until a line can be written in one piece without waiting."""
    import select  # noqa: PLC0415  (as above)

    if not hasattr(select, "poll"):
        return True
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    return any(events & select.POLLOUT for _, events in poll.poll(max(0, deadline - time.monotonic()) * 1000))
