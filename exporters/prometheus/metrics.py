"""Which metrics there are: names, help, labels and bounds."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric

from algoprof.exporters.prometheus.tallies import Buckets

Labels = tuple[str, ...]

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
"""Bounds of what is observed one by one: calls and runs."""

RATIOS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.98, 1.0, 1.02, 1.1, 1.5)
"""Bounds of shares of a timeout: close together where it gets tight."""

BUILD_SECONDS = (1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 3600.0)
"""Bounds of builds."""

SECTION_SECONDS = tuple(2.0**exponent for exponent in range(-10, 13))
"""Bounds of sections: they are bounds of the recorder's own buckets too, so that no occurrence is counted wrongly."""


class Described(NamedTuple):
    """A metric before its samples.

    Args:
        name: as it is scraped, but for a histogram's suffixes.
        help: what it says about itself.
        labels: the names of its labels.
    """

    name: str
    help: str
    labels: tuple[str, ...] = ()

    def gauge(self, rows: Mapping[Labels, float]) -> Metric:
        """Return it as a gauge with these values by label values."""
        family = GaugeMetricFamily(self.name, self.help, labels=self.labels)
        for labels, value in rows.items():
            family.add_metric(labels, value)
        return family

    def counter(self, rows: Mapping[Labels, float]) -> Metric:
        """Return it as a counter with these values by label values."""
        family = CounterMetricFamily(self.name, self.help, labels=self.labels)
        for labels, value in rows.items():
            family.add_metric(labels, value)
        return family

    def histogram(self, rows: Iterable[tuple[Labels, Buckets, float]]) -> Metric:
        """Return it as a histogram with these label values, cumulative buckets and sums."""
        family = HistogramMetricFamily(self.name, self.help, labels=self.labels)
        for labels, buckets, total in rows:
            family.add_metric(labels, buckets, total)
        return family


def histogram_series(bounds: Sequence[float]) -> int:
    """Return how many series a histogram has: its buckets, the infinite one, count and sum.

    >>> histogram_series(RATIOS)
    21
    """
    return len(bounds) + 3


SECTION_DURATION = Described(
    "algoprof_section_seconds",
    "Durations of the sections of ended runs; section (run) is the run itself.",
    ("run", "section"),
)
SECTION_SELF = Described(
    "algoprof_section_self_seconds_total",
    "Time spent in a section and in none below it; its sum over the sections of a run is the time of the run.",
    ("run", "section"),
)
SECTION_ERRORS = Described(
    "algoprof_section_errors_total", "Occurrences of a section that ended with an exception.", ("run", "section")
)

RUN_DURATION = Described("algoprof_run_seconds", "Durations of the runs of this process.", ("run", "outcome"))
RUN_RATIO = Described(
    "algoprof_run_budget_used_ratio", "Share of its timeout that a run of this process used.", ("run",)
)
RUNS_IN_FLIGHT = Described("algoprof_runs_in_flight", "Runs that are open now.", ("run",))

CALL_DURATION = Described(
    "algoprof_call_duration_seconds", "How long the platform says that a call ran.", ("algorithm", "outcome")
)
CALL_RATIO = Described(
    "algoprof_call_budget_used_ratio",
    "Share of its timeout that a call used; at least 1 if the timeout won.",
    ("algorithm",),
)
CALL_TIMEOUT = Described("algoprof_call_timeout_seconds", "Timeout that the last call was given.", ("algorithm",))
CALL_TIMEOUTS = Described(
    "algoprof_call_timeouts_total",
    "Calls that a timeout ended, on the server's side or on the client's.",
    ("algorithm", "side"),
)
CALL_OVERHEAD = Described(
    "algoprof_call_overhead_seconds",
    "Time of a call that the algorithm did not run: queue, load and network.",
    ("algorithm",),
)
CALL_QUEUE = Described("algoprof_call_queue_seconds", "How long a call waited for a worker.", ("algorithm",))
CALL_LOAD = Described(
    "algoprof_call_load_seconds", "How long a call waited for its worker to load the algorithm.", ("algorithm",)
)
CALLS_IN_FLIGHT = Described("algoprof_calls_in_flight", "Calls that are not answered yet.", ("algorithm",))
CALL_OLDEST = Described(
    "algoprof_call_inflight_budget_ratio_max",
    "Largest share of its timeout that a call which is not answered yet has been waiting; 0 if there is none.",
    ("algorithm",),
)

BUILD_DURATION = Described(
    "algoprof_build_duration_seconds", "How long the builds took that were seen to end.", ("algorithm", "status")
)

SERVER_QUEUE = Described(
    "algoprof_server_queue_length", "Calls that wait for a worker of this server to be free.", ("algorithm",)
)
SERVER_REPLICAS = Described(
    "algoprof_server_replicas",
    "Workers of this server: ready, loading for a call, or busy with one.",
    ("algorithm", "state"),
)
SERVER_STARTED = Described("algoprof_server_workers_started_total", "Workers that were started.", ("algorithm",))
SERVER_ENDED = Described(
    "algoprof_server_workers_ended_total",
    "Workers that have ended: idle for too long, replaced, killed at a timeout, or exited by themselves.",
    ("algorithm", "reason"),
)
SERVER_REFUSED = Described(
    "algoprof_server_refused_total",
    "Calls that were turned away with 429: too many sessions, or too many calls of one session.",
    ("algorithm", "reason"),
)
SERVER_SESSIONS = Described(
    "algoprof_server_sessions", "Calls from outside that wait or run, each with those that its algorithm makes."
)
SERVER_SESSIONS_LIMIT = Described("algoprof_server_sessions_limit", "How many sessions there may be at once.")
ALGORITHM_INFO = Described(
    "algoprof_algorithm_info", "Always 1; which version of an algorithm is served.", ("algorithm", "version")
)

BUILD_INFO = Described("algoprof_build_info", "Always 1; which algoprof and Python these are.", ("version", "python"))
EXPORT_FAILURES = Described(
    "algoprof_export_failures_total", "Records that an exporter did not get to where they go.", ("exporter", "reason")
)
SPANS_DROPPED = Described(
    "algoprof_spans_dropped_total", "Spans, attributes and names that the recorder left out, since there were too many."
)
SERIES_DROPPED = Described(
    "algoprof_series_dropped_total", "Series over the cap; what they held is in the series labelled (other)."
)
