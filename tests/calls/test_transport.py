"""What networks and servers do wrong: each ends before the deadline, as an outcome, and leaves the session usable."""

import contextlib
import os
import ssl
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from urllib3.exceptions import InsecureRequestWarning

from algoprof.errors import CallError, PlatformUnreachable

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
BODY = b'{"result": 1, "metadata": {"content_type": "json", "duration": 0}}'


def read_request(connection):
    """Read until a request's headers and body, which is `null`, are in."""
    received = b""
    while not received.endswith(b"\r\n\r\nnull"):
        chunk = connection.recv(65536)
        if not chunk:
            return
        received += chunk


def sends(*pieces):
    def script(connection, stop):
        read_request(connection)
        for piece in pieces:
            connection.sendall(piece)

    return script


def trickles(beginning):
    def script(connection, stop):
        read_request(connection)
        connection.sendall(beginning)
        while not stop.wait(0.02):  # the pace of a byte now and then; ends when the client hangs up or the test ends
            connection.sendall(b"x")

    return script


def silent(connection, stop):
    read_request(connection)
    connection.recv(1)


def ended(client, **options):
    """Call and return how it ended."""
    try:
        return client.algo("demo/Slow").set_options(**options).pipe(None).call
    except CallError as error:
        return error.call


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(silent, id="no answer"),
        pytest.param(trickles(b""), id="status line byte by byte"),
        pytest.param(trickles(OK + b"X-Slow: "), id="headers byte by byte"),
        pytest.param(trickles(OK + b"Content-Length: 100000\r\n\r\n"), id="body byte by byte"),
        pytest.param(trickles(OK + b"Transfer-Encoding: chunked\r\n\r\nffffff\r\n"), id="chunk byte by byte"),
        pytest.param(trickles(OK + b"Connection: close\r\n\r\n"), id="body without an end"),
    ],
)
def test_one_deadline_holds_for_everything(raw_server, make_any_client, script):
    client = make_any_client("simKey", raw_server(script), grace=0.1)
    call = ended(client, timeout=0.2)
    assert call.outcome == "client_timeout"
    assert 0.3 <= call.wall < 5
    assert call.budget_used_ratio >= 1


def test_a_server_that_does_not_read_is_not_waited_for(raw_server, make_any_client):
    def deaf(connection, stop):
        stop.wait()

    client = make_any_client("simKey", raw_server(deaf), grace=0.1)
    with pytest.raises(TimeoutError) as raised:
        client.algo("demo/Slow").set_options(timeout=0.2).pipe(b"x" * (10 << 20))
    assert raised.value.call.outcome == "client_timeout"
    assert raised.value.call.wall < 5


def test_tls_that_never_shakes_hands(raw_server, make_client):
    def deaf(connection, stop):
        stop.wait()

    address = raw_server(deaf).replace("http://", "https://")
    call = ended(make_client("simKey", address, grace=0.1), timeout=0.2)
    assert call.outcome == "client_timeout"
    assert call.wall < 5


@pytest.mark.parametrize(
    ("script", "outcome"),
    [
        (sends(), "unreachable"),
        (sends(b"HTTP/1.1 200 OK\r\nContent-Le"), "platform_error"),
        (sends(OK + b"Content-Length: 500\r\n\r\n" + BODY), "platform_error"),
        (sends(OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nabc"), "platform_error"),
        (sends(OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nabc"), "platform_error"),
        (sends(OK + b"Content-Length: 5\r\n\r\n" + BODY), "platform_error"),
        (sends(OK + b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\nabcd"), "platform_error"),
        (sends(b"SSH-2.0-OpenSSH_9.2\r\n"), "platform_error"),
        (sends(OK + b"X: " + b"x" * 70_000 + b"\r\n\r\n"), "platform_error"),
        (sends(OK + b"X: y\r\n" * 200 + b"\r\n"), "platform_error"),
        (sends(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"), "platform_error"),
        (sends(b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"Content-Length: 66\r\n\r\n" + BODY), "ok"),
        (sends(OK + b"Connection: close\r\n\r\n" + BODY), "ok"),
    ],
)
def test_broken_answers_have_an_outcome(raw_server, make_any_client, script, outcome):
    call = ended(make_any_client("simKey", raw_server(script)))
    if make_any_client.kind == "httpx" and call.outcome == "unreachable":  # half a header is none to h11
        assert call.message == "the connection was closed without an answer"
    else:
        assert call.outcome == outcome, call.message
    assert call.wall < 5


@pytest.mark.parametrize("begun", [b"", OK + b"Content-Length: 500\r\n\r\n" + BODY])
def test_a_connection_that_is_lost_in_the_middle_is_told_as_that(raw_server, make_any_client, begun):
    address = raw_server(sends(begun))
    with pytest.raises(CallError, match="was lost in the middle of the call") as raised:
        make_any_client("simKey", address).algo("a/b").pipe(None)
    assert raised.value.hint == "a/b may have run, or still be running: see whether that server still runs"
    assert raised.value.retry_after is None


def test_an_endless_answer_is_cut(raw_server, make_client, monkeypatch):
    monkeypatch.setattr("algoprof.calls.wire.transport.LARGEST_ANSWER", 1 << 20)

    def endless(connection, stop):
        read_request(connection)
        connection.sendall(OK + b"\r\n")
        while True:
            connection.sendall(b"x" * 65536)

    call = ended(make_client("simKey", raw_server(endless)))
    assert call.outcome == "platform_error"
    assert "1,048,576 bytes" in call.message


def test_a_compressed_bomb_is_cut(raw_server, make_client):
    import gzip

    bomb = gzip.compress(b"x" * (100 << 20))
    script = sends(OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb), bomb)
    assert "67,108,864 bytes" in ended(make_client("simKey", raw_server(script))).message


def test_the_session_survives_whatever_came(raw_server, make_client):
    answers = iter(
        [b"", b"nonsense\r\n\r\n", OK + b"Content-Length: 99\r\n\r\n{", OK + b"Content-Length: 66\r\n\r\n" + BODY]
    )

    def script(connection, stop):
        sends(next(answers))(connection, stop)

    client = make_client("simKey", raw_server(script))
    assert [ended(client).outcome for _ in range(4)] == ["unreachable", "platform_error", "platform_error", "ok"]


def test_a_connection_is_reused(platform, make_client, monkeypatch):
    client = make_client("simKey", platform.address)
    assert [ended(client).outcome for _ in range(3)] == ["ok"] * 3
    pools = client._transport._session.adapters["http://"].poolmanager.pools
    assert [pools[key].num_connections for key in pools.keys()] == [1]  # noqa: SIM118  (not a dict)


def test_cookies_are_not_kept(platform, make_client):
    platform.headers["Set-Cookie"] = "track=me"
    client = make_client("simKey", platform.address)
    ended(client)
    ended(client)
    assert "cookie" not in platform.asked[1].headers


def test_neither_netrc_nor_a_proxy_gets_in_between(platform, make_client, monkeypatch, tmp_path):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert ended(make_client("simKey", platform.address)).outcome == "ok"
    assert ended(make_client(api_address=platform.address)).outcome == "ok"
    assert [asked.headers.get("authorization") for asked in platform.asked] == ["Simple simKey", None]


def test_a_proxy_is_used_for_other_machines_under_the_same_deadline(raw_server, make_client, monkeypatch):
    monkeypatch.setenv("http_proxy", raw_server(trickles(OK + b"X-Slow: ")))
    call = ended(make_client("simKey", "http://platform.invalid", grace=0.1), timeout=0.2)
    assert call.outcome == "client_timeout"
    assert call.wall < 5


def test_a_proxy_that_trickles_its_answer_to_connect_is_not_waited_for(raw_server, make_client, monkeypatch):
    def script(connection, stop):
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        while not stop.wait(0.02):
            connection.sendall(b"x")

    monkeypatch.setenv("https_proxy", raw_server(script))
    call = ended(make_client("simKey", "https://platform.invalid", grace=0.1), timeout=0.2)
    assert call.outcome == "client_timeout"
    assert call.wall < 5


def test_a_fork_gets_connections_of_its_own(platform, make_client):
    client = make_client("simKey", platform.address)
    assert ended(client).outcome == "ok"
    before = client._transport._session
    client._transport._owner = os.getpid() + 1  # as a child finds it
    assert ended(client).outcome == "ok"
    assert client._transport._session is not before
    before.close()


@pytest.fixture
def secure(certificate):
    """Serve TLS with a certificate of its own; return its address and the certificate."""
    certificate, key = certificate

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            self.wfile.write(OK + b"\r\n" + BODY)

        def log_message(self, *_):
            pass

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_):
            pass  # a client that does not trust us hangs up

        def finish_request(self, request, address):
            with contextlib.suppress(OSError), context.wrap_socket(request, server_side=True) as wrapped:
                super().finish_request(wrapped, address)

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"https://127.0.0.1:{server.server_port}", certificate
        server.shutdown()
        thread.join()


@pytest.mark.real("openssl")
def test_tls_is_verified_and_ca_cert_honoured(secure, make_client, monkeypatch):
    address, certificate = secure
    call = ended(make_client("simKey", address))
    assert call.outcome == "unreachable"
    assert "certificate verify failed" in call.message
    assert "ca_cert" in call.message
    with pytest.raises(PlatformUnreachable) as raised:
        make_client("simKey", address).algo("demo/Routes").pipe(None)
    assert "algoprof serve" not in str(raised.value), "a server is there"
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/no/such/bundle")
    assert ended(make_client("simKey", address, str(certificate))).outcome == "ok"
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    with pytest.warns(InsecureRequestWarning):
        assert ended(make_client("simKey", address, False)).outcome == "ok"


@pytest.mark.real("openssl")
@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_certificates_that_the_environment_names_are_trusted_on_this_machine_too(
    secure, make_any_client, monkeypatch, variable
):
    address, certificate = secure
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.setenv(variable, str(certificate))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")  # which is none of its business
    assert ended(make_any_client("simKey", address)).outcome == "ok"


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_certificates_that_the_environment_names_are_those_that_count(make_client, monkeypatch, variable):
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.setenv(variable, "/no/such/bundle")
    call = ended(make_client("simKey", "https://no-such-host.invalid"), timeout=20)
    assert call.outcome == "unreachable"
    assert "/no/such/bundle" in call.message, "it is looked for before anything is sent"


@pytest.mark.parametrize(
    ("proxy", "words"),
    [
        ("http://user:hunter2@127.0.0.1:1", "the proxy that the environment names: Connection refused"),
        ("http://", "names a proxy, which is no address of one"),
        ("foo hunter2", "names a proxy, which is no address of one"),
        ("ftp://hunter2", "names a proxy, which is no address of one"),
    ],
)
def test_a_proxy_that_is_at_fault_is_named_as_that(make_client, monkeypatch, proxy, words):
    for scheme in ("http", "https"):
        monkeypatch.setenv(f"{scheme}_proxy", proxy)
        call = ended(make_client("simKey", f"{scheme}://platform.invalid"), timeout=20)
        assert call.outcome == "unreachable"
        assert words in call.message
        assert "hunter2" not in call.message


def test_an_address_that_is_none_is_not_blamed_on_a_proxy(make_client):
    call = ended(make_client("simKey", f"http://{'a' * 70}..invalid"), timeout=20)
    assert call.outcome == "unreachable"
    assert "proxy" not in call.message


def test_names_that_cannot_be_resolved(make_client):
    call = ended(make_client("simKey", "http://no-such-host.invalid"), timeout=20)
    assert call.outcome == "unreachable"
    assert call.message


def test_importing_the_client_is_left_to_who_calls():
    script = (
        "import sys, algoprof; assert 'requests' not in sys.modules; algoprof.client; assert 'requests' in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_a_deadline_that_passed_sends_nothing(platform, make_client):
    client = make_client("simKey", platform.address)
    from algoprof.calls.wire.protocol import Request

    answer = client._transport.send(Request(platform.address, {}, {}, b""), time.monotonic() - 1)
    assert answer.outcome == "client_timeout"
    assert platform.asked == []
