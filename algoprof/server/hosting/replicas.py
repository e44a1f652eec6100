"""One version's queue and the workers that serve it: first come, first served, one request per worker at a time."""

import asyncio
import contextlib
import time
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from algoprof import control
from algoprof.profiles.hosting import WorkerEnd
from algoprof.server.access.callers import Callers
from algoprof.server.hosting import cold_starts
from algoprof.server.hosting.flights import is_quick
from algoprof.server.hosting.replies import TOO_LARGE, Reply, parse
from algoprof.server.hosting.workers import Exited, Program, ReplyTooLarge, Unasked, Worker
from algoprof.server.limits import Limits
from algoprof.server.monitoring.recordings import Recordings
from algoprof.server.monitoring.tracing import NO_TRACE, Trace
from algoprof.server.routes.insights import Insights
from algoprof.server.state.run_log import packed
from algoprof.server.state.under_way import UnderWay

if TYPE_CHECKING:
    from collections.abc import Callable

    from algoprof.profiles.tree import Profile

End = Literal["reply", "timeout", "exited", "stopped"]
"""How a job ended: with a reply, at its timeout, with the worker's process, with the server."""

_EXITED: WorkerEnd = "exited"


class Job(NamedTuple):
    """One request as a worker gets it.

    Args:
        request_id: the server's name for it.
        algorithm: `OWNER/NAME` of what is called.
        session: the server's name for the call tree that it belongs to.
        outside: whether it comes from outside, and not from an algorithm here.
        line: the request line of the pipe protocol.
        received: when the request was complete, in seconds on the monotonic clock.
        timeout: seconds from then to the kill.
        record: is told how far it is.
        trace: the trace that it joins.
        profile: whether its profile is wanted; after a timeout it always is.
    """

    request_id: str
    algorithm: str
    session: str
    outside: bool
    line: bytes
    received: float
    timeout: float
    record: UnderWay
    trace: Trace = NO_TRACE
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
        cold_start: where that time went, if the worker was new.
        run: seconds it ran.
        stdout: what was printed, stdout and stderr in order.
        message: how the process ended, if it did.
        profile: what was recorded, where wanted and recorded.
        recorded: reads the same, whether wanted or not; None if nothing was recorded.
        packed: the same as it is kept, if its worker has died.
        quick: whether that takes less than a millisecond.
        insights: what the algorithm reported.
    """

    end: End = "timeout"
    reply: Reply | None = None
    queue: float = 0.0
    load: float = 0.0
    cold_start: cold_starts.ColdStart | None = None
    run: float = 0.0
    stdout: str = ""
    message: str = ""
    profile: "Profile | None" = None
    recorded: "Callable[[], Profile | None] | None" = None
    packed: bytes | None = None
    quick: bool = False
    insights: Insights = field(default_factory=Insights)


class Replicas:
    """The queue of one version.

    Args:
        program: what its workers run.
        directory: where they get their private directories.
        callers: lets its workers in when they call the server.
        limits: how many workers at most, each started when a request finds none free, and how long one may be idle.
        jobs: what a call from outside waits for besides: the limit on those of all versions.
        recordings: adds up what they record.
    """

    def __init__(
        self,
        program: Program,
        directory: Path,
        callers: Callers,
        limits: Limits,
        jobs: asyncio.Semaphore | None,
        *,
        recordings: Recordings,
    ) -> None:
        self.queued = 0
        """Calls that wait for a worker to be free."""
        self.loading = 0
        """Workers that load the algorithm for a call."""
        self.started = 0
        """Workers that were started."""
        self.ended: Counter[WorkerEnd] = Counter()
        """Workers that have ended, by why."""
        self._program = program
        self._directory = directory
        self._callers = callers
        self._limits = limits
        self._jobs = jobs
        self._recordings = recordings
        self._turns = asyncio.Semaphore(limits.replicas)
        self._idle: dict[Worker, float] = {}  # until when each may rest; the last is the first to be taken
        self._eviction: asyncio.TimerHandle | None = None  # of the first of them, were it to rest on
        self._busy: set[Worker] = set()
        self._leaving: set[asyncio.Task[None]] = set()
        self._stopping = False

    @property
    def running(self) -> int:
        """Calls that a worker is loading for or running."""
        return len(self._busy)

    @property
    def idle(self) -> int:
        """Workers that have nothing to do."""
        return len(self._idle)

    @property
    def in_use(self) -> bool:
        """Whether a call waits or runs, or a worker lives."""
        return bool(self.queued or self._busy or self._idle or self._leaving)

    async def run(self, job: Job) -> Outcome:
        """Take a job through queue, load and run.

        Raises:
            ServerError: if no worker could be started.
        """
        outcome = Outcome(insights=Insights(job.request_id))
        limits = [self._turns]
        if self._jobs is not None and job.outside:
            limits.insert(0, self._jobs)  # before the turn, which a job's own call may want
        taken: list[asyncio.Semaphore] = []
        self.queued += 1
        try:
            try:
                waits = any(limit.locked() for limit in limits)
                async with asyncio.timeout_at(job.deadline) if waits else contextlib.nullcontext():
                    for limit in limits:
                        await limit.acquire()
                        taken.append(limit)
            except TimeoutError:
                return outcome
            finally:
                self.queued -= 1
                outcome.queue = time.monotonic() - job.received
            if self._stopping:
                outcome.end = "stopped"
            else:
                while not await self._run_on(self._rested(), job, outcome):
                    pass
        finally:
            for limit in reversed(taken):
                limit.release()
        return outcome

    async def release(self) -> None:
        """Let the idle workers end; those that are busy go on."""
        for worker in list(self._idle):
            self._evict(worker)
        await asyncio.gather(*self._leaving)

    async def stop(self) -> None:
        """Kill every worker; jobs in the queue and under way end as `stopped`."""
        self._stopping = True
        await asyncio.gather(*(self._remove(worker) for worker in self._busy), self.release())

    async def _run_on(self, worker: Worker | None, job: Job, outcome: Outcome) -> bool:
        """Run a job on a worker, a new one if there is none, which is then rested or killed.

        Returns:
            False if the worker has not taken it: one that had rested.
        """
        begun = time.monotonic()
        if worker is None:
            job.record.load(outcome.queue)
        worker = worker or self._started(job.algorithm)
        worker.admitted.serve(job.algorithm, job.session, outcome.insights, job.trace.passed_on)
        self._busy.add(worker)
        sound, why = False, _EXITED
        try:
            await self._serve(worker, job, outcome, begun)
            sound = worker.alive and outcome.reply is not None and outcome.reply.sound
            why = _why(outcome)
        except Unasked:
            return False
        finally:
            self._busy.discard(worker)
            worker.admitted.serve(job.algorithm)
            if sound and not self._stopping:
                self._rest(worker)
            else:
                await self._remove(worker)
                if not self._stopping:
                    self.ended[why] += 1
        return True

    def _started(self, algorithm: str) -> Worker:
        """Start a worker. One that ends while it rests is then let go: somebody has killed it, or it has crashed."""

        def ended(_: asyncio.Future[int]) -> None:
            if worker in self._idle:
                self._evict(worker, _EXITED)

        worker = Worker(self._program, self._directory, self._callers.admit())
        if worker.flights is not None:
            self._recordings.add(worker.flights.path, algorithm)
        worker.exited.add_done_callback(ended)
        self.started += 1
        return worker

    async def _remove(self, worker: Worker) -> None:
        """End a worker at once, with everything that belongs to it; what it has recorded is kept in the totals."""
        await worker.halt()
        if worker.flights is not None:
            await asyncio.to_thread(self._recordings.remove, worker.flights.path)
        worker.close()

    def _rest(self, worker: Worker) -> None:
        """Keep a worker for the next request, as long as it may be idle."""
        loop = asyncio.get_running_loop()
        self._idle[worker] = until = loop.time() + self._limits.idle
        if self._eviction is None:
            self._eviction = loop.call_at(until, self._evict_idle)

    def _rested(self) -> Worker | None:
        """Return the worker that has rested least, if there is one that lives."""
        while self._idle:
            worker = next(reversed(self._idle))
            if worker.alive:
                del self._idle[worker]
                return worker
            self._evict(worker, _EXITED)
        return None

    def _evict_idle(self) -> None:
        """Let those end that have rested for long enough, and come back when the next one may have."""
        loop = asyncio.get_running_loop()
        for worker in [worker for worker, until in self._idle.items() if until <= loop.time()]:
            self._evict(worker)
        until = next(iter(self._idle.values()), None)
        self._eviction = None if until is None else loop.call_at(until, self._evict_idle)

    def _evict(self, worker: Worker, why: WorkerEnd = "idle") -> None:
        """Let an idle worker end; from now on no request gets it."""
        del self._idle[worker]
        self.ended[why] += 1
        leaving = asyncio.create_task(self._evicted(worker))
        self._leaving.add(leaving)
        leaving.add_done_callback(self._leaving.discard)

    async def _evicted(self, worker: Worker) -> None:
        await worker.end()
        await self._remove(worker)

    async def _serve(self, worker: Worker, job: Job, outcome: Outcome, begun: float) -> None:
        """Have a worker answer a job, and note what comes of it."""
        cold = not worker.loaded
        try:
            self.loading += 1
            try:
                await worker.load(job.deadline)
            finally:
                self.loading -= 1
            outcome.load = time.monotonic() - begun
            worker.discard_output()
            with contextlib.suppress(OSError):  # an algorithm that removes it does without its deadline
                worker.tell(_page(job))
            job.record.start(outcome.queue, outcome.load, time.monotonic_ns())
            raw, outcome.run = await worker.answer(job.line, job.deadline)
            outcome.reply, outcome.end = parse(raw), "reply"
        except TimeoutError:
            outcome.end = "timeout"
        except (Exited, OSError) as ended:  # the latter where an algorithm removes what its worker replies by
            outcome.end = "stopped" if self._stopping else "exited"
            outcome.message = str(ended) if isinstance(ended, Exited) else f"its reply could not be read ({ended})"
        except ReplyTooLarge:
            outcome.reply, outcome.end = TOO_LARGE, "reply"
        if outcome.end != "reply" or outcome.reply is TOO_LARGE:
            now = time.monotonic()
            if worker.started is None:
                outcome.load = now - begun
            else:
                outcome.run = now - worker.started
        if cold:
            outcome.cold_start = cold_starts.read(worker.starts, begun, begun + outcome.load)
        await self._take(worker, job, outcome)

    async def _take(self, worker: Worker, job: Job, outcome: Outcome) -> None:
        """Take what a worker has printed and recorded of a job; it is ended first if it has not answered."""
        died_ns = None if outcome.end == "reply" else time.monotonic_ns()
        if outcome.end == "timeout":
            await worker.halt()
        outcome.stdout = worker.take_output()
        flights = worker.flights
        files = flights.names() if flights is not None else []  # the server stops, and has closed it
        if flights is None or not files:
            return
        outcome.recorded = partial(
            flights.profile,
            job.request_id,
            worker.pid,
            died_ns,
            among=None if died_ns else files,
            before_removal=partial(self._recordings.look, flights.path),
        )
        outcome.quick = died_ns is None and is_quick(files)
        if job.profile or died_ns is not None:  # when it died is known now
            found = outcome.recorded() if outcome.quick else await asyncio.to_thread(outcome.recorded)
            outcome.recorded = lambda: found
            if died_ns is not None and found is not None:
                outcome.packed = await asyncio.to_thread(packed, found)
            outcome.profile = found if job.profile or outcome.end == "timeout" else None


def _page(job: Job) -> control.Request:
    return control.Request(
        received_ns=int(job.received * 1e9),
        timeout_ns=int(job.timeout * 1e9),
        deadline_ns=int(job.deadline * 1e9),
        request_id=job.request_id,
        traceparent=job.trace.passed_on,
    )


def _why(outcome: Outcome) -> WorkerEnd:
    """Return why a worker has ended that answered its last call so."""
    return "timeout" if outcome.end == "timeout" else _EXITED if outcome.end == "exited" else "replaced"
