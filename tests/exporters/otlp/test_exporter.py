"""To a real OTLP/HTTP receiver, and what happens when there is none."""

import logging
import socket
import sys
import time

import pytest
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from algoprof.errors import AlgoprofError, ConfigurationError
from algoprof.exporters.otlp import OtlpExporter, SpanExporting
from algoprof.exporters.otlp import exporter as module
from algoprof.exporters.protocol import Context
from algoprof.profiles.batch import Batch
from algoprof.profiles.calls import Call
from algoprof.profiles.tree import Node, Profile, Span
from algoprof.settings import Settings


@pytest.fixture(autouse=True)
def _heard_nothing(monkeypatch):
    monkeypatch.setattr(module._once, "_heard", False)


@pytest.fixture
def make(request):
    def made(url: str) -> OtlpExporter:
        exporter = OtlpExporter(Context(Settings(otlp_endpoint=f"{url}/v1/traces")))
        request.addfinalizer(lambda: exporter.shutdown(time.monotonic()))
        return exporter

    return made


def test_spans_arrive_as_they_are(make, receiver, killed, monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=one")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
    make(receiver.url).export(Batch((killed,), (Call("demo/Routes", 0, 5, "ok"),)))
    found = {(span.name, span.span_id.hex(), span.parent_span_id.hex()) for span in receiver.spans[:6]}
    assert found == {
        ("routes", f"{1:016x}", ""),
        ("load", f"{2:016x}", f"{1:016x}"),
        ("improve", f"{3:016x}", f"{1:016x}"),
        ("two_opt", f"{4:016x}", f"{3:016x}"),
        ("two_opt", f"{5:016x}", f"{3:016x}"),
        ("two_opt", f"{6:016x}", f"{3:016x}"),
    }
    assert {span.trace_id.hex() for span in receiver.spans[:6]} == {killed.run_id}
    assert [span.kind for span in receiver.spans] == [1] * 6 + [3]
    load = next(span for span in receiver.spans if span.name == "load")
    assert {pair.key: pair.value.int_value for pair in load.attributes if pair.value.HasField("int_value")} == {
        "rows": 7,
        "algoprof.count": 1,
        "algoprof.line": 12,
    }
    (resource, _) = receiver.requests[0].resource_spans
    names = [pair.value.string_value for pair in resource.resource.attributes if pair.key == "service.name"]
    assert names == ["Routes.py"]
    assert receiver.headers[0]["x-tenant"] == "one"
    assert receiver.headers[0]["Content-Encoding"] == "gzip"


def test_many_spans_go_in_several_requests(make, receiver):
    spans = tuple(Span("first", 5, 9, span_id=number) for number in range(1, 1201))
    make(receiver.url).export(Batch((Profile("job", (Node("job", 1200, spans=spans),), run_id="ab" * 16),)))
    assert len(receiver.spans) == 1200
    assert len(receiver.requests) == 3


@pytest.mark.parametrize("status", [400, 500])
def test_a_receiver_that_refuses_is_an_error(make, receiver, killed, status, caplog):
    receiver.status = status
    exporter = make(receiver.url)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            with pytest.raises(AlgoprofError, match=f"6 of 6 spans were not taken by {receiver.url}/v1/traces"):
                exporter.export(Batch((killed,)))
    assert len(caplog.records) == 1


def test_a_dead_receiver_is_an_error(make, killed, monkeypatch, caplog):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.2")
    with socket.socket() as unbound:
        unbound.bind(("127.0.0.1", 0))
        exporter = make(f"http://127.0.0.1:{unbound.getsockname()[1]}")
        with caplog.at_level(logging.WARNING), pytest.raises(AlgoprofError):
            exporter.export(Batch((killed,)))
    assert len(caplog.records) == 1


def test_without_an_endpoint_it_says_how_to_name_one():
    with pytest.raises(ConfigurationError, match="set OTEL_EXPORTER_OTLP_ENDPOINT"):
        OtlpExporter(Context(Settings()))


def test_without_the_extra_it_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'algoprof\[otlp\]'"):
        OtlpExporter(Context(Settings(otlp_endpoint="http://127.0.0.1:4318/v1/traces")))


def test_what_is_secret_in_the_endpoint_is_not_shown(request):
    exporter = OtlpExporter(Context(Settings(otlp_endpoint="http://me:secret@host:1/v1/traces?token=secret")))
    request.addfinalizer(lambda: exporter.shutdown(0))
    assert exporter.describe() == "http://host:1/v1/traces"


def test_any_span_exporter_will_do(killed):
    memory = InMemorySpanExporter()
    exporting = SpanExporting(memory)
    exporting.export(Batch((killed,)))
    assert len(memory.get_finished_spans()) == 6
    exporting.shutdown(time.monotonic())
    assert memory.export([]) is SpanExportResult.FAILURE


def test_end_to_end_in_a_process(run_python, receiver):
    done = run_python(
        """
        import algoprof

        @algoprof.profile
        def job():
            for _ in range(30):
                with algoprof.section("step"):
                    pass
            with algoprof.section("fails"):
                raise KeyError("x")

        try:
            job()
        except KeyError:
            pass
        """,
        env={"ALGOPROF_EXPORTERS": "otlp", "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url, "ALGOPROF_REPORT": "never"},
    )
    assert (done.returncode, done.stderr) == (0, "")
    root = next(span for span in receiver.spans if not span.parent_span_id)
    steps = [span for span in receiver.spans if span.name == "step"]
    (fails,) = (span for span in receiver.spans if span.name == "fails")
    assert (root.name, root.status.code) == ("job", 2)
    assert {span.parent_span_id for span in [*steps, fails]} == {root.span_id}
    counts = [pair.value.int_value for span in steps for pair in span.attributes if pair.key == "algoprof.count"]
    assert counts == [30]
    assert (fails.status.code, fails.status.message) == (2, "KeyError")


def test_a_run_near_its_timeout_is_sent_before_the_platform_kills_it(run_python, receiver):
    done = run_python(
        """
        import os, time
        from algoprof import profile, section
        with profile("job", timeout=1):
            with section("load"):
                pass
            with section("solve"):
                time.sleep(0.94)
                os.kill(os.getpid(), 9)
        """,
        env={"ALGOPROF_EXPORTERS": "otlp", "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url},
    )
    assert done.returncode == -9
    spans = {span.name: span for span in receiver.spans}
    assert {"job", "load", "solve"} <= spans.keys()
    assert [event.name for event in spans["solve"].events] == ["algoprof.open"]
    assert list(spans["load"].events) == []
