"""Insights: reported by real algorithms, through the official client and our exporter, within the platform's limits."""

import json
from contextlib import suppress

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st

import algoprof
from algoprof.errors import ManagementError
from algoprof.server.envelopes import Refusal
from algoprof.server.routes.insights import MAX_BYTES, MAX_METRICS, RESERVED, Insights, parse
from algoprof.server.state import store as store_module
from algoprof.server.state.store import Store

CALLER = "local/caller"
TRACED = "demo/Traced"


def reported(server, algorithm, **query):
    answer = server.get(f"/v1/algorithms/{algorithm}/insights", **query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_the_official_client_reports_without_a_key_and_unmodified(server):
    answer = server.call(CALLER, {"report": [{"cats": 2, "breed": "tabby"}, {"cats": 3, "sure": 0.5}]})
    metrics = {"cats": 3, "breed": "tabby", "sure": 0.5}
    assert answer["metadata"]["algoprof"]["insights"] == metrics
    newest = reported(server, CALLER)[0]
    assert newest == metrics | {
        "duration_milliseconds": round(answer["metadata"]["duration"] * 1000),
        "algorithm_owner": "local",
        "algorithm_name": "caller",
        "algorithm_version": "1.0.0",
        "request_id": answer["request_id"],
        "session_id": newest["session_id"],
        "time": newest["time"],
    }


def test_our_client_reports_as_the_official_one_does_and_says_what_is_refused(server):
    answer = server.call(TRACED, {"report": {"cats": 3, "sure": True, "breed": "t\u00e4bby"}})
    assert answer["metadata"]["algoprof"]["insights"] == {"cats": 3, "sure": True, "breed": "t\u00e4bby"}
    answer = server.call(TRACED, {"report": {"request_id": 1}})
    assert "with HTTP 400: the platform reports request_id itself" in answer["error"]["message"]
    assert "/worker" not in answer["error"]["message"]
    with algoprof.client(server.key, server.address) as outside, pytest.raises(ManagementError, match="no call is"):
        outside.report_insights({"cats": 3})


def test_an_execution_that_reports_nothing_has_no_insights(server):
    answer = server.call(CALLER, {"report": [{}]})
    assert "insights" not in answer["metadata"]["algoprof"]
    assert reported(server, CALLER, request_id=answer["request_id"]) == []


def test_our_exporter_reports_where_the_time_went(server):
    answer = server.call(TRACED, {"insights": True, "rounds": 3})
    metrics = answer["metadata"]["algoprof"]["insights"]
    assert metrics["algoprof_timeout_seconds"] == 300
    assert 0.03 <= metrics["algoprof_self_seconds_improve"] <= metrics["algoprof_run_seconds"]
    assert metrics["algoprof_failed"] == 0
    (kept,) = reported(server, TRACED, request_id=answer["request_id"])
    assert metrics.items() <= kept.items()
    failed = server.call(TRACED, {"insights": True, "fail": True})
    assert failed["metadata"]["algoprof"]["insights"]["algoprof_failed"] == 1


def test_what_a_killed_execution_had_reported_is_kept(server):
    server.call(TRACED, {"insights": True})  # it is loaded then, and so is the exporter
    answer = server.call(f"{TRACED}?timeout=3", {"insights": True, "rounds": 1000, "nap": 0.1})
    assert answer["error"]["error_type"] == "TimeoutError"
    metrics = answer["metadata"]["algoprof"]["insights"]
    assert (metrics["algoprof_unfinished"], metrics["algoprof_timeout_seconds"]) == (1, 3)
    assert metrics["algoprof_budget_used_ratio"] > 0.75
    assert reported(server, TRACED, request_id=answer["request_id"])[0]["algoprof_unfinished"] == 1


def test_calls_that_an_algorithm_makes_are_of_its_session(server):
    outer = {"report": [{"outer": 1}], "trace": {"insights": True}}
    answer = server.call(CALLER, outer)
    mine, theirs = reported(server, CALLER)[0], reported(server, TRACED)[0]
    assert mine["request_id"] == answer["request_id"] != theirs["request_id"]
    assert theirs["session_id"] == mine["session_id"]


@pytest.mark.parametrize(
    ("metrics", "told"),
    [
        ([{"timestamp": 1}], "the platform reports timestamp itself: use another name"),
        ([{f"m{number}": 1 for number in range(25)}], "26 metrics are too many: an execution reports 25 at most"),
        ([{"text": "x" * 26_000}], "bytes are too many: an execution reports 25 KB of keys and values at most"),
        ([{"list": [1]}], "insight 0 is not an object with an insight_key that is a text, and an insight_value"),
    ],
)
def test_too_much_is_refused_and_told_by_the_server_for_the_client_ignores_it(server, metrics, told):
    answer = server.call(CALLER, {"report": [{"before": 1}, *metrics]})
    assert answer["metadata"]["algoprof"]["insights"] == {"before": 1}
    assert f"insights of {answer['request_id']} refused: " in server.said
    assert told in server.said


def test_metrics_of_one_execution_add_up(server):
    parts = [{f"m{number}": 1 for number in range(start, start + 13)} for start in (0, 12, 25)]
    metrics = server.call(CALLER, {"report": parts})["metadata"]["algoprof"]["insights"]
    assert sorted(metrics) == sorted(f"m{number}" for number in range(25))


@pytest.mark.parametrize(
    ("path", "authorized", "status", "told"),
    [
        ("/v1/insights", False, 401, "no Authorization header"),
        ("/v1/insights", True, 400, "no call is under way there"),
        ("/worker/none/v1/insights", False, 401, "no Authorization header"),
        ("/worker/none/v1/insights", True, 404, "Not Found"),
        ("/worker//v1/insights", False, 401, "no Authorization header"),
    ],
)
def test_nobody_else_reports(server, path, authorized, status, told):
    headers = {"Authorization": f"Simple {server.key}"} if authorized else {}
    answer = requests.post(server.address + path, data="[]", headers=headers, timeout=60)
    assert (answer.status_code, told in answer.text) == (status, True), answer.text


def test_a_workers_path_opens_nothing_else_and_nothing_between_calls(server):
    address = server.call("local/plain", {"do": "state"})["result"]["api"]
    assert requests.get(f"{address}/v1/algorithms/local/plain", timeout=60).status_code == 401
    assert server.session.get(f"{address}/v1/algorithms/local/plain", timeout=60).status_code == 200
    answer = requests.post(f"{address}/v1/insights", data="[]", timeout=60)
    assert (answer.status_code, "no call is under way there" in answer.text) == (400, True), answer.text


def test_insights_are_read_with_the_key_only(server):
    path = f"{server.address}/v1/algorithms/{CALLER}/insights"
    assert requests.get(path, timeout=60).status_code == 401
    assert server.get("/v1/algorithms/local/nothing/insights").status_code == 404


def test_the_store_keeps_as_many_as_it_should(tmp_path, monkeypatch):
    monkeypatch.setattr(store_module, "_INSIGHTS_KEPT", 20)
    store = Store(tmp_path / "db")
    algorithm, other = store.algorithm("demo", "Hello"), store.algorithm("demo", "Other")
    store.record_insights(other, "theirs", {"cats": 1})
    for number in range(25):
        store.record_insights(algorithm, str(number), {"cats": number, "\ud800": "\ud800"})
    assert [row.request_id for row in store.insights(algorithm)] == [str(number) for number in range(24, 4, -1)]
    assert [row.request_id for row in store.insights(algorithm, "10")] == ["10"]
    assert store.insights(algorithm, "\ud800") == []
    assert len(store.insights(other)) == 1
    store.close()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"null",
        b"[1]",
        b"[[]]",
        b'[{"insight_key": "a"}]',
        b'[{"insight_key": 1, "insight_value": 1}]',
        b'[{"insight_key": "", "insight_value": 1}]',
        b'[{"insight_key": "a", "insight_value": null}]',
        b'[{"insight_key": "a", "insight_value": NaN}]',
        b'[{"insight_key": "a", "insight_value": 1e999}]',
        b"[" * 100_000,
        b"\xff",
    ],
)
def test_what_is_no_list_of_metrics_is_refused(content):
    with pytest.raises(Refusal):
        parse(content)


anything = st.none() | st.booleans() | st.floats() | st.text(max_size=5) | st.just([])
things = anything | st.fixed_dictionaries({"insight_key": anything, "insight_value": anything})


@settings(max_examples=40)
@given(st.binary(max_size=50) | st.lists(things, max_size=3).map(json.dumps).map(str.encode))
def test_anything_is_parsed_or_refused(content):
    with suppress(Refusal):
        assert isinstance(parse(content), dict)


values = st.text(max_size=30) | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.booleans()
metrics_of = st.dictionaries(st.text(min_size=1, max_size=20) | st.sampled_from(sorted(RESERVED)), values, max_size=30)
lengths = st.sampled_from([0, 0, 0, 5_000, MAX_BYTES - 10, MAX_BYTES])


@settings(max_examples=40)
@given(st.lists(st.tuples(metrics_of, lengths), max_size=4))
def test_an_execution_never_holds_more_than_the_limits(parts):
    insights = Insights()
    for part, length in parts:
        sent = part | ({"long": "ö" * (length // 2)} if length else {})
        body = json.dumps([{"insight_key": name, "insight_value": value} for name, value in sent.items()])
        before = insights.values
        try:
            insights.add(parse(body.encode()))
        except Refusal:
            assert insights.values is before
        else:
            assert insights.values == before | sent
        assert len(insights.values) <= MAX_METRICS
        assert (
            sum(len(f"{name}{value}".encode("utf-8", "replace")) for name, value in insights.values.items())
            <= MAX_BYTES
        )
        assert not RESERVED & set(insights.values)
