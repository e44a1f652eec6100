"""What only a server knows: its queue, its workers, its sessions, and the calls that it turned away."""

from collections import defaultdict
from typing import get_args

from prometheus_client.metrics_core import Metric

from algoprof.exporters.prometheus import metrics
from algoprof.exporters.prometheus.cardinality import OTHER, SeriesCap
from algoprof.exporters.prometheus.labels import label
from algoprof.profiles.hosting import HostedAlgorithm, Hosting, Refused, WorkerEnd

_ENDS: tuple[WorkerEnd, ...] = get_args(WorkerEnd)
_REFUSALS: tuple[Refused, ...] = get_args(Refused)

SERIES = 1 + 3 + 1 + len(_ENDS) + len(_REFUSALS) + 1
"""Series that one algorithm has: queue, workers by state, started, ended, refused, version."""


def hosting_families(hosting: Hosting, cap: SeriesCap) -> list[Metric]:
    """Return the metrics of a server; each begins at zero for each algorithm that it hosts."""
    queues: defaultdict[metrics.Labels, float] = defaultdict(float)
    workers: defaultdict[metrics.Labels, float] = defaultdict(float)
    started: defaultdict[metrics.Labels, float] = defaultdict(float)
    ended: defaultdict[metrics.Labels, float] = defaultdict(float)
    refused: defaultdict[metrics.Labels, float] = defaultdict(float)
    versions: dict[metrics.Labels, float] = {}
    for hosted in hosting.algorithms:
        algorithm = hosted_label(hosted, cap)
        queues[algorithm,] += hosted.queued
        for state, count in (("ready", hosted.ready), ("loading", hosted.loading), ("busy", hosted.busy)):
            workers[algorithm, state] += count
        started[algorithm,] += hosted.started
        for end in _ENDS:
            ended[algorithm, end] += hosted.ended.get(end, 0)
        for reason in _REFUSALS:
            refused[algorithm, reason] += hosted.refused.get(reason, 0)
        if hosted.version and algorithm != OTHER:
            versions[algorithm, hosted.version] = 1
    return [
        metrics.SERVER_QUEUE.gauge(queues),
        metrics.SERVER_REPLICAS.gauge(workers),
        metrics.SERVER_STARTED.counter(started),
        metrics.SERVER_ENDED.counter(ended),
        metrics.SERVER_REFUSED.counter(refused),
        metrics.SERVER_SESSIONS.gauge({(): hosting.sessions}),
        metrics.SERVER_SESSIONS_LIMIT.gauge({(): hosting.most_sessions}),
        metrics.ALGORITHM_INFO.gauge(versions),
    ]


def hosted_label(hosted: HostedAlgorithm, cap: SeriesCap) -> str:
    """Return the label that an algorithm's metrics of this kind have, and keep room for them if there is any."""
    name = label(hosted.algorithm)
    return name if cap.admits(("hosted", name), series=SERIES) else OTHER
