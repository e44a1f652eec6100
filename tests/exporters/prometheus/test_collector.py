"""The mapping, with exact numbers."""

import logging
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest

from algoprof import __version__
from algoprof.exporters.prometheus import metrics
from algoprof.exporters.prometheus.collector import SERIES_LIMIT, AlgoprofCollector
from algoprof.exporters.prometheus.tallies import Tally
from algoprof.exporters.protocol import Context
from algoprof.profiles.batch import Batch, CallInFlight
from algoprof.profiles.buckets import bucket_of
from algoprof.profiles.builds import Build
from algoprof.profiles.calls import Call
from algoprof.profiles.histogram import Histogram
from algoprof.profiles.hosting import HostedAlgorithm, Hosting
from algoprof.profiles.merging import merge
from algoprof.profiles.tree import Node, Profile
from algoprof.settings import Settings

SECOND = 1_000_000_000


def histogram(*durations_ns: int) -> Histogram:
    return sum((Histogram(((bucket_of(duration), 1),)) for duration in durations_ns), Histogram())


def of_count(name: str, count: int, *children: Node) -> Node:
    return Node(name, count, closed_ns=count * SECOND, histogram=histogram(*[SECOND] * count), children=children)


@pytest.fixture
def two_runs() -> Profile:
    """Two runs of `job`: 1 s and 3 s, of which `load` took 0.5 s and 2.5 s, the second with an error."""
    load = Node(
        "load", 2, closed_ns=3 * SECOND, errors=1, histogram=histogram(SECOND // 2, 5 * SECOND // 2), concurrent=False
    )
    job = Node(
        "job", 2, closed_ns=4 * SECOND, nested_ns=3 * SECOND, histogram=histogram(SECOND, 3 * SECOND), children=(load,)
    )
    return Profile("job", (job,), outcome="merged", runs=2, dropped=5)


def test_sections_exactly(exporter, source, scrape, two_runs):
    source.batch = Batch((two_runs,))
    found = scrape(exporter.registry)
    buckets = {
        float(key[1]): value
        for key, value in found.items()
        if key[0] == "algoprof_section_seconds_bucket" and key[2:] == ("job", "load")
    }
    assert buckets == {
        **dict.fromkeys((2.0**exponent for exponent in range(-10, -1)), 0),
        0.5: 1,
        1.0: 1,
        2.0: 1,
        **dict.fromkeys((2.0**exponent for exponent in range(2, 13)), 2),
        math.inf: 2,
    }
    assert found["algoprof_section_seconds_count", "job", "load"] == 2
    assert found["algoprof_section_seconds_sum", "job", "load"] == 3.0
    assert found["algoprof_section_errors_total", "job", "load"] == 1
    assert found["algoprof_section_errors_total", "job", "(run)"] == 0
    assert found["algoprof_section_self_seconds_total", "job", "load"] == 3.0
    assert found["algoprof_section_self_seconds_total", "job", "(run)"] == 1.0
    assert found["algoprof_section_seconds_sum", "job", "(run)"] == 4.0
    assert found["algoprof_spans_dropped_total",] == 5


def test_paths_that_read_the_same_add_up(exporter, source, scrape):
    deep = of_count("a", 1, of_count("b", 2))
    source.batch = Batch((Profile("job", (of_count("job", 1, deep, of_count("a/b", 3)), of_count("worker", 7))),))
    found = scrape(exporter.registry)
    assert found["algoprof_section_seconds_count", "job", "a/b"] == 5
    assert found["algoprof_section_seconds_count", "job", "worker"] == 7


def test_runs_exactly(exporter, source, scrape):
    runs = [
        Profile("job", (), duration_ns=3 * SECOND, timeout=4.0, budget_spent_ns=SECOND // 5),
        Profile("job", (), duration_ns=SECOND, outcome="error"),
    ]
    exporter.export(Batch(tuple(runs)))
    source.batch = Batch(open_runs=(Profile("job", (), outcome="open"), Profile("other", (), outcome="open")))
    found = scrape(exporter.registry)
    assert found["algoprof_run_seconds_sum", "ok", "job"] == 3.0
    assert found["algoprof_run_seconds_bucket", "2.5", "ok", "job"] == 0
    assert found["algoprof_run_seconds_bucket", "5.0", "ok", "job"] == 1
    assert found["algoprof_run_seconds_bucket", "1.0", "error", "job"] == 1
    assert found["algoprof_run_budget_used_ratio_sum", "job"] == 0.8
    assert found["algoprof_run_budget_used_ratio_count", "job"] == 1
    assert found["algoprof_run_budget_used_ratio_bucket", "0.75", "job"] == 0
    assert found["algoprof_run_budget_used_ratio_bucket", "0.8", "job"] == 1
    assert (found["algoprof_runs_in_flight", "job"], found["algoprof_runs_in_flight", "other"]) == (1, 1)
    source.batch = Batch()
    found = scrape(exporter.registry)
    assert (found["algoprof_runs_in_flight", "job"], found["algoprof_runs_in_flight", "other"]) == (0, 0)


def test_calls_exactly(exporter, source, scrape):
    exporter.export(
        Batch(
            calls=(
                Call("demo/Routes", 0, 5 * SECOND, "ok", 3 * SECOND, SECOND, SECOND // 2, timeout=60.0),
                Call("demo/Routes", 0, 70 * SECOND, "timeout", timeout=60.0),
                Call("demo/Routes", 0, 80 * SECOND, "client_timeout", timeout=70.0),
                Call("demo/Cities", 0, SECOND, "unreachable", timeout=300.0),
            )
        )
    )
    found = scrape(exporter.registry)
    assert found["algoprof_call_duration_seconds_sum", "demo/Routes", "ok"] == 3.0
    assert ("algoprof_call_duration_seconds_sum", "demo/Routes", "timeout") not in found
    assert found["algoprof_call_budget_used_ratio_count", "demo/Routes"] == 3
    assert found["algoprof_call_budget_used_ratio_sum", "demo/Routes"] == 2 + 4.5 / 60
    assert found["algoprof_call_budget_used_ratio_bucket", "demo/Routes", "0.98"] == 1
    assert found["algoprof_call_budget_used_ratio_bucket", "demo/Routes", "1.0"] == 3
    assert found["algoprof_call_overhead_seconds_sum", "demo/Routes"] == 2.0
    assert found["algoprof_call_queue_seconds_sum", "demo/Routes"] == 1.0
    assert found["algoprof_call_load_seconds_sum", "demo/Routes"] == 0.5
    assert found["algoprof_call_timeout_seconds", "demo/Routes"] == 70.0
    assert found["algoprof_call_timeouts_total", "demo/Routes", "server"] == 1
    assert found["algoprof_call_timeouts_total", "demo/Routes", "client"] == 1
    assert found["algoprof_call_timeouts_total", "demo/Cities", "server"] == 0
    assert found["algoprof_call_budget_used_ratio_count", "demo/Cities"] == 0
    assert found["algoprof_calls_in_flight", "demo/Cities"] == 0


def test_a_call_in_flight_is_seen_before_it_ends_and_starts_the_counters_at_zero(exporter, source, scrape):
    source.batch = Batch(
        calls_in_flight=(
            CallInFlight("demo/Routes", 45 * SECOND, 60.0),
            CallInFlight("demo/Routes", 15 * SECOND, 60.0),
        )
    )
    found = scrape(exporter.registry)
    assert found["algoprof_calls_in_flight", "demo/Routes"] == 2
    assert found["algoprof_call_inflight_budget_ratio_max", "demo/Routes"] == 0.75
    assert found["algoprof_call_timeouts_total", "demo/Routes", "server"] == 0
    assert found["algoprof_call_budget_used_ratio_count", "demo/Routes"] == 0
    source.batch = Batch()
    found = scrape(exporter.registry)
    assert found["algoprof_calls_in_flight", "demo/Routes"] == 0
    assert found["algoprof_call_inflight_budget_ratio_max", "demo/Routes"] == 0


def test_what_a_server_hosts_begins_at_zero_and_is_told_exactly(exporter, source, scrape):
    fresh, busy = (
        HostedAlgorithm("demo/Fresh"),
        HostedAlgorithm("demo/Busy", "1.2.0", 3, 2, 1, 4, 9, {"timeout": 2, "idle": 1}, {"sessions": 5}),
    )
    source.batch = Batch(hosting=Hosting((fresh, busy), 8, 80))
    found = scrape(exporter.registry)
    fresh_ones = {key: value for key, value in found.items() if "demo/Fresh" in key}
    assert set(fresh_ones.values()) == {0}
    assert ("algoprof_call_timeout_seconds", "demo/Fresh") not in fresh_ones
    for outcome in ("ok", "algorithm_error", "timeout"):
        assert ("algoprof_call_duration_seconds_count", "demo/Fresh", outcome) in fresh_ones
    for status in ("succeeded", "failed"):
        assert ("algoprof_build_duration_seconds_count", "demo/Fresh", status) in fresh_ones
    busy_ones = {key: value for key, value in found.items() if key[1:2] == ("demo/Busy",) and "_server_" in key[0]}
    assert {(name.removeprefix("algoprof_server_"), *rest): value for (name, _, *rest), value in busy_ones.items()} == {
        ("queue_length",): 3,
        ("replicas", "ready"): 2,
        ("replicas", "loading"): 1,
        ("replicas", "busy"): 4,
        ("workers_started_total",): 9,
        ("workers_ended_total", "timeout"): 2,
        ("workers_ended_total", "idle"): 1,
        ("workers_ended_total", "replaced"): 0,
        ("workers_ended_total", "exited"): 0,
        ("refused_total", "sessions"): 5,
        ("refused_total", "calls"): 0,
    }
    assert (found["algoprof_server_sessions",], found["algoprof_server_sessions_limit",]) == (8, 80)
    assert found["algoprof_algorithm_info", "demo/Busy", "1.2.0"] == 1
    assert not [key for key in found if key[:2] == ("algoprof_algorithm_info", "demo/Fresh")]


def test_many_hosted_algorithms_add_up_under_the_cap(exporter, source, scrape):
    hosted = tuple(HostedAlgorithm(f"demo/A{number}", "1.0.0", queued=1, ended={"exited": 2}) for number in range(500))
    source.batch = Batch(hosting=Hosting(hosted))
    found = scrape(exporter.registry)
    assert len(found) <= SERIES_LIMIT + 10
    queued = {key: value for key, value in found.items() if key[0] == "algoprof_server_queue_length"}
    assert sum(queued.values()) == 500 > queued["algoprof_server_queue_length", "(other)"] > 0
    assert found["algoprof_server_workers_ended_total", "(other)", "exited"] > 0
    assert scrape(exporter.registry) == found


def test_a_process_that_hosts_nothing_has_no_metrics_of_a_server(exporter, scrape):
    assert not [key for key in scrape(exporter.registry) if "server" in key[0]]


def test_about_itself(exporter, source, scrape):
    source.lost = {("otlp", "error"): 4}
    found = scrape(exporter.registry)
    (info,) = (key for key in found if key[0] == "algoprof_build_info")
    assert info[2] == __version__
    assert found["algoprof_export_failures_total", "otlp", "error"] == 4
    assert found["algoprof_export_failures_total", "prometheus", "scrape"] == 0
    assert found["algoprof_series_dropped_total",] == 0


def test_over_the_cap_everything_adds_up_and_nobody_loses_their_series(exporter, source, scrape):
    first = tuple(of_count(f"s{number}", 1) for number in range(10))
    many = tuple(of_count(f"s{number}", 2 + number % 3) for number in range(400))
    source.batch = Batch((Profile("job", (of_count("job", 1, *first),)),))
    scrape(exporter.registry)
    source.batch = Batch((Profile("job", (of_count("job", 1, *many),)), Profile("late", (of_count("late", 9),))))
    found = scrape(exporter.registry)
    counts = {key[1:]: value for key, value in found.items() if key[0] == "algoprof_section_seconds_count"}
    assert sum(counts.values()) == 1 + sum(node.count for node in many) + 9
    assert counts["job", "(other)"] > 0
    assert {("job", f"s{number}") for number in range(10)} <= set(counts)
    sums = [value for key, value in found.items() if key[0] == "algoprof_section_self_seconds_total"]
    assert sum(sums) == sum(counts.values())
    ours = [key for key in found if key[0].startswith(("algoprof_section", "algoprof_run", "algoprof_call"))]
    assert SERIES_LIMIT // 2 < len(ours) <= SERIES_LIMIT
    dropped = found["algoprof_series_dropped_total",]
    assert dropped > 0
    assert scrape(exporter.registry) == found


def test_thousands_of_algorithms_stay_under_the_cap(exporter, scrape):
    calls = tuple(
        Call(f"demo/A{number}", 0, SECOND, outcome, duration_ns=SECOND)
        for number in range(3_000)
        for outcome in ("ok", "algorithm_error")
    )
    exporter.export(Batch(calls=calls))
    found = scrape(exporter.registry)
    assert len(found) <= SERIES_LIMIT + 10
    counts = [value for key, value in found.items() if key[0] == "algoprof_call_duration_seconds_count"]
    assert sum(counts) == 6_000
    assert found["algoprof_call_budget_used_ratio_count", "(other)"] > 5_000


def test_hostile_names_are_scraped_back(exporter, source, hostile, scrape):
    source.batch = Batch((Profile(hostile, (of_count(hostile, 1, of_count(hostile, 2)),)),))
    exporter.export(Batch(calls=(Call(hostile, 0, 5, "ok"),), profiles=(Profile(hostile, ()),)))
    found = scrape(exporter.registry)
    assert sum(value for key, value in found.items() if key[0] == "algoprof_section_seconds_count") == 3
    algorithms = [key[1] for key in found if key[0] == "algoprof_call_timeout_seconds"]
    shown = hostile.encode("utf-8", "replace").decode()
    assert algorithms == [shown] if len(hostile) <= 256 else [algorithms[0][:245]] == [hostile[:245]]


def test_a_scrape_that_fails_is_counted_and_raises_nothing(exporter, source, scrape, two_runs, caplog):
    source.failure = OSError("gone")
    with caplog.at_level(logging.WARNING, logger="algoprof"):
        for number in (1, 2):
            assert scrape(exporter.registry)["algoprof_export_failures_total", "prometheus", "scrape"] == number
    assert len(caplog.records) == 1
    source.failure, source.batch = None, Batch((two_runs,))
    assert scrape(exporter.registry)["algoprof_section_seconds_count", "job", "load"] == 2


def test_the_collector_joins_an_existing_registry():
    registry = CollectorRegistry()
    registry.register(AlgoprofCollector(Context(Settings())))
    assert b"algoprof_build_info{" in generate_latest(registry)


def test_a_scrape_may_be_restricted_to_some_names(exporter, source, two_runs):
    source.batch = Batch((two_runs,))
    text = generate_latest(exporter.registry.restricted_registry(["algoprof_section_errors_total"])).decode()
    assert {line.partition("{")[0] for line in text.splitlines() if line[0] != "#"} == {"algoprof_section_errors_total"}


def test_numbers_only_grow(exporter, source, scrape, two_runs):
    source.batch = Batch((two_runs,))
    before = scrape(exporter.registry)
    source.batch = Batch((merge([two_runs, two_runs], "job"),))
    after = scrape(exporter.registry)
    counters = [key for key in before if key[0].startswith("algoprof_section")]
    assert counters
    assert all(after[key] == 2 * before[key] for key in counters)


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=30))
def test_a_tally_counts_every_finite_number_once(values):
    tally = Tally(metrics.RATIOS)
    for value in values:
        tally.observe(value)
    finite = [value for value in values if math.isfinite(value)]
    for bound, count in tally.buckets():
        assert count == sum(value <= float(bound) for value in finite)


def test_the_bounds_of_sections_are_bounds_of_the_recorder():
    for bound in metrics.SECTION_SECONDS:
        exact = int(bound * SECOND)
        assert histogram(exact).cumulative([bound]) == [1]
        assert histogram(exact + 1).cumulative([bound]) == [0]


def test_a_build_that_ended_is_counted_once_however_often_it_is_seen(exporter, scrape):
    ended = Build("demo/Routes", "b1", "failed", started_ns=0, finished_ns=45 * SECOND)
    running = Build("demo/Routes", "b2", "in-progress", started_ns=0)
    exporter.export(Batch(builds=(ended, running)))
    exporter.export(Batch(builds=(ended, Build("demo/Other", "b1", "failed", started_ns=0, finished_ns=SECOND))))
    found = scrape(exporter.registry)
    assert found["algoprof_build_duration_seconds_count", "demo/Routes", "failed"] == 1
    assert found["algoprof_build_duration_seconds_sum", "demo/Routes", "failed"] == 45
    assert found["algoprof_build_duration_seconds_bucket", "demo/Routes", "30.0", "failed"] == 0
    assert found["algoprof_build_duration_seconds_bucket", "demo/Routes", "60.0", "failed"] == 1
    assert found["algoprof_build_duration_seconds_count", "demo/Other", "failed"] == 1
