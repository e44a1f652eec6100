"""What `server_cost.py` asks: a bare Starlette endpoint on uvicorn, and `algoprof serve` with algorithms that echo.

Run as a program it is the bare endpoint, with uvicorn's own choices, and prints its address.
"""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

_REQUIREMENTS = "algorithmia==2.0.5\nalgorithmia-adk==1.2.4\nalgoprof\n"  # of all alike: one environment to build
_PLAIN = "def apply(input):\n    return input\n"
_ADK = "from Algorithmia import ADK\n\n\ndef apply(input):\n    return input\n\n\nADK(apply).init()\n"
_TRACED = """
from algoprof import profile, section


@profile
def apply(input):
    with section("outer"):
        with section("inner"):
            return input
"""
_SIZED = """
import json


def apply(input):
    size = 12 * 1024 * 1024
    if isinstance(input, bytes):
        return bytes(size)
    if isinstance(input, str):
        return "a" * size
    return [12345.678] * ((size // len("12345.678,") + 1))
"""
SOURCES = {
    "Plain": _PLAIN,
    "Adk": _ADK,
    "PlainTraced": _TRACED,
    "AdkTraced": f"from Algorithmia import ADK\n{_TRACED}\n\nADK(apply).init()\n",
    "Sized": _SIZED,
}
"""Algorithms, by name: all but the last return what they are given."""


class Served(NamedTuple):
    """A running server.

    Args:
        pid: its process.
        address: where it is.
        key: what lets a caller in; empty if nothing is needed.
    """

    pid: int
    address: str
    key: str

    def url(self, name: str) -> str:
        """Return where an algorithm is called."""
        return f"{self.address}/v1/algo/demo/{name}"

    def processor_seconds(self) -> float:
        """Return what its process and those below it have taken of a processor."""
        return sum(time.clock_gettime(_clock_of(pid)) for pid in _family(self.pid))

    @property
    def headers(self) -> dict[str, str]:
        """What a call with JSON is sent with."""
        return {"Content-Type": "application/json", **({"Authorization": f"Simple {self.key}"} if self.key else {})}


@contextmanager
def bare() -> Iterator[Served]:
    """Run the bare endpoint."""
    with _process([sys.executable, __file__]) as (process, address):
        yield Served(process.pid, address, "")


@contextmanager
def ours(folder: Path, names: Sequence[str], *options: str) -> Iterator[Served]:
    """Run `algoprof serve`.

    Args:
        folder: where projects are written and data is kept; what was built there before is used again.
        names: which of the algorithms.
        options: more of the command line.
    """
    projects = [_written(folder / "projects" / name, name) for name in names]
    command = [sys.executable, "-m", "algoprof", "serve", *map(str, projects), "--port", "0"]
    with (
        (folder / "stderr").open("wb") as errors,
        _process([*command, "--data", str(folder / "data"), *options], errors) as (process, address),
    ):
        assert address, (folder / "stderr").read_text()
        yield Served(process.pid, address, (folder / "data" / "key").read_text().strip())


def _clock_of(pid: int) -> int:
    """Return the clock that counts a process's time, as Linux numbers them."""
    return (~pid << 3) | 2


def _family(pid: int) -> Iterator[int]:
    yield pid
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            yield from _family(int(child))


def _written(project: Path, name: str) -> Path:
    (project / "src").mkdir(parents=True, exist_ok=True)
    (project / "algorithmia.conf").write_text(f'{{"username": "demo", "algoname": "{name}"}}')
    (project / "requirements.txt").write_text(_REQUIREMENTS)
    (project / "src" / f"{name}.py").write_text(SOURCES[name])
    return project


@contextmanager
def _process(
    command: Sequence[str], errors: BinaryIO | int = subprocess.DEVNULL
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True) as process:
        assert process.stdout is not None
        try:
            yield process, process.stdout.readline().strip()
        finally:
            process.terminate()


async def _echo(request: Request) -> JSONResponse:
    return JSONResponse(await request.json())


def main() -> None:
    """Serve the bare endpoint."""
    app = Starlette(routes=[Route("/v1/algo/demo/{name}", _echo, methods=["POST"])])
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", access_log=False))
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:  # asyncio asks for that
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
        server.run(sockets=[listener])


if __name__ == "__main__":
    main()
