"""Posting within one deadline: over TLS, to whoever answers anything at all."""

import socket
import ssl
import subprocess
import threading
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from algoprof.errors import AlgoprofError
from algoprof.exporters.insights import endpoint as module
from algoprof.exporters.insights.endpoint import Endpoint


def soon():
    return time.monotonic() + 60


def status_of(answer):
    """Return what an answer is taken for that ends there."""
    here, there = socket.socketpair()
    with here, there:
        there.sendall(answer)
        there.shutdown(socket.SHUT_WR)
        return module._status(here, soon())


@settings(max_examples=50)
@given(st.binary(max_size=2_000))
@example(b"HTTP/1.1 200")
@example(b"HTTP/2 200 \r\n")
@example(b"HTTP/1.1 099 \r\n")
@example(b"HTTP/1.1 2000 \r\n")
@example(b"x" * 2_000)
def test_what_is_no_http_has_no_status(answer):
    assert status_of(answer) == 0


@pytest.mark.parametrize(
    ("answer", "status"),
    [(b"HTTP/1.1 200 OK\r\n", 200), (b"HTTP/1.0 404\r\n\r\n", 404), (b"HTTP/1.1 503 " + b"x" * 5_000, 503)],
)
def test_the_first_line_is_enough(answer, status):
    assert status_of(answer) == status


def test_a_name_that_has_no_address_or_can_have_none_is_an_error():
    for host in ("nowhere.invalid", "x" * 70):
        with pytest.raises((OSError, ValueError)):
            Endpoint(f"http://{host}").post(b"[]", soon())


def test_after_the_deadline_nothing_is_sent(taking):
    with pytest.raises(TimeoutError):
        Endpoint(taking.address).post(b"[]", time.monotonic())
    assert taking.requests == []


def test_the_path_of_the_address_comes_first_and_an_error_is_told(taking):
    endpoint = Endpoint(f"{taking.address}/worker/T0ken/")
    endpoint.post(b"[]", soon())
    taking.answer = lambda connection: connection.sendall(b"HTTP/1.1 401 Unauthorized\r\n\r\n")
    with pytest.raises(AlgoprofError, match="it answers 401"):
        endpoint.post(b"[]", soon())
    assert [target for target, _, _ in taking.requests] == ["/worker/T0ken/v1/insights"] * 2


@pytest.mark.real("openssl")
def test_over_tls_with_a_certificate_that_is_trusted(tmp_path, monkeypatch):
    key, certificate = tmp_path / "key", tmp_path / "certificate"
    asked = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
    ]
    name = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    subprocess.run([*asked, *name, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    outcomes = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"https://localhost:{listener.getsockname()[1]}"

        def answer():
            for _ in range(2):
                connection, _ = listener.accept()
                with connection:
                    try:
                        with context.wrap_socket(connection, server_side=True) as secured:
                            secured.recv(10_000)
                            secured.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                            outcomes.append("taken")
                    except ssl.SSLError:
                        outcomes.append("refused")

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(ssl.SSLCertVerificationError):
            Endpoint(address).post(b"[]", soon())
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        Endpoint(address).post(b"[]", soon())
        thread.join()
    assert outcomes == ["refused", "taken"]
