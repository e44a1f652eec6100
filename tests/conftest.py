"""What every test starts from: a clean environment, counts that scale, and real programs or a visible reason."""

import fcntl
import gzip
import importlib.util
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import requests
from hypothesis import HealthCheck, settings

settings.register_profile("noisy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("noisy")  # examples are judged by what they find, not by the machine's speed

_OURS = ("ALGOPROF_", "ALGORITHMIA_", "OTEL_")
_KEPT = ("ALGOPROF_WRITER",)  # which writer is being tested
_CHROMIUM = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # the key of an element, as WebDriver says


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="run the large counts in full, not a twentieth of them")


def pytest_configure() -> None:
    """Keep the caller's settings and keys out of everything."""
    for name in list(os.environ):
        if name.startswith(_OURS) and name not in _KEPT:
            del os.environ[name]
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # the many processes of the tests would compile us again and again


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose real program is missing and say so; under CI=true a missing one fails it."""
    for marker in item.iter_markers("real"):
        missing = [program for program in marker.args if shutil.which(program) is None]
        if missing:
            reason = f"needs the program {', '.join(missing)}, which is not on PATH"
            if os.environ.get("CI") == "true":
                pytest.fail(f"{reason}; under CI=true that is a failure", pytrace=False)
            pytest.skip(reason)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the long tests come first, for the others run beside them, and those last that nothing may run beside."""
    items.sort(key=lambda item: (item.get_closest_marker("long") is None, item.get_closest_marker("alone") is not None))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give a file's tests to one process, for their fixtures' sake; those of `tests/server` share a server."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return "tests/server" if nodeid.startswith("tests/server/") else nodeid.partition("::")[0]

    return ByFile(config, log)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Have a test marked `alone` run while none does beside it, unless that is a long one."""
    if not hasattr(item.config, "workerinput") or item.get_closest_marker("long"):
        return (yield)
    shared = item.config._tmp_path_factory.getbasetemp().parent  # type: ignore[attr-defined]
    with (shared / "turns").open("w") as turns, (shared / "running").open("w") as running:
        fcntl.flock(turns, fcntl.LOCK_EX)  # held by who waits to be alone: whoever comes later waits here
        fcntl.flock(running, fcntl.LOCK_EX if item.get_closest_marker("alone") else fcntl.LOCK_SH)
        fcntl.flock(turns, fcntl.LOCK_UN)
        try:
            return (yield)
        finally:
            fcntl.flock(running, fcntl.LOCK_UN)  # closing leaves it to a fork that still has it


# A shell's background jobs ignore these, and children would inherit it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGQUIT) is signal.SIG_IGN:
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)


def _end(number: int, frame: Any, *, tests: int = os.getpid()) -> None:
    """End as at a Ctrl-C, with the processes of side-by-side tests and all that was started; in a fork, just end."""
    if os.getpid() != tests:
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)
    signal.signal(number, lambda *_: None)  # whoever ends a whole group tells each of it twice
    for thread in Path("/proc/self/task").glob("*"):
        with suppress(FileNotFoundError):  # it has ended
            for child in (thread / "children").read_text().split():
                with suppress(ProcessLookupError):
                    os.kill(int(child), number)
    raise KeyboardInterrupt


signal.signal(signal.SIGTERM, _end)


@pytest.fixture(scope="session", autouse=True)
def _hermetic_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the caller's flight files out of whatever outlives one test."""
    with pytest.MonkeyPatch.context() as patch:
        home = tmp_path_factory.mktemp("session")
        patch.setenv("XDG_DATA_HOME", str(home / "data"))
        patch.setenv("ALGOPROF_FLIGHT_DIR", str(home / "flight"))
        patch.setenv("ALGOPROF_ACCOUNTS", str(home / "accounts"))
        yield


@pytest.fixture(autouse=True)
def _hermetic(_hermetic_session: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give each test a flight directory and a data directory of its own."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("ALGOPROF_FLIGHT_DIR", str(tmp_path / "flight"))
    monkeypatch.setenv("ALGOPROF_ACCOUNTS", str(tmp_path / "accounts"))


@pytest.fixture(scope="session")
def scaled(request: pytest.FixtureRequest) -> Callable[[int], int]:
    """`scaled(2000)` is 2000 under `--full`, else 100: a twentieth, and at least 1."""
    full = request.config.getoption("--full")
    return lambda count: count if full else max(1, count // 20)


@pytest.fixture(params=["python", "native"])
def writer(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Have the processes that a test starts record with one of the two writers, and say which; skip a missing one.

    Under CI=true a compiled writer that was not built is a failure.
    """
    name: str = request.param
    if name == "native" and importlib.util.find_spec("algoprof.recorder._native") is None:
        source = Path(__file__).parents[1] / "algoprof" / "recorder" / "_native.pyx"
        reason = "needs the compiled writer, algoprof.recorder._native, which is not built"
        if os.environ.get("CI") == "true" and source.exists():
            pytest.fail(f"{reason}; under CI=true that is a failure", pytrace=False)
        pytest.skip(reason)
    monkeypatch.setenv("ALGOPROF_WRITER", name)
    return name


@pytest.fixture
def run_python(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a script, given as source text or as a path, in a Python process of its own and return what it printed.

    Keywords: `timeout` in seconds; `env`, variables to add; whatever else `subprocess.run` takes.
    """

    def run(
        script: str | Path, *arguments: str, timeout: float = 60, env: dict[str, str] | None = None, **options: Any
    ) -> subprocess.CompletedProcess[str]:
        if isinstance(script, str):
            path = tmp_path / "script.py"
            path.write_text(textwrap.dedent(script), encoding="utf-8")
        else:
            path = script
        return subprocess.run(
            [sys.executable, str(path), *arguments],
            check=False,
            env=os.environ | (env or {}),
            timeout=timeout,
            text=True,
            **{
                "cwd": tmp_path,
                "stdin": subprocess.DEVNULL,
                "stdout": subprocess.PIPE,
                "stderr": subprocess.PIPE,
                **options,
            },
        )

    return run


class Answered(NamedTuple):
    """What a command has answered; a sentence that it fails with is in `stderr`."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def command_line() -> Callable[..., Answered]:
    """Run a command of `algoprof` in this process, where it costs no start.

    Keywords: `env`, variables to add; `given`, its stdin.
    """
    import click
    from click.testing import CliRunner

    from algoprof.cli.main import main
    from algoprof.errors import AlgoprofError

    def run(*arguments: object, env: dict[str, str] | None = None, given: str = "") -> Answered:
        result = CliRunner().invoke(main, list(map(str, arguments)), given, env, standalone_mode=False)
        if isinstance(result.exception, AlgoprofError | click.ClickException):
            return Answered(1, result.stdout, result.stderr + str(result.exception))
        if result.exception is not None:
            raise result.exception
        return Answered(result.return_value or 0, result.stdout, result.stderr)

    return run


@pytest.fixture(scope="session")
def busy() -> str:
    """The source of a function for scripts: `busy(seconds)` computes for so long, and for most of it does so in fact.

    A busy machine may keep the processor to itself.
    """
    return """
import time
def busy(seconds):
    until, enough = time.perf_counter() + seconds, time.thread_time() + 0.7 * seconds
    while time.perf_counter() < until or time.thread_time() < enough:
        pass
"""


@pytest.fixture
def bare_python() -> Callable[[str], str]:
    """Run a script that sees algoprof and the standard library alone, and return what it prints.

    Nothing else loads modules there: neither installed packages nor the measuring of coverage.
    """

    def run(script: str) -> str:
        command = [sys.executable, "-S", "-c", textwrap.dedent(script)]
        environment = {"PYTHONPATH": str(Path(__file__).parents[1])}
        return subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout

    return run


class Prometheus:
    """A real Prometheus that scrapes every 200 ms.

    Args:
        folder: where it keeps its files.
        scrapes: its `scrape_configs`.
    """

    def __init__(self, folder: Path, scrapes: list[dict[str, Any]]) -> None:
        config = {"global": {"scrape_interval": "200ms", "scrape_timeout": "200ms"}, "scrape_configs": scrapes}
        (folder / "prometheus.yml").write_text(json.dumps(config))  # JSON is YAML
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        with (folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [
                    "prometheus",
                    f"--config.file={folder}/prometheus.yml",
                    f"--storage.tsdb.path={folder}/data",
                    f"--web.listen-address=127.0.0.1:{port}",
                ],
                stdout=log,
                stderr=log,
            )

    def query(self, expression: str) -> dict[tuple[str, ...], float]:
        """Return an instant query's values by their label values, the labels in the order of their names."""
        query = urllib.parse.urlencode({"query": expression})
        with urllib.request.urlopen(f"{self.url}/api/v1/query?{query}", timeout=30) as answer:
            results = json.load(answer)["data"]["result"]
        return {
            tuple(value for label, value in sorted(result["metric"].items()) if label != "__name__"): float(
                result["value"][1]
            )
            for result in results
        }

    def read(self, expression: str, *by: str) -> dict[tuple[str, ...], float]:
        """Return the sums of an instant query's values by these labels."""
        return self.query(f"sum by ({', '.join(sorted(by))}) ({expression})")

    def wait_for(self, expression: str) -> None:
        """Wait until an expression gives anything."""
        deadline = time.monotonic() + 60
        while True:
            try:
                if self.query(expression):
                    return
            except OSError:  # it is not there yet
                assert self._process.poll() is None
            assert time.monotonic() < deadline, expression
            time.sleep(0.05)

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Prometheus]]:
    """Start a real Prometheus: `prometheus(name={"targets": ["127.0.0.1:9464"], ...})`, a job to scrape by keyword.

    It begins to scrape after some five seconds.
    """
    started: list[Prometheus] = []

    def start(**jobs: dict[str, Any]) -> Prometheus:
        scrapes = [
            {"job_name": name, "static_configs": [{"targets": options.pop("targets")}], **options}
            for name, options in jobs.items()
        ]
        started.append(Prometheus(tmp_path_factory.mktemp("prometheus"), scrapes))
        return started[-1]

    yield start
    for one in started:
        one.stop()


class Receiver:
    """An OTLP/HTTP receiver: keeps what is posted to `/v1/traces`, and answers with `status`."""

    def __init__(self) -> None:
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

        self.requests: list[Any] = []
        self.headers: list[dict[str, str]] = []
        self.status = 200
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                if self.path == "/v1/traces" and receiver.status == 200:
                    receiver.requests.append(ExportTraceServiceRequest.FromString(body))
                    receiver.headers.append(dict(self.headers))
                self.send_response(receiver.status if self.path == "/v1/traces" else 404)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def spans(self) -> list:
        return [
            span
            for request in self.requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Run an OTLP/HTTP receiver on the official protobuf messages."""
    running = Receiver()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def receiver_module() -> Iterator[Receiver]:
    """Run one that the tests of a module share."""
    running = Receiver()
    yield running
    running.stop()


class Browser:
    """One window of Chromium, steered by the WebDriver protocol."""

    def __init__(self, driver: str) -> None:
        self._http = requests.Session()
        self._http.trust_env = False
        options = {"goog:loggingPrefs": {"browser": "ALL"}, "goog:chromeOptions": {"args": _CHROMIUM}}
        self._base = f"{driver}/session"
        self._base += f"/{self._ask('', {'capabilities': {'alwaysMatch': options}})['sessionId']}"

    def open(self, address: str) -> None:
        self._ask("/url", {"url": address})

    def run(self, script: str, *arguments: Any) -> Any:
        return self._ask("/execute/sync", {"script": script, "args": list(arguments)})

    def tell(self, command: str, **parameters: Any) -> Any:
        """Send a command of Chromium's own."""
        return self._ask("/goog/cdp/execute", {"cmd": command, "params": parameters})

    def look(self, *, width: int = 1200, scheme: str = "light", scripts: bool = True) -> None:
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        self.tell("Emulation.setDeviceMetricsOverride", **size)
        self.tell("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.tell("Emulation.setScriptExecutionDisabled", value=not scripts)

    def element(self, selector: str) -> str:
        return self._ask("/element", {"using": "css selector", "value": selector})[_ELEMENT]

    def type(self, selector: str, text: str) -> None:
        self._ask(f"/element/{self.element(selector)}/value", {"text": text})

    def click(self, selector: str) -> None:
        self._ask(f"/element/{self.element(selector)}/click", {})

    def text(self, selector: str = "main") -> str:
        return self._ask(f"/element/{self.element(selector)}/text")

    @property
    def address(self) -> str:
        return self._ask("/url")

    def complaints(self) -> list[str]:
        """Return what the console says since the last time, a stranger's 401 left out."""
        said = self._ask("/se/log", {"type": "browser"})
        return [one["message"] for one in said if one["level"] in ("SEVERE", "WARNING") and "401" not in one["message"]]

    def close(self) -> None:
        self._http.delete(self._base, timeout=30)
        self._http.close()

    def _ask(self, path: str, content: dict[str, Any] | None = None) -> Any:
        method = "GET" if content is None else "POST"
        answer = self._http.request(method, self._base + path, json=content, timeout=90)
        assert answer.ok, answer.text[:500]
        return answer.json()["value"]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Callable[[], Browser]]:
    """Return a function that opens a window of a real Chromium."""
    if shutil.which("chromedriver") is None:
        pytest.skip("needs chromedriver on PATH (Debian's chromium-driver)")
    command = ["chromedriver", "--port=0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        try:
            for line in process.stdout or ():
                if found := re.search(r"started successfully on port (\d+)", line):
                    yield partial(Browser, f"http://127.0.0.1:{found[1]}")
                    break
        finally:
            os.killpg(process.pid, signal.SIGTERM)  # and any browser that it still has
