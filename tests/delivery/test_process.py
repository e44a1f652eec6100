"""What the rest of algoprof calls: configuration at run time, calls in flight, reports, and never an exception."""

import logging
import os
import time

import pytest

from algoprof import delivery, settings
from algoprof.errors import ConfigurationError
from algoprof.profiles.batch import CallInFlight
from algoprof.profiles.calls import Call

pytestmark = pytest.mark.usefixtures("fresh")


def end(profile, *, outermost=True, threshold_reached=False):
    delivery.run_ended(profile, outermost=outermost, threshold_reached=threshold_reached)


@pytest.fixture
def end_reported(capsys, a_run):
    def ended(outcome, where):
        end(a_run("job", outcome=outcome), **where)
        return capsys.readouterr().err.startswith("job  ")

    return ended


def test_runs_and_calls_reach_every_exporter(recording, a_run):
    first, second = recording(), recording()
    settings.configure(exporters=[first, second])
    end(a_run("job"))
    token = delivery.call_started("demo/Routes", 60.0)
    delivery.call_ended(token, Call("demo/Routes", 0, 5, "ok"))
    assert delivery.flush(30) == 0
    for exporter in (first, second):
        assert exporter.names == ["job"]
        assert [call.algorithm for batch in exporter.batches for call in batch.calls] == ["demo/Routes"]


def test_a_hanging_exporter_delays_nobody_else(recording, a_run):
    slow, quick = recording(), recording()
    slow.gate.clear()
    settings.configure(exporters=[slow, quick])
    for _ in range(3):
        end(a_run())
    assert delivery.flush(0.2) == 3
    assert len(quick.names) == 3


def test_configure_twice_keeps_who_is_wanted_and_stops_who_is_not(recording, a_run):
    stays, goes, comes = recording(), recording(), recording()
    settings.configure(exporters=[stays, goes])
    end(a_run("one"))
    settings.configure(exporters=[stays, comes])
    end(a_run("two"))
    assert delivery.flush(30) == 0
    assert (stays.names, goes.names, comes.names) == (["one", "two"], ["one"], ["two"])
    delivery.shutdown()
    assert [len(exporter.deadlines) for exporter in (stays, goes, comes)] == [1, 1, 1]


def test_shutdown_stops_and_configure_starts_again(recording, a_run):
    exporter = recording()
    settings.configure(exporters=[exporter])
    end(a_run("one"))
    delivery.shutdown()
    delivery.shutdown()
    end(a_run("lost"))
    assert (exporter.names, len(exporter.deadlines)) == (["one"], 1)
    settings.configure(exporters=[exporter])
    end(a_run("two"))
    assert delivery.flush(30) == 0
    assert exporter.names == ["one", "two"]


def test_an_exporter_that_cannot_be_made_leaves_the_others_running(recording, a_run):
    exporter = recording()
    settings.configure(exporters=[exporter])
    made = recording()
    with pytest.raises(ConfigurationError, match="no exporter is called"):
        settings.configure(exporters=[exporter, made, "nonsense"])
    end(a_run("still"))
    assert delivery.flush(30) == 0
    assert (exporter.names, made.names) == (["still"], [])


def test_a_factory_gets_a_context(recording, a_run):
    contexts = []
    exporter = recording()

    def factory(context):
        contexts.append(context)
        return exporter

    settings.configure(exporters=[factory], shutdown_timeout=3)
    end(a_run())
    assert delivery.flush(30) == 0
    (context,) = contexts
    assert context.settings.shutdown_timeout == 3
    assert context.family == os.environ["ALGOPROF_FLIGHT_DIR"]
    assert context.losses()["factory", "error"] == 0
    assert context.current().calls_in_flight == ()


def test_the_environment_starts_exporters_with_the_first_run(monkeypatch):
    monkeypatch.setenv("ALGOPROF_EXPORTERS", "prometheus")
    monkeypatch.setenv("ALGOPROF_PROMETHEUS_ADDRESS", "127.0.0.1:0")
    assert ("prometheus", "error") not in delivery.losses()
    delivery.start_from_environment()
    assert delivery.losses()["prometheus", "error"] == 0


def test_an_unknown_exporter_in_the_environment_is_one_warning(monkeypatch, caplog, a_run):
    monkeypatch.setenv("ALGOPROF_EXPORTERS", "nonsense")
    monkeypatch.setenv("ALGOPROF_REPORT", "never")
    with caplog.at_level(logging.WARNING, logger="algoprof"):
        delivery.start_from_environment()
        delivery.start_from_environment()
        end(a_run())
    assert [record.message.partition(";")[0] for record in caplog.records] == ["no exporter is called 'nonsense'"]


def test_calls_in_flight_are_in_current():
    before = time.monotonic_ns()
    token = delivery.call_started("demo/Routes", 60.0)
    (found,) = delivery.current().calls_in_flight
    assert found == CallInFlight("demo/Routes", found.age_ns, 60.0)
    assert 0 <= found.age_ns <= time.monotonic_ns() - before
    delivery.call_ended(token, Call("demo/Routes", 0, 5, "ok"))
    assert delivery.current().calls_in_flight == ()
    delivery.call_ended(token, Call("demo/Routes", 0, 5, "ok"))  # a second time does no harm


def test_nothing_raises_into_the_program(monkeypatch, caplog, a_run):
    def broken(*_, **__):
        raise OSError("disk on fire")

    monkeypatch.setattr(delivery.process, "_running", broken)
    with caplog.at_level(logging.WARNING, logger="algoprof"):
        delivery.start_from_environment()
        end(a_run())
        delivery.call_ended(delivery.call_started("x", 1.0), Call("x", 0, 5, "ok"))
        assert not delivery.wants_runs()
    assert len(caplog.records) == 1
    assert "disk on fire" in caplog.records[0].message


@pytest.mark.parametrize(
    ("report", "outcome", "where", "reported"),
    [
        ("auto", "ok", {}, False),
        ("auto", "error", {}, True),
        ("auto", "error", {"outermost": False}, False),
        ("auto", "ok", {"threshold_reached": True}, True),
        ("never", "error", {"threshold_reached": True}, False),
        ("always", "ok", {}, True),
        ("always", "ok", {"outermost": False}, False),
    ],
)
def test_when_a_run_is_reported(end_reported, report, outcome, where, reported):
    settings.configure(report=report)
    assert end_reported(outcome, where) == reported


@pytest.mark.parametrize(
    ("seconds", "terminal", "wanted"), [(1.1, True, True), (0.9, True, False), (1.1, False, False)]
)
def test_a_long_run_is_wanted_on_a_terminal(monkeypatch, seconds, terminal, wanted):
    monkeypatch.setattr("sys.stderr.isatty", lambda: terminal)
    found = delivery.wants_runs(seconds=seconds, outermost=True, failed=False, threshold_reached=False)
    assert found == wanted


def test_with_the_text_exporter_there_is_one_report_not_two(monkeypatch, capsys, a_run):
    monkeypatch.setenv("ALGOPROF_REPORT", "always")
    settings.configure(exporters=["text"])
    end(a_run("job"))
    assert delivery.flush(30) == 0
    assert capsys.readouterr().err.count("bottleneck") == 1
