"""The command line in processes of its own, and a platform for it to call."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def algoprof(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run `python -m algoprof` with these arguments and return what it printed."""

    def run(*arguments: str, env: dict[str, str] | None = None, **options: Any) -> subprocess.CompletedProcess[Any]:
        stdin = {} if "input" in options else {"stdin": subprocess.DEVNULL}
        return subprocess.run(
            [sys.executable, "-m", "algoprof", *arguments],
            check=False,
            cwd=tmp_path,
            env=os.environ | (env or {}),
            timeout=60,
            **{"text": True, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **stdin, **options},
        )

    return run


class Platform:
    """Answers each call with what `answer` makes of its path, headers and body."""

    address = ""

    def __init__(self) -> None:
        self.written: Callable[[bytes], bytes] = lambda body: body
        """What of an answer's JSON goes over the wire."""
        self.answer: Callable[[str, dict[str, str], bytes], tuple[int, Any]] = lambda path, headers, body: (
            200,
            {"result": json.loads(body), "metadata": {"content_type": "json", "duration": 0.25, "stdout": "printed\n"}},
        )


@pytest.fixture
def platform(monkeypatch: pytest.MonkeyPatch) -> Iterator[Platform]:
    """Serve a platform, and let ALGORITHMIA_API name it."""
    state = Platform()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received = self.rfile.read(int(self.headers["Content-Length"]))
            status, answer = state.answer(self.path, {k.lower(): v for k, v in self.headers.items()}, received)
            body = state.written(json.dumps(answer).encode())
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with suppress(OSError):  # whoever is interrupted closes
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        state.address = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setenv("ALGORITHMIA_API", state.address)
        monkeypatch.setenv("ALGORITHMIA_API_KEY", "simVerySecretKey")
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield state
        server.shutdown()
        thread.join()
