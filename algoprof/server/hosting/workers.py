"""One worker: a process that hosts an algorithm and answers one request at a time, and all that it has started.

The pipe protocol is the platform's: a marker on stdout once loaded, JSON lines on stdin, each reply one JSON value on a
FIFO. Reading rules, all learned the hard way: one reader per FIFO; read to its end, not to the end of the JSON; take
what is on stdout after the reply, without waiting.
"""

import asyncio
import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import termios
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from algoprof import control
from algoprof.errors import ServerError
from algoprof.server.access import keys
from algoprof.server.access.callers import Admitted
from algoprof.server.hosting import bootstrap, cold_starts, keeper
from algoprof.server.hosting.flights import FOLDER, Flights
from algoprof.server.hosting.output import Output

ADDRESS = "ALGORITHMIA_API"
"""The environment variable that tells an algorithm where the platform is."""
MAX_REPLY = 15 * 1024 * 1024
"""Bytes of a result that are accepted, before base64."""
_MAX_REPLY_RAW = MAX_REPLY * 4 // 3 + 64 * 1024
_CHUNK = 256 * 1024
_CHUNKS_AT_ONCE = 64  # then others on the event loop get their turn
_DEATH_WAIT = 5.0  # seconds for the kernel to end a killed process
_GRACE = 1.0  # seconds for an idle worker to end by itself


class Exited(Exception):  # noqa: N818  (an event, whose number is what counts)
    """The worker's process has ended.

    Args:
        code: its exit code, or minus the signal that ended it.
    """

    def __init__(self, code: int) -> None:
        self.code = code
        why = f" ({signal.Signals(-code).name})" if code < 0 and -code in set(signal.Signals) else ""
        super().__init__(f"exited with code {code}{why}")


class Unasked(Exception):  # noqa: N818  (an event)
    """A worker that has answered before has ended, or closed its end of the pipe, before it read of this request."""


class ReplyTooLarge(Exception):  # noqa: N818  (an event)
    """A reply was longer than is accepted; it was read to its end and thrown away."""


@dataclass(frozen=True, slots=True)
class Program:
    """What a worker runs.

    Args:
        python: the interpreter of the build's environment.
        root: the folder it runs in.
        kind: how it is run, see `projects.Kind`.
        module: what it imports.
        environment: environment variables to add to the server's own.
    """

    python: Path
    root: Path
    kind: str
    module: str
    environment: Mapping[str, str]


class Worker:
    """A running worker. Everything happens on the event loop that started it; `halt` and `close` are always safe.

    Args:
        program: what it runs.
        directory: where it gets its private directory.
        admitted: what it is to the server when it calls it.
    """

    def __init__(self, program: Program, directory: Path, admitted: Admitted) -> None:
        self._loop = asyncio.get_running_loop()
        self.admitted = admitted
        self.directory = directory / f"worker-{uuid.uuid4().hex}"
        self.flights: Flights | None = None
        """Where it records; None once it has been closed."""
        self.starts = self.directory / "starts"
        """Where it notes how its start goes, see `cold_starts`."""
        self._fifo = self.directory / "reply"
        self._control_path = self.directory / "control"
        self._control_page: control.Page | None = None
        self._noted_pid = self.directory / keeper.PID
        try:
            self.flights = Flights(self.directory)
            self._process, self._pidfd = self._start(program)
        except OSError as error:
            admitted.end()
            self.flights = None
            raise ServerError(f"no worker could be started: {error}") from error
        self.started: float | None = None
        """When the handing over of the request now running began, on the event loop's clock."""
        self.exited: asyncio.Future[int] = self._loop.create_future()
        """Done once it has ended, with all that it has started: the exit code, or minus the signal."""
        self._answered = False
        self._waiter: asyncio.Future[None] | None = None  # of `_first`
        self._output = Output(self._loop, _pipe(self._process.stdout), marker=bootstrap.READY)
        self._requests = _pipe(self._process.stdin)
        self._loop.add_reader(self._pidfd, self._on_exit)
        for event in (self.exited, self._output.marked):
            event.add_done_callback(self._wake)

    @property
    def pid(self) -> int:
        """The process id of the algorithm, also that of its process group; 0 while it has not begun."""
        try:
            return int(self._noted_pid.read_text("ascii") or 0)
        except FileNotFoundError:
            return 0

    @property
    def alive(self) -> bool:
        """Whether it can take a request."""
        return not self.exited.done()

    @property
    def loaded(self) -> bool:
        """Whether the algorithm is loaded."""
        return self._output.marked.done()

    async def load(self, deadline: float) -> None:
        """Wait until the algorithm is loaded.

        Args:
            deadline: on the event loop's clock.

        Raises:
            TimeoutError: at the deadline; the worker goes on.
            Exited: if the process ends instead.
        """
        await self._first(self._output.marked, deadline)

    def tell(self, request: control.Request) -> None:
        """Have its control page say what it is about to be asked.

        Raises:
            OSError: if that cannot be written.
        """
        if self._control_page is None:
            self._control_page = control.Page(self._control_path)
        self._control_page.write(request)

    async def answer(self, line: bytes, deadline: float) -> tuple[bytearray, float]:
        """Send one request line and return the reply and the seconds that it ran.

        The seconds count from the moment the line begins to be sent to the moment the whole reply is read.

        Raises:
            TimeoutError: at the deadline. The worker must be killed then.
            Exited: if the process ends without a reply.
            ReplyTooLarge: if the reply is too long.
            Unasked: if nothing of the request was read, so that another worker may have it.
        """
        self.started = None
        reply: asyncio.Future[bytearray] = self._loop.create_future()
        fifo = os.open(self._fifo, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        reader = _ReplyReader(fifo, reply, self._wake)
        self._loop.add_reader(fifo, reader.read)
        try:
            self.started = started = self._loop.time()  # before: the algorithm may run before the sending has returned
            await self._send(line, deadline)
            try:
                await self._first(reply, deadline)
            except Exited:
                reader.read(last=True)  # it may have replied with its last breath
                if not reply.done():
                    if self._answered and self._unread() == len(line):
                        raise Unasked from None
                    raise
            self._answered = True
            return reply.result(), self._loop.time() - started
        finally:
            self._loop.remove_reader(fifo)
            os.close(fifo)

    def discard_output(self) -> None:
        """Forget what was printed since the last request, unless it was printed while loading."""
        self._output.discard()

    def take_output(self) -> str:
        """Return what was printed up to now, an unfinished last line included."""
        return self._output.take()

    async def halt(self) -> None:
        """End it and all that it has started at once, stopped processes too; what it printed and recorded stays."""
        for number in (signal.SIGTERM, signal.SIGKILL):  # the latter if its keeper does not get to it
            if not self.exited.done():
                os.kill(self._process.pid, number)  # not reaped yet, so the number is its own
                os.kill(self._process.pid, signal.SIGCONT)
                await asyncio.wait({self.exited}, timeout=_DEATH_WAIT)

    async def end(self) -> None:
        """Let an idle worker end by itself, so that what it still has to deliver gets out; then halt it."""
        self._close_requests()
        await asyncio.wait({self.exited}, timeout=_GRACE)
        await self.halt()

    def close(self) -> None:
        """Remove everything that belongs to an ended worker."""
        self.admitted.end()
        self._close_requests()
        self._output.close()
        if self._control_page is not None:
            self._control_page.close()
            self._control_page = None
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._fifo.unlink(missing_ok=True)
        self.flights = None  # its directory goes as soon as nobody reads them

    def _start(self, program: Program) -> tuple[subprocess.Popen[bytes], int]:
        """Start the process and return it with a descriptor that tells of its end."""
        os.mkfifo(self._fifo, 0o600)
        environment = {
            **program.environment,
            ADDRESS: program.environment[ADDRESS] + self.admitted.path,
            keys.VARIABLE: self.admitted.key.text,
            "ALGOPROF_REPLY_FIFO": str(self._fifo),
            keeper.SERVER: str(os.getpid()),
            keeper.WORKER: str(self._noted_pid),
            "ALGOPROF_FLIGHT_DIR": str(self.directory / FOLDER),
            control.VARIABLE: str(self._control_path),
            cold_starts.VARIABLE: str(self.starts),
        }
        options = ["-I", "-u", "-X", "utf8"]  # -u: what was printed before a kill is not lost
        process = subprocess.Popen(
            [program.python, *options, keeper.__file__, bootstrap.__file__, program.kind, program.module],
            cwd=program.root,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
            start_new_session=True,
        )
        try:
            return process, os.pidfd_open(process.pid)
        except OSError:  # no descriptor is left
            with process:
                process.kill()
            raise

    async def _send(self, line: bytes, deadline: float) -> None:
        rest = memoryview(line)
        while rest:
            try:
                written = os.write(self._requests, rest)
            except BlockingIOError:
                writable: asyncio.Future[None] = self._loop.create_future()
                writable.add_done_callback(self._wake)
                self._loop.add_writer(self._requests, _resolve, writable)
                try:
                    await self._first(writable, deadline)
                finally:
                    self._loop.remove_writer(self._requests)
            except BrokenPipeError:
                if self._answered and len(rest) == len(line):
                    raise Unasked from None  # it may live on, and never end
                await self._first(self._loop.create_future(), deadline)  # it is about to be known how it ended
            else:
                rest = rest[written:]

    def _unread(self) -> int:
        """Return how many bytes of the request nobody has read."""
        return int.from_bytes(fcntl.ioctl(self._requests, termios.FIONREAD, bytes(4)), sys.byteorder)

    async def _first(self, event: asyncio.Future[Any], deadline: float) -> None:
        """Wait for an event that calls `_wake`, the process's end, or the deadline."""
        if not event.done() and not self.exited.done():
            self._waiter = self._loop.create_future()
            timer = self._loop.call_at(deadline, self._wake)
            try:
                await self._waiter
            finally:
                timer.cancel()
                self._waiter = None
        if event.done():
            return
        if self.exited.done():
            raise Exited(self.exited.result())
        raise TimeoutError

    def _wake(self, _: object = None) -> None:
        if self._waiter is not None:
            _resolve(self._waiter)

    def _on_exit(self) -> None:
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        code = self._process.wait()
        if code == -signal.SIGKILL:
            self._kill_group()
        self._output.drain()
        self.exited.set_result(code)

    def _kill_group(self) -> None:
        """Kill what a keeper has left that was killed itself, apart from daemons: Linux has ended the worker by now."""
        pid = self.pid
        if pid:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)

    def _close_requests(self) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()


class _ReplyReader:
    """Reads one reply to the end of the pipe, hands it to a future and wakes who waits for that at once."""

    def __init__(self, fifo: int, reply: asyncio.Future[bytearray], wake: Callable[[], None]) -> None:
        self._fifo = fifo
        self._reply = reply
        self._wake = wake
        self._kept = bytearray()
        self._size = 0

    def read(self, *, last: bool = False) -> None:
        """Read what is there; `last` says that no writer can come any more."""
        for _ in range(_CHUNKS_AT_ONCE):
            if self._reply.done():
                return
            try:
                chunk = os.read(self._fifo, _CHUNK)
            except BlockingIOError:
                return
            if chunk:
                self._size += len(chunk)
                if self._size <= _MAX_REPLY_RAW:
                    self._kept += chunk
            elif self._size > _MAX_REPLY_RAW:
                self._reply.set_exception(ReplyTooLarge())
                self._wake()
            elif self._size or not last:
                self._reply.set_result(self._kept)
                self._wake()
            else:
                return


def _pipe(stream: IO[bytes] | None) -> int:
    """Return a pipe's descriptor, made non-blocking."""
    assert stream is not None  # noqa: S101  (for the type checker: both were asked for)
    os.set_blocking(stream.fileno(), False)
    return stream.fileno()


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
