"""A light HTTP client that loads a server: keep-alive connections, one request ready made, answers cut by their length.

It is one thread over non-blocking sockets and epoll, and looks at no more of an answer than its status and its length,
so that it takes some ten microseconds of a processor for a request, a tenth of what the servers take that it is for.
"""

import select
import socket
import time
from collections import deque
from collections.abc import Mapping
from urllib.parse import urlsplit

_LENGTH = b"\r\ncontent-length: "


def request(url: str, body: bytes, headers: Mapping[str, str]) -> bytes:
    """Return a POST as the bytes to send."""
    parts = urlsplit(url)
    target = f"{parts.path}?{parts.query}" if parts.query else parts.path
    lines = [f"POST {target} HTTP/1.1", f"Host: {parts.netloc}", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


class Load:
    """Connections to one server, over which one request is sent again and again.

    Args:
        url: what is asked.
        body: what is sent.
        headers: besides `Host` and `Content-Length`.
        connections: how many there are.
        expected: what an answer contains; all of them are looked at.
    """

    def __init__(
        self, url: str, body: bytes, headers: Mapping[str, str], *, connections: int = 4, expected: bytes = b""
    ) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None
        assert parts.port is not None
        self._request = request(url, body, headers)
        self._expected = expected
        self._poll = select.epoll()
        self._connections: dict[int, _Connection] = {}
        self._address = (parts.hostname, parts.port)
        for _ in range(connections):
            self._connect()

    def run(self, count: int) -> None:
        """Have so many requests answered, each connection sending its next one once it has an answer."""
        self._refresh()
        sent = 0
        for connection in list(self._connections.values())[:count]:
            connection.send(self._request)
            sent += 1
        answered = 0
        while answered < count:
            for descriptor, _ in self._poll.poll():
                connection = self._connections[descriptor]
                if connection.answered():
                    answered += 1
                    if sent < count:
                        connection.send(self._request)
                        sent += 1

    def run_at(self, rate: float, count: int) -> list[float]:
        """Send so many requests at even distances, whether or not those before are answered, as far as connections go.

        Args:
            rate: requests per second.
            count: how many.

        Returns:
            What each took, in seconds, from the moment it was to be sent: a server that stalls is charged for those
            that had to wait meanwhile.
        """
        self._refresh()
        took: list[float] = []
        free = deque(self._connections.values())
        due: dict[int, float] = {}
        began = time.perf_counter()
        sent = 0
        while len(took) < count:
            now = time.perf_counter()
            while sent < count and free and began + sent / rate <= now:
                connection = free.popleft()  # in turn: none rests until the server closes it
                due[connection.descriptor] = began + sent / rate
                connection.send(self._request)
                sent += 1
            pause = began + sent / rate - time.perf_counter() if sent < count and free else -1.0
            if 0.0 < pause < 0.0015:  # epoll counts in milliseconds: what is shorter is spent looking
                pause = 0.0
            elif pause > 0.0:
                pause -= 0.001
            for descriptor, _ in self._poll.poll(pause if pause == -1.0 else max(pause, 0.0)):
                connection = self._connections[descriptor]
                if connection.answered():
                    took.append(time.perf_counter() - due[descriptor])
                    free.append(connection)
        return took

    def close(self) -> None:
        """Close the connections."""
        for connection in self._connections.values():
            connection.close()
        self._poll.close()

    def _connect(self) -> None:
        connection = _Connection(self._address, self._expected)
        self._connections[connection.descriptor] = connection
        self._poll.register(connection.descriptor, select.EPOLLIN)

    def _refresh(self) -> None:
        """Connect anew where the server has closed a connection that rested for too long."""
        for connection in list(self._connections.values()):
            if connection.ended():
                self._poll.unregister(connection.descriptor)
                del self._connections[connection.descriptor]
                connection.close()
                self._connect()


class _Connection:
    def __init__(self, address: tuple[str, int], expected: bytes) -> None:
        self._socket = socket.create_connection(address)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._expected = expected
        self._waiting = b""
        self.descriptor = self._socket.fileno()

    def send(self, request: bytes) -> None:
        self._socket.sendall(request)  # smaller than a socket's buffer

    def answered(self) -> bool:
        """Read what is there, and return whether the answer is complete."""
        chunk = self._socket.recv(262144)
        assert chunk, f"the server has closed the connection: {self._waiting[:400]!r}"
        self._waiting += chunk
        head = self._waiting.find(b"\r\n\r\n")
        if head < 0:
            return False
        start = self._waiting[: head + 2].lower().index(_LENGTH) + len(_LENGTH)
        length = int(self._waiting[start : self._waiting.index(b"\r", start)])
        if len(self._waiting) < head + 4 + length:
            return False
        assert self._waiting.startswith(b"HTTP/1.1 200 "), self._waiting[:400]
        assert self._expected in self._waiting, self._waiting[:400]
        self._waiting = b""
        return True

    def ended(self) -> bool:
        try:
            return not self._socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False

    def close(self) -> None:
        self._socket.close()
