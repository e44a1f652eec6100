"""One exporter, its queue and its thread."""

import logging
import threading
import time

import pytest

from algoprof.delivery import worker as module
from algoprof.delivery.losses import Losses
from algoprof.delivery.worker import QUEUE_LENGTH, Worker
from algoprof.profiles.builds import Build
from algoprof.profiles.calls import Call


def soon(seconds: float = 30.0) -> float:
    return time.monotonic() + seconds


@pytest.fixture
def make(recording):
    workers = []

    def made(exporter=None):
        worker = Worker("exp", exporter or recording(), Losses())
        workers.append(worker)
        return worker

    yield made
    for worker in workers:
        worker.exporter.gate.set()
        worker.stop(soon(5))
        assert worker.join()


def test_records_arrive_in_order_and_flush_waits_for_them(make, a_run):
    worker = make()
    for number in range(500):
        worker.put(a_run(str(number)))
    assert worker.flush(soon()) == 0
    assert worker.exporter.names == [str(number) for number in range(500)]


def test_profiles_calls_and_builds_stand_apart_in_a_batch(make, a_run):
    worker = make()
    worker.exporter.gate.clear()
    worker.put(a_run("first"))
    worker.exporter.entered.wait()
    call = Call("demo/Routes", 0, 5, "ok")
    worker.put(call)
    build = Build("demo/Routes", "b1", "failed")
    worker.put(build)
    worker.put(a_run("second"))
    worker.exporter.gate.set()
    assert worker.flush(soon()) == 0
    first, second = worker.exporter.batches
    assert [profile.name for profile in first.profiles] == ["first"]
    assert (second.calls, second.builds) == ((call,), (build,))
    assert [profile.name for profile in second.profiles] == ["second"]


def test_no_thread_before_the_first_record(make):
    worker = make()
    assert worker._thread is None
    assert worker.flush(soon(0)) == 0
    assert worker._thread is None


def test_flush_returns_what_is_left_when_its_time_is_up(make, a_run):
    worker = make()
    worker.exporter.gate.clear()
    for _ in range(3):
        worker.put(a_run())
    began = time.monotonic()
    assert worker.flush(began + 0.05) == 3
    worker.exporter.gate.set()
    assert worker.flush(soon()) == 0


def test_a_full_queue_refuses_and_counts(make, a_run):
    worker = make()
    worker.exporter.gate.clear()
    worker.put(a_run())
    worker.exporter.entered.wait()
    for _ in range(QUEUE_LENGTH + 9):
        worker.put(a_run())
    assert worker._losses.counts()["exp", "queue_full"] == 10
    worker.exporter.gate.set()
    assert worker.flush(soon()) == 0
    assert len(worker.exporter.names) == QUEUE_LENGTH


@pytest.mark.parametrize("failure", [ValueError("no"), SystemExit(3), KeyboardInterrupt()])
def test_an_exporter_that_raises_is_counted_every_time_and_logged_once(make, a_run, caplog, failure):
    worker = make()
    worker.exporter.failure = failure
    with caplog.at_level(logging.WARNING, logger="algoprof"):
        for _ in range(3):
            worker.put(a_run())
            assert worker.flush(soon()) == 0
    assert worker._losses.counts() == {("exp", "error"): 3, ("exp", "queue_full"): 0, ("exp", "shutdown"): 0}
    assert len(caplog.records) == 1
    worker.exporter.failure = None
    worker.put(a_run("after"))
    assert worker.flush(soon()) == 0
    assert worker.exporter.names == ["after"]


def test_stop_exports_what_is_queued_then_shuts_down_with_its_deadline(make, a_run):
    worker = make()
    worker.exporter.gate.clear()
    for number in range(5):
        worker.put(a_run(str(number)))
    deadline = soon()
    worker.stop(deadline)
    worker.exporter.gate.set()
    assert worker.join()
    assert (worker.exporter.names, worker.exporter.deadlines) == (["0", "1", "2", "3", "4"], [deadline])


def test_stop_shuts_down_an_exporter_that_never_got_anything(make):
    worker = make()
    worker.stop(soon())
    assert worker.join()
    assert len(worker.exporter.deadlines) == 1


def test_a_hanging_exporter_costs_no_more_than_the_deadline(make, a_run):
    worker = make()
    worker.exporter.gate.clear()
    for _ in range(4):
        worker.put(a_run())
    worker.exporter.entered.wait()
    worker.stop(soon(0.05))
    began = time.monotonic()
    assert not worker.join()
    assert time.monotonic() - began < 5
    assert worker._losses.counts()["exp", "shutdown"] == 4


def test_without_threads_the_caller_delivers(make, a_run, monkeypatch):
    class NoThread(threading.Thread):
        def start(self) -> None:
            raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(module, "Thread", NoThread)
    worker = make()
    worker.put(a_run("late"))
    assert worker.flush(soon()) == 0
    worker.put(a_run("last"))
    worker.stop(soon())
    assert worker.join()
    assert worker.exporter.names == ["late", "last"]
    assert len(worker.exporter.deadlines) == 1


def test_many_threads_lose_nothing(make, a_run, scaled):
    worker = make()
    each = min(scaled(2_000), QUEUE_LENGTH // 8)
    start = threading.Barrier(8)

    def produce() -> None:
        start.wait()
        for _ in range(each):
            worker.put(a_run())

    threads = [threading.Thread(target=produce) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert worker.flush(soon()) == 0
    assert len(worker.exporter.names) == 8 * each
    assert set(worker._losses.counts().values()) == {0}
