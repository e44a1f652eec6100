"""Builds and versions as the documented platform tells them, and as no platform should."""

import json
import pickle
import socket
import threading
import time
import traceback
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

import algoprof
from algoprof.calls.client import client
from algoprof.calls.management.requests import TIMEOUT
from algoprof.calls.management.resources import read_build, read_version
from algoprof.errors import BuildNotFinished, BuildTimeout, ConfigurationError, LogsUnavailable, ManagementError

BUILDS = "/v1/algorithms/demo/Routes/builds"
VERSIONS = "/v1/algorithms/demo/Routes/versions"
CLOSED = (0, None)
"""In place of an answer: the connection is closed."""
NOT_FOUND = {"error": {"id": "17", "code": 1011, "message": "Build logs not found"}}


def build(build_id: str, status: str, **more: Any) -> dict[str, Any]:
    begun = {"build_id": build_id, "status": status, "commit_sha": "ab" * 20, "started_at": "2020-04-01T10:00:00.000Z"}
    return {**begun, **({} if status == "in-progress" else {"finished_at": "2020-04-01T10:01:30.500Z"}), **more}


class Platform:
    """Answers each path with the next of its answers, the last one again and again."""

    def __init__(self) -> None:
        self.answers: dict[str, list[tuple[int, Any]]] = {}
        self.asked: list[tuple[str, str, dict[str, str], dict[str, str], bytes]] = []

    def will(self, path: str, *answers: Any) -> None:
        self.answers[path] = [one if isinstance(one, tuple) else (200, one) for one in answers]


@pytest.fixture
def owned() -> Iterator[Platform]:
    state = Platform()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            url = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): text for name, text in self.headers.items()}
            state.asked.append((self.command, url.path, dict(parse_qsl(url.query)), headers, body))
            waiting = state.answers.get(url.path, [(404, NOT_FOUND)])
            status, content = waiting.pop(0) if len(waiting) > 1 else waiting[0]
            if (status, content) == CLOSED:
                self.close_connection = True
                return
            content = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = answer  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        state.address = f"http://127.0.0.1:{server.server_port}"  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield state
        server.shutdown()
        thread.join()


@pytest.fixture
def algo(owned):
    with client("simVerySecretKey", owned.address) as made:
        yield made.algo("demo/Routes/1.0.0")


def test_pages_are_followed_to_the_last_and_never_in_a_circle(algo, owned):
    first = {"marker": "m1", "next_link": "http://elsewhere/", "results": [build("b2", "succeeded"), "no build", {}]}
    last = {"marker": None, "next_link": None, "results": [build("b1", "failed", finished_at=None)]}
    owned.will(BUILDS, first, last)
    assert [(one.id, one.duration) for one in algo.builds(limit=2)] == [("b2", 90.5), ("b1", None)]
    assert [query for _, _, query, _, _ in owned.asked] == [{"limit": "2"}, {"limit": "2", "marker": "m1"}]
    assert owned.asked[0][3]["authorization"] == "Simple simVerySecretKey"
    owned.will(BUILDS, first)
    assert [one.id for one in algo.builds()] == ["b2", "b2"]


def test_empty_pages_and_versions_without_end_come_to_an_end(algo, owned, monkeypatch):
    owned.will(BUILDS, *({"marker": f"m{number}", "results": [{}]} for number in range(1000)))
    assert list(algo.builds()) == []
    assert len(owned.asked) == 100
    monkeypatch.setattr("algoprof.calls.management.managed._SEARCHED_VERSIONS", 20)
    row = {"version_info": {"semantic_version": "1.0.0"}}
    owned.will(VERSIONS, *({"marker": f"m{number}", "results": [row]} for number in range(1000)))
    with pytest.raises(ManagementError, match=r"has no version 9\.9\.9"):
        algo.version("9.9.9")
    assert len(owned.asked) == 120


def test_a_build_is_waited_for_and_each_look_is_told(algo, owned):
    owned.will(BUILDS, {"marker": None, "results": [build("b1", "in-progress")]})
    owned.will(f"{BUILDS}/b1", build("b1", "in-progress"), build("b1", "succeeded"))
    told = []
    ended = algo.wait(tell=lambda one, elapsed: told.append((one.status, elapsed)))
    assert (ended.status, ended.duration) == ("succeeded", 90.5)
    assert [status for status, _ in told] == ["in-progress", "in-progress", "succeeded"]
    assert [elapsed for _, elapsed in told] == sorted(elapsed for _, elapsed in told)


def test_a_build_that_was_waited_for_reaches_the_exporters(algo, owned):
    kept: list[str] = []

    class Keeping:
        def export(self, batch):
            kept.extend(f"{one.id} {one.status} {one.duration}" for one in batch.builds)

        def shutdown(self, deadline):
            pass

    algoprof.configure(exporters=[Keeping()])
    try:
        owned.will(f"{BUILDS}/b1", build("b1", "failed"))
        algo.wait("b1")
        assert algoprof.flush(30) == 0
        assert kept == ["b1 failed 90.5"]
    finally:
        algoprof.configure(exporters=[])


def test_a_commit_that_is_not_yet_listed_is_waited_for(algo, owned):
    other = build("b0", "succeeded", commit_sha="cd" * 20)
    owned.will(BUILDS, {"results": [other]}, {"results": [build("b1", "failed"), other]})
    assert algo.wait(commit="abab").id == "b1"


def test_a_platform_that_fails_for_a_moment_is_asked_again(algo, owned):
    owned.will(f"{BUILDS}/b1", (503, {}), (429, {}), build("b1", "succeeded"))
    assert algo.wait("b1").status == "succeeded"
    owned.will(f"{BUILDS}/b1", (401, {}), build("b1", "succeeded"))
    with pytest.raises(ManagementError, match="401"):
        algo.wait("b1")
    owned.will(f"{BUILDS}/b1", (503, {}))
    with pytest.raises(ManagementError, match="503"):
        algo.wait("b1", timeout=0.3)


def test_waiting_ends_with_its_timeout(algo, owned):
    owned.will(f"{BUILDS}/b1", build("b1", "in-progress"))
    with pytest.raises(BuildTimeout, match=r"build b1 has not ended after 0\.01 s; wait longer") as raised:
        algo.wait("b1", timeout=0.01)
    assert isinstance(raised.value, TimeoutError)
    assert str(pickle.loads(pickle.dumps(raised.value))) == str(raised.value)


@pytest.mark.parametrize("timeout", [float("nan"), -1, "soon", None])
def test_a_time_to_wait_that_is_none_is_refused(algo, timeout):
    with pytest.raises(ConfigurationError, match="a timeout is a number of seconds from 0 on, not"):
        algo.wait(timeout=timeout)


def test_waiting_for_a_platform_that_never_answers_ends_too(monkeypatch):
    monkeypatch.setattr("algoprof.calls.management.waiting._GRACE", 0.2)
    monkeypatch.setattr("algoprof.calls.management.waiting._FAILURES", 0)
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        client("simKey", f"http://127.0.0.1:{silent.getsockname()[1]}") as made,
    ):
        began = time.monotonic()
        with pytest.raises(ManagementError, match="no answer had begun"):
            made.algo("demo/Routes").wait("b1", timeout=0.1)
    assert time.monotonic() - began < TIMEOUT


@pytest.mark.parametrize(
    "answer", [(404, NOT_FOUND), {"logs": ""}, {"logs": "Build logs unavailable"}, {"logs": 5}, {}]
)
def test_a_log_that_is_not_there_says_why(algo, owned, answer):
    owned.will(f"{BUILDS}/b1/logs", answer)
    owned.will(f"{BUILDS}/b1", build("b1", "in-progress"))
    with pytest.raises(BuildNotFinished, match="build b1 of demo/Routes is not yet finished") as running:
        algo.build_logs("b1")
    assert "not yet finished" in algo.diagnose("b1").sentence
    owned.will(f"{BUILDS}/b1", build("b1", "failed"))
    with pytest.raises(LogsUnavailable, match="the log of build b1 of demo/Routes is unavailable"):
        algo.build_logs("b1")
    assert algo.diagnose("b1").outcome == "no_log"
    assert str(pickle.loads(pickle.dumps(running.value))) == str(running.value)


def test_a_build_that_is_not_there_is_neither(algo):
    with pytest.raises(ManagementError, match="answered 404: Build logs not found") as raised:
        algo.build_logs("none")
    assert (type(raised.value), raised.value.code, raised.value.status) == (ManagementError, 1011, 404)
    assert str(pickle.loads(pickle.dumps(raised.value))) == str(raised.value)


def test_publishing_sends_what_the_official_client_sends(algo, owned):
    owned.will(VERSIONS, {"version_info": {"semantic_version": "2.0.0", "git_hash": "ab" * 20}})
    published = algo.publish({"label": "Routes"}, version_info={"version_type": "minor"}, version_type="major")
    assert (str(published), published["version_info"]["git_hash"]) == ("2.0.0", "ab" * 20)
    method, _, _, headers, body = owned.asked[-1]
    assert (method, headers["content-type"]) == ("POST", "application/json")
    sent = {"details": {"label": "Routes"}, "version_info": {"version_type": "major"}}
    assert json.loads(body) == {"settings": {}, "source": {}, "scmsCredentials": {}, **sent}


def test_compiling_returns_the_log(algo, owned):
    owned.will("/v1/algorithms/demo/Routes/compile", {"compilation": {"successful": False, "output": "no\n"}})
    assert (algo.compile().successful, algo.compile().log) == (False, "no\n")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((401, {"error": {"message": "no", "code": 2002}}), "ALGORITHMIA_API_KEY"),
        ((403, {"error": {"message": "no", "code": 2001}}), "for the owner"),
        ((500, b"<html><p>Oops</p>"), "answered 500: 'Oops'"),
        ((200, b"\xff"), "answered 200"),
        ((200, {"error": {"message": "key simVerySecretKey"}}), "key ***"),
        ((200, [1]), "a page was asked for"),
        ((200, {}), "a page without `results`"),
        ((200, {"results": None}), "a page without `results`"),
        ((302, b""), "redirects"),
    ],
)
def test_what_is_no_answer_is_one_sentence(algo, owned, answer, words):
    owned.will(BUILDS, answer)
    with pytest.raises(ManagementError) as raised:
        algo.get_builds()
    assert words in str(raised.value)
    assert "simVerySecretKey" not in str(raised.value) + repr(vars(raised.value))
    frames = raised.value.__traceback__.tb_next  # without this test's own, which has the key
    shown = traceback.TracebackException(type(raised.value), raised.value, frames, capture_locals=True)
    assert "simVerySecretKey" not in "".join(shown.format())


def test_a_connection_that_breaks_off_is_no_server_to_be_started(owned, algo):
    owned.will(BUILDS, CLOSED)
    with pytest.raises(ManagementError, match="broke off the connection: the connection was closed without") as raised:
        algo.get_builds()
    assert raised.value.hint == "ask again"


def test_nobody_there_is_said_so():
    with (
        client("simKey", "http://127.0.0.1:9") as made,
        pytest.raises(ManagementError, match=r"cannot be reached: Connection refused; .*`algoprof serve DIR`"),
    ):
        list(made.algo("demo/Routes").builds())


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=9), lambda inner: st.lists(inner, max_size=3)
)
ANY = st.dictionaries(
    st.sampled_from(["build_id", "status", "started_at", "finished_at", "version_info", "compilation", "build"]),
    JSON | st.dictionaries(st.sampled_from(["semantic_version", "git_hash", "successful", "output"]), JSON),
)


@given(ANY | JSON)
def test_resources_may_be_anything(resource):
    made = read_build("demo/Routes", resource)
    assert made is None or (made.id and (made.duration is None or made.duration >= 0))
    version = read_version("demo/Routes", resource)
    assert version is None or isinstance(version.git_hash, str)
