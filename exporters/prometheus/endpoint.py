"""The scrape endpoint: an HTTP server in a daemon thread that takes the port over when its holder dies."""

import errno
import hashlib
import http.client
import io
import logging
import socket
import socketserver
import time
from collections.abc import Iterable
from contextlib import suppress
from threading import BoundedSemaphore, Event, Thread
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

PATH = "/metrics"
"""Where the metrics are."""

_WHO_PATH = "/-/family"
_PEER_SECONDS = 5.0
"""A peer that sends or takes nothing for so long is cut off."""
_PEERS = 64
"""Peers served at once; further ones are turned away, so that idle ones cannot use up threads."""
_RETRY_SECONDS = 1.0

_log = logging.getLogger("algoprof")


class Endpoint:
    """Serves `/metrics` as long as the port can be had; while another process has it, tries again every second.

    Args:
        host: what to listen on.
        port: 0 takes a free one.
        app: answers requests for `/metrics`.
        family: who serves the same numbers answers with the same family; a stranger's port costs one warning.
    """

    def __init__(self, host: str, port: int, app: WSGIApplication, family: str = "") -> None:
        self._host = host
        self._port = port
        self._family = hashlib.sha256(family.encode("utf-8", "surrogateescape")).hexdigest()
        self._app = _routed(app, self._family)
        self._stopping = Event()
        self._server: _Server | None = None
        self._bind()  # at once, so that the address is known; the thread deals with a refusal
        self._thread = Thread(target=self._run, name="algoprof-prometheus", daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        """`HOST:PORT` that is listened on, or was asked for while another process has it."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        server = self._server
        return f"{host}:{server.server_port if server else self._port}"

    @property
    def listening(self) -> bool:
        """Whether the port is ours."""
        return self._server is not None

    def stop(self, deadline: float) -> None:
        """Give the port back; waits until `deadline` on the monotonic clock at most."""
        self._stopping.set()
        server = self._server
        if server is not None:
            with suppress(OSError):
                server.socket.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits for a peer
        self._thread.join(max(0.0, deadline - time.monotonic()))
        self.close_socket()

    def close_socket(self) -> None:
        """Close our copy of the listening socket: a forked child must not keep the port when its parent dies."""
        server, self._server = self._server, None
        if server is not None:
            server.socket.close()

    def _run(self) -> None:
        warned = False
        while not self._stopping.is_set():
            server = self._server
            if server is not None:
                server.handle_request()
                continue
            refusal = self._bind()
            if refusal is not None:
                if not warned:
                    self._warn_unless_family(refusal)
                    warned = True
                self._stopping.wait(_RETRY_SECONDS)

    def _bind(self) -> OSError | None:
        try:
            self._server = _Server(self._host, self._port, self._app)
        except OSError as error:
            return error
        return None

    def _warn_unless_family(self, error: OSError) -> None:
        if error.errno == errno.EADDRINUSE and self._holder() == self._family:
            return
        _log.warning(
            "metrics are not served at %s: %s; trying again until it is free (ALGOPROF_PROMETHEUS_ADDRESS chooses"
            " another address)",
            self.address,
            error.strerror or error,
        )

    def _holder(self) -> str:
        """Return the family that whoever has the port says it belongs to; empty if it says nothing like that."""
        try:
            connection = http.client.HTTPConnection(self._host, self._port, timeout=1.0)
            try:
                connection.request("GET", _WHO_PATH)
                return connection.getresponse().read(100).decode("ascii", "replace").strip()
            finally:
                connection.close()
        except (OSError, http.client.HTTPException):
            return ""


class _Server(socketserver.ThreadingMixIn, WSGIServer):
    """A thread per peer, a bounded number of them."""

    daemon_threads = True
    timeout = 1.0  # how often the thread looks up even if nothing woke it

    def __init__(self, host: str, port: int, app: WSGIApplication) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._free = BoundedSemaphore(_PEERS)
        super().__init__((host, port), _Handler)
        self.set_app(app)

    def server_bind(self) -> None:
        """Bind without asking the resolver for the host's name, which may take long."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]
        self.setup_environ()

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._free.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._free.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a peer that went away is its own affair."""


class _Handler(WSGIRequestHandler):
    timeout = _PEER_SECONDS

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  (the base class's name for it)
        """Log nothing."""

    def get_stderr(self) -> io.StringIO:
        """Keep tracebacks about peers that went away out of the program's stderr."""
        return io.StringIO()


def _routed(app: WSGIApplication, family: str) -> WSGIApplication:
    def routed(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path == PATH:
            return app(environ, start_response)
        status, text = ("200 OK", family) if path == _WHO_PATH else ("404 Not Found", f"The metrics are at {PATH}\n")
        start_response(status, [("Content-Type", "text/plain; charset=utf-8")])
        return [text.encode()]

    return routed
