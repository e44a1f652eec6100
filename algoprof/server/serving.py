"""`algoprof serve` itself: binds, builds, announces its address, serves, and leaves nothing behind."""

import asyncio
import contextlib
import fcntl
import ipaddress
import os
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import uvicorn

from algoprof.errors import ProjectError, ServerError
from algoprof.server import keys, projects
from algoprof.server.app import application
from algoprof.server.builds import Builder
from algoprof.server.hosting import Host, worker_environment
from algoprof.server.scratch import Scratch
from algoprof.server.store import Store

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_GRACE = 2  # seconds for answers under way to be sent once the workers are dead


def serve(directories: Sequence[str], *, host: str, port: int, data: Path) -> None:
    """Serve the algorithms of some folders until SIGINT, SIGTERM or SIGHUP.

    The first line on stdout is the server's address. Progress goes to stderr.

    Args:
        directories: one project each.
        host: the address to bind.
        port: 0 for a free one.
        data: the data directory, made if it is not there.

    Raises:
        ServerError: if it cannot start.
        ProjectError: if the only project cannot be built.
        OSError: if the data directory cannot be used.
    """
    if not hasattr(os, "pidfd_open"):
        raise ServerError("algoprof serve needs Linux 5.3 or later, whose process descriptors it uses")
    with _data_directory(data):
        found = keys.find(data)
        if found.origin != "environment" and not _is_loopback(host):
            raise ServerError(
                f"--host {host} can be reached from other machines; set {keys.VARIABLE} to a key of your own for that"
            )
        if found.origin == "made":
            _say(f"made an API key, kept in {data / 'key'}: {found.key.text}")
        with _bound(host, port) as listener, contextlib.closing(Scratch()) as scratch:
            asyncio.run(_run(directories, listener, data, found.key, scratch.path))


async def _run(directories: Sequence[str], listener: socket.socket, data: Path, key: keys.Key, scratch: Path) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in _SIGNALS:
        loop.add_signal_handler(number, stop.set)
    address = _address(listener)
    with contextlib.closing(Store(data / "algoprof.sqlite3")) as store:
        host = Host(store, Builder(data, store, _say), scratch)
        host.environment = worker_environment(address, key.text)
        server = _Server(
            uvicorn.Config(
                application(host, key),
                http="h11",
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=_GRACE,
            )
        )
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        stopping = asyncio.create_task(stop.wait())
        building = asyncio.create_task(_build(directories, host))
        try:
            await asyncio.wait({building, stopping, serving}, return_when=asyncio.FIRST_COMPLETED)
            if building.done() and not stop.is_set():
                building.result()
                _write_private(data / "address", address)
                print(address, flush=True)  # noqa: T201  (the one line of output that scripts read)
                await asyncio.wait({stopping, serving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            building.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await building
            await host.stop()
            server.should_exit = True
            await serving
            stopping.cancel()


class _Server(uvicorn.Server):
    """uvicorn, but for the signals, which are ours."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _build(directories: Sequence[str], host: Host) -> None:
    """Build the projects one after the other; those that cannot be built are told and left out.

    Raises:
        ProjectError: if there is one project and it fails.
        ServerError: if there are several and all fail, or two are the same algorithm.
    """
    taken: dict[str, Path] = {}
    failures: list[ProjectError] = []
    for directory in directories:
        try:
            project = projects.find(directory)
            if project.algorithm in taken:
                both = f"{taken[project.algorithm]} and {project.path}"
                raise ServerError(f"{both} are both {project.algorithm}; change one {projects.CONFIGURATION}")
            taken[project.algorithm] = project.path
            version = await host.add(project)
        except ProjectError as failed:
            failures.append(failed)
            if len(directories) > 1:
                _say(f"left out: {failed}")
        else:
            _say(f"serving {project.algorithm} version {version.semantic}")
    if len(failures) == len(directories):
        if len(failures) == 1:
            raise failures[0]
        raise ServerError("none of the projects could be built; what is wrong with each is told above")


@contextlib.contextmanager
def _data_directory(data: Path) -> Iterator[None]:
    """Make the data directory and hold it for this server alone."""
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = os.open(data / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ServerError(
                f"another server uses {data}; stop it, or give this one its own with --data DIR"
            ) from None
        yield
    finally:
        os.close(lock)


@contextlib.contextmanager
def _bound(host: str, port: int) -> Iterator[socket.socket]:
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
    except (OSError, OverflowError, UnicodeError) as error:
        raise ServerError(f"--host {host} is no address of this machine ({error})") from None
    with listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(where)
            listener.listen(1024)
        except (OSError, OverflowError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise ServerError(f"{host}:{port} cannot be bound ({reason}); --port 0 takes a free port") from None
        listener.setblocking(False)
        yield listener


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _write_private(path: Path, text: str) -> None:
    unfinished = path.with_suffix(".new")
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text + "\n")
    unfinished.replace(path)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201  (progress, for whoever watches)
