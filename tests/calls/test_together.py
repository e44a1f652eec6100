"""Calls together with the rest of the house: the run around them, and delivery."""

import threading

import pytest

from algoprof import delivery, profile
from algoprof.calls.client import client
from algoprof.errors import CallTimeout


@pytest.fixture
def algo(platform):
    with client("simKey", platform.address) as made:
        yield made.algo("demo/Routes")


def test_a_run_lends_what_it_has_left(platform, algo):
    with profile("job", timeout=40):
        call = algo.set_options(timeout=300).pipe(None).call
    assert 30 < call.timeout < 40
    assert 30 < float(platform.asked[0].query["timeout"][0]) < 40


def test_a_run_that_is_over_budget_calls_nobody(platform, algo):
    with profile("job", timeout=1e-6), pytest.raises(CallTimeout, match="nothing remains") as raised:
        algo.pipe(None)
    assert raised.value.call.outcome == "not_sent"
    assert platform.asked == []


def test_delivery_knows_the_calls_in_flight(raw_server):
    asked, answer = threading.Event(), threading.Event()

    def hold(connection, stop):
        received = b""
        while not received.endswith(b"null"):  # the body may come in a packet of its own
            received += connection.recv(65536)
        asked.set()
        answer.wait(30)
        connection.sendall(b'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{"result": 1}')

    with client("simKey", raw_server(hold)) as caller:
        thread = threading.Thread(target=caller.algo("demo/Held").set_options(timeout=60).pipe, args=(None,))
        thread.start()
        assert asked.wait(30)
        in_flight = delivery.current().calls_in_flight
        answer.set()
        thread.join()
    assert [(one.algorithm, one.timeout) for one in in_flight] == [("demo/Held", 60.0)]
    assert delivery.current().calls_in_flight == ()
