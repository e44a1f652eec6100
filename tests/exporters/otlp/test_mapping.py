"""Runs and calls as spans, exactly."""

import random
from dataclasses import replace

import pytest
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.trace import SpanKind, StatusCode

from algoprof import __version__
from algoprof.exporters.otlp import call_spans, run_spans
from algoprof.exporters.otlp.spans import resource_of
from algoprof.profiles.calls import Call
from algoprof.profiles.merging import merge
from algoprof.profiles.tree import Node, Profile, Span

SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND
RUN_ID = "0af7651916cd43dd8448eb211c80319c"
NOTHING = Resource({})


def by_id(spans):
    return {span.context.span_id: span for span in spans}


def test_ids_times_and_parents(killed):
    spans = run_spans(killed, NOTHING)
    assert {f"{span.context.trace_id:032x}" for span in spans} == {RUN_ID}
    assert spans[0].name == "routes"
    assert spans[0].parent is None
    found = {
        span.context.span_id: (
            span.name,
            span.parent.span_id if span.parent else 0,
            (span.start_time - START) // SECOND,
            (span.end_time - START) // SECOND,
        )
        for span in spans
    }
    assert found == {
        1: ("routes", 0, 0, 41),
        2: ("load", 1, 0, 2),
        3: ("improve", 1, 3, 41),
        4: ("two_opt", 3, 4, 9),
        5: ("two_opt", 3, 9, 16),  # its parent 77 was not kept: the nearest that was
        6: ("two_opt", 3, 16, 41),
    }
    assert all(span.instrumentation_scope.name == "algoprof" for span in spans)
    assert all(span.instrumentation_scope.version == __version__ for span in spans)
    assert all(span.context.trace_flags.sampled for span in spans)


def test_the_root_says_what_the_run_had_and_used(killed):
    root = run_spans(killed, NOTHING)[0]
    assert {key: value for key, value in root.attributes.items() if "budget" in key} == {
        "algoprof.budget.timeout": 60.0,
        "algoprof.budget.used_ratio": 0.7,
        "algoprof.budget.spent_before": 1.0,
        "algoprof.budget.source": "control page",
    }
    assert root.attributes["algoprof.outcome"] == "killed"
    assert root.attributes["algoprof.request_id"] == "req-1"
    assert root.attributes["process.pid"] == 123
    assert (root.attributes["algoprof.folded"], root.attributes["algoprof.dropped"]) == (12, 3)
    assert (root.status.status_code, root.status.description) == (StatusCode.ERROR, "killed with its process")
    assert root.kind is SpanKind.INTERNAL


def test_totals_stand_on_the_first_span_of_a_section_only(killed):
    spans = by_id(run_spans(killed, NOTHING))
    assert {key: value for key, value in spans[4].attributes.items() if key.startswith("algoprof.")} == {
        "algoprof.section": "routes/improve/two_opt",
        "algoprof.kept_as": "first",
        "algoprof.count": 3,
        "algoprof.total": 37.0,
        "algoprof.self": 37.0,
        "algoprof.longest": 7.0,
        "algoprof.errors": 1,
    }
    assert "algoprof.count" not in spans[5].attributes
    assert "algoprof.count" not in spans[6].attributes
    assert (spans[2].attributes["rows"], spans[2].attributes["of"]) == (7, "cities")
    assert (spans[2].attributes["algoprof.module"], spans[2].attributes["algoprof.line"]) == ("src.Routes", 12)


def test_errors_and_open_sections_have_status_and_event(killed):
    spans = by_id(run_spans(killed, NOTHING))
    assert (spans[5].status.status_code, spans[5].status.description) == (StatusCode.ERROR, "ValueError")
    (event,) = spans[5].events
    assert (event.name, dict(event.attributes)) == ("exception", {"exception.type": "ValueError"})
    (event,) = spans[6].events
    assert (event.name, dict(event.attributes)) == ("algoprof.open", {"algoprof.open_for": 25.0})
    assert event.timestamp == START + 41 * SECOND
    assert spans[6].status.description == "open for 25.0 s when the process was killed"
    assert spans[2].status.status_code is StatusCode.UNSET
    assert spans[2].events == ()


def test_a_caller_becomes_the_parent_of_the_run():
    profile = Profile("job", (Node("job", 1, spans=(Span("first", 5, 9, span_id=8),)),), run_id=RUN_ID)
    (alone,) = run_spans(profile, NOTHING)
    (asked,) = run_spans(Profile(**{**_fields(profile), "parent_span_id": 0xABC}), NOTHING)
    assert (alone.parent, alone.kind) == (None, SpanKind.INTERNAL)
    assert (asked.parent.span_id, asked.parent.is_remote, asked.kind) == (0xABC, True, SpanKind.SERVER)
    assert asked.parent.trace_id == int(RUN_ID, 16)


def test_a_run_whose_own_span_was_not_kept_still_has_one():
    inner = Node("inner", 1, spans=(Span("slowest", 6, 8, span_id=4, parent_id=99),))
    profile = Profile("job", (Node("job", 1, children=(inner,)),), run_id=RUN_ID, started_ns=5, duration_ns=9)
    root, below = run_spans(profile, NOTHING)
    assert (root.name, root.start_time, root.end_time) == ("job", 5, 14)
    assert below.parent.span_id == root.context.span_id != 0


@pytest.mark.parametrize("run_id", ["", "0" * 32, "xyz", "AB" * 16])
def test_without_a_trace_id_there_is_nothing_to_send(run_id):
    assert run_spans(Profile("job", (Node("job"),), run_id=run_id), NOTHING) == []


def test_a_merged_profile_has_no_spans(killed):
    assert run_spans(merge([killed, killed]), NOTHING) == []


def test_an_empty_run_is_one_span():
    (root,) = run_spans(Profile("job", (), run_id=RUN_ID, started_ns=5, duration_ns=4), NOTHING)
    assert (root.name, root.start_time, root.end_time) == ("job", 5, 9)


def test_a_call_is_a_client_span_with_the_remote_run_below_it(killed):
    remote = Profile(**{**_fields(killed), "parent_span_id": 0xCA11})
    call = Call(
        "demo/Routes",
        START - SECOND,
        43 * SECOND,
        "timeout",
        timeout=60.0,
        status=200,
        error_type="AlgorithmTimeout",
        message="too slow",
        request_bytes=17,
        request_id="req-1",
        trace_id=RUN_ID,
        span_id=0xCA11,
        profile=remote,
    )
    own, root, *below = call_spans(call, NOTHING)
    assert (own.name, own.kind, own.context.span_id, own.parent) == ("demo/Routes", SpanKind.CLIENT, 0xCA11, None)
    assert (own.start_time, own.end_time) == (START - SECOND, START + 42 * SECOND)
    assert (root.parent.span_id, root.kind, len(below)) == (0xCA11, SpanKind.SERVER, 5)
    assert {span.context.trace_id for span in (own, root, *below)} == {int(RUN_ID, 16)}
    assert (own.status.status_code, own.status.description) == (StatusCode.ERROR, "too slow")
    assert own.attributes["error.type"] == "AlgorithmTimeout"
    assert own.attributes["http.response.status_code"] == 200
    assert own.attributes["algoprof.budget.used_ratio"] == 1.0
    assert "algoprof.duration" not in own.attributes


def test_a_remote_run_of_another_trace_joins_the_callers(killed):
    other = "ab" * 16
    own, *below = call_spans(Call("demo/Routes", 0, 5, "ok", trace_id=other, profile=killed), NOTHING)
    assert {f"{span.context.trace_id:032x}" for span in below} == {other}
    assert below[0].parent.span_id == own.context.span_id


def test_a_call_that_a_server_answered_is_a_server_span_with_its_split_and_the_run_below_it(killed):
    call = Call(
        "demo/Routes",
        START,
        9 * SECOND,
        "ok",
        5 * SECOND,
        SECOND,
        2 * SECOND,
        trace_id=RUN_ID,
        span_id=7,
        parent_span_id=3,
        served=True,
        profile=killed,
    )
    own, queue, load, run, root, *below = call_spans(call, NOTHING)
    assert (own.kind, own.context.span_id, own.parent.span_id, own.parent.is_remote) == (SpanKind.SERVER, 7, 3, True)
    assert own.attributes["faas.name"] == "demo/Routes"
    assert not {"faas.invoked_name", "http.response.body.size"} & set(own.attributes)
    assert [
        (span.name, (span.start_time - START) // SECOND, (span.end_time - START) // SECOND)
        for span in (queue, load, run)
    ] == [
        ("queue", 0, 1),
        ("load", 1, 3),
        ("run", 3, 8),
    ]
    assert {span.parent.span_id for span in (queue, load, run, root)} == {7}
    assert len({span.context.span_id for span in (own, queue, load, run, root, *below)}) == 5 + len(below)


def test_a_server_that_turned_a_call_away_has_made_no_error():
    own, *below = call_spans(Call("demo/Routes", 0, 5, "refused", status=429, message="busy", served=True), NOTHING)
    assert (own.status.status_code, own.attributes["error.type"], below) == (StatusCode.UNSET, "refused", [])
    (failed,) = call_spans(Call("demo/Routes", 0, 5, "platform_error", status=500, served=True), NOTHING)
    assert failed.status.status_code is StatusCode.ERROR
    (asked,) = call_spans(Call("demo/Routes", 0, 5, "refused", status=429, message="busy"), NOTHING)
    assert asked.status.status_code is StatusCode.ERROR


def test_a_run_that_the_server_sends_is_not_sent_by_the_caller_too(killed):
    call = Call("demo/Routes", 0, 5, "ok", trace_id=RUN_ID, span_id=7, parent_span_id=3, profile=killed)
    own, *below = call_spans(call, NOTHING)
    assert (own.kind, own.parent.span_id, own.parent.is_remote) == (SpanKind.CLIENT, 3, False)
    assert below
    assert len(call_spans(replace(call, remote_span_id=9), NOTHING)) == 1


def test_calls_without_a_trace_get_ids_and_leave_the_programs_random_numbers_alone():
    random.seed(7)
    expected = random.random()
    random.seed(7)
    spans = [call_spans(Call("demo/Routes", 0, 5, "ok"), NOTHING)[0] for _ in range(50)]
    assert random.random() == expected
    assert len({span.context.trace_id for span in spans}) == len({span.context.span_id for span in spans}) == 50
    assert all(span.context.is_valid for span in spans)
    assert all(span.status.status_code is StatusCode.UNSET for span in spans)


def test_whatever_names_and_attributes_hold_can_be_encoded(hostile):
    attributes = {hostile: hostile, "large": 2**100, "negative": -(2**63), "infinite": float("inf"), "on": True}
    span = Span("failed", -5, -9, span_id=2**64 - 1, error=hostile, attributes=attributes)
    profile = Profile(hostile, (Node(hostile, 1, spans=(span,)),), run_id=RUN_ID, request_id=hostile, program=hostile)
    call = Call(hostile, -1, 5, "algorithm_error", message=hostile, error_type=hostile, profile=profile)
    spans = [*run_spans(profile, resource_of(hostile)), *call_spans(call, NOTHING)]
    data = encode_spans(spans).SerializeToString()
    assert 0 < len(data) < 200_000
    assert all(span.end_time >= span.start_time >= 0 for span in spans)


def test_the_program_names_the_service_unless_opentelemetry_does(monkeypatch):
    assert resource_of("Routes.py").attributes["service.name"] == "Routes.py"
    monkeypatch.setenv("OTEL_SERVICE_NAME", "routes")
    assert resource_of("Routes.py").attributes["service.name"] == "routes"


def _fields(profile: Profile) -> dict[str, object]:
    return {name: getattr(profile, name) for name in Profile.__slots__}
