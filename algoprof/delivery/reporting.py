"""When a run's end is worth a text report, and writing it."""

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from algoprof.profiles.tree import Profile

_LONG_SECONDS = 1.0


def is_wanted(choice: str, *, seconds: float, outermost: bool, failed: bool, threshold_reached: bool) -> bool:
    """Return whether a run's end is reported on stderr.

    Args:
        choice: the setting `report`: `auto`, `always` or `never`.
        seconds: how long the run took; a long one is reported on a terminal.
        outermost: whether it ran within no other; only such runs are reported.
        failed: whether it raised; then it is reported anywhere.
        threshold_reached: whether it used so much of its budget that a threshold was reached; the same.

    >>> is_wanted("auto", seconds=0.1, outermost=True, failed=True, threshold_reached=False)
    True
    >>> is_wanted("always", seconds=0.1, outermost=False, failed=True, threshold_reached=False)
    False
    """
    if choice == "never" or not outermost:
        return False
    return choice == "always" or failed or threshold_reached or (seconds > _LONG_SECONDS and _on_terminal())


def write(profile: "Profile") -> None:
    """Write the text report to stderr."""
    from algoprof.exporters.text import render, write_to_stderr  # noqa: PLC0415  (most runs are not reported)

    write_to_stderr(render(profile))


def _on_terminal() -> bool:
    try:
        return sys.stderr.isatty()
    except (AttributeError, ValueError):  # there is no stderr, or it is closed
        return False
