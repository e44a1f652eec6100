"""Section metrics: from the cumulative profiles, as they are at the moment of the scrape."""

from collections.abc import Iterable

from prometheus_client.metrics_core import Metric

from algoprof.exporters.prometheus import metrics
from algoprof.exporters.prometheus.cardinality import OTHER, SeriesCap
from algoprof.exporters.prometheus.labels import label
from algoprof.exporters.prometheus.tallies import labelled_buckets
from algoprof.profiles.histogram import Histogram
from algoprof.profiles.tree import Node, Profile

THE_RUN = "(run)"
"""The `section` label of a run's root."""

SERIES = metrics.histogram_series(metrics.SECTION_SECONDS) + 2
"""Series that one section has: its histogram, its own time, its errors."""

ALL_OTHER = (OTHER, OTHER)


class _Row:
    """The totals of one pair of labels; several nodes add up here if they are over the cap or of the same path."""

    __slots__ = ("closed_ns", "errors", "histogram", "self_ns")

    def __init__(self) -> None:
        self.closed_ns = 0
        self.self_ns = 0
        self.errors = 0
        self.histogram = Histogram()

    def add(self, node: Node) -> None:
        self.closed_ns += node.closed_ns
        self.self_ns += node.self_ns
        self.errors += node.errors
        self.histogram += node.histogram


def section_families(profiles: Iterable[Profile], cap: SeriesCap) -> list[Metric]:
    """Return the section metrics of cumulative profiles.

    Where the cap is reached, the heaviest sections of those not yet exposed come first, and the others add up.
    """
    rows: dict[tuple[str, str], _Row] = {}
    for profile in sorted(profiles, key=lambda profile: -profile.duration_ns):
        nodes = sorted(profile.paths(), key=lambda found: (-found[1].total_ns, found[0]))
        for path, node in nodes:
            rows.setdefault(_labels(profile.name, path, cap), _Row()).add(node)
    return [
        metrics.SECTION_DURATION.histogram(
            (
                labels,
                labelled_buckets(
                    metrics.SECTION_SECONDS,
                    row.histogram.cumulative(metrics.SECTION_SECONDS),
                    row.histogram.count,
                ),
                row.closed_ns / 1e9,
            )
            for labels, row in rows.items()
        ),
        metrics.SECTION_SELF.counter({labels: row.self_ns / 1e9 for labels, row in rows.items()}),
        metrics.SECTION_ERRORS.counter({labels: row.errors for labels, row in rows.items()}),
    ]


def _labels(run_name: str, path: tuple[str, ...], cap: SeriesCap) -> tuple[str, str]:
    run = label(run_name)
    if not cap.admits(("section", run, OTHER), series=SERIES):  # room for what of it will be over the cap
        return ALL_OTHER
    below = path[1:] if path[0] == run_name else path
    section = label("/".join(below)) if below else THE_RUN
    return (run, section) if cap.admits(("section", run, section), series=SERIES) else (run, OTHER)
