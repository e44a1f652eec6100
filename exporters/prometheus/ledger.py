"""What was pushed, added up: the calls, builds and runs that ended in this process, by algorithm and by run."""

from collections import defaultdict
from collections.abc import Iterable

from prometheus_client.metrics_core import Metric

from algoprof.exporters.prometheus import metrics
from algoprof.exporters.prometheus.cardinality import OTHER, SeriesCap
from algoprof.exporters.prometheus.labels import label
from algoprof.exporters.prometheus.metrics import Described, histogram_series
from algoprof.exporters.prometheus.tallies import Tally
from algoprof.profiles.batch import CallInFlight
from algoprof.profiles.builds import Build
from algoprof.profiles.calls import Call
from algoprof.profiles.tree import Profile

_SECONDS_SERIES = histogram_series(metrics.SECONDS)
_RATIO_SERIES = histogram_series(metrics.RATIOS)
_BUILD_SERIES = histogram_series(metrics.BUILD_SECONDS)
_REMEMBERED = 1_000  # builds that are known again when they are seen to end once more
_SIDES = {"timeout": "server", "client_timeout": "client"}
_EXPECTED_OUTCOMES = ("ok", "algorithm_error", "timeout")
_EXPECTED_STATUSES = ("succeeded", "failed")


class _Tallies:
    """The histograms of one metric, by label values."""

    def __init__(self, metric: Described, bounds: tuple[float, ...]) -> None:
        self._metric = metric
        self._bounds = bounds
        self._rows: dict[tuple[str, ...], Tally] = {}

    @property
    def labels(self) -> Iterable[tuple[str, ...]]:
        """The label values so far."""
        return self._rows.keys()

    def of(self, *labels: str) -> Tally:
        """Return the histogram of these labels, made at zero if it is new."""
        if labels not in self._rows:
            self._rows[labels] = Tally(self._bounds)
        return self._rows[labels]

    def family(self) -> Metric:
        return self._metric.histogram((labels, row.buckets(), row.sum) for labels, row in self._rows.items())


class Runs:
    """Runs by name and outcome. Not safe to use in two threads at once.

    Args:
        cap: how many series there may be.
    """

    series_when_over = _RATIO_SERIES + 3 * _SECONDS_SERIES + 1
    """Series that `(other)` needs at most: its ratio, the outcomes ok, error and killed, and those in flight."""

    def __init__(self, cap: SeriesCap) -> None:
        self._cap = cap
        self._durations = _Tallies(metrics.RUN_DURATION, metrics.SECONDS)
        self._ratios = _Tallies(metrics.RUN_RATIO, metrics.RATIOS)
        self._in_flight: dict[tuple[str, ...], int] = {}

    def add(self, profile: Profile) -> None:
        """Count a run that ended."""
        run = self._known(profile.name)
        admitted = self._cap.admits(("run", run, profile.outcome), series=_SECONDS_SERIES)
        self._durations.of(run if admitted else OTHER, profile.outcome).observe(profile.duration)
        if profile.budget_used_ratio is not None:
            admitted = self._cap.admits(("run ratio", run), series=_RATIO_SERIES)
            self._ratios.of(run if admitted else OTHER).observe(profile.budget_used_ratio)

    def families(self, open_runs: Iterable[Profile]) -> list[Metric]:
        """Return the metrics, with the runs that are open now."""
        in_flight = dict.fromkeys(self._in_flight, 0)
        for profile in open_runs:
            run = self._known(profile.name)
            in_flight[run,] = in_flight.get((run,), 0) + 1
        return [self._durations.family(), self._ratios.family(), metrics.RUNS_IN_FLIGHT.gauge(in_flight)]

    def _known(self, name: str) -> str:
        run = label(name)
        if not self._cap.admits(("run", run), series=1):
            run = OTHER
        self._in_flight.setdefault((run,), 0)
        return run


class Calls:
    """Calls by algorithm and outcome. Not safe to use in two threads at once.

    Args:
        cap: how many series there may be.
    """

    series_each = _RATIO_SERIES + 3 * _SECONDS_SERIES + 5
    """Series that an algorithm has from the first: ratio, overhead, queue and load, and the single ones."""

    series_when_over = series_each + 10 * _SECONDS_SERIES
    """Series that `(other)` needs at most: an algorithm's, and durations by each of the ten outcomes."""

    def __init__(self, cap: SeriesCap) -> None:
        self._cap = cap
        self._durations = _Tallies(metrics.CALL_DURATION, metrics.SECONDS)
        self._ratios = _Tallies(metrics.CALL_RATIO, metrics.RATIOS)
        self._overheads = _Tallies(metrics.CALL_OVERHEAD, metrics.SECONDS)
        self._queues = _Tallies(metrics.CALL_QUEUE, metrics.SECONDS)
        self._loads = _Tallies(metrics.CALL_LOAD, metrics.SECONDS)
        self._timeouts: dict[tuple[str, ...], float] = {}
        self._timed_out: dict[tuple[str, ...], int] = {}

    def expect(self, name: str) -> None:
        """Have the series of an algorithm that a server hosts begin at zero: `increase()` then sees the first call."""
        algorithm = self._known(name)
        for outcome in _EXPECTED_OUTCOMES:
            self._durations_of(algorithm, outcome)

    def add(self, call: Call) -> None:
        """Count a call that ended."""
        algorithm = self._known(call.algorithm)
        self._timeouts[algorithm,] = call.timeout
        if call.duration is not None:
            self._durations_of(algorithm, call.outcome).observe(call.duration)
        for tallies, value in (
            (self._ratios, call.budget_used_ratio),
            (self._overheads, call.overhead),
            (self._queues, call.queue),
            (self._loads, call.load),
        ):
            if value is not None:
                tallies.of(algorithm).observe(value)
        if call.outcome in _SIDES:
            self._timed_out[algorithm, _SIDES[call.outcome]] += 1

    def families(self, in_flight: Iterable[CallInFlight]) -> list[Metric]:
        """Return the metrics, with the calls that are not answered yet."""
        waiting: defaultdict[tuple[str, ...], int] = defaultdict(int)
        oldest: defaultdict[tuple[str, ...], float] = defaultdict(float)
        for call in in_flight:
            labels = (self._known(call.algorithm),)
            self._timeouts[labels] = call.timeout
            waiting[labels] += 1
            if call.timeout > 0:
                oldest[labels] = max(oldest[labels], call.age_ns / 1e9 / call.timeout)
        return [
            *(
                tallies.family()
                for tallies in (self._durations, self._ratios, self._overheads, self._queues, self._loads)
            ),
            metrics.CALL_TIMEOUT.gauge(self._timeouts),
            metrics.CALL_TIMEOUTS.counter(self._timed_out),
            metrics.CALLS_IN_FLIGHT.gauge({labels: waiting[labels] for labels in self._overheads.labels}),
            metrics.CALL_OLDEST.gauge({labels: oldest[labels] for labels in self._overheads.labels}),
        ]

    def _durations_of(self, algorithm: str, outcome: str) -> Tally:
        admitted = self._cap.admits(("call", algorithm, outcome), series=_SECONDS_SERIES)
        return self._durations.of(algorithm if admitted else OTHER, outcome)

    def _known(self, name: str) -> str:
        """Return the label of an algorithm, and have its series start at zero, so that `increase()` sees the first."""
        algorithm = label(name)
        if not self._cap.admits(("call", algorithm), series=self.series_each):
            algorithm = OTHER
        for side in _SIDES.values():
            self._timed_out.setdefault((algorithm, side), 0)
        for tallies in (self._ratios, self._overheads, self._queues, self._loads):
            tallies.of(algorithm)
        return algorithm


class Builds:
    """Builds by algorithm and status. Not safe to use in two threads at once.

    Args:
        cap: how many series there may be.
    """

    series_when_over = 2 * _BUILD_SERIES
    """Series that `(other)` needs at most: those that succeeded, and those that failed."""

    def __init__(self, cap: SeriesCap) -> None:
        self._cap = cap
        self._durations = _Tallies(metrics.BUILD_DURATION, metrics.BUILD_SECONDS)
        self._seen: dict[tuple[str, str], None] = {}

    def expect(self, name: str) -> None:
        """Have the series of an algorithm that a server hosts begin at zero."""
        for status in _EXPECTED_STATUSES:
            self._of(label(name), status)

    def add(self, build: Build) -> None:
        """Count a build that ended, once however often it is seen."""
        identity = build.algorithm, build.id
        if identity in self._seen or build.duration is None or not build.ended:
            return
        self._seen[identity] = None
        if len(self._seen) > _REMEMBERED:
            del self._seen[next(iter(self._seen))]
        self._of(label(build.algorithm), build.status).observe(build.duration)

    def families(self) -> list[Metric]:
        """Return the metrics."""
        return [self._durations.family()]

    def _of(self, algorithm: str, status: str) -> Tally:
        admitted = self._cap.admits(("build", algorithm, status), series=_BUILD_SERIES)
        return self._durations.of(algorithm if admitted else OTHER, status)
