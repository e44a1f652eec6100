"""A server of files that answers each request by a function, over real sockets."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest


@dataclass
class Asked:
    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes


@dataclass
class Answer:
    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    sent: int | None = None
    """Bytes of the body that are sent before the connection is cut; None for all."""


@dataclass
class FileServer:
    """Answers what `answer` returns, and keeps what it was asked; by default no file is there."""

    address: str = ""
    asked: list[Asked] = field(default_factory=list)
    answer: Callable[[Asked], Answer] = lambda asked: Answer(404, b'{"error": {"message": "not here", "code": 3000}}')

    @staticmethod
    def reply(
        status: int = 200, body: bytes = b"", headers: dict[str, str] | None = None, sent: int | None = None
    ) -> Answer:
        """Return an answer."""
        return Answer(status, body, headers or {}, sent)

    def says(self, body: Any, status: int = 200, **headers: str) -> None:
        """Give the same answer to whatever is asked."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        self.answer = lambda asked: Answer(status, content, named)


@pytest.fixture
def files() -> Iterator[FileServer]:
    state = FileServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 64 * 1024  # else head and body are two packets, and the second one waits for an acknowledgement

        def handle_any(self) -> None:
            url = urlsplit(self.path)
            headers = {name.lower(): text for name, text in self.headers.items()}
            if headers.get("transfer-encoding") == "chunked":
                body = b""
                while size := int(self.rfile.readline(), 16):
                    body += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
            else:
                body = self.rfile.read(int(headers.get("content-length", 0)))
            asked = Asked(self.command, unquote(url.path), parse_qs(url.query), headers, body)
            state.asked.append(asked)
            answer = state.answer(asked)
            self.send_response(answer.status)
            for name, text in {"Content-Length": str(len(answer.body)), **answer.headers}.items():
                self.send_header(name, text)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer.body[: answer.sent])
            self.close_connection = self.close_connection or answer.sent is not None

        do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = do_DELETE = handle_any  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:  # a client that has read enough closes
            pass

    with Server(("127.0.0.1", 0), Handler) as server:
        state.address = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield state
        server.shutdown()
        thread.join()


@pytest.fixture
def client(files: FileServer, make_client: Callable[..., Any]) -> Any:
    return make_client("simVerySecretKey", files.address)
