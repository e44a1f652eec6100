"""A real server, started as a user would, hosting real projects of each kind."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import Algorithmia
import pytest
import requests

PROJECTS = Path(__file__).parent / "projects"
collect_ignore = ["projects"]
"""Algorithms are no tests: importing one would run it."""


class Serving:
    """A running `algoprof serve`."""

    def __init__(
        self, data: Path, *directories: Path, env: dict[str, str] | None = None, options: Sequence[str] = ()
    ) -> None:
        self.data = data
        command = [sys.executable, "-m", "algoprof", "serve"]
        self.errors = data.parent / f"{data.name}.stderr"
        with self.errors.open("wb") as errors:
            self.process = subprocess.Popen(
                [*command, *map(str, directories), "--port", "0", "--data", str(data), *options],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=os.environ | (env or {}),
            )
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().strip()  # '' if it ends instead
        self.session = requests.Session()
        if self.address:
            self.key = (data / "key").read_text().strip()
            self.session.headers["Authorization"] = f"Simple {self.key}"

    @property
    def said(self) -> str:
        """What it has printed on stderr."""
        return self.errors.read_text()

    def post(self, algorithm: str, content: Any = None, **options: Any) -> requests.Response:
        """Call an algorithm with JSON, unless `data` and `headers` are given."""
        if "data" not in options:
            options |= {"data": json.dumps(content), "headers": {"Content-Type": "application/json"}}
        return self.session.post(f"{self.address}/v1/algo/{algorithm}", timeout=60, **options)

    def call(self, algorithm: str, content: Any = None, **options: Any) -> Any:
        """Call an algorithm with JSON and return the answer, whatever it is, if its status is 200."""
        answer = self.post(algorithm, content, **options)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def get(self, path: str, **query: Any) -> requests.Response:
        """Ask the server."""
        return self.session.get(self.address + path, params=query, timeout=60)

    def client(self) -> Any:
        """Return the official client."""
        client = Algorithmia.client(f"Simple {self.key}", self.address)
        self.official = client.requestSession
        return client

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and return the exit status."""
        self.session.close()
        if self.process.poll() is None:
            self.process.send_signal(number)
        status = self.process.wait(20)
        self.process.stdout.close()  # type: ignore[union-attr]
        return status


@pytest.fixture(scope="session")
def projects(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return a copy of one of the projects in `projects/`, so that no test writes among the sources."""
    directory = tmp_path_factory.mktemp("projects")

    def copy(name: str) -> Path:
        target = directory / name
        if not target.exists():
            shutil.copytree(PROJECTS / name, target, ignore=shutil.ignore_patterns("__pycache__"))
        return target

    return copy


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, projects: Callable[[str], Path]) -> Iterator[Serving]:
    """A server that hosts one project of each kind and one that calls another, and knows the failed `demo/Broken`."""
    directories = [projects(name) for name in ("plain", "classic", "adk", "traced", "caller", "broken")]
    serving = Serving(tmp_path_factory.mktemp("server") / "data", *directories)
    assert serving.address, serving.said
    yield serving
    assert serving.stop() == 0, serving.said


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Serving]]:
    """Start a server of this test's own; it is stopped at the end."""
    started: list[Serving] = []

    def start(*directories: Path, data: Path | None = None, **options: Any) -> Serving:
        serving = Serving(data or tmp_path / f"server{len(started)}", *directories, **options)
        started.append(serving)
        return serving

    yield start
    for serving in started:
        serving.stop(signal.SIGTERM)


@pytest.fixture
def project(tmp_path: Path) -> Callable[..., Path]:
    """Write a project: `project("name", {"main.py": "..."})` returns its folder."""

    def write(name: str, files: dict[str, str]) -> Path:
        for path, text in files.items():
            file = tmp_path / name / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        return tmp_path / name

    return write
