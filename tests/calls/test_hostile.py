"""A server that does what it likes: a typed error in time, within bounds of memory, and the session lives on."""

import gzip
import itertools
import json
import socket
import ssl
import subprocess
import sys
import threading
import traceback
import zlib
from concurrent.futures import CancelledError
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from algoprof import capture_calls
from algoprof.calls.wire.deadlines import Cancellation
from algoprof.calls.wire.names import addresses
from algoprof.errors import CallError, CallTimeout, PlatformError

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
GOOD = b'{"result": 1, "metadata": {"content_type": "json", "duration": 0.5}}'


def whole(body, headers=b""):
    return OK + headers + b"Content-Length: %d\r\n\r\n" % len(body) + body


def for_ever(beginning, piece):
    """Return an answer that never ends: its beginning, and a piece again and again."""
    return itertools.chain([beginning], itertools.repeat(piece * (65536 // len(piece))))


def packed(size, layers=1):
    body = b" " * size
    for _ in range(layers):
        body = gzip.compress(body, 9)
    return whole(body, b"Content-Encoding: " + b", ".join([b"gzip"] * layers) + b"\r\n")


# Each is an answer in pieces, with a part of what the error says.
ANSWERS = {
    "nothing": ([], "closed without an answer"),
    "half a status line": ([b"HTTP/1.1 2"], "not HTTP"),
    "no status": ([b"HTTP/1.1 OK fine\r\n\r\n"], "not HTTP"),
    "half a header": ([OK + b"Content-Len"], ""),
    "an early close": ([OK + b"Content-Length: 500\r\n\r\n" + GOOD], "broke off"),
    "a length that is too short": ([OK + b"Content-Length: 9\r\n\r\n" + GOOD], "not a JSON object"),
    "a length below zero": ([OK + b"Content-Length: -5\r\n\r\nnonsense"], ""),
    "a length of a googol": ([OK + b"Content-Length: 1" + b"0" * 100 + b"\r\n\r\n" + GOOD], ""),
    "a length that is a word": ([OK + b"Content-Length: many\r\n\r\nnonsense"], ""),
    "two lengths": ([OK + b"Content-Length: 5\r\nContent-Length: 9\r\n\r\n" + GOOD], ""),
    "a chunk that is cut": ([CHUNKED + b"5\r\nab"], "broke off"),
    "a chunk of no size": ([CHUNKED + b"-5\r\nab"], "broke off"),
    "a chunk of a huge size": ([CHUNKED + b"f" * 30 + b"\r\nab"], "broke off"),
    "a redirect elsewhere": ([b"HTTP/1.1 307 X\r\nLocation: http://h/\r\nContent-Length: 0\r\n\r\n"], "redirects"),
    "a redirect nowhere": ([b"HTTP/1.1 302 X\r\nLocation: \x7f://[\r\nContent-Length: 0\r\n\r\n"], "redirects"),
    "a page": ([whole(b"<html><script>x()</script><h1>Proxy says no</h1></html>")], "Proxy says no"),
    "a page with 502": ([b"HTTP/1.1 502 X\r\nContent-Length: 22\r\n\r\n<h1>Bad Gateway</h1>\r\n"], "Bad Gateway"),
    "not a number": ([whole(b'{"result": NaN}')], "it has NaN in it"),
    "a key twice": ([whole(b'{"result": 1, "result": 2}')], '"result" twice'),
    "too deep": ([whole(b'{"result":' + b"[" * 200_000)], "not a JSON object"),
    "a number of 5,000 digits": ([whole(b'{"result": ' + b"9" * 5000 + b"}")], "not a JSON object"),
    "not UTF-8": ([whole(b'{"result": "\xff\xfe"}')], "not a JSON object"),
    "not compressed": ([whole(b"abcd", b"Content-Encoding: gzip\r\n")], "is not gzip"),
    "compressed, cut": ([whole(gzip.compress(GOOD)[:-9], b"Content-Encoding: gzip\r\n")], "is not gzip"),
    "an odd compression": ([whole(GOOD, b"Content-Encoding: zstd\r\n")], "compressed, with 'zstd'"),
    "100 MB of JSON": ([OK + b"\r\n", b'{"result": "', *[b"x" * 1_000_000] * 100, b'"}'], "its answer is over"),
    "a bomb": ([packed(100 << 20)], "its answer is over"),
    "a bomb in a bomb": ([packed(100 << 20, layers=2)], "compressed, with 'gzip, gzip'"),
    "a body without an end": (for_ever(OK + b"\r\n", b"x"), "its answer is over"),
    "chunks without an end": (for_ever(CHUNKED, b"10\r\n" + b"x" * 16 + b"\r\n"), "its answer is over"),
    "a chunk size without an end": (for_ever(CHUNKED, b"1"), ""),
    "a chunk extension without an end": (for_ever(CHUNKED + b"5;", b"x"), ""),
    "trailers without an end": (for_ever(CHUNKED + b"0\r\n", b"X: y\r\n"), ""),
    "a trailer without an end": (for_ever(CHUNKED + b"0\r\nX: ", b"y"), ""),
    "a status line without an end": (for_ever(b"HTTP/1.1 ", b"2"), ""),
    "a header without an end": (for_ever(OK + b"X: ", b"y"), ""),
    "headers without an end": (for_ever(OK, b"X: y\r\n"), ""),
    "interim answers without an end": (for_ever(b"", b"HTTP/1.1 100 Continue\r\n\r\n"), "its answer is over"),
}  # fmt: skip


SAID_OTHERWISE = {("httpx", "half a status line"), ("httpx", "a redirect nowhere")}
"""What httpx takes for something else: a connection that was closed without an answer, and no HTTP."""


def read_request(connection):
    received = b""
    while not received.endswith(b"\r\n\r\nnull"):
        chunk = connection.recv(65536)
        if not chunk:
            return False
        received += chunk
    return True


def good_for_ever(connection):
    while read_request(connection):
        connection.sendall(whole(GOOD))


@pytest.mark.parametrize("name", [name for name, (pieces, _) in ANSWERS.items() if isinstance(pieces, list)])
def test_each_answer_is_a_typed_error_and_the_session_lives_on(raw_server, make_any_client, name):
    pieces, says = ANSWERS[name]
    first, gone = threading.Event(), threading.Event()

    def script(connection, stop):
        if first.is_set():
            good_for_ever(connection)
            return
        first.set()
        try:
            read_request(connection)
            for piece in pieces:
                connection.sendall(piece)
        finally:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            gone.set()

    algo = make_any_client("simKey", raw_server(script)).algo("demo/Hostile").set_options(timeout=50)
    with pytest.raises(CallError) as raised:
        algo.pipe(None)
    assert says in str(raised.value) or (make_any_client.kind, name) in SAID_OTHERWISE
    assert "simKey" not in str(raised.value)
    assert raised.value.call.outcome in ("platform_error", "unreachable")
    assert raised.value.call.wall < 50
    assert gone.wait(60), "else the next call may go out on a connection that is just being closed"
    assert [algo.pipe(None).result for _ in range(2)] == [1, 1]


def test_the_session_lives_on_after_a_deadline(raw_server, make_client):
    first = threading.Event()

    def script(connection, stop):
        if first.is_set():
            good_for_ever(connection)
            return
        first.set()
        body_byte_by_byte(connection, stop)

    algo = make_client("simKey", raw_server(script), grace=0.1).algo("demo/Slow").set_options(timeout=0.2)
    with pytest.raises(CallTimeout):
        algo.pipe(None)
    assert [algo.set_options(timeout=60).pipe(None).result for _ in range(2)] == [1, 1]


PIECES = st.sampled_from(
    [b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.0 503 X\r\n", b"HTTP/9.9 999\r\n", b"\r\n",
     b"\n", b"\0", b"Content-Length: 5\r\n", b"Content-Length: -1\r\n", b"Content-Length: 9, 9\r\n",
     b"Transfer-Encoding: chunked\r\n",
     b"Transfer-Encoding: gzip, chunked\r\n", b"Content-Encoding: gzip\r\n", b"Retry-After: x\r\n", b"Location: //\r\n",
     b"Content-Type: text/html; charset=nonsense\r\n", b"Set-Cookie: a=b; Domain=.\r\n", b"Connection: upgrade\r\n",
     b" folded\r\n", b": nameless\r\n", b"\xff\xfe: \xff\r\n", b"5\r\nhello\r\n", b"0\r\n\r\n", b"5;x=y\r\n", GOOD,
     b'{"error": {"message": null, "error_type": {}}}', b"<html>", gzip.compress(GOOD)],
)  # fmt: skip


def test_whatever_comes_is_a_response_or_a_typed_error(raw_server, make_client):
    answers = []

    def script(connection, stop):
        read_request(connection)
        connection.sendall(answers[-1])

    algo = make_client("simKey", raw_server(script)).algo("demo/Hostile").set_options(timeout=60)
    seen = set()

    @given(st.lists(PIECES | st.binary(max_size=20), max_size=12).map(b"".join), st.booleans())
    def check(answer, begins_well):
        answers.append((OK if begins_well else b"") + answer)
        try:
            call, sentence = algo.pipe(None).call, ""
        except CallError as error:
            call, sentence = error.call, str(error)
        assert "\n" not in sentence
        seen.add(call.outcome)

    check()
    assert "platform_error" in seen
    answers.append(whole(GOOD))
    assert algo.pipe(None).result == 1


CALLER = """
import json, resource, sys
from algoprof.calls.wire import transport
from algoprof.calls.client import client
from algoprof.errors import CallError

transport.LARGEST_ANSWER = 1 << 20
resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
address, count = sys.argv[1], int(sys.argv[2])
algo = client("simKey", address).algo("demo/Hostile").set_options(timeout=100)
algo.pipe(None)
before, told = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, []
for _ in range(count):
    try:
        algo.pipe(None)
    except CallError as error:
        told.append([error.call.outcome, str(error)])
algo.pipe(None)
print(json.dumps([told, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before]))
"""


def test_no_answer_is_held_in_memory_without_bounds(raw_server):
    large = {
        name: told for name, told in ANSWERS.items() if not isinstance(told[0], list) or "bomb" in name or "MB" in name
    }
    scripts = iter([[whole(GOOD)], *(pieces for pieces, _ in large.values()), [whole(GOOD)]])

    def script(connection, stop):
        pieces = next(scripts)
        read_request(connection)
        for piece in pieces:
            connection.sendall(piece)

    address = raw_server(script)
    done = subprocess.run(
        [sys.executable, "-c", CALLER, address, str(len(large))], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    told, grown = json.loads(done.stdout)
    assert len(told) == len(large)
    for (name, (_, says)), (outcome, sentence) in zip(large.items(), told, strict=True):
        assert outcome == "platform_error", name
        assert says in sentence, name
    assert grown < 64 * 1024, "KiB"


def over_tls(certificate, script):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)

    def wrapped(connection, stop):
        with context.wrap_socket(connection, server_side=True) as secure:
            script(secure, stop)

    return wrapped


def body_byte_by_byte(connection, stop):
    read_request(connection)
    connection.sendall(OK + b"Content-Length: 100000\r\n\r\n")
    while not stop.wait(0.02):  # the pace of a byte now and then
        connection.sendall(b"x")


def request_byte_by_byte(connection, stop):
    while not stop.wait(0.02):
        if not connection.recv(4096):
            break


@pytest.mark.real("openssl")
@pytest.mark.parametrize("script", [body_byte_by_byte, request_byte_by_byte])
def test_the_deadline_holds_within_tls(raw_server, make_any_client, certificate, script):
    address = raw_server(over_tls(certificate, script)).replace("http://", "https://")
    algo = make_any_client("simKey", address, str(certificate[0]), grace=0.3).algo("demo/Slow").set_options(timeout=0.2)
    with pytest.raises(CallTimeout) as raised:
        algo.pipe(b"x" * (10 << 20) if script is request_byte_by_byte else None)
    assert raised.value.call.outcome == "client_timeout"
    assert raised.value.call.wall < 5


def test_the_deadline_holds_while_tls_shakes_hands(raw_server, make_any_client):
    def hello_byte_by_byte(connection, stop):
        connection.recv(65536)
        connection.sendall(b"\x16\x03\x03\x40\x00")  # a handshake record of 16 KiB, which never ends
        while not stop.wait(0.02):
            connection.sendall(b"x")

    address = raw_server(hello_byte_by_byte).replace("http://", "https://")
    with pytest.raises(CallTimeout) as raised:
        make_any_client("simKey", address, grace=0.1).algo("demo/Slow").set_options(timeout=0.2).pipe(None)
    assert raised.value.call.wall < 5


@pytest.mark.real("openssl")
@pytest.mark.parametrize("secure", [False, True])
def test_who_is_given_up_does_not_wait_for_an_answer(request, raw_server, make_client, secure):
    asked, cancellation, ended = threading.Event(), Cancellation(), []

    def silent(connection, stop):
        read_request(connection)
        asked.set()
        connection.recv(1)

    certificate = request.getfixturevalue("certificate")
    address = raw_server(over_tls(certificate, silent) if secure else silent)
    address = address.replace("http:", "https:") if secure else address
    algo = make_client("simKey", address, str(certificate[0])).algo("demo/Slow")

    def call():
        with cancellation, capture_calls() as calls, suppress(CancelledError):
            algo.pipe(None)
        ended.extend(calls)

    caller = threading.Thread(target=call)
    caller.start()
    assert asked.wait(60)
    cancellation.cancel()
    caller.join(60)
    assert [call.outcome for call in ended] == ["cancelled"]


def test_the_deadline_holds_while_a_name_is_resolved(make_any_client, monkeypatch):
    asked, answer = [], threading.Event()

    def silent_resolver(*question):
        asked.append(question)
        answer.wait(60)
        raise OSError("no answer")

    monkeypatch.setattr("socket.getaddrinfo", silent_resolver)
    with pytest.raises(CallTimeout) as raised:
        make_any_client("simKey", "http://slow-name.invalid", grace=0.1).algo("demo/Slow").set_options(
            timeout=0.2
        ).pipe(None)
    answer.set()
    assert raised.value.call.outcome == "client_timeout"
    assert raised.value.call.wall < 5
    assert len(asked) == 1


def test_a_process_without_threads_resolves_by_itself(platform, make_client, monkeypatch):
    def no_more(_):
        raise RuntimeError("can't start new thread")

    client = make_client("simKey", platform.address.replace("127.0.0.1", "localhost"))
    with monkeypatch.context() as patch:
        patch.setattr("algoprof.calls.wire.names.threading.Thread.start", no_more)
        assert addresses("localhost", 80, 1.0)
    assert client.algo("demo/Hello").pipe(None).result == "hi"


def test_each_address_of_a_name_is_tried(platform, make_client, monkeypatch):
    port = int(platform.address.rpartition(":")[2])
    found = [(2, 1, 6, "", ("127.0.0.2", port)), (2, 1, 6, "", ("127.0.0.1", port))]
    monkeypatch.setattr("algoprof.calls.wire.names.socket.getaddrinfo", lambda *_: found)
    assert make_client("simKey", f"http://two-addresses.invalid:{port}").algo("demo/Hello").pipe(None).result == "hi"


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress])
def test_a_proxy_may_compress_once(raw_server, make_client, pack):
    encoding = b"gzip" if pack is gzip.compress else b"deflate"

    def script(connection, stop):
        read_request(connection)
        connection.sendall(whole(pack(GOOD), b"Content-Encoding: " + encoding + b"\r\n"))

    assert make_client("simKey", raw_server(script)).algo("demo/Hello").pipe(None).result == 1


def test_an_answer_while_the_input_is_still_being_sent_is_read(raw_server, make_client):
    def script(connection, stop):
        connection.recv(1000)
        connection.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 9\r\nConnection: close\r\n\r\ntoo large")
        while connection.recv(65536):
            pass

    with pytest.raises(CallError, match="too large") as raised:
        make_client("simKey", raw_server(script)).algo("demo/Hello").pipe(b"x" * (9 << 20))
    assert not isinstance(raised.value, PlatformError)


ECHOES = {
    "a page, cut within the key": (502, "<p>" + "x" * 185 + " {key}</p>", {}),
    "a redirect, cut within the key": (307, "", {"Location": "http://h/" + "a" * 180 + "{key}"}),
    "a compression": (200, "x", {"Content-Encoding": "{key}"}),
    "a type, cut within the key": (200, '{"error": {"message": "m", "error_type": "' + "E" * 190 + '{key}"}}', {}),
    "an output": (200, '{"error": {"message": "m"}, "metadata": {"stdout": "{key}"}}', {}),
    "a name of the request": (400, '{"error": {"message": "m"}, "request_id": "{key}"}', {}),
    "a name of a request that succeeds": (200, '{"result": 1, "metadata": {}, "request_id": "{key}"}', {}),
}


@pytest.mark.parametrize("name", ECHOES)
def test_a_key_that_the_server_repeats_is_not_told_of_not_even_in_part(platform, make_client, recorded, name):
    key = "simVerySecretKey"
    status, body, headers = ECHOES[name]
    platform.answers(
        body.replace("{key}", key).encode(), status, {one: text.replace("{key}", key) for one, text in headers.items()}
    )
    told = ""
    try:
        make_client(key, platform.address).algo("demo/Echo").pipe(None)
    except CallError as error:
        frames = error.__traceback__.tb_next  # without this test's own, which has the key
        shown = traceback.TracebackException(type(error), error, frames, capture_locals=True)
        told = str(error) + repr(vars(error)) + "".join(shown.format())
    assert "simVery".lower() not in (told + repr(recorded)).lower()
