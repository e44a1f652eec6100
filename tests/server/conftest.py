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
_ADKS = ("adk", "adk_bare", "adk_unloadable", "adk_unimportable")  # one environment for all
_SHARED = ("plain", "classic", *_ADKS, "traced", "caller", "broken")
collect_ignore = ["projects"]
"""Algorithms are no tests: importing one would run it."""


class Serving:
    """A running `algoprof serve`, once `wait` has returned."""

    def __init__(
        self,
        data: Path,
        *directories: Path,
        env: dict[str, str] | None = None,
        options: Sequence[str] = (),
        before: str = "",
    ) -> None:
        self.data = data
        self._given = (env or {}).get("ALGORITHMIA_API_KEY", "")
        program = f"{before}\nfrom algoprof.cli.main import main\nmain()"  # `before` changes what it would wait for
        command = [sys.executable, *(["-c", program] if before else ["-m", "algoprof"]), "serve"]
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
        self.session = requests.Session()

    def wait(self) -> "Serving":
        """Wait until it serves, or has ended instead; its address is '' then."""
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().strip()
        if self.address:
            kept = self.data / "key"
            self.key = kept.read_text().strip() if kept.exists() else self._given
            self.session.headers["Authorization"] = f"Simple {self.key}"
        return self

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


def _copy(name: str, directory: Path) -> Path:
    """Copy one of the projects in `projects/`, so that no test writes among the sources, and return where it is."""
    return shutil.copytree(PROJECTS / name, directory / name, ignore=shutil.ignore_patterns("__pycache__"))


@pytest.fixture(scope="session", autouse=True)
def _begun(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving | None]:
    """Start the server that many tests share with the first of this folder: while it builds, the others run."""
    if not any("server" in getattr(item, "fixturenames", ()) and _is_here(item) for item in request.session.items):
        yield None
        return
    folder = tmp_path_factory.mktemp("server")
    directories = [_copy(name, folder) for name in _SHARED]
    directories.append(directories[0].rename(folder / "second"))
    directories[0] = _copy("plain", folder)
    env = {"XDG_DATA_HOME": str(folder / "home"), "ALGOPROF_FLIGHT_DIR": str(folder / "flight")}
    serving = Serving(folder / "data", *directories, env=env, options=["--parent", str(os.getpid())])
    yield serving
    serving.stop()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let these come early, as they stay together, and those that need no shared server first: meanwhile it builds."""
    places = [place for place, item in enumerate(items) if _is_here(item)]
    ours = sorted((items[place] for place in places), key=lambda item: "server" in getattr(item, "fixturenames", ()))
    for place, item in zip(places, ours, strict=True):
        item.add_marker("long")
        items[place] = item


def _is_here(item: pytest.Item) -> bool:
    return item.path.is_relative_to(Path(__file__).parent)


@pytest.fixture(scope="session")
def server(_begun: Serving) -> Iterator[Serving]:
    """A server that hosts one project of each kind and one that calls another, and knows the failed `demo/Broken`."""
    serving = _begun.wait()
    assert serving.address, serving.said
    yield serving
    assert serving.stop() == 0, serving.said


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Serving]]:
    """Start a server of this test's own; it is stopped at the end."""
    yield from _starting(tmp_path)


@pytest.fixture(scope="module")
def serve_module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Serving]]:
    """Start a server that the tests of a module share; it is stopped when they are done."""
    yield from _starting(tmp_path_factory.mktemp("servers"))


def _starting(folder: Path) -> Iterator[Callable[..., Serving]]:
    started: list[Serving] = []

    def start(*directories: Path, data: Path | None = None, **options: Any) -> Serving:
        serving = Serving(data or folder / f"server{len(started)}", *directories, **options)
        started.append(serving)
        return serving.wait()

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
