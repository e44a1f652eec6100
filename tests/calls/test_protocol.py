"""The platform's answers as its documents record them, and every answer that no document foresees."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from algoprof.calls.access.platforms import Platform
from algoprof.calls.options import Options, OutputType
from algoprof.calls.references import parse
from algoprof.calls.wire.inputs import Body
from algoprof.calls.wire.protocol import Answer, build, read
from algoprof.profiles import codec
from algoprof.profiles.tree import Node, Profile

PROFILE = Profile("apply", (Node("apply", count=1, closed_ns=5),), run_id="ab" * 16)


def answer(body, status=200, **headers):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer(status, {name.replace("_", "-"): text for name, text in headers.items()}, raw)


def success(**metadata):
    return answer({"result": 1, "metadata": {"content_type": "json", "duration": 0.5, **metadata}})


def test_a_request_carries_everything():
    platform = Platform("https://api.example.com", authorization="Simple simKey")
    options = Options(timeout=9, stdout=True, output=OutputType.raw, query={"sudo": "true"})
    body = Body("text/plain", b"hi")
    request = build(platform, parse("demo/Hello/1.*"), options, body, trace_id="a" * 32, span_id="b" * 16)
    assert request.url == "https://api.example.com/v1/algo/demo/Hello/1.*"
    assert request.parameters == {"timeout": "9", "stdout": "true", "output": "raw", "sudo": "true"}
    assert request.headers["Authorization"] == "Simple simKey"
    assert request.headers["Content-Type"] == "text/plain"
    assert request.headers["traceparent"] == f"00-{'a' * 32}-{'b' * 16}-01"
    assert request.headers["X-Algoprof-Profile"] == "1"
    assert "simKey" not in repr(request)


def test_without_a_key_no_authorization_is_sent():
    request = build(Platform("http://h"), parse("a/b"), Options(), Body("", b""), trace_id="a", span_id="b")
    assert "Authorization" not in request.headers


@pytest.mark.parametrize(
    ("content_type", "sent", "result"),
    [
        ("json", {"a": [1, None]}, {"a": [1, None]}),
        ("text", "plain", "plain"),
        ("binary", base64.b64encode(b"\0\xff").decode(), b"\0\xff"),
        ("void", None, None),
        ("json", None, None),
    ],
)
def test_the_kinds_of_result(content_type, sent, result):
    reply = read(answer({"result": sent, "metadata": {"content_type": content_type, "duration": 0.25}}))
    assert (reply.outcome, reply.result, reply.duration_ns) == ("ok", result, 250_000_000)


def test_a_null_error_beside_a_result_is_no_error():
    assert read(answer({"result": 1, "error": None, "metadata": {}})).outcome == "ok"


def test_the_split_and_the_profile_come_home():
    ours = {"queue": 0.1, "load": 2, "run": 0.5, "total": 2.6, "timeout": 60, "profile": codec.to_json(PROFILE)}
    reply = read(success(algoprof=ours, stdout="line\n", request_id="req-1"))
    assert (reply.queue_ns, reply.load_ns, reply.request_id) == (100_000_000, 2_000_000_000, "req-1")
    assert reply.metadata.stdout == "line\n"
    assert reply.profile == PROFILE


@pytest.mark.parametrize(
    "forged",
    [
        {"profile": []}, {"profile": {}}, {"profile": {"algoprof": 99}}, {"profile": "x" * 5_000_000},
        {"profile": {**codec.to_json(PROFILE), "roots": 3}}, {"profile": {**codec.to_json(PROFILE), "roots": [[]]}},
        {"profile": {"algoprof": 1, "name": "x" * 5_000_000, "roots": []}}, {"queue": "soon"}, {"load": -1}, [], "x",
        {"profile": {"algoprof": 1, "name": "x", "roots": [{"name": "y"}] * 600_000}},
    ],
)  # fmt: skip
def test_a_forged_extension_is_passed_over(forged):
    reply = read(success(algoprof=forged))
    assert (reply.outcome, reply.profile, reply.queue_ns, reply.load_ns) == ("ok", None, None, None)
    assert bool(reply.profile_flaw) == (isinstance(forged, dict) and "profile" in forged)


def test_a_profile_nested_past_all_bounds_is_passed_over():
    node = '{"name":"n","children":[' * 400 + "]}" * 400
    body = (
        '{"result":1,"metadata":{"duration":1,"algoprof":{"profile":{"algoprof":1,"name":"p","roots":[' + node + "]}}}}"
    )
    reply = read(answer(body.encode()))
    assert (reply.outcome, reply.profile) == ("ok", None)


@pytest.mark.parametrize("duration", [None, "1", True, -1, 1e300, [1], {}])
def test_a_duration_that_is_none_is_not_believed(duration):
    reply = read(success(duration=duration))
    assert (reply.outcome, reply.duration_ns, reply.metadata.duration) == ("ok", None, None)


FIELDS = ("duration", "stdout", "request_id", "alerts", "algoprof")
WRONG = (None, True, -1, 1.5, 10**400, "", "\ud800", [], [[1]], {}, {"a": {"b": 1}})


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: repr(wrong)[:20])
@pytest.mark.parametrize("name", FIELDS)
def test_a_result_is_given_whatever_the_fields_beside_it_are(name, wrong):
    reply = read(success(**{name: wrong}))
    assert (reply.outcome, reply.result) == ("ok", 1)
    assert isinstance(reply.metadata.duration, float | None)
    assert isinstance(reply.metadata.stdout, str | None)
    reply.request_id.encode()


@pytest.mark.parametrize("wrong", [value for value in WRONG if not isinstance(value, str | None)], ids=repr)
def test_a_content_type_that_is_no_text_leaves_the_result_without_a_meaning(wrong):
    reply = read(answer({"result": "aGk=", "metadata": {"content_type": wrong, "duration": 1}}))
    assert (reply.outcome, reply.message) == ("platform_error", "its answer's content_type is no text")


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b'{"result": NaN}', "its answer is not JSON: it has NaN in it"),
        (b'{"result": [1, -Infinity]}', "its answer is not JSON: it has -Infinity in it"),
        (b'{"result": 1, "metadata": {"duration": NaN}}', "its answer is not JSON: it has NaN in it"),
        (b'{"result": 1, "result": 2}', 'its answer is not JSON: it has "result" twice in one object'),
        (b'{"result": {"a": 1, "b": 2, "a": 3}}', 'its answer is not JSON: it has "a" twice in one object'),
    ],
)
def test_what_only_pythons_reader_takes_is_no_answer(body, says):
    reply = read(answer(body))
    assert (reply.outcome, reply.message) == ("platform_error", says)
    assert read(answer(body, 500)).outcome == "platform_error"


@pytest.mark.parametrize("trace", ["stacktrace", "stack_trace"])
def test_an_error_of_the_algorithm(trace):
    error = {"message": "boom", "error_type": "InputError", trace: "Traceback ..."}
    reply = read(answer({"error": error, "metadata": {"duration": 1.5, "stdout": "so far"}}))
    assert (reply.outcome, reply.message, reply.error_type) == ("algorithm_error", "boom", "InputError")
    assert (reply.stack_trace, reply.duration_ns, reply.metadata.stdout) == ("Traceback ...", 1_500_000_000, "so far")


@pytest.mark.parametrize(
    ("body", "status", "outcome", "message"),
    [
        ({"error": {"message": "late", "error_type": "TimeoutError"}}, 200, "timeout", "late"),
        ({"error": {"message": "late", "error_type": "TimeoutError"}}, 504, "timeout", "late"),
        ({"error": {"message": "late", "error_type": "TimeoutError"}}, 400, "timeout", "late"),
        ({"error": {"message": "boom", "error_type": "AlgorithmError"}}, 400, "algorithm_error", "boom"),
        ({"error": {"type": "SystemError", "message": "bad JSON"}}, 400, "refused", "bad JSON"),
        ({"error": {"id": "x", "code": 2002, "message": "bad key"}}, 401, "refused", "bad key"),
        ({"id": "x", "code": 2001, "message": "not yours"}, 403, "refused", "not yours"),
        ({"error": "No such algorithm"}, 404, "refused", "No such algorithm"),
        ({"error": "a text"}, 200, "algorithm_error", "a text"),
        ({"error": {"code": 5001, "message": "down"}}, 500, "platform_error", "down"),
        ({"detail": "odd"}, 422, "refused", "'{\"detail\": \"odd\"}'"),
        (b"<html><style>p{}</style><h1>502 Bad Gateway</h1></html>", 502, "platform_error", "'502 Bad Gateway'"),
        (b"", 503, "platform_error", "empty"),
        (b"[1]", 200, "platform_error", "its answer is not a JSON object but '[1]'"),
        ({"metadata": {}}, 200, "platform_error", "its answer has neither a result nor an error"),
    ],
)  # fmt: skip
def test_how_calls_end(body, status, outcome, message):
    reply = read(answer(body, status))
    assert (reply.outcome, reply.message) == (outcome, message)


def test_the_codes_of_the_management_envelope():
    assert read(answer({"error": {"code": 2002, "message": "bad key"}}, 401)).code == 2002
    assert read(answer({"error": {"code": "2002", "message": "bad key"}}, 401)).code is None


@pytest.mark.parametrize("result", [None, 3, "not base64!", "é", "YQ"])
def test_binary_that_is_not_base64_is_unreadable(result):
    reply = read(answer({"result": result, "metadata": {"content_type": "binary", "duration": 0}}))
    assert reply.outcome == "platform_error"


def test_a_redirect_is_not_followed_but_named():
    reply = read(answer(b"", 302, location="https://elsewhere"))
    assert reply.outcome == "platform_error"
    assert "https://elsewhere" in reply.message


def test_raw_output_is_the_bare_body():
    assert read(answer(b'{"error": 1}'), OutputType.raw).result == '{"error": 1}'
    assert read(answer(b"\0\xff", content_type="application/octet-stream"), OutputType.raw).result == b"\0\xff"
    assert (
        read(answer({"error": {"message": "x", "error_type": "E"}}, 400), OutputType.raw).outcome == "algorithm_error"
    )


@pytest.mark.parametrize("protocol", [True, "kafka"])
def test_a_void_call_is_accepted(protocol):
    reply = read(answer({"async": protocol, "request_id": "req-7"}), OutputType.void)
    assert (reply.outcome, reply.request_id, reply.result) == ("accepted", "req-7", None)


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"result": ' + b"9" * 5000 + b"}", b"\xff\xfe\0", b'{"result'])
def test_json_that_cannot_be_read_is_unreadable(body):
    assert read(answer(body)).outcome == "platform_error"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=12,
)
keys = ["result", "error", "metadata", "message", "error_type", "code", "stacktrace", "content_type", "duration",
        "stdout", "algoprof", "queue", "profile", "roots", "name", "async", "request_id", "type"]  # fmt: skip
shaped = st.recursive(
    json_values,
    lambda inner: st.dictionaries(st.sampled_from(keys), inner, max_size=6),
    max_leaves=20,
)


@given(shaped | json_values, st.integers(100, 599), st.sampled_from(OutputType))
def test_any_json_has_a_meaning(body, status, output):
    reply = read(answer(body, status), output)
    assert (reply.outcome in ("ok", "accepted")) <= (200 <= status < 300)
    reply.message.encode()  # it can be printed and sent on
    assert reply.outcome in ("ok", "accepted") or reply.message


@given(st.binary(max_size=200), st.integers(100, 599))
def test_any_bytes_have_a_meaning(body, status):
    assert read(answer(body, status)).outcome
