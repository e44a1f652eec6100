"""This process's delivery: what the rest of algoprof calls, and what a fork and the exit do to it.

Importing it is cheap; everything else is imported when there is something to deliver.
"""

import atexit
import math
import os
import sys
import time
from contextlib import suppress
from itertools import count
from threading import RLock

from algoprof.delivery.losses import Losses
from algoprof.delivery.pipeline import Pipeline
from algoprof.delivery.reporting import is_wanted
from algoprof.delivery.reporting import write as write_report

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from algoprof.delivery.totals import Totals
    from algoprof.profiles.batch import Batch
    from algoprof.profiles.builds import Build
    from algoprof.profiles.calls import Call
    from algoprof.profiles.tree import Profile


class _State:
    """All that a fork gives the child anew."""

    def __init__(self) -> None:
        self.lock = RLock()
        self.losses = Losses()
        self.pipeline: Pipeline | None = None
        self.totals: Totals | None = None
        self.in_flight: dict[int, tuple[str, int, float]] = {}
        self.is_shut_down = False
        self.complained = False


_state = _State()
_tokens = count(1)


def wants_runs(
    *,
    seconds: float = math.inf,
    outermost: bool = True,
    failed: bool = True,
    threshold_reached: bool = True,
) -> bool:
    """Return whether `run_ended` has any use for a run, so that a profile need not be made for nobody.

    Args:
        seconds: how long it took, if known.
        outermost: whether it ran within no other, if known.
        failed: whether it raised, if known.
        threshold_reached: whether a threshold of its budget was reached, if known.
    """
    try:
        return bool(_running()) or is_wanted(
            _report_choice(), seconds=seconds, outermost=outermost, failed=failed, threshold_reached=threshold_reached
        )
    except Exception as error:  # noqa: BLE001  (telemetry never raises into the program)
        _complain(error)
        return False


def run_ended(profile: "Profile", *, outermost: bool, threshold_reached: bool) -> None:
    """Report a run on stderr if that is wanted, and queue it for the exporters. It never raises.

    The end of an outermost run waits for the exporters that ask for that, which only few do.

    Args:
        profile: the run that ended.
        outermost: whether it ran within no other.
        threshold_reached: whether a threshold of its budget was reached.
    """
    try:
        pipeline = _running()
        if pipeline:
            pipeline.put(profile)
            if outermost:
                pipeline.wait_at_run_end(_remaining(profile))
        if pipeline and "text" in pipeline:
            return  # that exporter writes the same
        if is_wanted(
            _report_choice(),
            seconds=profile.duration,
            outermost=outermost,
            failed=profile.outcome == "error",
            threshold_reached=threshold_reached,
        ):
            write_report(profile)
    except Exception as error:  # noqa: BLE001  (telemetry never raises into the program)
        _complain(error)


def exports() -> bool:
    """Whether an exporter waits for what is recorded. It never raises."""
    try:
        return _running() is not None
    except Exception as error:  # noqa: BLE001  (telemetry never raises into the program)
        _complain(error)
        return False


def sends_spans() -> bool:
    """Whether calls and runs of this process are sent as spans, which others may then be below. It never raises."""
    try:
        pipeline = _running()
    except Exception as error:  # noqa: BLE001  (telemetry never raises into the program)
        _complain(error)
        return False
    return pipeline is not None and pipeline.sends_spans


def run_is_late(take: "Callable[[], Profile]") -> None:
    """Hand a run to the exporters as it is, for it may be killed soon, and wait until they have it. It never raises.

    When it ends after all, they get it once more: the spans that are open now are then there twice, under the same ids.

    Args:
        take: takes its profile.
    """
    try:
        pipeline = _running()
        if pipeline:
            pipeline.put(take())
            pipeline.flush(time.monotonic() + _shutdown_timeout())
    except Exception as error:  # noqa: BLE001  (telemetry never raises into the program)
        _complain(error)


def call_started(algorithm: str, timeout: float) -> int:
    """Note that a call is in flight, and return a token to end it with.

    Args:
        algorithm: as asked for.
        timeout: its budget in seconds.
    """
    token = next(_tokens)
    _state.in_flight[token] = (algorithm, time.monotonic_ns(), timeout)
    try:
        _running()  # a process that only calls has no run that would start the exporters
    except Exception as error:  # noqa: BLE001  (telemetry never raises into the program)
        _complain(error)
    return token


def call_ended(token: int, call: "Call") -> None:
    """Queue a call that ended for the exporters. It never raises.

    Args:
        token: what `call_started` returned.
        call: how the call went.
    """
    try:
        _state.in_flight.pop(token, None)
        pipeline = _running()
        if pipeline:
            pipeline.put(call)
    except Exception as error:  # noqa: BLE001  (telemetry never raises into the program)
        _complain(error)


def build_ended(build: "Build") -> None:
    """Queue a build that was seen to end for the exporters. It never raises; seeing one twice does no harm.

    Args:
        build: the build.
    """
    try:
        pipeline = _running()
        if pipeline:
            pipeline.put(build)
    except Exception as error:  # noqa: BLE001  (telemetry never raises into the program)
        _complain(error)


def current() -> "Batch":
    """Return the totals of all processes of this flight directory, the open runs and this process's calls in flight."""
    state = _state
    with state.lock:
        if state.totals is None:
            from algoprof.delivery.totals import Totals  # noqa: PLC0415  (only who is asked needs it)

            state.totals = Totals(state.losses)
    return state.totals.batch(list(state.in_flight.values()))


def losses() -> dict[tuple[str, str], int]:
    """Return how many records did not get where they should have, by exporter and reason.

    The reasons: `error`, the exporter raised; `queue_full`, it was too slow; `shutdown`, it was not done at the end.
    `totals` are the files of other processes that `current` adds up; some may be `unreadable`.
    """
    return _state.losses.counts()


def flush(timeout: float | None = None) -> int:
    """Wait until every exporter has what was recorded so far.

    Args:
        timeout: seconds to wait at most; `ALGOPROF_SHUTDOWN_TIMEOUT` if not given.

    Returns:
        The number of records left, 0 when all is delivered.

    >>> flush(0.1)
    0
    """
    pipeline = _state.pipeline
    if pipeline is None:
        return 0
    return pipeline.flush(time.monotonic() + (_shutdown_timeout() if timeout is None else timeout))


def shutdown() -> None:
    """Flush and stop every exporter, within `ALGOPROF_SHUTDOWN_TIMEOUT`. `configure` starts them again."""
    state = _state
    with state.lock:
        state.is_shut_down = True
        pipeline = state.pipeline
    if pipeline is not None:
        pipeline.shutdown(time.monotonic() + _shutdown_timeout())


def _at_exit() -> None:
    """Deliver what there is, the program's implicit run included, which the recorder ends now if it has not yet."""
    recorder = sys.modules.get("algoprof.recorder.process")
    if recorder is not None:
        recorder.close()
    shutdown()
    if recorder is not None:
        recorder.keep_interrupt()


def load() -> None:
    """Import the exporters that the settings want. It never raises: starting them says what is wrong."""
    with suppress(Exception):
        from algoprof import settings  # noqa: PLC0415  (only who has something to configure pays for it)
        from algoprof.exporters.discovery import load_exporter  # noqa: PLC0415

        for wanted in settings.get().exporters:
            if isinstance(wanted, str):
                load_exporter(wanted)


def start_from_environment() -> None:
    """Start the exporters that the environment or `configure` wants; cheap if none is wanted. It never raises."""
    try:
        pipeline = _running()
        if pipeline:
            pipeline.start()
    except Exception as error:  # noqa: BLE001  (telemetry never raises into the program)
        _complain(error)


def reconfigure() -> None:
    """Make what runs fit the settings, which have changed.

    Raises:
        ConfigurationError: if an exporter that `configure` was given cannot be made; then nothing has changed.
    """
    from algoprof import settings  # noqa: PLC0415  (they are loaded already: they call this)

    state = _state
    with state.lock:
        pipeline = state.pipeline or _new_pipeline()
        pipeline.apply(settings.get(), strict=settings.is_explicit("exporters"))
        state.pipeline, state.is_shut_down = pipeline, False
    if settings.is_explicit("sampler") or settings.is_explicit("sample_rate"):
        from algoprof.recorder import process  # noqa: PLC0415  (who only calls has no recorder loaded)

        process.sample(settings.get().sampler, settings.get().sample_rate)


def _running() -> Pipeline | None:
    """Return the pipeline, made now if exporters are wanted and it was not yet; None if there is none."""
    state = _state
    if state.pipeline is not None or state.is_shut_down:
        return state.pipeline
    if "algoprof.settings" not in sys.modules and not os.environ.get("ALGOPROF_EXPORTERS"):
        return None
    from algoprof import settings  # noqa: PLC0415  (only who has something to configure pays for it)

    wanted = settings.get()
    if not wanted.exporters:
        return None
    with state.lock:
        if state.pipeline is None:
            pipeline = _new_pipeline()
            pipeline.apply(wanted, strict=False)
            state.pipeline = pipeline
    return state.pipeline


def _new_pipeline() -> Pipeline:
    from algoprof.recorder.directory import flight_directory  # noqa: PLC0415  (only who exports needs it)

    _finalize_in_child()
    try:
        family = str(flight_directory())
    except OSError:
        family = f"pid {os.getpid()}"
    return Pipeline(current, _state.losses, family)


def _finalize_in_child() -> None:
    """Have a forked worker of multiprocessing deliver before it goes: it leaves with `os._exit`, past atexit."""
    process, util = sys.modules.get("multiprocessing.process"), sys.modules.get("multiprocessing.util")
    if process is not None and util is not None and process.parent_process() is not None:
        util.Finalize(None, _at_exit, exitpriority=0)


def _report_choice() -> str:
    if not os.environ.get("ALGOPROF_REPORT") and "algoprof.settings" not in sys.modules:
        return "auto"
    from algoprof import settings  # noqa: PLC0415  (as above)

    return settings.get().report


def _shutdown_timeout() -> float:
    from algoprof import settings  # noqa: PLC0415  (as above)

    return settings.get().shutdown_timeout


def _remaining(profile: "Profile") -> float:
    """Return the seconds that are left of a run's budget, infinite without one."""
    if not profile.timeout:
        return math.inf
    return max(0.0, profile.timeout - (profile.budget_spent_ns + profile.duration_ns) / 1e9)


def _complain(error: Exception) -> None:
    """Log the first fault of ours; a profiler that is broken must not fill the log."""
    if _state.complained:
        return
    _state.complained = True
    import logging  # noqa: PLC0415  (slow to import, and only trouble needs it)

    logging.getLogger("algoprof").warning("algoprof could not deliver: %s", error, exc_info=error)


def _after_fork_in_child() -> None:
    """Start afresh: the parent delivers what is queued, and its threads do not exist here."""
    global _state  # noqa: PLW0603  (replaced as a whole, without taking a lock that may be held)
    _state = _State()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
atexit.register(_at_exit)
