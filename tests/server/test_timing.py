"""Where the time of a call went, from both ends, and the trace that the algorithm's run joins."""

import re
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from opentelemetry.sdk.resources import Resource

import algoprof
from algoprof.errors import CallTimeout
from algoprof.exporters.otlp.calls import call_spans
from algoprof.profiles.codec import from_json
from algoprof.server.hosting import cold_starts
from algoprof.server.routes import inputs

PLAIN, TRACED = "local/plain", "demo/Traced"
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.fixture
def client(server):
    with algoprof.client(server.key, server.address) as made:
        yield made


def test_the_callers_record_has_the_split_and_the_rest_is_network(server, client):
    server.call(PLAIN, {"do": "end"})  # so that a worker has to load
    cold = client.algo(PLAIN).pipe({"do": "sleep", "seconds": 0.2}).call
    warm = client.algo(PLAIN).pipe({"do": "sleep", "seconds": 0.2}).call
    assert cold.load > warm.load
    for call in (cold, warm):
        assert call.duration >= 0.2
        assert call.network >= 0
        assert call.queue + call.load + call.duration + call.network == pytest.approx(call.wall)
        assert call.overhead == pytest.approx(call.queue + call.load + call.network)
        assert call.budget_source == "split"


def test_a_cold_call_tells_where_its_load_went(server, client):
    server.call(PLAIN, {"do": "end"})  # so that a worker has to load
    cold = client.algo(PLAIN).pipe({"do": "sleep", "seconds": 0}).call
    warm = client.algo(PLAIN).pipe({"do": "sleep", "seconds": 0}).call
    assert cold.interpreter > 0
    assert cold.imports > 0
    assert cold.interpreter + cold.imports <= cold.load
    assert warm.interpreter is None
    assert warm.imports is None


@pytest.mark.parametrize(
    ("noted", "parts"),
    [
        (b"2000000000\n5000000000\n", (1, 3, 4)),
        (b"2000000000\n", (1, 7, 0)),  # it was still importing
        (b"", (8, 0, 0)),
        (b"5000000000\n2000000000\n", None),
        (b"0\n2000000000\n", None),
        (b"2000000000\n" + b"9" * 1000, None),
        (b"no number", (8, 0, 0)),
    ],
)
def test_the_parts_of_a_start_that_cannot_be_are_not_told(tmp_path, noted, parts):
    (tmp_path / "starts").write_bytes(noted)
    assert cold_starts.read(tmp_path / "starts", 1, 9) == parts


def test_the_time_in_the_queue_is_no_duration(server, client, tmp_path):
    with ThreadPoolExecutor() as pool:
        first = pool.submit(server.call, PLAIN, {"do": "sleep", "seconds": 0.7, "begun": str(tmp_path / "begun")})
        deadline = time.monotonic() + 20
        while not (tmp_path / "begun").exists():
            assert time.monotonic() < deadline
            time.sleep(0.005)
        waited = client.algo(PLAIN).pipe({"do": "sleep", "seconds": 0.1}).call
        with pytest.raises(CallTimeout) as killed:
            client.algo(PLAIN).set_options(timeout=0.5).pipe({"do": "hang"})
        first.result()
    assert waited.queue > 0.1
    assert 0.1 <= waited.duration < waited.wall - waited.queue
    assert killed.value.call.duration + killed.value.call.queue + killed.value.call.load >= 0.49
    assert killed.value.call.network >= 0


def test_the_run_joins_the_trace_of_the_call(client):
    call = client.algo(TRACED).pipe({"rounds": 1}).call
    assert (call.profile.run_id, call.profile.parent_span_id) == (call.trace_id, call.span_id)
    spans = call_spans(call, Resource({}))
    assert {f"{span.context.trace_id:032x}" for span in spans} == {call.trace_id}
    own, run = spans[:2]
    assert run.parent.span_id == own.context.span_id
    assert own.attributes["algoprof.queue"] == call.queue
    assert own.attributes["algoprof.load"] == call.load


@pytest.mark.parametrize(
    ("sent", "joins"),
    [
        (f"00-{TRACE}-{SPAN}-01", True),
        (f"00-{TRACE}-{SPAN}-00", True),
        (f"cc-{TRACE}-{SPAN}-01-what-is-to-come", True),
        (f"ff-{TRACE}-{SPAN}-01", False),
        (f"00-{TRACE}-{SPAN}-01-more", False),
        (f"00-{TRACE.upper()}-{SPAN}-01", False),
        (f"00-{'0' * 32}-{SPAN}-01", False),
        (f"00-{TRACE}-{'0' * 16}-01", False),
        (f"00-{TRACE}-{SPAN}", False),
        (f"00-{TRACE}-{SPAN}-01,00-{TRACE}-{SPAN}-01", False),
        ("", False),
    ],
)
def test_a_trace_that_cannot_be_meant_is_ignored(server, sent, joins):
    headers = {"Content-Type": "application/json", "X-Algoprof-Profile": "1", "traceparent": sent}
    answer = server.call(TRACED, data=b'{"rounds": 0}', headers=headers)
    profile = from_json(answer["metadata"]["algoprof"]["profile"])
    assert (profile.run_id == TRACE, profile.parent_span_id == int(SPAN, 16)) == (joins, joins)
    assert re.fullmatch(r"(?!0+$)[0-9a-f]{32}", profile.run_id)


@given(st.lists(st.text() | st.text("0123456789abcdef-").map(f"00-{TRACE}-".__add__), max_size=2))
@example([f" 00-{TRACE}-{SPAN}-01\t"])
@example([f"00-{TRACE}-{SPAN}-01\n"])
@example([f"00-{TRACE}-{SPAN}-01"] * 2)
def test_a_trace_context_is_one_or_nothing(headers):
    found = inputs.traceparent(headers)
    assert not found or re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}", found)
    assert not found or len(headers) == 1
