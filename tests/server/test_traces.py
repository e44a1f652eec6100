"""The spans that a server sends, at a real OTLP receiver: of its calls, joined to their callers and to the runs."""

import json
import secrets
import sys
import textwrap
import time

import pytest
from opentelemetry.sdk.resources import Resource

import algoprof
from algoprof.errors import CallTimeout
from algoprof.exporters.otlp.calls import call_spans

PLACES = json.dumps([place for place in sys.path if place])  # where the tests find algoprof and what it needs
INNER = f"""
    import sys, time
    sys.path += {PLACES}
    from algoprof import profile, section


    @profile
    def apply(input):
        with section("solve"):
            time.sleep(input.get("sleep", 0))
        return "solved"
"""
OUTER = f"""
    import json, os, sys, urllib.request
    sys.path += {PLACES}
    import algoprof
    from algoprof import profile, section


    @profile
    def apply(input):
        with section("ask"):
            if input["how"] == "ours":
                return algoprof.client().algo("local/inner").pipe({{}}).result
            shown = {{"Authorization": os.environ["ALGORITHMIA_API_KEY"], "Content-Type": "application/json"}}
            url = os.environ["ALGORITHMIA_API"] + "/v1/algo/local/inner"
            with urllib.request.urlopen(urllib.request.Request(url, b"{{}}", shown)) as answer:
                return json.load(answer)["result"]
"""
SERVER, INTERNAL = 2, 1
ERROR = 2


@pytest.fixture(scope="module")
def receiver(receiver_module):
    return receiver_module


@pytest.fixture(scope="module")
def serving(serve_module, receiver, tmp_path_factory):
    """A server that sends spans to the receiver."""
    folders = [tmp_path_factory.mktemp("projects") / name for name in ("inner", "outer")]
    for folder, code in zip(folders, (INNER, OUTER), strict=True):
        folder.mkdir()
        (folder / "main.py").write_text(textwrap.dedent(code))
    running = serve_module(*folders, env={"ALGOPROF_EXPORTERS": "otlp", "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url})
    assert running.address, running.said
    return running


class Sent:
    """The spans of one trace, once there are so many."""

    def __init__(self, receiver, trace_id, count):
        until(lambda: len(spans_of(receiver, trace_id)) >= count)
        self.spans = spans_of(receiver, trace_id)
        self.by_name = {}
        for span in self.spans:
            self.by_name.setdefault(span.name, []).append(span)

    def one(self, name, parent=None):
        """Return the only span of a name, below another one if that is given."""
        (found,) = (span for span in self.by_name[name] if parent is None or span.parent_span_id == parent.span_id)
        return found


def spans_of(receiver, trace_id):
    return [span for span in receiver.spans if span.trace_id.hex() == trace_id]


def attributes(span):
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in span.attributes}


def test_a_call_its_split_and_its_run_are_one_trace_below_the_callers_span(serving, receiver):
    with algoprof.client(serving.key, serving.address) as client:
        call = client.algo("local/inner").pipe({"sleep": 0.05}).call
    sent = Sent(receiver, call.trace_id, 6)
    assert sorted(sent.by_name) == ["apply", "load", "local/inner", "queue", "run", "solve"]
    own, run = sent.one("local/inner"), sent.one("apply")
    assert own.parent_span_id.hex() == f"{call.span_id:016x}"
    assert own.span_id.hex() == f"{call.remote_span_id:016x}"
    assert (own.kind, run.kind, sent.one("queue").kind) == (SERVER, SERVER, INTERNAL)
    assert sent.one("solve", parent=run)
    parts = [sent.one(name, parent=own) for name in ("queue", "load", "run")]
    times = [time for part in parts for time in (part.start_time_unix_nano, part.end_time_unix_nano)]
    assert times == sorted(times)
    assert own.start_time_unix_nano == times[0] < times[-1] <= own.end_time_unix_nano
    assert [(part.end_time_unix_nano - part.start_time_unix_nano) / 1e9 for part in parts] == pytest.approx(
        [call.queue, call.load, call.duration], abs=1e-6
    )
    told = attributes(own)
    assert (told["faas.name"], told["http.response.status_code"]) == ("local/inner", 200)
    assert (told["algoprof.request_id"], told["algoprof.outcome"]) == (call.request_id, "ok")
    assert [span.name for span in call_spans(call, Resource({}))] == ["local/inner"]  # the server has sent the run


@pytest.mark.parametrize("how", ["ours", "theirs"])
def test_a_call_that_an_algorithm_makes_is_part_of_the_trace_of_the_one_that_it_serves(serving, receiver, how):
    trace_id = secrets.token_hex(16)
    headers = {"traceparent": f"00-{trace_id}-{'cd' * 8}-01", "Content-Type": "application/json"}
    assert serving.call("local/outer", data=json.dumps({"how": how}), headers=headers)["result"] == "solved"
    sent = Sent(receiver, trace_id, 12)
    assert len(sent.spans) == len({span.span_id for span in sent.spans}) == 12
    outer, inner = sent.one("local/outer"), sent.one("local/inner")
    assert outer.parent_span_id.hex() == "cd" * 8
    ask = sent.one("ask", parent=sent.one("apply", parent=outer))
    assert inner.parent_span_id == (ask if how == "ours" else outer).span_id
    assert sent.one("solve", parent=sent.one("apply", parent=inner))


def test_without_a_callers_trace_the_server_begins_one(serving, receiver):
    span_id = serving.call("local/inner", {})["metadata"]["algoprof"]["span"]
    until(lambda: span_id in [span.span_id.hex() for span in receiver.spans])
    (own,) = (span for span in receiver.spans if span.span_id.hex() == span_id)
    assert own.parent_span_id == b""
    assert Sent(receiver, own.trace_id.hex(), 6).one("apply", parent=own)


def until(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_call_that_its_timeout_killed_is_an_error_with_what_was_open(serving, receiver):
    with algoprof.client(serving.key, serving.address) as client, pytest.raises(CallTimeout) as killed:
        client.algo("local/inner").set_options(timeout=1).pipe({"sleep": 60})
    sent = Sent(receiver, killed.value.call.trace_id, 6)
    own = sent.one("local/inner")
    assert own.status.code == sent.one("apply").status.code == ERROR
    assert attributes(own)["error.type"] == "TimeoutError"
    assert attributes(own)["algoprof.budget.used_ratio"] >= 1
    assert [event.name for event in sent.one("solve").events] == ["algoprof.open"]
