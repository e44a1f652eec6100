"""Platforms to call: one that answers what a test says, one that speaks bytes, and what delivery was told."""

import asyncio
import json
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest


@dataclass
class Asked:
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes


@dataclass
class Platform:
    """A real HTTP server that keeps what it was asked and answers what `answers` said last."""

    address: str = ""
    asked: list[Asked] = field(default_factory=list)
    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    first: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    """Refusals that come before that answer: a status and headers each."""
    answering: Callable[[Asked], bytes] | None = None
    """Makes the body of each answer of its request, in place of what `answers` said."""

    def answers(self, body: Any, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self.status = status
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.headers = headers or {"Content-Type": "application/json"}

    def next(self) -> tuple[int, dict[str, str], bytes]:
        if self.first:
            return (*self.first.pop(0), b'{"error": {"message": "not now"}}')
        return self.status, self.headers, self.body


@pytest.fixture
def platform() -> Iterator[Platform]:
    state = Platform()
    state.answers({"result": "hi", "metadata": {"content_type": "text", "duration": 0.25}})

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            url = urlsplit(self.path)
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): text for name, text in self.headers.items()}
            asked = Asked(url.path, parse_qs(url.query), headers, body)
            state.asked.append(asked)
            status, headers, answer = state.next()
            if state.answering is not None:
                answer = state.answering(asked)
            self.send_response(status)
            for name, text in headers.items():
                self.send_header(name, text)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            with suppress(OSError):  # a client that has read enough closes
                self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        state.address = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield state
        server.shutdown()
        thread.join()


@pytest.fixture
def raw_server() -> Iterator[Callable[[Callable[[socket.socket, threading.Event], None]], str]]:
    """Serve each connection with a script; it gets the socket, its request unread, and an event set at the end."""
    stop = threading.Event()
    closing: list[tuple[socket.socket, threading.Thread]] = []

    def serve(script: Callable[[socket.socket, threading.Event], None]) -> str:
        listener = socket.create_server(("127.0.0.1", 0))

        def accept() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection, suppress(OSError):
                        script(connection, stop)

        thread = threading.Thread(target=accept)
        thread.start()
        closing.append((listener, thread))
        return f"http://127.0.0.1:{listener.getsockname()[1]}"

    yield serve
    stop.set()
    for listener, thread in closing:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


@pytest.fixture
def make_client(recorded: list[Any]) -> Iterator[Callable[..., Any]]:
    """Return a client that the end of the test closes."""
    from algoprof.calls.client import client

    made = []

    def make(*args: Any, **options: Any) -> Any:
        made.append(client(*args, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


class FromOutside:
    """An `AsyncClient` or its algorithm, each call of which is awaited in one event loop, for tests of both."""

    def __init__(self, inner: Any, runner: asyncio.Runner) -> None:
        self._inner = inner
        self._runner = runner

    def algo(self, reference: str) -> "FromOutside":
        return FromOutside(self._inner.algo(reference), self._runner)

    def set_options(self, **options: Any) -> "FromOutside":
        self._inner.set_options(**options)
        return self

    def pipe(self, value: object) -> Any:
        return self._runner.run(self._inner.pipe(value))

    def close(self) -> None:
        self._runner.run(self._inner.close())


@pytest.fixture(params=["requests", "httpx"])
def make_any_client(request: pytest.FixtureRequest, make_client: Callable[..., Any]) -> Iterator[Callable[..., Any]]:
    """Return a client over either library, both with the methods of the synchronous one; `kind` says which it is."""
    from algoprof.calls.async_client import AsyncClient

    with asyncio.Runner() as runner:
        made: list[FromOutside] = []

        def make(*args: Any, **options: Any) -> Any:
            if request.param == "requests":
                return make_client(*args, **options)
            made.append(FromOutside(AsyncClient(*args, **options), runner))
            return made[-1]

        make.kind = request.param  # type: ignore[attr-defined]
        yield make
        for one in made:
            one.close()


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Return the list that fills with what delivery is told: a tuple for a start, a Call for an end."""
    from algoprof import delivery

    told: list[Any] = []
    monkeypatch.setattr(delivery, "call_started", lambda *start: told.append(start) or len(told))
    monkeypatch.setattr(delivery, "call_ended", lambda token, call: told.append(call))
    return told


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return a certificate for 127.0.0.1 that nobody has signed, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = folder / "cert.pem", folder / "key.pem"
    made = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1",
         "-keyout", str(key), "-out", str(certificate)],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    return certificate, key
