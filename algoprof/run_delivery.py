"""How a run that ended gets to the exporters and the report, which a cold start does not load."""

import os
import sys

from algoprof.recorder import process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from algoprof.profiles.tree import Profile


def hand_on(
    seconds: float,
    take: "Callable[[], Profile | None]",
    *,
    outermost: bool,
    failed: bool,
    threshold_reached: bool,
) -> None:
    """Hand the profile of a run that ended to delivery, if that has any use for it, and home to the caller."""
    if outermost:
        _send_home(take)
    _deliver(seconds, take, outermost=outermost, failed=failed, threshold_reached=threshold_reached)


def _deliver(
    seconds: float,
    take: "Callable[[], Profile | None]",
    *,
    outermost: bool,
    failed: bool,
    threshold_reached: bool,
) -> None:
    with process.importing():
        from algoprof import delivery  # noqa: PLC0415  (a cold start does not need it)

    if delivery.wants_runs(seconds=seconds, outermost=outermost, failed=failed, threshold_reached=threshold_reached):
        profile = take()
        if profile is not None:
            delivery.run_ended(profile, outermost=outermost, threshold_reached=threshold_reached)


@process.never_raises
def _send_home(take: "Callable[[], Profile | None]") -> None:
    with process.importing():
        from algoprof import inband  # noqa: PLC0415  (a cold start does not need it)

    profile = take() if inband.wanted() else None
    if profile is not None:
        inband.send(profile)


def _start() -> None:
    """Start the exporters, if any are wanted."""
    if "algoprof.delivery" in sys.modules or os.environ.get("ALGOPROF_EXPORTERS"):
        from algoprof import delivery  # noqa: PLC0415  (a cold start does not need it)

        delivery.start_from_environment()


def load_exporters() -> None:
    """Import the exporters that the environment wants: now, so that no fork falls into the middle of it."""
    if os.environ.get("ALGOPROF_EXPORTERS"):
        from algoprof import delivery  # noqa: PLC0415  (as above)

        delivery.load()


def _implicit_ended(seconds: float, take: "Callable[[], Profile | None]") -> None:
    _deliver(seconds, take, outermost=True, failed=False, threshold_reached=False)


process.on_start = _start
process.on_implicit_end = _implicit_ended
