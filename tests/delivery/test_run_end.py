"""Exporters that must have a run before its function returns, and what that may cost."""

import time

import pytest

from algoprof import delivery, settings
from algoprof.delivery.worker import Worker

pytestmark = pytest.mark.usefixtures("fresh")
LONG = 1_000.0  # a test that waits so long fails


def end(profile, *, outermost=True):
    delivery.run_ended(profile, outermost=outermost, threshold_reached=False)


@pytest.fixture
def on_time(recording):
    def make(seconds=LONG):
        exporter = recording()
        exporter.run_end_wait = seconds
        settings.configure(exporters=[exporter])
        return exporter

    return make


def test_the_end_of_an_outermost_run_waits_for_the_exporter(on_time, a_run):
    exporter = on_time()
    for number in range(20):
        end(a_run(str(number)))
        assert exporter.names[-1] == str(number)


def test_a_run_within_a_run_waits_for_nobody(on_time, a_run):
    exporter = on_time()
    exporter.gate.clear()
    end(a_run(), outermost=False)
    assert exporter.names == []


def test_an_exporter_that_fails_is_not_waited_for_any_longer(on_time, a_run):
    exporter = on_time()
    exporter.failure = OSError("no")
    end(a_run())
    end(a_run())
    assert delivery.losses()["Tracked", "error"] == 2


def test_a_hanging_exporter_costs_its_wait_once(on_time, a_run):
    exporter = on_time(0.05)
    exporter.gate.clear()
    end(a_run("first"))
    (worker,) = delivery.process._state.pipeline._workers.values()
    worker.run_end_wait = LONG
    for _ in range(100):
        end(a_run())
    exporter.gate.set()
    assert delivery.flush(30) == 0
    end(a_run("last"))
    assert exporter.names[-1] == "last"


def test_a_run_whose_budget_is_used_up_does_not_wait(on_time, a_run):
    exporter = on_time()
    exporter.gate.clear()
    end(a_run(timeout=5.0, budget_spent_ns=6 * 10**9))
    assert exporter.names == []


def test_a_run_waits_for_half_of_what_its_budget_has_left(on_time, a_run):
    exporter = on_time()
    exporter.gate.clear()
    began = time.monotonic()
    end(a_run(timeout=5.0, budget_spent_ns=4 * 10**9))
    assert 0.4 < time.monotonic() - began < LONG / 2


def test_who_has_no_such_exporter_waits_for_nothing(recording, a_run, monkeypatch):
    exporter = recording()
    settings.configure(exporters=[exporter])
    waits = []
    monkeypatch.setattr(Worker, "wait_at_run_end", lambda *given: waits.append(given))
    exporter.gate.clear()
    end(a_run())
    assert waits == []


def test_one_that_is_not_wanted_any_more_is_not_waited_for(on_time, recording, a_run):
    leaving = on_time()
    settings.configure(exporters=[recording()], shutdown_timeout=0)
    leaving.gate.clear()
    end(a_run())
    delivery.shutdown()
    end(a_run())
