"""A package index that fails in each of the ways that indexes do: one path for each, over HTTP, and one over TLS."""

import contextlib
import ssl
import subprocess
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self


class Index:
    """Serves at `address` and, with a certificate that nobody trusts, at `tls_address`, for the time of a `with`."""

    def __init__(self) -> None:
        self._over = contextlib.ExitStack()
        self.stopping = threading.Event()

    def __enter__(self) -> Self:
        folder = self._over.enter_context(tempfile.TemporaryDirectory())
        plain, tls = self._server(), self._server()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*_certificate(Path(folder)))
        tls.socket = context.wrap_socket(tls.socket, server_side=True)
        self.address = f"http://127.0.0.1:{plain.server_port}"
        self.tls_address = f"https://127.0.0.1:{tls.server_port}"
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        self._over.close()

    def _server(self) -> ThreadingHTTPServer:
        server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self.stopping))
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        self._over.callback(server.server_close)
        self._over.callback(server.shutdown)
        return server


def _handler(stopping: threading.Event) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        """`/silent` never answers, `/short` breaks off, `/NNN` answers with that status."""

        def do_GET(self) -> None:
            what = self.path.split("/")[1]
            if what == "silent":
                stopping.wait(600)
                return
            status = int(what) if what.isdecimal() else 200
            page = b'<html><a href="/short/six-1.16.0.tar.gz">six-1.16.0.tar.gz</a></html>'
            body = b"\x1f\x8b" + bytes(100) if self.path.endswith(".gz") else page
            self.send_response(status)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body) + 500_000 * self.path.endswith(".gz")))
            if status == 401:
                self.send_header("WWW-Authenticate", 'Basic realm="packages"')
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler


def _certificate(folder: Path) -> tuple[str, str]:
    certificate, key = str(folder / "certificate.pem"), str(folder / "key.pem")
    asked = ["openssl", "req", "-x509", "-nodes", "-newkey", "rsa:2048", "-days", "1", "-subj", "/CN=127.0.0.1"]
    subprocess.run([*asked, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    return certificate, key
