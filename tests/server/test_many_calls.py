"""Many calls from many clients at once, of which some hang, fail or kill their worker: each gets its own answer."""

import asyncio
import os
import random
import re
import sysconfig
import textwrap
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import Algorithmia
import pytest
import requests
from Algorithmia.errors import AlgorithmException

import algoprof
from algoprof.calls.attempts import Response
from algoprof.errors import CallError
from algoprof.server.state.run_log import KEPT
from algoprof.server.state.store import opened

CLIENTS = 50
IN_BULK = 12  # of them, by `pipe_many`
TIMEOUT = 1.0  # seconds, of what hangs
PATIENCE = 120  # the timeout of everything else, which may wait in the queue
LATE = 0.5  # seconds after a deadline
ROOM = 10 * 2**20  # bytes that an allocator may come to keep: a leak of 1 KiB a call is more at full counts
ROOT = Path(__file__).parents[2]
PROJECT = Path(__file__).parent / "projects" / "storm"
ADK = """
    from Algorithmia import ADK

    from main import apply

    algorithm = ADK(apply)
    algorithm.init("Algorithmia")
"""
DEATHS = {
    "be_killed": "exited with code -9 (SIGKILL)",
    "exit_at_once": "exited with code 7",
    "crash": "exited with code -11 (SIGSEGV)",
}
HANGS = ("hang", "hang_with_family")
ENDS = {"echo": "ok", "leave_behind": "ok", "fail": "failed", **dict.fromkeys(HANGS, "timeout")}  # the others: exited


@dataclass(frozen=True)
class Asked:
    """One call."""

    algorithm: str
    token: str
    input: dict[str, Any]

    @property
    def does(self) -> str:
        return str(self.input["do"])

    @property
    def timeout(self) -> float:
        return TIMEOUT if self.does in HANGS else PATIENCE


@dataclass(frozen=True)
class Told:
    """What a client was told of it; a text is None where its kind of client does not tell."""

    asked: Asked
    result: object = None
    error: tuple[str, str] | None = None
    stdout: str | None = None
    request_id: str | None = None
    split: dict[str, float] | None = None


def asks(count: int, mark: str) -> list[Asked]:
    """Return calls: one in ten hangs, one in ten raises, one in fifty kills its worker, one in fifty leaves a child."""
    found = []
    for number in range(count):
        token, place = uuid.uuid4().hex, number % 50
        does, options = "echo", {}
        if place % 10 == 3:
            does = "fail"
        elif place % 10 == 7:
            does = HANGS[place // 10 % 2]
        elif place == 1:
            does = list(DEATHS)[number // 50 % 3]
        elif place == 2:
            does = "leave_behind"
        elif place == 4:
            options = {"size": 300_000}  # more than a pipe holds
        if does in ("hang_with_family", "leave_behind"):
            options = {"mark": mark}
        algorithm = ("local/storm", "local/adk")[(number + number // 50) % 2]
        found.append(Asked(algorithm, token, {"do": does, "token": token, "with": options}))
    random.Random(count).shuffle(found)
    return found


def plainly(server: Any, asked: Sequence[Asked]) -> Iterable[Told]:
    with requests.Session() as session:
        session.headers["Authorization"] = f"Simple {server.key}"
        for one in asked:
            url = f"{server.address}/v1/algo/{one.algorithm}?timeout={one.timeout}&stdout=true"
            answer = session.post(url, json=one.input, timeout=PATIENCE + 60)
            assert answer.status_code == 200, answer.text
            body = answer.json()
            told, error = body["metadata"], body.get("error")
            kind = error and (error["error_type"], error["message"])
            yield Told(one, body.get("result"), kind, told["stdout"], body["request_id"], told["algoprof"])


def officially(server: Any, asked: Sequence[Asked]) -> Iterable[Told]:
    client = Algorithmia.client(f"Simple {server.key}", server.address)
    with client.requestSession:
        for one in asked:
            algo = client.algo(one.algorithm).set_options(timeout=one.timeout, stdout=True)
            try:
                answer = algo.pipe(one.input)
            except AlgorithmException as error:
                yield Told(one, error=(error.error_type, error.message))
            else:
                yield Told(one, answer.result, stdout=answer.metadata.stdout)


def with_ours(server: Any, asked: Sequence[Asked]) -> Iterable[Told]:
    with algoprof.client(server.key, server.address) as client:
        for one in asked:
            algo = client.algo(one.algorithm).set_options(timeout=one.timeout, stdout=True)
            try:
                answer: Response | CallError = algo.pipe(one.input)
            except CallError as error:
                answer = error
            yield told_by(one, answer)


def in_bulk(server: Any, asked: Sequence[Asked]) -> Iterable[Told]:
    return asyncio.run(by_pipe_many(server, asked))


async def by_pipe_many(server: Any, asked: Sequence[Asked]) -> list[Told]:
    """Call in as many streams as there are algorithms and timeouts, at once."""
    streams: dict[tuple[str, float], list[Asked]] = {}
    for one in asked:
        streams.setdefault((one.algorithm, one.timeout), []).append(one)
    told: list[Told] = []

    async def stream(client: algoprof.AsyncClient, some: list[Asked]) -> None:
        algo = client.algo(some[0].algorithm).set_options(timeout=some[0].timeout, stdout=True)
        inputs = [one.input for one in some]
        answers = algo.pipe_many(inputs, concurrency=IN_BULK // len(streams), on_error="return", ordered=False)
        told.extend([told_by(some[answer.index or 0], answer) async for answer in answers])

    async with algoprof.AsyncClient(server.key, server.address) as client, asyncio.TaskGroup() as group:
        for some in streams.values():
            group.create_task(stream(client, some))
    return told


def told_by(one: Asked, answer: Response | CallError) -> Told:
    call = answer.call
    assert (call.status, call.attempt) == (200, 1), answer
    if isinstance(answer, CallError):
        return Told(one, None, (answer.error_type, answer.message), answer.stdout, call.request_id)
    return Told(one, answer.result, stdout=answer.metadata.stdout, request_id=call.request_id)


def storm(server: Any, count: int, mark: str) -> list[Told]:
    """Call from all clients at once, none with more than one call under way, and return what each was told."""
    asked = asks(count, mark)
    told: list[Told] = []
    failures: list[BaseException] = []

    def ask(kind: Callable[[Any, Sequence[Asked]], Iterable[Told]], share: Sequence[Asked]) -> None:
        try:
            told.extend(kind(server, share))
        except BaseException as error:
            failures.append(error)
            raise

    alone = CLIENTS - IN_BULK
    kinds = (plainly, officially, plainly, with_ours)
    shares = [(kinds[n % len(kinds)], asked[n::CLIENTS]) for n in range(alone)]
    shares.append((in_bulk, [one for n in range(alone, CLIENTS) for one in asked[n::CLIENTS]]))
    threads = [threading.Thread(target=ask, args=share) for share in shares]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert sorted(one.asked.token for one in told) == sorted(one.token for one in asked)
    return told


def check(one: Told) -> None:
    """Check that a client was told what its own call came to."""
    token, does = one.asked.token, one.asked.does
    out = f"{token} begins\n"
    if does in ("echo", "leave_behind"):
        assert one.error is None, one
        assert one.result == {"token": token, "more": token[:1] * one.asked.input["with"].get("size", 0)}
        out += f"{token} to stderr\n" if does == "echo" else ""
    elif does == "fail":
        assert one.error == ("InputError", f"{token} fails")
    elif does in HANGS:
        assert one.error is not None, one
        kind, message = one.error
        assert kind == "TimeoutError", one
        assert message.startswith(f"Operation timed out after {TIMEOUT * 1000:g} milliseconds ("), one
    else:
        assert one.error == ("SystemExit", DEATHS[does]), one
    if one.stdout is None:
        return
    said = one.stdout.removeprefix("loaded\n")
    if does in HANGS:  # perhaps before it came to that; and a run says so when its time is nearly over
        assert said.startswith((token, "apply has used")) or said in ("", "loaded"), one
        assert set(re.findall(r"\b[0-9a-f]{32}\b", said)) <= {token}, one
    else:
        assert said == out, one


@dataclass(frozen=True)
class Held:
    """What a server holds of the machine.

    Args:
        processes: those below it, and those anywhere that an algorithm has started.
        files: what it has open, by name; its connections and pipes are alike.
        left: files in its private directory, and in its data directory.
        threads: how many it has.
        memory: bytes.
    """

    processes: list[str]
    files: list[str]
    left: list[str]
    threads: int
    memory: int

    @classmethod
    def by(cls, server: Any, mark: str) -> "Held":
        proc = Path(f"/proc/{server.process.pid}")
        names = [link for entry in (proc / "fd").iterdir() if (link := target(entry))]
        scratch = next(Path(name).parent for name in names if "/algoprof-server-" in name)
        left = [str(path) for folder in (scratch, server.data) for path in folder.rglob("*") if path.parent.name]
        return cls(
            [str(child) for task in (proc / "task").iterdir() for child in text(task / "children").split()]
            + [found for entry in Path("/proc").glob("[0-9]*") if mark in (found := text(entry / "cmdline"))],
            sorted(name.partition(":")[0] for name in names),
            sorted(path for path in left if "/__pycache__" not in path),
            len(list((proc / "task").iterdir())),
            int(text(proc / "statm").split()[1]) * os.sysconf("SC_PAGESIZE"),
        )


def target(link: Path) -> str:
    with suppress(FileNotFoundError):  # closed meanwhile
        return str(link.readlink())
    return ""


def text(path: Path) -> str:
    with suppress(OSError):  # the process has ended
        return path.read_text(errors="replace").replace("\0", " ")
    return ""


def quiet(server: Any, mark: str, before: Held | None = None) -> Held:
    """Wait until all workers have ended and nothing is open or left but what was, and return what is held then."""
    deadline = time.monotonic() + 60
    while True:
        held = Held.by(server, mark)
        connections = held.files.count("socket") - 3  # one listens, and two are the event loop's own
        if before is None:
            of_workers = [path for path in held.files + held.left if "/worker-" in path]
            if not held.processes and not connections and not of_workers:
                return held
        elif (held.processes, held.files, held.left) == ([], before.files, before.left):
            return held
        assert time.monotonic() < deadline, held
        time.sleep(0.05)


@pytest.fixture
def server(serve: Any, project: Any) -> Any:
    """A server with several workers of each of two algorithms, which find ADK and algoprof where these tests do.

    A session that were not ended with its call would be one too many for the next one.
    """
    source = (PROJECT / "main.py").read_text()
    projects = [
        project("storm", {"main.py": source}),
        project("adk", {"main.py": source, "src/adk.py": textwrap.dedent(ADK)}),
    ]
    serving = serve(*projects, options=["--replicas", "4", "--sessions", str(CLIENTS), "--idle", "0.7"])
    assert serving.address, serving.said
    for packages in serving.data.glob("environments/*/lib/python*/site-packages"):
        (packages / "these.pth").write_text(f"{sysconfig.get_path('purelib')}\n{ROOT}\n")
    return serving


@pytest.mark.timeout(900)
def test_each_of_many_calls_gets_its_own_answer_and_nothing_is_left(server, scaled):
    mark, count, warm = f"many-{uuid.uuid4()}", scaled(10_000), scaled(1000)
    storm(server, warm, mark)
    before = quiet(server, mark)
    told = storm(server, count, mark)
    for one in told:
        check(one)
    after = quiet(server, mark, before)
    assert after.threads <= max(before.threads, 4 + min(32, 4 + (os.cpu_count() or 1)))  # asyncio's pool grows to that
    assert after.memory - before.memory < ROOM

    splits = [(one.asked.does in HANGS, one.split) for one in told if one.split]
    totals = sorted(split["total"] for hangs, split in splits if hangs)
    allowed = max(LATE, max(split["load"] for _, split in splits) / 2)  # the latter where the machine is very busy
    assert totals[0] >= TIMEOUT
    late = sum(total > TIMEOUT + allowed for total in totals)
    assert late <= 1 + len(totals) // 50, (allowed, totals)

    with opened(server.data, read_only=True) as store:
        runs = {run.request_id: run for run in store.runs.newest(2 * KEPT)}
        failures = {algorithm.path: len(store.errors(algorithm)) for algorithm in store.algorithms()}
    assert len(runs) == min(KEPT, warm + count)
    for one in told:
        if one.request_id in runs:
            run = runs[one.request_id]
            assert (run.end, run.timeout) == (ENDS.get(one.asked.does, "exited"), one.asked.timeout)
            assert one.asked.token in run.input
            assert set(re.findall(r"\b[0-9a-f]{32}\b", run.stdout)) <= {one.asked.token}
    failed = {path: sum(one.error is not None and one.asked.algorithm == path for one in told) for path in failures}
    assert all(min(200, failed[path]) <= failures[path] <= 200 for path in failures)
