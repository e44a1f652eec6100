"""The official client, instrumented: the same records, the same answers and exceptions, and as before when undone."""

import functools
import io

import Algorithmia
import pytest
import requests

import algoprof
from algoprof import delivery
from algoprof.errors import ConfigurationError
from algoprof.profiles import codec
from algoprof.profiles.tree import Node, Profile

KEY = "simVerySecretKey"


@pytest.fixture
def official(platform):
    made = Algorithmia.client(KEY, platform.address)
    yield made
    made.requestSession.close()


def test_its_calls_are_recorded_as_ours(platform, official, make_client):
    own = make_client(KEY, platform.address).algo("demo/Routes/1.0.0").set_options(timeout=60)
    with algoprof.instrument(official), algoprof.capture_calls() as calls:
        response = official.algo("demo/Routes/1.0.0").set_options(timeout=60, stdout=True).pipe({"cities": 20})
        own.pipe({"cities": 20})
    assert (response.result, response.metadata.duration) == ("hi", 0.25)
    theirs, ours = calls
    for name in ("algorithm", "outcome", "status", "timeout", "duration", "request_bytes", "response_bytes", "attempt"):
        assert getattr(theirs, name) == getattr(ours, name), name
    sent = platform.asked[0].headers
    assert sent["traceparent"] == f"00-{theirs.trace_id}-{theirs.span_id:016x}-01"
    assert sent["authorization"] == KEY
    assert theirs.budget_used_ratio == pytest.approx(0.25 / 60)


def test_the_remote_profile_comes_home(platform, official):
    profile = Profile("apply", (Node("apply", count=1, closed_ns=5),))
    ours = {"queue": 0.5, "load": 1, "profile": codec.to_json(profile)}
    platform.answers({"result": 1, "metadata": {"content_type": "json", "duration": 2, "algoprof": ours}})
    with algoprof.instrument(official), algoprof.capture_calls() as calls:
        official.algo("demo/Routes").pipe(None)
    assert (calls[0].profile, calls[0].queue, calls[0].timeout) == (profile, 0.5, 300.0)


@pytest.mark.parametrize(
    ("body", "status", "outcome", "raises"),
    [
        ({"error": {"message": "no", "error_type": "InputError"}}, 200, "algorithm_error", "no"),
        ({"error": {"message": f"bad key {KEY}"}}, 401, "refused", "Non-Algorithm related"),
        (b"<html>", 502, "platform_error", "Non-Algorithm related"),
        (b"<html>", 200, "platform_error", "Expecting value"),
    ],
)
def test_failures_stay_theirs_and_are_recorded(request, body, status, outcome, raises):
    platform, official = request.getfixturevalue("platform"), request.getfixturevalue("official")
    platform.answers(body, status)
    with algoprof.instrument(official), algoprof.capture_calls() as calls, pytest.raises(Exception, match=raises):
        official.algo("demo/Routes").pipe(None)
    assert [(call.outcome, call.status) for call in calls] == [(outcome, status)]
    assert KEY not in repr(calls)


def test_raw_and_void_and_what_is_no_call(platform, official):
    with algoprof.instrument(official), algoprof.capture_calls() as calls:
        platform.answers(b"bare", headers={"Content-Type": "text/plain"})
        assert official.algo("demo/Routes").set_options(output=Algorithmia.algorithm.OutputType.raw).pipe(1) == "bare"
        platform.answers({"async": "kafka", "request_id": "req-1"})
        official.algo("demo/Routes").set_options(output=Algorithmia.algorithm.OutputType.void).pipe(1)
        official.postJsonHelper("/v1/users", {})
    assert [call.outcome for call in calls] == ["ok", "accepted"]


def test_what_is_read_piece_by_piece_is_left_alone(platform, official):
    with algoprof.instrument(official), algoprof.capture_calls() as calls:
        url = f"{platform.address}/v1/algo/demo/Routes"
        with official.requestSession.post(url, data=io.BytesIO(b"null"), stream=True) as response:
            assert response.json()["result"] == "hi"
        assert official.requestSession.post(url, data=io.BytesIO(b"null")).json()["result"] == "hi"
    assert [call.outcome for call in calls] == ["ok"]


def test_nobody_there_and_given_up(platform, official, monkeypatch):
    dead = Algorithmia.client(KEY, "http://127.0.0.1:1")
    with algoprof.instrument(dead), algoprof.capture_calls() as calls:
        with pytest.raises(requests.ConnectionError):
            dead.algo("demo/Routes").pipe(None)

        def interrupt(*_, **__):
            raise KeyboardInterrupt

        monkeypatch.setattr(dead.requestSession, "request", interrupt)
        with pytest.raises(KeyboardInterrupt):
            dead.algo("demo/Routes").pipe(None)
    assert [call.outcome for call in calls] == ["unreachable", "cancelled"]
    assert delivery.current().calls_in_flight == ()


def test_it_is_undone(official):
    before = official.requestSession.post
    handle = algoprof.instrument(official)
    assert algoprof.instrument(official) is handle, "twice is once"
    handle.undo()
    handle.undo()
    assert official.requestSession.post == before
    with algoprof.capture_calls() as calls:
        official.algo("demo/Routes").pipe(None)
    assert calls == []


def test_undone_below_somebody_elses_it_stands_aside(official):
    handle = algoprof.instrument(official)
    inner = official.requestSession.post
    official.requestSession.post = functools.partial(inner)
    handle.undo()
    with algoprof.capture_calls() as calls:
        official.algo("demo/Routes").pipe(None)
    assert calls == []


def test_what_is_no_official_client_is_refused():
    with pytest.raises(ConfigurationError, match=r"Algorithmia\.client"):
        algoprof.instrument(object())


def test_a_run_around_it_is_not_asked(platform, official):
    with algoprof.instrument(official), algoprof.capture_calls() as calls, algoprof.profile("job", timeout=20):
        official.algo("demo/Routes").pipe(None)
    assert (calls[0].timeout, calls[0].cut) == (300.0, False)
