"""What a server's monitor hands on: each call once, with the profile of its run where that could be read."""

import time

import pytest
from prometheus_client import generate_latest

from algoprof import delivery
from algoprof.errors import ProfileFileError
from algoprof.profiles.calls import Call
from algoprof.profiles.hosting import HostedAlgorithm, Hosting
from algoprof.profiles.tree import Node, Profile
from algoprof.server.monitoring.monitor import Monitor

CALL = Call("demo/Routes", 0, 5, "ok", duration_ns=5, served=True)
RUN = Profile("apply", (Node("apply", 1, closed_ns=5),), duration_ns=5)


@pytest.fixture
def monitor():
    return Monitor()


@pytest.fixture
def delivered(monkeypatch):
    calls = []
    monkeypatch.setattr(delivery, "call_ended", lambda _token, call: calls.append(call))
    return calls


def begun(monitor):
    return monitor.call_started("demo/Routes", time.monotonic(), 60.0)


def told(monitor):
    return generate_latest(monitor.prometheus.registry).decode()


def test_a_call_without_a_profile_is_handed_on_at_once(monitor, delivered):
    token = begun(monitor)
    assert [call.algorithm for call in monitor.calls_in_flight()] == ["demo/Routes"]
    assert monitor.call_ended(token, CALL) is None
    assert (delivered, monitor.calls_in_flight()) == ([CALL], ())
    assert 'algoprof_call_duration_seconds_count{algorithm="demo/Routes",outcome="ok"} 1.0' in told(monitor)


def test_a_call_with_one_counts_at_once_and_is_handed_on_when_that_is_read(monitor, delivered):
    recorded = monitor.call_ended(begun(monitor), CALL, lambda: RUN)
    assert 'algoprof_call_duration_seconds_count{algorithm="demo/Routes",outcome="ok"} 1.0' in told(monitor)
    assert (delivered, monitor.calls_in_flight()) == ([], ())
    assert recorded() == RUN
    assert [(call.algorithm, call.profile) for call in delivered] == [("demo/Routes", RUN)]
    assert 'algoprof_run_seconds_count{outcome="ok",run="demo/Routes/apply"} 1.0' in told(monitor)
    assert 'algoprof_export_failures_total{exporter="server",reason="unread"} 0.0' in told(monitor)


def test_one_that_is_not_read_is_handed_on_without_and_counted(monitor, delivered):
    def gone():
        raise ProfileFileError("there", "is gone")

    with pytest.raises(ProfileFileError):
        monitor.call_ended(begun(monitor), CALL, gone)()
    token = begun(monitor)
    monitor.call_ended(token, CALL, lambda: RUN)
    monitor.profile_unread(token, CALL)
    assert delivered == [CALL, CALL]
    assert 'algoprof_export_failures_total{exporter="server",reason="unread"} 2.0' in told(monitor)


def test_a_call_that_was_turned_away_is_told_by_why(monitor, delivered):
    refused = Call("demo/Routes", 0, 5, "refused", status=429, served=True)
    monitor.call_refused(refused, "calls")
    assert (delivered, monitor.refused["demo/Routes", "calls"], monitor.calls_in_flight()) == ([refused], 1, ())


def test_what_is_hosted_is_what_was_said_last(monitor):
    monitor.hosting = Hosting((HostedAlgorithm("demo/Routes", "1.0.0", queued=2),), 3, 80)
    assert 'algoprof_server_queue_length{algorithm="demo/Routes"} 2.0' in told(monitor)
