"""The exporters that are wanted, each with its worker: started, changed and stopped together."""

import time

from algoprof.delivery.losses import Losses
from algoprof.delivery.worker import Worker

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from algoprof.exporters.protocol import Exporter, ExporterFactory
    from algoprof.profiles.batch import Batch
    from algoprof.profiles.builds import Build
    from algoprof.profiles.calls import Call
    from algoprof.profiles.tree import Profile
    from algoprof.settings import Settings


class Pipeline:
    """Hands every record to every exporter's worker.

    Args:
        current: given to exporters that are asked rather than told.
        losses: where lost records are counted.
        family: given to exporters: the same for all processes that `current` adds up.
    """

    def __init__(self, current: "Callable[[], Batch]", losses: Losses, family: str) -> None:
        self._current = current
        self._losses = losses
        self._family = family
        self._workers: dict[tuple[object, ...], Worker] = {}
        self._leaving: list[Worker] = []

    def __contains__(self, name: str) -> bool:
        return any(worker.name == name for worker in self._workers.values())

    def __bool__(self) -> bool:
        return bool(self._workers)

    @property
    def sends_spans(self) -> bool:
        """Whether an exporter sends calls and runs as spans."""
        return any(worker.sends_spans for worker in self._workers.values())

    def apply(self, settings: "Settings", *, strict: bool) -> None:
        """Make what is wanted and not there yet, and stop what is there and not wanted any more.

        Args:
            settings: they name the exporters.
            strict: whether to raise if one cannot be made; else it is left out with a warning.

        Raises:
            ConfigurationError: if one cannot be made; then nothing has changed.
        """
        workers: dict[tuple[object, ...], Worker] = {}
        for wanted in settings.exporters:
            identity = wanted if isinstance(wanted, str) else id(wanted)
            key = (identity, settings.prometheus_address, settings.otlp_endpoint)
            worker = self._workers.get(key)
            if worker is None:
                try:
                    worker = self._made(wanted, settings)
                except ValueError as error:  # a ConfigurationError, without importing it to name it
                    if strict:
                        self._stop(
                            [new for known, new in workers.items() if known not in self._workers], time.monotonic()
                        )
                        raise
                    _warn(f"{error}; it is left out")
                    continue
            workers[key] = worker
        unwanted = [worker for key, worker in self._workers.items() if key not in workers]
        self._workers = workers
        self._stop(unwanted, time.monotonic() + settings.shutdown_timeout)

    def put(self, record: "Profile | Call | Build") -> None:
        """Queue a record for every exporter."""
        for worker in self._workers.values():
            worker.put(record)

    def wait_at_run_end(self, remaining: float) -> None:
        """Wait for the exporters that must have a run before its function returns, see `Exporter`.

        Args:
            remaining: seconds left of the run's budget, of which at most half is taken.
        """
        began = time.monotonic()
        for worker in self._workers.values():
            if worker.run_end_wait:
                worker.wait_at_run_end(began + min(worker.run_end_wait, remaining / 2))

    def start(self) -> None:
        """Start the threads now: at the end of a program it may be too late."""
        for worker in self._workers.values():
            worker.start()

    def flush(self, deadline: float) -> int:
        """Wait for every exporter until `deadline` on the monotonic clock; return how many records are left."""
        return sum(worker.flush(deadline) for worker in [*self._workers.values(), *self._leaving])

    def shutdown(self, deadline: float) -> None:
        """Stop every exporter by `deadline`; what is not exported by then is lost and counted."""
        unwanted, self._workers = list(self._workers.values()), {}
        self._stop(unwanted, deadline)
        for worker in self._leaving:
            worker.join()
        self._leaving = []

    def _stop(self, workers: list[Worker], deadline: float) -> None:
        self._leaving = [worker for worker in self._leaving if not worker.stopped] + workers
        for worker in workers:
            worker.stop(deadline)

    def _made(self, wanted: "str | Exporter | ExporterFactory", settings: "Settings") -> Worker:
        from algoprof.exporters.discovery import make_exporter, name_of  # noqa: PLC0415  (only who wants one pays)
        from algoprof.exporters.protocol import Context  # noqa: PLC0415

        context = Context(settings, self._current, self._losses.counts, self._family)
        return Worker(name_of(wanted), make_exporter(wanted, context), self._losses)


def _warn(sentence: str) -> None:
    import logging  # noqa: PLC0415  (slow to import, and only a mistake needs it)

    logging.getLogger("algoprof").warning("%s", sentence)
