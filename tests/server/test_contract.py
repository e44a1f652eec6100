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
from algoprof.errors import AlgorithmException, CallRefused, CallTimeout

SHAPES = json.loads((Path(__file__).parent / "documented_answers.json").read_text())
"""What the platform's documents say it answers: by the name of the case, an HTTP status, headers and a body."""
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

    def do_POST(self) -> None:
        url = urlsplit(self.path)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        name = case(url.path, parse_qs(url.query), self.headers.get("Authorization", ""), body)
        shape = SHAPES[name]
        answer = shape["body"] if isinstance(shape["body"], str) else json.dumps(shape["body"])
        if name == "echo":
            answer = self.echoed(body)
        self.send_response(shape["status"])
        self.send_header("Content-Type", shape["type"])
        self.send_header("Content-Length", str(len(answer.encode())))
        self.end_headers()
        self.wfile.write(answer.encode())

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
