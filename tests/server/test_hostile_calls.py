"""Requests that mean harm: nested, huge, torn over lines. Each is refused in one sentence, and the next is answered."""

import json
import re
import socket
from urllib.parse import quote, urlsplit

import pytest

PLAIN = "local/plain"
JSON = {"Content-Type": "application/json"}
HEADERS = b"\r\nHost: x\r\nAuthorization: KEY\r\nContent-Type: text/plain\r\nConnection: close\r\n"


def raw(server, request):
    """Send bytes as they are, and return all that is answered."""
    where = urlsplit(server.address)
    with socket.create_connection((where.hostname, where.port), timeout=60) as connection:
        connection.sendall(request.replace(b"KEY", server.key.encode()))
        return b"".join(iter(lambda: connection.recv(65536), b""))


@pytest.mark.parametrize("brackets", ["[]", ("{" + '"a":', "}")], ids=["lists", "objects"])
@pytest.mark.parametrize("query", ["", "?output=raw"])
def test_of_whatever_depth_an_input_is_it_is_answered_or_refused(server, brackets, query):
    """Around the deepest that can be read, too, where the reading and the writing of it take their own depths."""
    opened, closed = brackets
    for depth in [10, *range(900, 1010, 7), 2000, 100_000]:
        content = opened * depth + ("" if opened == "[" else "1") + closed * depth
        answer = server.post(PLAIN + query, data=content, headers=JSON)
        if answer.text.startswith('{"error"'):
            assert "nested too deeply" in answer.json()["error"]["message"], depth
            assert depth > 900
        else:
            assert answer.text.count(opened[0]) >= depth
            assert depth < 1000
    assert server.call(PLAIN, {"do": "counted"})["result"] > 10  # one worker has answered all of them


@pytest.mark.parametrize("depth", [940, 960, 980, 1000, 100_000])
def test_of_whatever_depth_a_result_is_it_is_answered_or_told(server, depth):
    answer = server.post(PLAIN, {"do": "nested", "depth": depth})
    assert answer.status_code == 200
    if answer.text.startswith('{"error"'):
        assert re.search("the result is nested too deeply for JSON; .*putFile", answer.json()["error"]["message"])
    else:
        assert answer.text.count("[") == depth < 1000


@pytest.mark.parametrize(
    ("content", "result"),
    [
        ('{"a": 1, "a": 2}', {"a": 2}),
        ("9" * 4000, int("9" * 4000)),
        ("1" + "0" * 308, 10**308),
        ("0." + "1" * 100_000, 1 / 9),
        ("-0", 0),
        ("1e-400", 0.0),
        ('"\\u0000"', "\0"),
        ('{"a\\u0000b": "\\u0000"}', {"a\0b": "\0"}),
        ('"\\ud800"', "\ud800"),
        ('"\\udc00\\ud800"', "\udc00\ud800"),
        ('["\\u2028\\u2029\\u0085"]', ["\u2028\u2029\x85"]),
        ('["\u2028\u2029\x85",\n\r\t 1]', ["\u2028\u2029\x85", 1]),
    ],
)
def test_a_value_that_is_odd_comes_back(server, content, result):
    assert server.call(PLAIN, data=content.encode(), headers=JSON)["result"] == result
    bare = server.post(f"{PLAIN}?output=raw", data=content.encode(), headers=JSON)
    assert bare.status_code == 200
    if bare.headers["Content-Type"] == "application/json":
        assert bare.json() == result


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("9" * 5000, "4300 digits"),
        ("\ufeff1", "byte order mark"),
        ('"\x00"', "control character"),
        ("Infinity", "Infinity"),
    ],
)
def test_a_value_that_is_none_is_refused(server, content, words):
    answer = server.post(PLAIN, data=content.encode(), headers=JSON)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, 2013)
    assert words in answer.json()["error"]["message"]


def test_a_number_too_large_for_a_float_is_told_by_its_path(server):
    assert server.call(PLAIN, data="[1e400]", headers=JSON)["error"]["message"].startswith("result[0]: inf is not JSON")


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("timeout=" + "[" * 5000, 400),
        ("timeout=" + "9" * 5000, 400),
        ("timeout=1e99999", 400),
        ("timeout=\u0663", 400),  # a digit, but none of ASCII
        ("timeout=5%0d%0aEvil:%20yes", 400),
        ("timeout=%ff%00", 400),
        ("timeout=", 400),
        ("stdout=" + "{" * 5000, 200),
        ("output=%00&stdout=%ff", 200),
        ("&&&=&=1&%&sudo=true&unknown=1", 200),
        ("&".join(["timeout=5"] * 1500), 200),
    ],
)
def test_options_that_mean_harm_are_refused_or_passed_over(server, query, status):
    answer = server.post(f"{PLAIN}?{query}", data="1", headers=JSON)
    assert answer.status_code == status
    assert "Evil" not in answer.headers
    assert all(len(value) < 2000 for value in answer.headers.values())


@pytest.mark.parametrize(
    "part", ["x\r\nEvil: yes", "x\nEvil: yes", "\0", "\ufffd", "..", "x" * 10_000, "<b>", "%0d", "é"]
)
@pytest.mark.parametrize(
    "path",
    [
        "/v1/algo/{}/plain",
        "/v1/algo/local/{}",
        "/v1/algo/local/plain/{}",
        "/v1/algorithms/{}/plain/versions",
        "/v1/x{}",
    ],
)
def test_a_name_that_means_harm_is_none(server, path, part):
    asked = path.format(quote(part, safe=""))
    answer = server.session.request("GET" if "algorithms" in path else "POST", server.address + asked, timeout=60)
    assert answer.status_code in (404, 415)  # nothing is looked up for an input that has no type
    assert answer.json()["error"]["code"] in (1001, 1014, 2015)
    assert "Evil" not in answer.headers
    assert len(answer.headers["X-Error-Message"]) <= 1000


@pytest.mark.parametrize(
    "lines",
    [
        b"POST /v1/algo/local/plain\r\nEvil: yes HTTP/1.1",
        b"POST /v1/algo/lo cal/plain HTTP/1.1",
        b"POST /v1/algo/local/plain\x00 HTTP/1.1",
        b"POST /v1/algo/local/plain HTTP/1.1\r\ntraceparent: 00-" + b"a" * 32 + b"\rEvil: yes",
        b"POST /v1/algo/local/plain HTTP/1.1\r\ntraceparent: \x00",
        b"POST /v1/algo/local/plain HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2",
        b"POST /v1/algo/local/plain HTTP/1.1\r\nContent-Length: -1",
        b"POST /v1/algo/local/plain HTTP/1.1\r\nTransfer-Encoding: gzip",
        b"POST /v1/algo/local/plain HTTP/x",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # the beginning of TLS
        b"PRI * HTTP/2.0",
    ],
)
def test_what_is_no_http_is_refused_and_nothing_of_it_obeyed(server, lines):
    answer = raw(server, lines + HEADERS + b"\r\n")
    assert re.match(rb"HTTP/1.1 (4\d\d|501|505) ", answer), answer
    assert b"\r\nEvil" not in answer
    assert server.call(PLAIN, "next")["result"] == "next"


@pytest.mark.parametrize(
    "trace", ["00-" + "a" * 32 + "-" + "b" * 16 + "-01" + " " * 9000, "x" * 9000, "00-é", "00-\x7f"]
)
def test_a_trace_that_means_harm_is_ignored(server, trace):
    headers = {**JSON, "traceparent": trace.encode("latin-1"), "Authorization": f"Simple {server.key}"}
    assert server.call(PLAIN, data="1", headers=headers)["result"] == 1


def test_a_smuggled_request_is_part_of_the_body(server):
    """The framing that counts is one for all: what is sent within a body is never a request of its own."""
    inner = b"POST /v1/algo/local/plain HTTP/1.1" + HEADERS + b"\r\n"
    head = b"POST /v1/algo/local/plain?output=raw HTTP/1.1" + HEADERS
    size = len(inner) - 3 + len(server.key)
    answer = raw(server, head + b"Content-Length: %d\r\n\r\n" % size + inner)
    assert answer.count(b"HTTP/1.1 200") == 1
    assert answer.endswith(inner.replace(b"KEY", server.key.encode()))
    both = raw(server, head + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + inner)
    assert both.count(b"HTTP/1.1 ") == 1


def test_what_an_error_says_stays_within_its_json(server):
    message = "\r\nEvil: yes\r\n\r\n<script>\0\ud800"
    answer = server.post(f"{PLAIN}?output=raw", {"do": "fail", "message": message, "error_type": "A\r\nB"})
    assert answer.status_code == 400
    assert answer.json()["error"]["message"] == message
    assert "Evil" not in answer.headers
    kept = server.get(f"/v1/algorithms/{PLAIN}/errors").json()[0]
    assert kept["error_type"] == "A\r\nB"
    assert json.dumps(kept).isascii()
