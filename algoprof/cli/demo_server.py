"""The server that `algoprof demo` starts for itself: a process of its own, whose data goes when it goes."""

import contextlib
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import requests

from algoprof.errors import ServerError

_START = 150.0  # seconds for the build and the start; installing takes most of them
_STOP = 10.0  # seconds in which it may end by itself
_LAST_WORDS = 5  # lines shown of a server that ended too early


class DemoServer:
    """A server of our own for one project, as a context manager: it runs inside, and is gone with its data afterwards.

    Args:
        project: the folder to host.
        say: is told each line that the server says about its build.

    Raises:
        ServerError: on entering, if the server does not start; the message has its last words.
    """

    address: str
    """Where it serves."""
    home: Path
    """The folder above its data; as `XDG_DATA_HOME` it makes the command line find this server and its key."""

    def __init__(self, project: Path, say: Callable[[str], None]) -> None:
        self._project = project
        self._say = say
        self.home = Path(tempfile.mkdtemp(prefix="algoprof-demo-"))
        self._heard: queue.SimpleQueue[tuple[str, str] | None] = queue.SimpleQueue()
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        try:
            self._start()
            self.address = self._wait_for_address()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def key(self) -> str:
        """The API key that it made for itself."""
        return (self._data / "key").read_text(encoding="ascii").strip()

    def get(self, path: str) -> dict[str, Any]:
        """Return what one of its routes answers.

        Raises:
            OSError: if it does not answer, or refuses.
        """
        with requests.Session() as session:
            session.trust_env = False  # a proxy for the outside is no way to this very machine
            answer = session.get(self.address + path, headers={"Authorization": f"Simple {self.key}"}, timeout=10)
        answer.raise_for_status()
        value: dict[str, Any] = answer.json()
        return value

    @property
    def _data(self) -> Path:
        return self.home / "algoprof"

    def stop(self) -> None:
        """End the server and what it hosts, and remove its data. Does nothing if it has ended."""
        process, self._process = self._process, None
        if process:
            process.terminate()
            try:
                process.wait(_STOP)
            except subprocess.TimeoutExpired:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        shutil.rmtree(self.home, ignore_errors=True)

    def wait(self) -> None:
        """Wait until the server ends."""
        if self._process:
            self._process.wait()

    def _start(self) -> None:
        command = [sys.executable, "-P", "-m", "algoprof", "serve", str(self._project), "--port", "0"]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("ALGORITHMIA_")}
        self._process = subprocess.Popen(
            [*command, "--data", str(self._data), "--parent", str(os.getpid())],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,  # Ctrl-C in the terminal is for the demo, which then stops the server in order
        )
        for name, stream in (("out", self._process.stdout), ("err", self._process.stderr)):
            threading.Thread(target=self._listen, args=(name, stream), daemon=True).start()

    def _listen(self, name: str, stream: IO[str]) -> None:
        """Read to the end, so that the server never waits for us."""
        with stream:
            for line in stream:
                self._heard.put((name, line.rstrip()))
        self._heard.put(None)

    def _wait_for_address(self) -> str:
        deadline = time.monotonic() + _START
        said: list[str] = []
        while True:
            try:
                heard = self._heard.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise ServerError(f"the server was not ready within {_START:g} s{_quote(said)}") from None
            if heard is None:
                raise ServerError(f"the server ended instead of serving{_quote(said)}")
            name, line = heard
            if name == "out" and line.startswith("http://"):
                return line
            if name == "err" and line and "key" not in line.lower():  # the key is nobody else's business
                said.append(line)
                self._say(line)


def _quote(said: list[str]) -> str:
    return f": {' '.join(said[-_LAST_WORDS:])}" if said else ""
