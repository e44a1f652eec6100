"""One exporter with its queue and its thread, so that a slow or dead one delays nobody else."""

import time
from collections import deque
from queue import SimpleQueue
from threading import Condition, Thread

from algoprof.delivery.losses import Losses

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from algoprof.exporters.protocol import Exporter
    from algoprof.profiles.builds import Build
    from algoprof.profiles.calls import Call
    from algoprof.profiles.tree import Profile

QUEUE_LENGTH = 1_000
"""Records that wait for one exporter; what comes when so many wait is lost and counted."""
_RECORDS_AT_ONCE = 100


class Worker:
    """Hands records to an exporter, on a daemon thread that starts with the first record.

    `put` takes no lock and may be called in a signal handler. A record leaves the queue when its export is over, so
    that the queue's length is what is left to do.

    Args:
        name: of the exporter, for counters and messages.
        exporter: what takes the records.
        losses: where lost records are counted.
    """

    def __init__(self, name: str, exporter: "Exporter", losses: Losses) -> None:
        self.name = name
        self.exporter = exporter
        self.run_end_wait: float = getattr(exporter, "run_end_wait", 0.0)
        self.sends_spans: bool = getattr(exporter, "sends_spans", False)
        self._losses = losses
        self._records: deque[Profile | Call | Build] = deque()
        self._finished = 0
        self._missed = 0
        self._wake: SimpleQueue[None] = SimpleQueue()
        self._progress = Condition()
        self._stop_by: float | None = None
        self.stopped = False  # by the thread, when it has finished
        self._complained = False
        self._thread: Thread | None = None
        losses.expect(name)

    def put(self, record: "Profile | Call | Build") -> None:
        """Queue a record, or count it as lost if too many are waiting."""
        if len(self._records) >= QUEUE_LENGTH:
            self._losses.add(self.name, "queue_full", 1)
            return
        self._records.append(record)
        self.start()
        self._wake.put(None)

    def start(self) -> bool:
        """Start the thread if it does not run; return whether it does. At the very end of a program none starts."""
        if self._thread is None:
            thread = self._thread = Thread(target=self._run, name=f"algoprof-{self.name}", daemon=True)
            try:
                thread.start()
            except RuntimeError:
                self._thread = None
                return False
        return True

    def flush(self, deadline: float) -> int:
        """Wait until what is queued now is exported, or `deadline` on the monotonic clock; return what is left."""
        goal = len(self._records)
        goal += self._finished
        if self._records and not self.start():
            self._drain(deadline)
        self._wait(lambda: self._finished >= goal or not self._records, deadline)
        return max(0, min(goal - self._finished, len(self._records)))

    def wait_at_run_end(self, deadline: float) -> None:
        """Wait until what is queued is exported, or `deadline`; not while what was missed is still under way."""
        if self._finished < self._missed:
            return
        goal = len(self._records) + self._finished
        if self.flush(deadline):
            self._missed = goal

    def stop(self, deadline: float) -> None:
        """Have the thread finish by `deadline` and shut the exporter down; returns at once."""
        self._stop_by = deadline
        if self.start():
            self._wake.put(None)
        else:
            self._finish()

    def join(self) -> bool:
        """Wait until the thread has finished or its deadline has passed; return whether it has finished."""
        self._wait(lambda: self.stopped, self._stop_by or 0.0)
        if not self.stopped:
            self._give_up()
        return self.stopped

    def _wait(self, condition: "Callable[[], bool]", deadline: float) -> None:
        with self._progress:
            self._progress.wait_for(condition, max(0.0, deadline - time.monotonic()))

    def _run(self) -> None:
        while not self.stopped:
            self._wake.get()
            self._drain(None)
            if self._stop_by is not None:
                self._finish()

    def _drain(self, deadline: float | None) -> None:
        """Export what is queued, until a deadline if there is one or the thread is told to stop."""
        while self._records:
            until = deadline if self._stop_by is None else self._stop_by
            if until is not None and time.monotonic() >= until:
                return
            taken = [self._records[index] for index in range(min(len(self._records), _RECORDS_AT_ONCE))]
            self._export(taken)
            for _ in taken:
                if self._records:  # a deadline that passed meanwhile may have emptied the queue
                    self._records.popleft()
            with self._progress:
                self._finished += len(taken)
                self._progress.notify_all()

    def _export(self, records: "list[Profile | Call | Build]") -> None:
        from algoprof.profiles.batch import Batch  # noqa: PLC0415  (not before there is something to export)
        from algoprof.profiles.builds import Build  # noqa: PLC0415
        from algoprof.profiles.calls import Call  # noqa: PLC0415
        from algoprof.profiles.tree import Profile  # noqa: PLC0415

        profiles = tuple(record for record in records if isinstance(record, Profile))
        calls = tuple(record for record in records if isinstance(record, Call))
        builds = tuple(record for record in records if isinstance(record, Build))
        try:
            self.exporter.export(Batch(profiles, calls, builds=builds))
        except BaseException as error:  # noqa: BLE001  (whatever it is, it must not end the thread)
            self._losses.add(self.name, "error", len(records))
            self._complain(f"could not export {len(records)} records: {error}")

    def _finish(self) -> None:
        """Shut the exporter down after what could be exported by the deadline."""
        self._drain(self._stop_by)
        self._give_up()
        try:
            self.exporter.shutdown(self._stop_by or 0.0)
        except BaseException as error:  # noqa: BLE001  (as above)
            self._complain(f"could not be shut down: {error}")
        with self._progress:
            self.stopped = True
            self._progress.notify_all()

    def _give_up(self) -> None:
        """Count what is still queued as lost."""
        left = len(self._records)
        if left:
            self._losses.add(self.name, "shutdown", left)
            self._records.clear()

    def _complain(self, what: str) -> None:
        """Say once what goes wrong; the counters tell how often."""
        if self._complained:
            return
        self._complained = True
        import logging  # noqa: PLC0415  (slow to import, and only trouble needs it)

        logging.getLogger("algoprof").warning(
            "exporter %s %s; further trouble of it is only counted", self.name, what[:500]
        )
