"""Calls over real HTTP: what the user gets, what is recorded, and what failures say."""

import logging
import math
import pickle
import threading
from dataclasses import replace
from types import SimpleNamespace

import pytest

from algoprof.calls import attempts
from algoprof.errors import (
    AlgorithmException,
    BudgetExceeded,
    CallError,
    CallRefused,
    CallTimeout,
    ConfigurationError,
    InputRefused,
    PlatformError,
    PlatformUnreachable,
)
from algoprof.profiles import codec
from algoprof.profiles.calls import Call
from algoprof.profiles.inband import encode
from algoprof.profiles.tree import Node, Profile

KEY = "simVerySecretKey"
OPEN = Profile(
    "apply", (Node("apply", open_count=1, open_ns=9, children=(Node("two-opt", open_count=1, open_ns=8),)),), "killed"
)


@pytest.fixture
def algo(platform, make_client):
    return make_client(KEY, platform.address).algo("demo/Routes/1.0.0")


def test_a_call_that_succeeds(platform, algo, recorded):
    response = algo.set_options(timeout=60, stdout=True, sudo=True).pipe({"cities": 20})
    assert response.result == "hi"
    assert (response.metadata.content_type, response.metadata.duration) == ("text", 0.25)
    assert response.metadata.full_metadata["duration"] == response.metadata["duration"] == 0.25
    asked = platform.asked[0]
    assert asked.path == "/v1/algo/demo/Routes/1.0.0"
    assert asked.query == {"timeout": ["60"], "stdout": ["true"], "sudo": ["true"]}
    assert asked.headers["authorization"] == f"Simple {KEY}"
    assert (asked.headers["content-type"], asked.body) == ("application/json", b'{"cities": 20}')
    call = response.call
    assert (call.algorithm, call.outcome, call.status, call.timeout) == ("demo/Routes/1.0.0", "ok", 200, 60)
    assert (call.duration, call.request_bytes) == (0.25, 14)
    assert call.response_bytes == len(platform.body)
    assert call.overhead == pytest.approx(call.wall - 0.25)
    assert call.budget_used_ratio == pytest.approx(0.25 / 60)
    assert recorded == [("demo/Routes/1.0.0", 60.0), call]


def test_the_trace_context_is_fresh_and_recorded(platform, algo):
    calls = [algo.pipe(None).call, algo.pipe(None).call]
    sent = [asked.headers["traceparent"].split("-") for asked in platform.asked]
    assert [parts[1] for parts in sent] == [call.trace_id for call in calls]
    assert len({call.trace_id for call in calls}) == 2
    assert all((len(parts[1]), len(parts[2])) == (32, 16) for parts in sent)


def test_options_of_a_reference_stay_unless_replaced(platform, make_client):
    algo = make_client(KEY, platform.address).algo("demo/Routes?timeout=9")
    algo.pipe(None)
    algo.set_options(stdout=True).pipe(None)
    algo.set_options(timeout=7).pipe(None)
    assert [asked.query["timeout"] for asked in platform.asked] == [["9"], ["9"], ["7"]]


def test_a_full_url_is_called_at_its_own_platform_only(platform, make_client):
    client = make_client(KEY, platform.address)
    assert client.algo(f"{platform.address}/v1/algo/demo/Routes").pipe(None).result == "hi"
    with pytest.raises(ConfigurationError, match="api_address"):
        client.algo("https://evil.example.com/v1/algo/demo/Routes")


@pytest.mark.parametrize("timeout", [0, -1, 3001, math.nan, True, "60"])
def test_a_wrong_timeout_sends_nothing_and_changes_nothing(platform, algo, timeout):
    algo.set_options(timeout=50)
    with pytest.raises(ConfigurationError, match="timeout"):
        algo.set_options(timeout=timeout)
    assert platform.asked == []
    assert algo.options.timeout == 50


def test_the_remote_profile_comes_home(platform, algo):
    ours = {"queue": 0.5, "load": 1, "run": 2, "profile": codec.to_json(OPEN)}
    platform.answers({"result": 1, "metadata": {"content_type": "json", "duration": 2, "algoprof": ours}})
    call = algo.set_options(timeout=7).pipe(None).call
    assert (call.queue, call.load, call.profile) == (0.5, 1.0, OPEN)
    assert (call.budget_used_ratio, call.budget_source) == (0.5, "split")
    assert platform.asked[0].headers["x-algoprof-profile"] == "1"


def test_a_profile_among_what_was_printed_comes_home(platform, algo):
    printed = b"".join(encode(replace(OPEN, run_id="ab" * 16))).decode()
    metadata = {"content_type": "json", "duration": 2, "stdout": f"so far\n{printed}done\n"}
    platform.answers({"result": 1, "metadata": metadata})
    response = algo.set_options(stdout=True).pipe(None)
    assert response.metadata.stdout == response.metadata["stdout"] == "so far\ndone\n"
    assert response.call.profile == replace(OPEN, run_id="ab" * 16)
    served = {**metadata, "algoprof": {"profile": codec.to_json(OPEN)}}
    platform.answers({"error": {"message": "no", "error_type": "E"}, "metadata": served})
    with pytest.raises(AlgorithmException) as raised:
        algo.pipe(None)
    assert raised.value.stdout == "so far\ndone\n"
    assert raised.value.call.profile == OPEN, "the server's own is better"


def test_a_profile_that_is_not_believed_is_told_once_for_each_kind_of_flaw(platform, algo, caplog, monkeypatch):
    monkeypatch.setattr(attempts, "_warned", set())
    for profile in ({"algoprof": 99}, {"algoprof": 100}, {"other": 1}, {"algoprof": 99}):
        platform.answers({"result": 1, "metadata": {"duration": 2, "algoprof": {"profile": profile}}})
        assert algo.pipe(None).call.profile is None
    told = [one for one in caplog.messages if "is not used" in one]
    assert ["made by a newer algoprof" in one for one in told] == [True, False], "one of each kind"
    assert "it has no 'algoprof' key" in told[1]


def test_raw_and_void(platform, algo):
    platform.answers(b"bare", headers={"Content-Type": "text/plain"})
    response = algo.set_options(output="raw").pipe(None)
    assert (response.result, response.call.duration, response.call.budget_used_ratio) == ("bare", None, None)
    platform.answers({"async": True, "request_id": "req-1"})
    call = algo.set_options(output="void").pipe(None).call
    assert (call.outcome, call.request_id) == ("accepted", "req-1")


def test_an_input_that_cannot_be_sent(platform, algo, recorded):
    with pytest.raises(
        InputRefused, match=r'^input\["frames"\]\[3\]: object is not JSON-serializable; .*data API'
    ) as raised:
        algo.pipe({"frames": [0, 1, 2, object()]})
    assert isinstance(raised.value, TypeError)
    assert isinstance(raised.value, ValueError)
    assert platform.asked == []
    assert raised.value.call.outcome == "not_sent"
    assert recorded[-1] is raised.value.call


def test_an_algorithm_that_raised(platform, algo):
    error = {"message": "no such city", "error_type": "InputError", "stacktrace": "Traceback ..."}
    platform.answers({"error": error, "metadata": {"duration": 0.5, "stdout": "so far\n"}})
    with pytest.raises(AlgorithmException, match=r"demo/Routes/1\.0\.0 failed with InputError: no such city") as raised:
        algo.pipe(None)
    told = raised.value
    assert (told.message, told.error_type, told.stack_trace) == ("no such city", "InputError", "Traceback ...")
    assert (told.stdout, told.call.duration, told.call.outcome) == ("so far\n", 0.5, "algorithm_error")


def test_a_timeout_of_the_platform_names_what_was_open(platform, algo):
    error = {"message": "Operation timed out after 60000 millis", "error_type": "TimeoutError"}
    ours = {"queue": 0, "load": 0, "profile": codec.to_json(OPEN)}
    platform.answers({"error": error, "metadata": {"duration": 60.0, "algoprof": ours}})
    with pytest.raises(
        TimeoutError, match="stopped by its timeout of 60 s, in apply/two-opt; raise the timeout"
    ) as raised:
        algo.set_options(timeout=60).pipe(None)
    assert isinstance(raised.value, CallTimeout)
    assert raised.value.call.budget_used_ratio >= 1
    assert raised.value.call.profile == OPEN


@pytest.mark.parametrize(
    ("status", "kind", "hint"),
    [
        (400, CallRefused, "check the input"),
        (401, CallRefused, "ALGORITHMIA_API_KEY"),
        (403, CallRefused, "may not call"),
        (404, CallRefused, "check owner, name and version"),
        (413, CallRefused, "data API"),
        (415, CallRefused, "send JSON"),
        (418, CallRefused, ""),
        (429, CallRefused, "too many calls"),
        (500, PlatformError, "try again later"),
        (503, PlatformError, "try again later"),
    ],
)
def test_what_a_refusal_says(platform, algo, status, kind, hint):
    for html in (False, True):
        answer_and_check(platform, algo, (status, kind, hint), html=html)


def answer_and_check(platform, algo, expected, *, html):
    status, kind, hint = expected
    body = b"<html><body>the words</body></html>" if html else {"error": {"message": "the words", "code": 7}}
    platform.answers(body, status, {"Content-Type": "text/html" if html else "application/json"})
    with pytest.raises(kind) as raised:
        algo.pipe(None)
    told = raised.value
    assert "the words" in str(told)
    assert hint in told.hint
    assert (told.status, told.call.status, told.code) == (status, status, None if html else 7)
    assert "\n" not in str(told)


@pytest.mark.parametrize(
    ("reference", "hint"),
    [
        ("demo/Routes", "try /latestPrivate or a hash"),
        ("demo/Routes/latest", "try /latestPrivate or a hash"),
        ("demo/Routes/1.2.3", "a version that is not published answers to its hash only"),
        ("demo/Routes/latestPrivate", "published with private callability, .* what has no version behind its name"),
        ("demo/Routes/" + "a1" * 20, "a hash is for the owner"),
    ],
)
def test_a_404_says_which_versions_a_reference_does_not_reach(platform, make_client, reference, hint):
    platform.answers({"error": {"message": "algorithm algo://demo/Routes not found", "code": 1000}}, 404)
    with pytest.raises(CallRefused, match=hint):
        make_client(KEY, platform.address).algo(reference).pipe(None)


def test_refusals_tell_kinds_of_keys_and_rights(platform, algo):
    for status, words in ((401, "an admin key is refused"), (403, "callability"), (403, "management")):
        platform.answers({"error": {"message": "no", "code": 2001}}, status)
        with pytest.raises(CallRefused, match=words) as raised:
            algo.pipe(None)
        assert raised.value.code == 2001


def test_without_a_key_a_401_says_that_none_was_sent(platform, make_client):
    platform.answers({"error": {"message": "who?"}}, 401)
    with pytest.raises(CallRefused, match="no key was sent"):
        make_client(api_address=platform.address).algo("demo/Routes").pipe(None)
    assert "authorization" not in platform.asked[0].headers


def test_the_session_is_usable_after_any_error(platform, algo):
    good = platform.body
    for status in (401, 500, 302, 200):
        platform.answers(b"<nonsense", status, {"Content-Type": "text/html", "Location": "/elsewhere"})
        with pytest.raises(CallError):
            algo.pipe(None)
    with pytest.raises(InputRefused):
        algo.pipe(object())
    platform.answers(good)
    assert algo.pipe(None).result == "hi"
    assert {asked.path for asked in platform.asked} == {"/v1/algo/demo/Routes/1.0.0"}, "no redirect was followed"


def test_the_timeout_is_cut_to_what_the_run_has_left(platform, algo, monkeypatch):
    monkeypatch.setattr(attempts, "budget", lambda: SimpleNamespace(remaining=12.5))
    assert algo.pipe(None).call.timeout == 12.5
    assert platform.asked[0].query["timeout"] == ["12.5"]
    algo.set_options(timeout=5).pipe(None)
    assert platform.asked[1].query["timeout"] == ["5"]


@pytest.mark.parametrize("left", [0, -3.0])
def test_without_budget_nothing_is_sent(platform, algo, monkeypatch, recorded, left):
    monkeypatch.setattr(
        attempts, "budget", lambda: SimpleNamespace(remaining=left, run="job", timeout=9.0, elapsed=9.5)
    )
    with pytest.raises(CallTimeout, match="nothing remains of the budget") as raised:
        algo.pipe(None)
    assert platform.asked == []
    assert recorded[-1].outcome == "not_sent"
    told = pickle.loads(pickle.dumps(raised.value))
    assert isinstance(told, BudgetExceeded)
    assert (told.run, told.timeout, told.elapsed, str(told)) == ("job", 9.0, 9.5, str(raised.value))


def test_a_call_given_up_is_recorded_once(algo, monkeypatch, recorded):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(algo._transport, "send", interrupted)
    with pytest.raises(KeyboardInterrupt):
        algo.pipe(None)
    assert [one.outcome for one in recorded if isinstance(one, Call)] == ["cancelled"]


def test_every_call_is_recorded_exactly_once(platform, algo, recorded):
    for body, status in (({"result": 1}, 200), ({"error": "x"}, 200), (b"", 500)):
        platform.answers(body, status)
        try:
            algo.pipe(None)
        except CallError as error:
            assert recorded[-1] is error.call  # noqa: PT017  (one of three succeeds)
    assert [isinstance(one, Call) for one in recorded] == [False, True] * 3


def test_the_key_is_shown_nowhere(platform, make_client, caplog):
    client = make_client(KEY, platform.address)
    algo = client.algo("demo/Routes")
    error = {"message": f"bad key {KEY}", "error_type": KEY, "stacktrace": f"key={KEY}"}
    with caplog.at_level(logging.DEBUG):
        platform.answers({"error": error}, 401)
        with pytest.raises(CallRefused) as raised:
            algo.pipe(None)
    told = raised.value
    shown = [
        str(told),
        repr(told),
        told.message,
        told.stack_trace,
        told.error_type,
        repr(told.call),
        repr(told.__dict__),
    ]
    shown += [repr(client), repr(algo), repr(vars(client)), repr(vars(algo)), caplog.text]
    assert not [text for text in shown if KEY in text]


def test_an_error_travels_between_processes(platform, algo):
    platform.answers({"error": {"message": "no", "code": 2001}}, 403)
    with pytest.raises(CallRefused) as raised:
        algo.pipe(None)
    copy = pickle.loads(pickle.dumps(raised.value))
    assert (type(copy), str(copy), vars(copy)) == (CallRefused, str(raised.value), vars(raised.value))


def test_one_client_serves_many_threads(platform, algo, scaled):
    failures = []

    def call_often():
        for _ in range(scaled(200)):
            try:
                assert algo.pipe(None).result == "hi"
            except Exception as error:  # noqa: BLE001  (brought to the test's own thread)
                failures.append(error)

    threads = [threading.Thread(target=call_often) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(platform.asked) == 8 * scaled(200)


@pytest.mark.parametrize("grace", [-1, math.nan, math.inf, "10", None, True])
def test_a_grace_that_is_none_is_refused(make_client, grace):
    with pytest.raises(ConfigurationError, match="grace"):
        make_client(grace=grace)


def test_certificates_that_are_not_there_are_refused(make_client):
    with pytest.raises(ConfigurationError, match="ca_cert"):
        make_client(ca_cert="/no/such/file")


def test_nobody_listens(make_client, raw_server):
    with pytest.raises(
        ConnectionError, match=r"nothing answers at http://127.0.0.1:1 .*refused; start one with `algoprof serve"
    ) as raised:
        make_client(KEY, "http://127.0.0.1:1").algo("demo/Routes").pipe(None)
    assert isinstance(raised.value, PlatformUnreachable)
    assert raised.value.call.outcome == "unreachable"


@pytest.mark.parametrize(
    ("split", "duration", "says", "hint"),
    [
        (
            {"queue": 1.0, "load": 0},
            0.0,
            "it never ran: it waited in the queue for 1 s; ",
            "other calls were before it",
        ),
        ({"queue": 0.8, "load": 0}, 0.2, "; it waited in the queue for 0.8 s; ", "other calls were before it"),
        ({"queue": 0.0, "load": 1}, 0.0, "it never ran: loading it took 1 s; ", "load less"),
        ({"queue": 0.1, "load": 0.1}, 0.8, "of 1 s; ", "ask for less"),
        ({}, 1.0, "of 1 s; ", "ask for less"),
    ],
)
def test_a_timeout_says_what_the_time_went_to(request, split, duration, says, hint):
    platform, algo = request.getfixturevalue("platform"), request.getfixturevalue("algo")
    error = {"message": "Operation timed out", "error_type": "TimeoutError"}
    platform.answers({"error": error, "metadata": {"duration": duration, "algoprof": split}})
    with pytest.raises(CallTimeout) as raised:
        algo.set_options(timeout=1).pipe(None)
    assert f"{raised.value.sentence}; ".endswith(says)
    assert hint in raised.value.hint
