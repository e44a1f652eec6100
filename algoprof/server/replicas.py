"""One version's queue and the workers that serve it: first come, first served, one request per worker at a time."""

import asyncio
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from algoprof import control
from algoprof.server.callers import Caller, Callers
from algoprof.server.flights import any_recorded, profile_of
from algoprof.server.insights import Insights
from algoprof.server.replies import TOO_LARGE, Reply, parse
from algoprof.server.workers import Exited, Program, ReplyTooLarge, Worker

if TYPE_CHECKING:
    from algoprof.profiles.tree import Profile

End = Literal["reply", "timeout", "exited", "stopped"]
"""How a job ended: with a reply, at its timeout, with the worker's process, with the server."""


@dataclass(frozen=True, slots=True)
class Job:
    """One request as a worker gets it.

    Args:
        request_id: the server's name for it.
        algorithm: `OWNER/NAME` of what is called.
        session: the server's name for the call tree that it belongs to.
        line: the request line of the pipe protocol.
        received: when the request was complete, in seconds on the monotonic clock.
        timeout: seconds from then to the kill.
        traceparent: the caller's W3C trace context; empty without one.
        profile: whether its profile is wanted; after a timeout it always is.
    """

    request_id: str
    algorithm: str
    session: str
    line: bytes
    received: float
    timeout: float
    traceparent: str = ""
    profile: bool = False

    @property
    def deadline(self) -> float:
        """When it is killed, on the monotonic clock."""
        return self.received + self.timeout


@dataclass(slots=True)
class Outcome:
    """What came of a job.

    Args:
        end: how it ended.
        reply: what the worker answered, if it did.
        queue: seconds it waited for a worker to be free.
        load: seconds it waited for that worker to load the algorithm.
        run: seconds it ran.
        stdout: what was printed, stdout and stderr in order.
        message: how the process ended, if it did.
        profile: what was recorded, where wanted and recorded.
        insights: what the algorithm reported.
    """

    end: End = "timeout"
    reply: Reply | None = None
    queue: float = 0.0
    load: float = 0.0
    run: float = 0.0
    stdout: str = ""
    message: str = ""
    profile: "Profile | None" = None
    insights: Insights = field(default_factory=Insights)


class Replicas:
    """The queue of one version.

    Args:
        program: what its workers run.
        directory: where they get their private directories.
        callers: lets its workers in when they call the server.
        count: how many workers at most; each is started when a request finds none free.
    """

    def __init__(self, program: Program, directory: Path, callers: Callers, count: int = 1) -> None:
        self._program = program
        self._directory = directory
        self._callers = callers
        self._turns = asyncio.Semaphore(count)
        self._idle: list[Worker] = []
        self._busy: set[Worker] = set()
        self._stopping = False

    async def run(self, job: Job) -> Outcome:
        """Take a job through queue, load and run.

        Raises:
            ServerError: if no worker could be started.
        """
        outcome = Outcome(insights=Insights(job.request_id))
        try:
            async with asyncio.timeout_at(job.deadline):
                await self._turns.acquire()
        except TimeoutError:
            outcome.queue = time.monotonic() - job.received
            return outcome
        try:
            outcome.queue = time.monotonic() - job.received
            if self._stopping:
                outcome.end = "stopped"
                return outcome
            worker = self._idle_worker() or Worker(self._program, self._directory, self._callers.admit())
            worker.admitted.caller, worker.admitted.insights = Caller(job.algorithm, job.session), outcome.insights
            self._busy.add(worker)
            try:
                await self._serve(worker, job, outcome)
            except BaseException:
                await worker.kill()
                raise
            finally:
                self._busy.discard(worker)
                worker.admitted.caller, worker.admitted.insights = Caller(job.algorithm), None
            if worker.alive and not self._stopping and outcome.reply and outcome.reply.sound:
                self._idle.append(worker)
            else:
                await worker.kill()
            return outcome
        finally:
            self._turns.release()

    async def release(self) -> None:
        """Let the idle workers end; those that are busy go on."""
        idle, self._idle = self._idle, []
        await asyncio.gather(*(worker.end() for worker in idle))

    async def stop(self) -> None:
        """Kill every worker; jobs in the queue and under way end as `stopped`."""
        self._stopping = True
        await asyncio.gather(*(worker.kill() for worker in self._busy), *(worker.end() for worker in self._idle))
        self._idle.clear()

    async def _serve(self, worker: Worker, job: Job, outcome: Outcome) -> None:
        begun = time.monotonic()
        try:
            await worker.load(job.deadline)
            outcome.load = time.monotonic() - begun
            worker.discard_output()
            control.write(worker.control_page, _page(job))
            raw, outcome.run = await worker.answer(job.line, job.deadline)
            outcome.reply, outcome.end = parse(raw), "reply"
        except TimeoutError:
            outcome.end = "timeout"
        except Exited as exited:
            outcome.end = "stopped" if self._stopping else "exited"
            outcome.message = str(exited)
        except ReplyTooLarge:
            outcome.reply, outcome.end = TOO_LARGE, "reply"
        if outcome.end != "reply" or outcome.reply is TOO_LARGE:
            now = time.monotonic()
            if worker.started is None:
                outcome.load = now - begun
            else:
                outcome.run = now - worker.started
        died_ns = None if outcome.end == "reply" else time.monotonic_ns()
        if outcome.end == "timeout":
            await worker.halt()
        outcome.stdout = worker.take_output()
        if (job.profile or outcome.end == "timeout") and any_recorded(worker.flights):
            outcome.profile = await asyncio.to_thread(profile_of, worker.flights, job.request_id, worker.pid, died_ns)

    def _idle_worker(self) -> Worker | None:
        while self._idle:
            worker = self._idle.pop()
            if worker.alive:
                return worker
            worker.close()
        return None


def _page(job: Job) -> control.Request:
    return control.Request(
        received_ns=int(job.received * 1e9),
        timeout_ns=int(job.timeout * 1e9),
        deadline_ns=int(job.deadline * 1e9),
        request_id=job.request_id,
        traceparent=job.traceparent,
    )
