"""`algoprof serve` itself: binds, builds, announces its address, serves, and leaves nothing behind."""

import asyncio
import contextlib
import errno
import fcntl
import ipaddress
import os
import shlex
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import uvicorn
from starlette.types import ASGIApp

from algoprof import delivery
from algoprof.errors import ProjectError, ServerError
from algoprof.server import connections, remnants
from algoprof.server.access import keyring, keys
from algoprof.server.access.callers import Callers
from algoprof.server.access.keyring import OWN, Keyring
from algoprof.server.app import application
from algoprof.server.building import projects
from algoprof.server.building.builds import Builder, temporary_folder
from algoprof.server.building.watching import Watcher
from algoprof.server.data.folders import Folders
from algoprof.server.data.routes import DEFAULT_LIMIT, Data
from algoprof.server.hosting.host import Host, worker_environment
from algoprof.server.limits import Limits
from algoprof.server.monitoring.monitor import Monitor
from algoprof.server.monitoring.scrapes import Scrapers
from algoprof.server.pages.visitors import Visitors
from algoprof.server.scratch import Scratch
from algoprof.server.state import recovery
from algoprof.server.state.store import Store, opened

if TYPE_CHECKING:
    from algoprof.server.access.tokens import Issuer

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_GRACE = 2  # seconds for answers under way to be sent once the workers are dead


def serve(
    directories: Sequence[str],
    *,
    host: str,
    port: int,
    data: Path,
    limits: Limits = Limits(),  # noqa: B008  (frozen)
    file_limit: int = DEFAULT_LIMIT,
    watched: bool = False,
    issuer: "Issuer | None" = None,
    failures_by_status: bool = False,
) -> int:
    """Serve the algorithms of some folders until SIGINT, SIGTERM or SIGHUP, and return the exit status.

    The first line on stdout is the server's address. Progress goes to stderr.

    Args:
        directories: one project each.
        host: the address to bind.
        port: 0 for a free one.
        data: the data directory, made if it is not there.
        limits: how much it takes on.
        file_limit: bytes that a file of the data API may have.
        watched: whether a folder that changes is built anew while it is served.
        issuer: whose tokens are taken besides keys; None to take none.
        failures_by_status: whether a call that failed is told by its HTTP status as well.

    Returns:
        0 if it has served, 128 and the signal's number if that came before.

    Raises:
        ServerError: if it cannot start.
        ProjectError: if the only project cannot be built; if it is watched, it may still be corrected.
        OSError: if the data directory cannot be used.
    """
    if not hasattr(os, "pidfd_open"):
        raise ServerError("algoprof serve needs Linux 5.3 or later, whose process descriptors it uses")
    with _data_directory(data):
        where = _resolved(host, port)
        found = keys.find(data)
        with keyring.opened(data) as ring:
            own = found.origin == "environment" or issuer is not None or any(key.id != OWN for key in ring.all())
            if not own and not _is_loopback(where):
                raise ServerError(
                    f"--host {host} can be reached from other machines, and nobody has a key for that yet: make one"
                    f" with `algoprof keys create --data-dir {shlex.quote(str(data))}`, or set {keys.VARIABLE}"
                )
            if found.origin == "kept":
                ring.own(found.key)
            with (
                _bound(host, where) as listener,
                contextlib.closing(Scratch(data)) as scratch,
                opened(data) as store,
                contextlib.closing(Folders(data / "files")) as folders,
            ):
                callers = Callers(found, ring, issuer)
                _recover(scratch, data, store)
                monitor = Monitor()
                hosted = Host(
                    store,
                    Builder(data, store, _say, monitor.build_ended),
                    scratch.path,
                    _say,
                    callers=callers,
                    limits=limits,
                    monitor=monitor,
                    failures_by_status=failures_by_status,
                )
                visitors, scrapers = Visitors(callers), Scrapers(callers, local=_is_loopback(where))
                app = application(hosted, Data(folders, store, file_limit), callers, visitors, scrapers)
                delivery.start_from_environment()  # what is wrong with an exporter is told before anything is served
                announced = partial(_announced, found=found, ring=ring, data=data, visitors=visitors)
                try:
                    return asyncio.run(_run(directories, listener, app, hosted, announced, watched=watched))
                finally:
                    recovery.recover(scratch.path, store, "was stopped")  # what there was no time to write


async def _run(
    directories: Sequence[str],
    listener: socket.socket,
    app: ASGIApp,
    host: Host,
    announced: Callable[[str], AbstractContextManager[None]],
    *,
    watched: bool,
) -> int:
    loop = asyncio.get_running_loop()
    stopped: asyncio.Future[int] = loop.create_future()
    for number in _SIGNALS:
        loop.add_signal_handler(number, _resolve, stopped, number)
    address = _address(listener)
    host.environment = worker_environment(address)
    server = _Server(
        uvicorn.Config(
            app,
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
    watching = asyncio.create_task(connections.watch(server.server_state.connections))
    watcher = Watcher(directories if watched else ())
    building = asyncio.create_task(_build(directories, host, correctable=watcher.watches))
    ends: set[asyncio.Future[Any]] = {stopped, serving}
    try:
        await asyncio.wait({building, *ends}, return_when=asyncio.FIRST_COMPLETED)
        if stopped.done():
            _say(f"stopped by {signal.Signals(stopped.result()).name} before anything was served")
            return 128 + stopped.result()
        building.result()
        building = asyncio.create_task(watcher.follow(host, _say))
        with announced(address):
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        return 0
    finally:
        building.cancel()
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await building
        await host.stop()
        server.should_exit = True
        await serving
        watching.cancel()


@contextlib.contextmanager
def _announced(address: str, *, found: keys.KeyFound, ring: Keyring, data: Path, visitors: Visitors) -> Iterator[None]:
    """Tell where the server is: who started it on stdout, the command line by a file that goes with the server."""
    if found.origin == "made":
        ring.own(found.key)
        _say(f"made an API key, kept in {keys.keep(found.key, data)}: {found.key.text}")
    _say(f"the page, once without a key: {visitors.link(address)}")
    file = data / "address"
    _write_private(file, address)
    print(address, flush=True)  # noqa: T201  (the one line of output that scripts read)
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


class _Server(uvicorn.Server):
    """uvicorn, but for the signals, which are ours."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _build(directories: Sequence[str], host: Host, *, correctable: bool) -> None:
    """Build the projects one after the other; those that cannot be built are told and left out.

    Raises:
        ProjectError: if there is one project and it fails, and it is not correctable while it is served.
        ServerError: if there are several and all fail, likewise, or two are the same algorithm.
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
            if len(directories) > 1 or correctable:
                _say(f"left out{' until it is corrected' if correctable else ''}: {failed}")
        else:
            _say(f"serving {project.algorithm} version {version.semantic}")
    if len(failures) == len(directories) and not correctable:
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
        for left in (data / "address", *data.glob(f"*{keys.UNFINISHED}")):  # of a server that was killed
            left.unlink(missing_ok=True)
        yield
    finally:
        os.close(lock)


def _recover(scratch: Scratch, data: Path, store: Store) -> None:
    """End what servers of this data directory left running when they were killed, and keep what they left in memory."""
    lost = 0
    for left in scratch.left():
        remnants.end(left)
        lost += recovery.recover(left, store)
    if temporary_folder(data).exists():
        remnants.end(temporary_folder(data))
    if lost:
        _say(f"{lost} calls were under way when the server was killed; their runs are kept as lost")


class _Where(NamedTuple):
    """What `getaddrinfo` says, of which the first is taken."""

    family: int
    kind: int
    protocol: int
    canonical: str
    name: tuple[Any, ...]


def _resolved(host: str, port: int) -> _Where:
    try:
        return _Where(*socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0])
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ServerError(f"--host {host} cannot be resolved ({reason}); give an address of this machine") from None


@contextlib.contextmanager
def _bound(host: str, where: _Where) -> Iterator[socket.socket]:
    with socket.socket(where.family, where.kind, where.protocol) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(where.name)
            listener.listen(1024)
        except OSError as error:
            hint = "--port 0 takes a free port" if error.errno == errno.EADDRINUSE else "is it one of this machine?"
            raise ServerError(f"{host}:{where.name[1]} cannot be bound ({error.strerror}); {hint}") from None
        listener.setblocking(False)
        yield listener


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _is_loopback(where: _Where) -> bool:
    return ipaddress.ip_address(str(where.name[0]).partition("%")[0]).is_loopback


def _write_private(path: Path, text: str) -> None:
    unfinished = path.with_suffix(keys.UNFINISHED)
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text + "\n")
    unfinished.replace(path)


def _resolve(future: asyncio.Future[int], number: int) -> None:
    if not future.done():
        future.set_result(number)


def _say(text: str) -> None:
    with contextlib.suppress(OSError):  # who watched may have gone, and the server goes on
        print(text, file=sys.stderr, flush=True)  # noqa: T201  (progress, for whoever watches)
