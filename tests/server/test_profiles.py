"""The profile in the answers: what the algorithm recorded of this very request."""

import time

import pytest

from algoprof.profiles.codec import from_json

WANTED = {"X-Algoprof-Profile": "1", "Content-Type": "application/json"}
TRACED = "demo/Traced"


def test_a_caller_that_asks_gets_the_profile_of_its_own_call(server):
    server.call(TRACED, {"rounds": 1})
    answer = server.call(TRACED, data=b'{"rounds": 5}', headers=WANTED)
    profile = from_json(answer["metadata"]["algoprof"]["profile"])
    assert profile.request_id == answer["request_id"]
    assert profile.node("apply", "improve").count == 5
    assert profile.node("apply", "load").count == 1
    assert profile.outcome == "ok"


def test_who_does_not_ask_gets_none(server):
    assert "profile" not in server.call(TRACED, {})["metadata"]["algoprof"]


def test_an_algorithm_that_records_nothing_has_none(server):
    answer = server.call("local/plain", data=b"1", headers=WANTED)
    assert "profile" not in answer["metadata"]["algoprof"]


def test_a_failed_call_has_its_profile_too(server):
    answer = server.call(TRACED, data=b'{"fail": true}', headers=WANTED)
    profile = from_json(answer["metadata"]["algoprof"]["profile"])
    assert answer["error"]["message"] == "no way"
    assert profile.outcome == "error"
    assert profile.node("apply").errors == 1


def test_the_profile_survives_the_kill_at_the_timeout(server):
    server.call(TRACED, {})  # loaded by now
    began = time.monotonic()
    answer = server.call(f"{TRACED}?timeout=1", {"rounds": 100, "nap": 0.3})
    assert time.monotonic() - began < 1.5
    profile = from_json(answer["metadata"]["algoprof"]["profile"])
    assert answer["error"]["error_type"] == "TimeoutError"
    assert profile.outcome == "killed"
    assert profile.request_id == answer["request_id"]
    improve = profile.node("apply", "improve")
    assert (improve.open_count, improve.count) == (1, 3)
    assert profile.node("apply").open_count == 1
    assert profile.duration == pytest.approx(1, abs=0.2)


def test_the_algorithm_knows_the_callers_budget(server):
    result = server.call(f"{TRACED}?timeout=20", {})["result"]
    assert result["timeout"] == 20
    assert 15 < result["remaining"] < 20
    second = server.call(f"{TRACED}?timeout=60", {})["result"]
    assert second["timeout"] == 60


def test_the_report_stays_out_of_the_algorithms_output(server):
    answer = server.call(f"{TRACED}?stdout=true", {"fail": True})
    assert answer["metadata"]["stdout"] == ""


def test_what_a_forked_child_records_is_told_as_well(server):
    answer = server.call(TRACED, data=b'{"child": true}', headers=WANTED)
    profile = from_json(answer["metadata"]["algoprof"]["profile"])
    assert profile.node("apply", "load").count == 1
