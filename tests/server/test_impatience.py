"""Who keeps the server waiting, or sends more than it takes, is told so or cut, and nobody else waits for that."""

import contextlib
import json
import re
import socket
import time
from dataclasses import dataclass, field

import pytest

from algoprof.server import connections
from algoprof.server.connections import Waiting

SHORT = """
from algoprof.server import connections, pace
connections.PATIENCE, connections.MOST, connections._PERIOD, pace.GRACE = 1.5, 200, 0.1, 1.5
"""
CALL = "POST /v1/algo/local/echo HTTP/1.1\r\nHost: here\r\nAuthorization: {key}\r\nContent-Type: application/json\r\n"
MEBIBYTE = 1024 * 1024


@pytest.fixture(scope="module")
def impatient(serve_module, tmp_path_factory):
    """A server that waits for nobody longer than 1.5 s, and for 200 at once."""
    folder = tmp_path_factory.mktemp("projects") / "echo"
    folder.mkdir()
    (folder / "main.py").write_text("def apply(input):\n    return input\n")
    serving = serve_module(folder, before=SHORT)
    assert serving.address, serving.said
    return serving


@pytest.fixture
def connect(impatient):
    """Open a connection and send something."""
    host, port = impatient.address.removeprefix("http://").split(":")
    with contextlib.ExitStack() as opened:

        def open_one(content=b""):
            one = opened.enter_context(socket.create_connection((host, int(port)), timeout=30))
            one.sendall(content)
            return one

        yield open_one


def drip(*dripping, seconds=30.0):
    """Send a byte on each now and then until the server has had enough of all, and return what it has said."""
    said = dict.fromkeys(dripping, b"")
    left, deadline = set(dripping), time.monotonic() + seconds
    while left:
        assert time.monotonic() < deadline, [said[one] for one in left]
        for one in list(left):
            one.settimeout(0.05 / len(left))
            try:
                more = one.recv(4096)
            except TimeoutError:  # nothing yet; what is sent after an answer might have it thrown away
                with contextlib.suppress(OSError):
                    one.send(b"" if b"HTTP/1.1 4" in said[one] else b"x")
                continue
            except OSError:
                more = b""
            said[one] += more
            if not more:
                left.remove(one)
    return [said[one] for one in dripping]


def answer(one):
    """Read an answer of which the length is told."""
    said = b""
    while b"\r\n\r\n" not in said:
        said += one.recv(65536) or pytest.fail(f"cut after {said!r}")
    head, _, body = said.partition(b"\r\n\r\n")
    length = int(next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")).split()[1])
    while len(body) < length:
        body += one.recv(65536)
    return int(head.split()[1]), json.loads(body)


def test_what_comes_byte_by_byte_is_cut_or_refused(impatient, connect):
    ask = "GET /healthz HTTP/1.1\r\nHost: here\r\n"
    heads = ["", f"{ask}X-Slow: ", f"{ask}\r\n{ask}X: "]
    head = CALL.format(key=impatient.key)
    sizes = ["Content-Length: 1000000\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\nf4240\r\n"]
    paths = ["/v1/algo/local/echo", "/v1/algorithms/local/echo/versions", "/v1/data/.my", "/v1/data/.my/a", "/nothing"]
    bodies = [head.replace("/v1/algo/local/echo", path) + size + "[1, " for path in paths for size in sizes]
    stranger = CALL.format(key="simWrong") + sizes[0]
    host = impatient.address.removeprefix("http://")
    form = f"POST /sign-in HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\nContent-Length: 5000\r\n\r\nkey="
    said = drip(*(connect(begun.encode()) for begun in (*heads, *bodies, stranger, form)))
    told = [re.findall(rb"HTTP/1.1 (\d+)", one) for one in said]
    assert told[:3] == [[], [], [b"200"]]
    assert told[3:] == [*[[b"408"]] * 6, *[[b"405"]] * 2, *[[b"404"]] * 2, [b"401"], [b"401"]]
    assert all(b"and then none in time" in one for one in said[3:9])


def test_many_that_drip_keep_nobody_else_waiting(impatient, connect, scaled):
    crowd = [connect(b"GET / HTTP/1.1\r\nX-Slow: ") for _ in range(150)]
    crowd += [connect(f"{CALL.format(key=impatient.key)}Content-Length: 9\r\n\r\n[".encode()) for _ in range(150)]
    began = time.monotonic()
    for number in range(scaled(400)):
        for one in crowd:
            with contextlib.suppress(OSError):  # cut
                one.send(b" ")
        impatient.session.close()  # one that rests would be cut as well
        assert impatient.call("local/echo", number)["result"] == number
    assert time.monotonic() - began < 60
    drip(*crowd)
    assert "Traceback" not in impatient.said


@pytest.mark.parametrize("framing", ["told", "chunked", "told, and no more comes"])
def test_a_body_that_is_too_large_is_refused_once_it_is_read(impatient, connect, framing):
    one = connect(CALL.format(key=impatient.key).encode())
    block = b"[" + b" " * (MEBIBYTE - 1)
    if framing == "chunked":
        one.sendall(b"Transfer-Encoding: chunked\r\n\r\n")
        for _ in range(11):
            one.sendall(b"100000\r\n" + block + b"\r\n")
        one.sendall(b"0\r\n\r\n")
    else:
        one.sendall(b"Content-Length: %d\r\n\r\n" % (11 * MEBIBYTE if framing == "told" else 10**15))
        for _ in range(11 if framing == "told" else 101):
            one.sendall(block)
    status, told = answer(one)
    assert (status, told["error"]["code"]) == (413, 6001)
    if framing != "told, and no more comes":
        one.sendall(f"{CALL.format(key=impatient.key)}Content-Length: 1\r\n\r\n7".encode())
        assert answer(one)[1]["result"] == 7


@pytest.mark.parametrize("header", ["X: " + "x" * 200_000, "\r\n".join(["X: x"] * 20_000), "X" * 100_000])
def test_a_head_that_is_too_large_is_refused(impatient, connect, header):
    one = connect()
    with contextlib.suppress(OSError):  # cut before its end
        one.sendall(f"GET /healthz HTTP/1.1\r\n{header}\r\n\r\n".encode())
    with contextlib.suppress(ConnectionResetError):
        assert one.recv(100).startswith((b"HTTP/1.1 4", b""))
    assert impatient.call("local/echo", 1)["result"] == 1


@dataclass(eq=False)
class Connection:
    cycle: object = None


@dataclass(eq=False)
class Request:
    response_complete: bool = False
    more_body: bool = field(default=False)


def test_the_oldest_go_when_they_are_too_many_and_nobody_who_is_answered():
    old, new, sends, waits = Connection(), Connection(), Connection(Request(more_body=True)), Connection(Request())
    waiting = Waiting(2)
    assert waiting.late([old, waits], 0) == []
    assert Waiting(0).late([old], 0) == []  # whoever has just come may be about to ask
    assert waiting.late([sends, new, old, waits], 1) == [old]
    assert waiting.late([sends, new, waits], 2) == []
    waits.cycle.response_complete = True
    assert waiting.late([sends, new, waits], connections.PATIENCE + 1) == [new]
    assert waiting.late([sends, waits], connections.PATIENCE + 2) == []
    new.cycle = Request(response_complete=True)  # it has asked again, and been answered
    assert waiting.late([new, waits], 2 * connections.PATIENCE + 2) == [waits]
