"""Who is told of calls: whoever captures them in the calling context, one record per attempt, whatever the outcome."""

import asyncio
import contextvars
import threading
from contextlib import ExitStack
from typing import get_args

import pytest

import algoprof
from algoprof import delivery
from algoprof.errors import CallError
from algoprof.profiles.calls import Call, Outcome


@pytest.fixture
def make_client():
    """Return clients that the end of the test closes; delivery is told of their calls, as it always is."""
    with ExitStack() as made:
        yield lambda *args, **options: made.enter_context(algoprof.client(*args, **options))


@pytest.fixture
def algo(platform, make_client):
    return make_client("simKey", platform.address).algo("demo/Routes").set_options(timeout=60)


def test_calls_are_collected_in_order_failed_ones_too(platform, algo):
    with algoprof.capture_calls() as calls:
        algo.pipe("a")
        platform.answers({"error": "no"})
        with pytest.raises(CallError):
            algo.pipe("b")
    platform.answers({"result": 1})
    algo.pipe("not collected")
    assert [(call.outcome, call.request_bytes) for call in calls] == [("ok", 1), ("algorithm_error", 1)]


def test_captures_nest(algo):
    with algoprof.capture_calls() as outer:
        algo.pipe(1)
        with algoprof.capture_calls() as inner:
            algo.pipe(2)
    assert (len(outer), len(inner)) == (2, 1)
    assert outer[1] is inner[0]


def test_a_capture_belongs_to_its_context(algo):
    async def caller(number):
        with algoprof.capture_calls() as calls:
            for _ in range(number):
                await asyncio.to_thread(algo.pipe, number)
        return len(calls)

    async def several():
        return await asyncio.gather(*(caller(number) for number in (1, 2, 3)))

    with algoprof.capture_calls() as outer:
        assert asyncio.run(several()) == [1, 2, 3]
        thread = threading.Thread(target=algo.pipe, args=(None,))
        thread.start()
        thread.join()
    assert len(outer) == 6, "a thread of its own has a context of its own"


def test_a_capture_may_end_in_another_context(algo):
    capture = algoprof.capture_calls()
    calls = contextvars.Context().run(capture.__enter__)
    capture.__exit__(None, None, None)
    algo.pipe(None)
    assert calls == []


def test_the_split_is_known_where_the_server_tells_it(platform, algo):
    ours = {"queue": 0.001, "load": 0.002}
    platform.answers({"result": 1, "metadata": {"content_type": "json", "duration": 0.003, "algoprof": ours}})
    call = algo.pipe(None).call
    assert call.network == pytest.approx(max(0, call.wall - 0.006))
    platform.answers({"result": 1, "metadata": {"content_type": "json", "duration": 0.003}})
    assert algo.pipe(None).call.network is None


def test_every_outcome_is_recorded(platform, make_client, raw_server, monkeypatch):
    """All ten, each from what really leads to it, with the token of its start given back."""
    client = make_client("simKey", platform.address, grace=0.1)
    algo = client.algo("demo/Routes")

    def silent(connection, stop):
        while connection.recv(65536):  # until the client hangs up
            pass

    slow = make_client("simKey", raw_server(silent), grace=0.1).algo("demo/Slow").set_options(timeout=0.1)

    def answered(body, status=200, value=None, **options):
        platform.answers(body, status)
        ended(client.algo("demo/Routes").set_options(timeout=50, **options), value)

    def ended(algo, value=None):
        try:
            algo.pipe(value)
        except (CallError, KeyboardInterrupt) as error:
            return error

    with algoprof.capture_calls() as calls:
        answered({"result": 1})
        answered({"async": True, "request_id": "req-1"}, output="void")
        answered({"error": {"message": "no", "error_type": "InputError"}})
        answered({"error": {"message": "late", "error_type": "TimeoutError"}})
        ended(slow)
        answered({"error": {"message": "who?"}}, 401)
        answered(b"", 500)
        ended(make_client("simKey", "http://127.0.0.1:1").algo("demo/Nobody"))
        answered({}, value=object())
        monkeypatch.setattr(algo._transport, "send", interrupt)
        ended(algo)
    assert [call.outcome for call in calls] == [
        "ok", "accepted", "algorithm_error", "timeout", "client_timeout", "refused", "platform_error", "unreachable",
        "not_sent", "cancelled",
    ]  # fmt: skip
    assert {call.outcome for call in calls} == set(get_args(Outcome))
    assert all(isinstance(call, Call) and call.wall_ns >= 0 for call in calls)
    assert [call.request_id for call in calls[:3]] == ["", "req-1", ""]
    assert [call.error_type for call in calls[2:4]] == ["InputError", "TimeoutError"]
    assert [call.budget_used_ratio is not None for call in calls[:5]] == [False, False, False, True, True]
    assert delivery.current().calls_in_flight == ()


def interrupt(*_):
    raise KeyboardInterrupt
