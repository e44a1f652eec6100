"""Who notices that a budget is nearly used: one thread for all runs, asleep between thresholds."""

import os
import sys
from _thread import RLock
from bisect import insort
from time import monotonic_ns

from algoprof.recorder.alarms import watch_from_this_thread
from algoprof.recorder.children import at_exit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from threading import Thread

    from algoprof.runs import Run

THRESHOLDS = (0.8, 0.95)
"""Shares of the timeout at which a run is told of, unless it has others."""

_HEARTBEAT_SECONDS = 1.0
_EXIT_SECONDS = 1.0
_STALE_LIMIT = 256
_NEVER_NS = 1 << 62


class Threshold:
    """A share of a run's timeout that is used, as `on_threshold` is told of it.

    Args:
        run: the run; its `snapshot()` says what is open.
        ratio: the share.
        late_by: seconds since that moment; code that holds the GIL keeps whoever would tell from it.
    """

    __slots__ = ("late_by", "ratio", "run")

    def __init__(self, run: "Run", ratio: float, late_by: float) -> None:
        self.run = run
        self.ratio = ratio
        self.late_by = late_by

    def __repr__(self) -> str:
        return f"<Threshold {self.ratio:.0%} of {self.run.name!r}, {self.late_by:.3f} s late>"


class _Watcher:
    def __init__(self) -> None:
        import threading  # noqa: PLC0415  (slow to import; where there are threads, it is there)

        self._new_thread = threading.Thread
        lock = threading.RLock()
        self._condition, self._settled = threading.Condition(lock), threading.Condition(lock)
        self._alarms: list[tuple[int, int, float, Run]] = []
        self._number = 0
        self._thread: Thread | None = None
        self._next_look = 0
        self._telling = 0

    def watch(self, run: "Run", began_ns: int, timeout_ns: int) -> None:
        with self._condition:
            if len(self._alarms) > _STALE_LIMIT and self._alarms[len(self._alarms) // 2][3].ended:
                self._alarms = [alarm for alarm in self._alarms if not alarm[3].ended]
            wanted = _is_wanted()
            for ratio in run.thresholds:
                self._number += 1
                due = began_ns + int(timeout_ns * ratio)
                insort(self._alarms, (due, self._number, ratio, run))
                if wanted:
                    run.set_alarm(ratio, due)
            if self._thread is None:
                thread = self._new_thread(target=self._watch, name="algoprof-watcher", daemon=True)
                thread.start()
                self._thread = thread
            elif self._alarms and self._alarms[0][0] < self._next_look:
                self._condition.notify()

    def _watch(self) -> None:
        watch_from_this_thread()
        while True:
            with self._condition:
                while not self._alarms:
                    self._next_look = _NEVER_NS
                    self._condition.wait()
                due, _, ratio, run = self._alarms[0]
                late_ns = monotonic_ns() - due
                if run.ended or late_ns >= 0:
                    self._alarms.pop(0)
                    self._telling += 1
                else:
                    seconds = min(-late_ns / 1e9, _HEARTBEAT_SECONDS)
                    self._next_look = monotonic_ns() + int(seconds * 1e9)
                    self._condition.wait(seconds)
                    _beat()
                    continue
            try:
                if _is_to_tell(run, due):
                    self._tell(Threshold(run, ratio, (monotonic_ns() - due) / 1e9))
            finally:
                self._told()

    def _tell(self, late: Threshold) -> None:
        _tell(late)
        if late.run.on_threshold is not None or _exports():  # who may take time, and others have thresholds too
            with self._condition:
                self._telling += 1
            try:
                self._new_thread(target=self._hand_on, args=(late,), name="algoprof-threshold", daemon=True).start()
            except RuntimeError:  # the process may have no more threads
                self._hand_on(late)

    def _hand_on(self, late: Threshold) -> None:
        try:
            _hand_on(late)
        finally:
            self._told()

    def _told(self) -> None:
        with self._settled:
            self._telling -= 1
            self._settled.notify_all()

    def finish(self, seconds: float) -> None:
        """Wait until all is told that is due now, but no longer than so many seconds."""
        now = monotonic_ns()
        with self._settled:
            self._settled.wait_for(lambda: not self._telling and not self._is_due(now), seconds)

    def _is_due(self, now: int) -> bool:
        return any(due <= now and _is_to_tell(run, due) for due, _, _, run in self._alarms)


def _is_to_tell(run: "Run", due_ns: int) -> bool:
    """Whether a run is open, or was when a threshold was due: C code may have kept everybody from telling."""
    return not run.ended or due_ns <= run.budget.ended_ns


def watch(run: "Run") -> None:
    """Tell of a run's thresholds, unless it ends before."""
    _the_watcher().watch(run, run.budget.began_ns, round(run.budget.timeout * 1e9))


def _tell(threshold: Threshold) -> None:
    """Log what is open, and the stacks; what was told on stderr meanwhile is logged only where something takes it."""
    import logging  # noqa: PLC0415  (only a slow run needs it)

    from algoprof.recorder.stacks import stacks  # noqa: PLC0415  (as above)

    run, log = threshold.run, logging.getLogger("algoprof")
    try:
        open_now = ", ".join(_open_sections(run)) or ("nothing, it has ended meanwhile" if run.ended else "no section")
        stacks_now = stacks()
        is_told = not run.mark_threshold(threshold.ratio)  # late, for it is told without us while we are slow
        if is_told and not log.hasHandlers():
            return
        log.warning(
            "%s has used %.0f %% of its budget of %g s; open: %s\n%s",
            run.name,
            threshold.ratio * 100,
            run.budget.timeout,
            open_now,
            stacks_now,
        )
    except Exception:
        log.exception("a threshold could not be told")


def _hand_on(threshold: Threshold) -> None:
    """Tell whoever wants to know, and have the exporters take the run as it is: it may be killed soon."""
    run = threshold.run
    if run.on_threshold is not None:
        try:
            run.on_threshold(threshold)
        except Exception:
            import logging  # noqa: PLC0415  (as above)

            logging.getLogger("algoprof").exception("on_threshold of %s failed", run.name)
    from algoprof.delivery.process import run_is_late  # noqa: PLC0415  (loaded by whoever records)

    run_is_late(run.snapshot)


def _is_wanted() -> bool:
    """Whether the program takes warnings of ours."""
    logging = sys.modules.get("logging")
    return logging is None or logging.getLogger("algoprof").isEnabledFor(logging.WARNING)


def _open_sections(run: "Run") -> list[str]:
    """Return the open sections that nothing is open in, with their age."""
    try:
        profile = run.snapshot()
    except RuntimeError:
        return []
    return [
        f"{' > '.join(path[1:]) or path[0]} ({node.open_time:.1f} s)"
        for path, node in profile.open_sections()
        if not any(child.open_count for child in node.children)
    ]


def _exports() -> bool:
    from algoprof.delivery.process import exports  # noqa: PLC0415  (loaded by whoever records)

    return exports()


def _beat() -> None:
    from algoprof.recorder import process  # noqa: PLC0415  (loaded by whoever records)

    process.beat()


def _the_watcher() -> _Watcher:
    global _watcher  # noqa: PLW0603  (the one watcher of the process)
    with _lock:
        if _watcher is None:
            _watcher = _Watcher()
            at_exit(_finish, 20)
        return _watcher


def _finish() -> None:
    """At the program's end: let what is due be told, for the thread that tells ends with the program."""
    if _watcher is not None:
        _watcher.finish(_EXIT_SECONDS)


def _forget() -> None:
    global _watcher, _lock
    _watcher, _lock = None, RLock()


_watcher: _Watcher | None = None
_lock = RLock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
