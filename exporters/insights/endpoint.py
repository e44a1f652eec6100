"""Where insights are posted to, with one deadline for all of it: connecting, TLS, sending, and the answer's status."""

import re
import socket
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from algoprof.errors import AlgoprofError, ConfigurationError

if TYPE_CHECKING:
    from ssl import SSLContext

PATH = "/v1/insights"
USUAL = "http://localhost:9000"
"""Where the platform takes insights if it does not say where."""

_STATUS = re.compile(rb"HTTP/1\.[01] ([1-5]\d\d)[ \r]")
_LONGEST_STATUS = 1_000  # bytes until the end of the first line


class Endpoint:
    """Takes insights over HTTP/1.1, one connection each: one that is kept would not outlive a frozen worker.

    Args:
        address: of the platform, without `/v1`.

    Raises:
        ConfigurationError: if that is no such address.

    >>> Endpoint("http://127.0.0.1:8080/worker/T0ken").shown
    'http://127.0.0.1:8080'
    """

    def __init__(self, address: str) -> None:
        try:
            parts = urlsplit(address)
            self._host, port = parts.hostname or "", parts.port
        except ValueError:
            parts, self._host, port = urlsplit(""), "", None
        clean = re.fullmatch(r"[\x21-\x7e]+", address) and not parts.query and not parts.fragment
        if parts.scheme not in ("http", "https") or not self._host or not clean or "@" in parts.netloc:
            shown = "what ALGORITHMIA_API says" if "@" in address else f"{address[:200]!r}, from ALGORITHMIA_API,"
            raise ConfigurationError(f"exporter 'insights': {shown} is not an address such as {USUAL}")
        self._tls = _tls() if parts.scheme == "https" else None
        self._port = port or (443 if self._tls else 80)
        self._target = parts.path.rstrip("/") + PATH
        self._netloc = parts.netloc
        self.shown = f"{parts.scheme}://{parts.netloc}"
        """What to call it in messages: whoever knows the path may report in a worker's name."""

    def post(self, body: bytes, deadline: float) -> None:
        """Post JSON, and wait for the status of the answer.

        Args:
            body: the JSON.
            deadline: on the monotonic clock. Only the resolver of names knows none.

        Raises:
            OSError: if it cannot be sent, or no answer has come by the deadline.
            ValueError: if the host's name cannot be one.
            AlgoprofError: if it is refused.
        """
        head = (
            f"POST {self._target} HTTP/1.1\r\nHost: {self._netloc}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\nUser-Agent: algoprof\r\nConnection: close\r\n\r\n"
        )
        with self._connected(deadline) as connection:
            connection.settimeout(_left(deadline))
            connection.sendall(head.encode() + body)
            status = _status(connection, deadline)
        if not 200 <= status < 300:
            raise AlgoprofError(f"it answers {status}" if status else "it does not speak HTTP")

    def _connected(self, deadline: float) -> socket.socket:
        failure: OSError = OSError(f"{self._host} has no address")
        for family, kind, protocol, _, name in socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM):
            connection = socket.socket(family, kind, protocol)
            try:
                connection.settimeout(_left(deadline))
                connection.connect(name)
                if self._tls is None:
                    return connection
                connection.settimeout(_left(deadline))
                return self._tls.wrap_socket(connection, server_hostname=self._host)
            except OSError as error:
                failure = error
                connection.close()
        raise failure


def _tls() -> "SSLContext":
    import ssl  # noqa: PLC0415  (slow to import, and the platform's own endpoint is plain)

    return ssl.create_default_context()


def _status(connection: socket.socket, deadline: float) -> int:
    """Return the status of an answer, whose rest nobody needs; 0 if it is none."""
    begun = b""
    while b"\r\n" not in begun and len(begun) < _LONGEST_STATUS:
        connection.settimeout(_left(deadline))
        piece = connection.recv(_LONGEST_STATUS)
        if not piece:
            break
        begun += piece
    found = _STATUS.match(begun)
    return int(found[1]) if found else 0


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("timed out")
    return left
