"""The collector: asked at every scrape, it answers from what was pushed and from what is there now."""

import logging
import platform
from threading import Lock

from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from algoprof._version import __version__
from algoprof.exporters.prometheus import metrics
from algoprof.exporters.prometheus.cardinality import SeriesCap
from algoprof.exporters.prometheus.hosting import SERIES as HOSTED_SERIES
from algoprof.exporters.prometheus.hosting import hosted_label, hosting_families
from algoprof.exporters.prometheus.ledger import Builds, Calls, Runs
from algoprof.exporters.prometheus.sections import SERIES as SECTION_SERIES
from algoprof.exporters.prometheus.sections import section_families
from algoprof.exporters.protocol import Context
from algoprof.profiles.batch import Batch
from algoprof.profiles.hosting import Hosting

SERIES_LIMIT = 2_000
"""Series of sections, runs, calls, builds and what a server hosts, those labelled `(other)` included."""

_RESERVED = SECTION_SERIES + Runs.series_when_over + Calls.series_when_over + Builds.series_when_over + HOSTED_SERIES


class AlgoprofCollector(Collector):
    """Gives prometheus-client's registries our metrics.

    It registers with any `CollectorRegistry`; `describe` names nothing, so registering it costs no collection.

    Args:
        context: where the numbers come from.
        limit: how many series there may be.
    """

    def __init__(self, context: Context, *, limit: int = SERIES_LIMIT) -> None:
        self._context = context
        self._lock = Lock()
        self._cap = SeriesCap(limit - _RESERVED)
        self._runs = Runs(self._cap)
        self._calls = Calls(self._cap)
        self._builds = Builds(self._cap)
        self._failed_scrapes = 0

    def add(self, batch: Batch) -> None:
        """Count the runs, the calls and the builds of a batch."""
        with self._lock:
            for profile in batch.profiles:
                self._runs.add(profile)
            for call in batch.calls:
                self._calls.add(call)
            for build in batch.builds:
                self._builds.add(build)

    def describe(self) -> list[Metric]:
        """Return nothing: the names are not needed to register."""
        return []

    def collect(self) -> list[Metric]:
        """Return the metrics as they are now. It never raises; what could not be read is missing, and counted."""
        try:
            batch = self._context.current()
            with self._lock:
                families = [
                    *self._hosting(batch.hosting),
                    *section_families(batch.profiles, self._cap),
                    *self._runs.families(batch.open_runs),
                    *self._calls.families(batch.calls_in_flight),
                    *self._builds.families(),
                    metrics.SPANS_DROPPED.counter({(): sum(profile.dropped for profile in batch.profiles)}),
                ]
        except Exception:
            if not self._failed_scrapes:
                logging.getLogger("algoprof").warning("a scrape could not read the profiles", exc_info=True)
            self._failed_scrapes += 1
            families = []
        return [*families, *self._about_itself()]

    def replace_lock(self) -> None:
        """Forget who held the lock: after a fork, in the child, nobody does."""
        self._lock = Lock()

    def _hosting(self, hosting: Hosting | None) -> list[Metric]:
        """Return a server's metrics, and have those of its calls and builds begin at zero."""
        if hosting is None:
            return []
        for hosted in hosting.algorithms:
            hosted_label(hosted, self._cap)  # so that who comes first has all of its metrics
            self._calls.expect(hosted.algorithm)
            self._builds.expect(hosted.algorithm)
        return hosting_families(hosting, self._cap)

    def _about_itself(self) -> list[Metric]:
        failures: dict[metrics.Labels, float] = dict(self._context.losses().items())
        failures["prometheus", "scrape"] = self._failed_scrapes
        return [
            metrics.BUILD_INFO.gauge({(__version__, platform.python_version()): 1}),
            metrics.EXPORT_FAILURES.counter(failures),
            metrics.SERIES_DROPPED.counter({(): self._cap.refused_series}),
        ]
