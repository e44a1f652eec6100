"""Another attempt only where the algorithm has certainly not run and the caller asked, within the one deadline."""

import socket
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

import algoprof
from algoprof.calls import recording, retries
from algoprof.calls.retries import Retries, retry_after
from algoprof.errors import CallError, CallRefused, ConfigurationError, PlatformError, PlatformUnreachable
from algoprof.profiles.calls import Call

AT_ONCE = {"Retry-After": "0"}


@pytest.fixture
def algo(platform, make_client, monkeypatch):
    monkeypatch.setattr(retries, "_FIRST", 0.01)
    return make_client("simKey", platform.address, retries=2).algo("demo/Routes").set_options(timeout=60)


@pytest.mark.parametrize("status", [429, 503])
def test_each_attempt_is_a_call(platform, algo, status):
    platform.first = [(status, AT_ONCE)] * 2
    with algoprof.capture_calls() as calls:
        assert algo.pipe("hello").result == "hi"
    assert [(call.attempt, call.outcome) for call in calls] == [
        (1, "refused" if status == 429 else "platform_error"),
        (2, "refused" if status == 429 else "platform_error"),
        (3, "ok"),
    ]
    assert len({call.trace_id for call in calls}) == 3
    assert [asked.body for asked in platform.asked] == [b"hello"] * 3


def test_attempts_share_the_timeout(platform, algo):
    platform.first = [(429, AT_ONCE)]
    with algoprof.capture_calls() as calls:
        algo.pipe(None)
    assert calls[0].timeout == 60
    assert calls[1].timeout < 60 - calls[0].wall
    assert float(platform.asked[1].query["timeout"][0]) == pytest.approx(calls[1].timeout)


def test_after_the_last_attempt_its_error_is_raised(platform, algo):
    platform.first = [(429, AT_ONCE)] * 9
    with pytest.raises(CallRefused) as raised:
        algo.pipe(None)
    assert (raised.value.call.attempt, raised.value.retry_after) == (3, 0.0)
    assert len(platform.asked) == 3


@pytest.mark.parametrize(
    ("status", "headers"), [(503, {}), (500, AT_ONCE), (502, AT_ONCE), (504, AT_ONCE), (404, AT_ONCE), (200, AT_ONCE)]
)
def test_what_may_have_run_is_not_repeated(platform, algo, status, headers):
    platform.first = [(status, headers)]
    with pytest.raises(CallError) as raised:
        algo.pipe(None)
    assert raised.value.retry_after is None
    assert len(platform.asked) == 1


def test_a_connection_that_broke_may_have_brought_it_there(raw_server, make_client):
    seen = []

    def script(connection, stop):
        seen.append(connection.recv(65536))

    with pytest.raises(PlatformUnreachable) as raised:
        make_client("simKey", raw_server(script), retries=5).algo("demo/Routes").pipe(None)
    assert (raised.value.retry_after, len(seen)) == (None, 1)


def test_who_does_not_ask_gets_one_attempt(platform, make_client):
    platform.first = [(429, AT_ONCE)]
    with pytest.raises(CallRefused):
        make_client("simKey", platform.address).algo("demo/Routes").pipe(None)
    assert len(platform.asked) == 1


def test_a_platform_that_begins_to_listen_is_reached(make_client):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    algo = make_client("simKey", f"http://127.0.0.1:{port}", retries=20).algo("demo/Routes").set_options(timeout=100)
    refused, served = threading.Event(), []

    def serve_when_refused_once():
        assert refused.wait(60)
        with socket.create_server(("127.0.0.1", port)) as listener:
            connection, _ = listener.accept()
            with connection:
                while not b"".join(served).endswith(b"null"):
                    served.append(connection.recv(65536))
                connection.sendall(b'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{"result": 1}')

    class Told(list):
        def append(self, call):
            super().append(call)
            refused.set()

    thread = threading.Thread(target=serve_when_refused_once)
    thread.start()
    calls = Told()
    token = recording._capturing.set((calls,))
    try:
        assert algo.pipe(None).result == 1
    finally:
        recording._capturing.reset(token)
        thread.join()
    assert calls[0].outcome == "unreachable"
    assert calls[-1].outcome == "ok"


def test_a_pause_that_outlasts_the_timeout_is_not_made(platform, algo):
    platform.first = [(503, {"Retry-After": "3600"})]
    with pytest.raises(PlatformError) as raised:
        algo.pipe(None)
    assert raised.value.retry_after == 3600.0
    assert len(platform.asked) == 1


def test_nor_one_that_outlasts_the_run_around(platform, algo):
    platform.first = [(503, {"Retry-After": "30"})]
    with algoprof.profile("job", timeout=20), pytest.raises(PlatformError):
        algo.pipe(None)
    assert len(platform.asked) == 1


def test_pauses_grow_and_differ():
    error = CallRefused("no", call=Call("demo/Routes", 0, 1, "refused", status=429), retry_after=1.0)
    pauses = [[Retries(9).pause(error, number, 1e9) for _ in range(50)] for number in range(1, 9)]
    assert all(1.0 < pause <= 21.0 for row in pauses for pause in row)
    assert all(len(set(row)) > 1 for row in pauses)
    assert max(pauses[0]) < min(pauses[-1])


@pytest.mark.parametrize(
    ("status", "text", "seconds"),
    [
        (429, None, 0.0),
        (429, "7", 7.0),
        (503, "7", 7.0),
        (503, None, None),
        (503, "soon", None),
        (503, "-1", None),
        (429, "soon", 0.0),
        (503, "Thu, 01 Jan 1970 00:01:40 GMT", 90.0),
        (503, "Thu, 01 Jan 1970 00:00:01 GMT", 0.0),
        (500, "7", None),
        (200, "7", None),
    ],
)
def test_what_a_refusal_says_about_coming_again(status, text, seconds):
    assert retry_after(status, {} if text is None else {"retry-after": text}, now=10.0) == seconds


@given(st.text(max_size=60))
def test_any_retry_after_has_a_meaning(text):
    for status in (429, 503):
        seconds = retry_after(status, {"retry-after": text}, now=time.time())
        assert seconds is None or seconds >= 0


@pytest.mark.parametrize("count", [-1, 21, 1.5, "2", True, None])
def test_retries_that_cannot_be_meant_are_refused(make_client, count):
    with pytest.raises(ConfigurationError, match="retries"):
        make_client(retries=count)
