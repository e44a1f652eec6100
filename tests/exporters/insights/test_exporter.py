"""Real runs that tell a real endpoint, whatever it does, before their function returns."""

import logging
import os
import time
from collections.abc import Callable, Iterator

import pytest

import algoprof
from algoprof import delivery, settings
from algoprof.errors import AlgoprofError, ConfigurationError
from algoprof.exporters.insights import InsightsExporter
from algoprof.exporters.insights.exporter import TIMEOUT
from algoprof.profiles.batch import Batch
from algoprof.profiles.tree import Node, Profile

RUNS = 40
PATIENT = {"timeout": 30.0}  # so that a busy machine loses nothing


@algoprof.profile(timeout=60)
def job(*, fail=False):
    with algoprof.section("load"):
        pass
    if fail:
        raise ValueError("the author's own")
    return "result"


@algoprof.profile
def apply():
    return job()


@pytest.fixture
def wanted(monkeypatch) -> Iterator[Callable[..., None]]:
    """Have delivery export insights to an address, as in a fresh process."""
    monkeypatch.setattr(delivery.process, "_state", delivery.process._State())

    def start(address: str, **options: object) -> None:
        monkeypatch.setenv("ALGORITHMIA_API", address)
        settings.configure(exporters=[InsightsExporter.with_options(**options)], report="never")

    yield start
    settings.configure(shutdown_timeout=0.1)
    delivery.shutdown()
    settings.reset()


@pytest.fixture
def exporter(taking, monkeypatch) -> InsightsExporter:
    monkeypatch.setenv("ALGORITHMIA_API", taking.address)
    return InsightsExporter(pause=0, **PATIENT)


def a_run(name="job", **fields):
    fields = {"run_id": os.urandom(16).hex(), "started_ns": time.time_ns(), "duration_ns": 10} | fields
    return Profile(name, (Node(name, 1, module="main"),), **fields)


def test_an_execution_is_told_before_its_function_returns(wanted, taking):
    wanted(taking.address, **PATIENT)
    for number in range(1, 6):
        assert job() == "result"
        assert len(taking.requests) == number
    target, headers, _ = taking.requests[0]
    assert target == "/v1/insights"
    assert "Authorization" not in headers
    assert headers["Content-Type"] == "application/json"
    assert taking.metrics[0]["algoprof_timeout_seconds"] == 60
    assert 0 <= taking.metrics[0]["algoprof_self_seconds_load"] <= taking.metrics[0]["algoprof_run_seconds"]
    assert [metrics["algoprof_cold_start"] for metrics in taking.metrics] == [1, 0, 0, 0, 0]


def test_one_that_fails_is_told_and_fails_as_it_did(wanted, taking):
    wanted(taking.address, **PATIENT)
    with pytest.raises(ValueError, match="the author's own"):
        job(fail=True)
    assert [metrics["algoprof_failed"] for metrics in taking.metrics] == [1]


def test_a_run_within_a_run_is_one_of_its_sections(wanted, taking):
    wanted(taking.address, **PATIENT)
    apply()
    assert delivery.flush(30) == 0
    assert ["algoprof_self_seconds_job" in metrics for metrics in taking.metrics] == [True]


def test_one_that_may_be_killed_soon_is_told_at_the_threshold(wanted, taking):
    wanted(taking.address, **PATIENT)
    with algoprof.profile.with_options(thresholds=[1e-6])("late", timeout=60):
        deadline = time.monotonic() + 60
        while not taking.requests and time.monotonic() < deadline:
            time.sleep(0.001)
    assert delivery.flush(30) == 0
    assert [metrics["algoprof_unfinished"] for metrics in taking.metrics] == [1, 0]
    assert [metrics["algoprof_cold_start"] for metrics in taking.metrics] == [1, 1]


def test_a_process_that_ends_at_once_has_told(run_python, taking):
    script = """
        import os, algoprof
        from algoprof.exporters.insights import InsightsExporter

        @algoprof.profile
        def job(): pass

        with algoprof.section("outside every run"): pass
        algoprof.configure(exporters=[InsightsExporter.with_options(timeout=30)])
        job()
        os._exit(0)
        """
    done = run_python(script, env={"ALGORITHMIA_API": taking.address})
    assert (done.returncode, done.stderr) == (0, "")
    assert len(taking.requests) == 1


def test_its_name_is_enough(taking, monkeypatch, wanted):
    monkeypatch.setenv("ALGOPROF_EXPORTERS", "insights")
    monkeypatch.setenv("ALGORITHMIA_API", taking.address)
    delivery.start_from_environment()
    assert delivery.losses()["insights", "error"] == 0


@pytest.mark.parametrize("behaviour", ["nobody", "hang", "trickle", "refuse", "garbage", "cut"])
def test_an_endpoint_that_misbehaves_costs_one_wait_and_then_nothing(wanted, taking, no_endpoint, caplog, behaviour):
    answers = {
        "hang": taking.hang,
        "trickle": taking.trickle,
        "refuse": lambda connection: connection.sendall(b"HTTP/1.1 500 Internal Server Error\r\n\r\n"),
        "garbage": lambda connection: connection.sendall(b"\xff" * 5_000),
        "cut": lambda connection: connection.close(),
    }
    taking.answer = answers.get(behaviour, taking.answer)
    wanted(no_endpoint if behaviour == "nobody" else taking.address)
    began = time.monotonic()
    with caplog.at_level(logging.WARNING, logger="algoprof"):
        for _ in range(RUNS):
            assert job() == "result"
        took = time.monotonic() - began
        assert delivery.flush(30) == 0
    assert took < RUNS * TIMEOUT / 2, "had each run waited, it would be twice that"
    assert delivery.losses()["insights", "error"] == RUNS
    assert len(taking.requests) <= 1
    assert len(caplog.records) == 1


def test_after_a_pause_it_goes_on_and_tells_what_was_lost(exporter, taking):
    taken, taking.answer = taking.answer, lambda connection: connection.close()
    for _ in range(2):
        with pytest.raises(AlgoprofError, match="nothing is sent for 0 s"):
            exporter.export(Batch((a_run(),)))
    taking.answer = taken
    exporter.export(Batch((a_run(),)))
    assert ["algoprof_reports_lost" in metrics for metrics in taking.metrics] == [False, True, True]
    assert taking.metrics[-1]["algoprof_reports_lost"] == 2


def test_what_is_late_is_lost_for_it_would_be_anothers(exporter, taking):
    with pytest.raises(AlgoprofError, match="late, and would be another execution's"):
        exporter.export(Batch((a_run(started_ns=10**18),)))
    assert taking.requests == []


def test_what_is_no_execution_is_passed_over(exporter, taking):
    implicit = Profile("main.py", (Node("main.py", 1),), program="main.py")
    others = a_run(parent_run_id="cd" * 16), a_run(part=True), a_run(outcome="merged"), implicit
    exporter.export(Batch(others))
    assert taking.requests == []


def test_executions_are_forgotten(exporter, taking):
    for _ in range(70):
        exporter.export(Batch((a_run(),)))
    assert len(exporter._sent) == 64


@pytest.mark.parametrize(
    "address",
    ["9000", "ftp://x", "http://", "http://x:99999", "http://user:secret@x", "http://x/\r\nHost: y", "http://x?a=b"],
)
def test_an_address_that_is_none_is_refused(monkeypatch, address):
    monkeypatch.setenv("ALGORITHMIA_API", address)
    with pytest.raises(ConfigurationError, match="is not an address such as http://localhost:9000") as refused:
        InsightsExporter()
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("seconds", [{"timeout": 0}, {"timeout": 61}, {"timeout": float("nan")}, {"pause": -1}])
def test_seconds_that_cannot_be_meant_are_refused(seconds):
    with pytest.raises(ConfigurationError):
        InsightsExporter(**seconds)


def test_who_does_not_ask_for_it_does_not_load_it(bare_python):
    loaded = bare_python("""
        import sys, algoprof
        with algoprof.profile("job"):
            pass
        print(sorted({"algoprof.exporters.insights", "socket", "ssl"} & set(sys.modules)))
        """)
    assert loaded == "[]\n"
