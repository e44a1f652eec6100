"""A real endpoint that takes insights, or does with them what a test asks for."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

TAKEN = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"


class Taking:
    """Listens on a free port and keeps what is posted; `answer` does with a connection what comes then."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, str], Any]] = []
        self.over = threading.Event()
        self.answer: Callable[[socket.socket], None] = lambda connection: connection.sendall(TAKEN)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    @property
    def metrics(self) -> list[dict[str, float]]:
        """What was posted, each time, by name."""
        return [{one["insight_key"]: one["insight_value"] for one in body} for _, _, body in self.requests]

    def hang(self, _connection: socket.socket) -> None:
        """Say nothing."""
        self.over.wait(60)

    def trickle(self, connection: socket.socket) -> None:
        """Say that all is well, a byte at a time."""
        for byte in TAKEN:
            if not self.over.wait(0.05):
                connection.sendall(bytes([byte]))

    def close(self) -> None:
        self.over.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):  # closed
            while True:
                connection, _ = self._listener.accept()
                thread = threading.Thread(target=self._serve, args=(connection,))
                self._threads.append(thread)
                thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            given = connection.makefile("rb")
            target = given.readline().decode().split(" ")[1]
            headers = dict(line.decode().rstrip("\r\n").split(": ", 1) for line in iter(given.readline, b"\r\n"))
            self.requests.append((target, headers, json.loads(given.read(int(headers["Content-Length"])))))
            self.answer(connection)


@pytest.fixture
def taking() -> Iterator[Taking]:
    made = Taking()
    yield made
    made.close()


@pytest.fixture
def no_endpoint() -> str:
    """An address at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"
