"""One contract, two ends: the documented answers of the platform, recorded, and our server pass the same tests."""

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

import algoprof
from algoprof.errors import AlgorithmException, CallRefused, CallTimeout, DataApiError

SHAPES = json.loads((Path(__file__).parent / "documented_answers.json").read_text())
"""What the platform's documents say it answers: by the name of the case, or by method and path, a status and a body."""
KEY = "simContract"


def case(path: str, query: dict[str, list[str]], authorization: str, body: bytes) -> str:
    """Return which recorded answer a request gets."""
    if authorization.removeprefix("Simple ") != KEY:
        return "wrong key"
    if path != "/v1/algo/local/plain":
        return "no such algorithm"
    if query.get("output") == ["void"]:
        return "void"
    with suppress(ValueError):
        asked = json.loads(body)
        if isinstance(asked, dict) and "do" in asked:
            failing_raw = asked["do"] == "fail" and query.get("output") == ["raw"]
            return "fail, raw" if failing_raw else asked["do"]
    return "raw" if query.get("output") == ["raw"] else "echo"


class Recorded(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        url = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if url.path.startswith("/v1/algo/"):
            name = case(url.path, parse_qs(url.query), self.headers.get("Authorization", ""), body)
        else:
            asked = f"{self.command} {url.path}{'?force=true' * ('force=true' in url.query)}"
            name = asked if asked in SHAPES else "nothing there"
        shape = SHAPES[name]
        answer = shape["body"] if isinstance(shape["body"], str) else json.dumps(shape["body"])
        if name == "echo":
            answer = self.echoed(body)
        self.send_response(shape["status"])
        for header in {"Content-Type": shape["type"], **shape.get("headers", {})}.items():
            self.send_header(*header)
        self.send_header("Content-Length", str(len(answer.encode())))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.encode())

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = answer  # noqa: N815  (the names are http.server's)

    def echoed(self, body: bytes) -> str:
        kind = {"application/json": "json", "text/plain": "text"}.get(self.headers["Content-Type"], "binary")
        result: Any = base64.b64encode(body).decode()
        if kind != "binary":
            result = body.decode() if kind == "text" else json.loads(body)
        return json.dumps({"result": result, "metadata": {"content_type": kind, "duration": 0.0012}})

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def recorded() -> Iterator[tuple[str, str]]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Recorded) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", KEY
        server.shutdown()
        thread.join()


@pytest.fixture(params=["the documents", "our server"])
def platform(request: pytest.FixtureRequest, recorded: tuple[str, str], server: Any) -> tuple[str, str]:
    """Return the address and the key of either end."""
    return recorded if request.param == "the documents" else (server.address, server.key)


@pytest.fixture
def algo(platform):
    address, key = platform
    with algoprof.client(key, address) as client:
        yield client.algo("local/plain").set_options(timeout=30)


@pytest.mark.parametrize("value", ["grüße", "", '{"a": 1}', {"a": [1, None]}, None, 3.5, b"\x00\xff", []])
def test_inputs_come_back_as_they_went(algo, value):
    response = algo.pipe(value)
    assert (response.result, type(response.result)) == (value, type(value))
    assert 0 <= response.metadata.duration < 30
    assert (response.call.outcome, response.call.status) == ("ok", 200)
    assert response.call.budget_used_ratio < 1


def test_an_error_of_the_algorithm(algo):
    with pytest.raises(AlgorithmException, match="no photo") as raised:
        algo.pipe({"do": "fail", "message": "no photo", "error_type": "InputError"})
    told = raised.value
    assert (told.message, told.error_type, told.call.outcome) == ("no photo", "InputError", "algorithm_error")
    assert told.stack_trace.startswith("Traceback")
    assert told.call.duration is not None


def test_a_raw_error_of_the_algorithm(algo):
    with pytest.raises(AlgorithmException, match="no photo") as raised:
        algo.set_options(output="raw").pipe({"do": "fail", "message": "no photo", "error_type": "InputError"})
    assert (raised.value.status, raised.value.error_type) == (400, "InputError")


def test_a_timeout_of_the_platform(algo):
    with pytest.raises(CallTimeout, match=r"timeout of 0\.5 s") as raised:
        algo.set_options(timeout=0.5).pipe({"do": "hang"})
    assert (raised.value.error_type, raised.value.call.outcome) == ("TimeoutError", "timeout")
    assert raised.value.call.budget_used_ratio >= 1


def test_a_raw_call_has_the_bare_output_and_no_duration(algo):
    response = algo.set_options(output="raw").pipe("bare")
    assert (response.result, response.call.duration, response.call.budget_used_ratio) == ("bare", None, None)


def test_a_void_call_is_accepted_with_a_request_id(algo):
    response = algo.set_options(output="void").pipe("later")
    assert (response.result, response.call.outcome) == (None, "accepted")
    assert response.request_id.startswith("req-")
    assert response.async_protocol


def test_what_is_printed_comes_home(algo):
    response = algo.set_options(stdout=True).pipe({"do": "say"})
    assert response.result == "said"
    assert {"out", "err"} <= set(response.metadata.stdout.splitlines())


def test_a_wrong_key(platform):
    with algoprof.client("simWrong", platform[0]) as stranger, pytest.raises(CallRefused, match="key") as raised:
        stranger.algo("local/plain").pipe(None)
    assert (raised.value.status, raised.value.code) == (401, 2002)


def test_an_algorithm_that_is_not_there(platform):
    address, key = platform
    with algoprof.client(key, address) as client, pytest.raises(CallRefused, match="not found") as raised:
        client.algo("local/nothing").pipe(None)
    assert raised.value.status == 404


def test_builds_and_their_logs(algo):
    build = next(iter(algo.builds()))
    assert (build.algorithm, build.status, build.ended) == ("local/plain", "succeeded", True)
    assert build.duration > 0
    assert build.commit
    assert algo.build(build.id) == build
    assert len(algo.build_logs(build.id).splitlines()) > 1
    assert algo.wait(build.id) == build


def test_versions_with_the_build_behind_each(algo):
    version = next(iter(algo.versions()))
    assert (version.algorithm, version.successful) == ("local/plain", True)
    assert version.semantic_version.count(".") == 2
    assert (version.build.status, version.build.commit) == ("succeeded", version.git_hash)
    assert algo.version(version.git_hash).semantic_version == version.semantic_version
    assert algo.version_logs(version.git_hash) == algo.build_logs(version.build.id)
    assert algo.exists()


def test_the_log_of_errors(algo):
    with pytest.raises(AlgorithmException):
        algo.pipe({"do": "fail", "message": "no photo", "error_type": "InputError"})
    newest = algo.errors()[0]
    assert (newest.algorithm, newest.error_type, newest.message) == ("local/plain", "InputError", "no photo")
    assert newest.stack_trace.startswith("Traceback")
    assert newest.request_id.startswith("req-")
    assert "fail" in newest.input


def test_files_and_folders(platform):
    address, key = platform
    with algoprof.client(key, address) as client:
        folder = client.dir("data://.my/contract")
        folder.create(exist_ok=True)
        there = folder.file("there.txt").put("grüße")
        assert there.exists()
        assert (there.getString(), there.getBytes()) == ("grüße", "grüße".encode())
        assert [(file.getName(), file.size) for file in folder.files()] == [("there.txt", 7)]
        assert next(iter(folder.files())).last_modified.tzinfo is not None
        missing = folder.file("missing.txt")
        assert not missing.exists()
        with pytest.raises(DataApiError) as raised:
            missing.get()
        assert raised.value.status == 404
        with pytest.raises(DataApiError) as raised:
            folder.delete()
        assert raised.value.status == 400
        assert folder.delete(force=True)
