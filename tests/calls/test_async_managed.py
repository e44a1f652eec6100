"""Builds, versions and errors through `AsyncClient`: the other client's methods, and a platform that does anything."""

import asyncio
import inspect
import json
import socket
import threading

import pytest

import algoprof
from algoprof.calls.algorithms import Algorithm
from algoprof.calls.async_client import AsyncAlgorithm
from algoprof.errors import (
    BuildNotFinished,
    BuildTimeout,
    ConfigurationError,
    DataApiError,
    LogsUnavailable,
    ManagementError,
)

RUNNING = {"build_id": "b1", "status": "in-progress"}
ENDED = {"build_id": "b1", "status": "failed", "commit_sha": "ab" * 20}
LOST = {"error": {"code": 1011, "message": "Build logs not found"}}


class Owned:
    """Answers the paths below an algorithm's own with the next of their answers, the last one again and again."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.address = ""
        self._answers: dict[str, list[tuple[int, object]]] = {}

    def will(self, path, *answers):
        self._answers[path] = [one if isinstance(one, tuple) else (200, one) for one in answers]

    def serve(self, connection, stop):
        received = b""
        while not received.endswith(b"\r\n\r\n"):
            received += connection.recv(65536) or b"\r\n\r\n"
        path = received.decode().split(" ", 2)[1].removeprefix("/v1/algorithms/demo/Routes")
        self.asked.append(path)
        waiting = self._answers.get(path.partition("?")[0], [(404, LOST)])
        status, content = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        body = json.dumps(content).encode()
        head = f"HTTP/1.1 {status} Any\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body)


@pytest.fixture
def owned(raw_server):
    state = Owned()
    state.address = raw_server(state.serve)
    return state


@pytest.fixture
async def algo(owned):
    async with algoprof.AsyncClient("simVerySecretKey", owned.address) as client:
        yield client.algo("demo/Routes")


def test_the_methods_are_those_of_the_other_client():
    methods = {name for name in dir(Algorithm) if not name.startswith("_")}
    assert methods - set(dir(AsyncAlgorithm)) == {"examine"}
    for name in methods - {"examine", "pipe_many"}:
        one, other = getattr(Algorithm, name), getattr(AsyncAlgorithm, name)
        if callable(one):
            assert inspect.signature(one).parameters == inspect.signature(other).parameters, name


async def test_pages_are_followed_to_the_last_and_never_in_a_circle(algo, owned):
    first = {"marker": "m1", "results": [ENDED, "no build", {}]}
    owned.will("/builds", first, {"marker": None, "results": [RUNNING]})
    assert [one.status async for one in algo.builds(limit=2)] == ["failed", "in-progress"]
    assert owned.asked == ["/builds?limit=2", "/builds?limit=2&marker=m1"]
    owned.will("/builds", first)
    assert [one.id async for one in algo.builds()] == ["b1", "b1"]
    owned.asked.clear()
    owned.will("/versions", *({"marker": f"m{number}", "results": [0]} for number in range(1000)))
    assert [one async for one in algo.versions()] == []
    assert len(owned.asked) == 100


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({}, "a page without `results`"),
        ([1], "a page was asked for"),
        ((403, {"error": {"message": "no, simVerySecretKey"}}), "for the owner"),
        ((302, {}), "redirects"),
    ],
)
async def test_what_is_no_page_is_one_sentence(algo, owned, answer, words):
    owned.will("/builds", answer)
    for asking in (algo.newest_build, algo.diagnose, algo.get_builds, algo.builds().__aiter__().__anext__):
        with pytest.raises(ManagementError) as raised:
            await asking()
        assert words in str(raised.value)
        assert "simVerySecretKey" not in str(raised.value) + repr(vars(raised.value))


async def test_other_tasks_run_while_one_waits_and_a_cancelled_wait_ends_at_once(algo, owned):
    owned.will("/builds", {"results": [RUNNING]})
    owned.will("/builds/b1", RUNNING)
    looks = asyncio.Queue()
    task = asyncio.create_task(algo.wait(tell=lambda build, _elapsed: looks.put_nowait(build.id)))
    async with asyncio.timeout(60):
        assert [await looks.get(), await looks.get()] == ["b1", "b1"]
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    asked = len(owned.asked)
    assert (await algo.build("b1")).status == "in-progress"
    assert len(owned.asked) == asked + 1


async def test_a_wait_that_is_cancelled_in_the_middle_of_an_answer_ends_too(raw_server):
    begun = threading.Event()

    def script(connection: socket.socket, stop: threading.Event) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
        begun.set()
        stop.wait()

    async with algoprof.AsyncClient("simKey", raw_server(script)) as client:
        task = asyncio.create_task(client.algo("demo/Routes").wait("b1"))
        assert await asyncio.to_thread(begun.wait, 60)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_waiting_passes_over_trouble_and_ends_with_its_timeout(algo, owned):
    owned.will("/builds/b1", (503, {}), (429, {}), ENDED)
    assert (await algo.wait("b1")).status == "failed"
    owned.will("/builds/b1", RUNNING)
    with pytest.raises(BuildTimeout, match=r"build b1 has not ended after 0\.01 s"):
        await algo.wait("b1", timeout=0.01)
    owned.will("/builds/b1", (401, {}))
    with pytest.raises(ManagementError, match="401"):
        await algo.wait("b1")
    with pytest.raises(ConfigurationError, match="a timeout is a number of seconds"):
        await algo.wait("b1", timeout=float("nan"))


async def test_a_platform_that_never_answers_ends_one_wait_and_holds_up_no_other_task(owned, algo, monkeypatch):
    monkeypatch.setattr("algoprof.calls.management.waiting._GRACE", 0.2)
    monkeypatch.setattr("algoprof.calls.management.waiting._FAILURES", 0)
    owned.will("/builds/b1", ENDED)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        async with algoprof.AsyncClient("simKey", f"http://127.0.0.1:{silent.getsockname()[1]}") as client:
            waiting = asyncio.create_task(client.algo("demo/Routes").wait("b1", timeout=0.1))
            assert (await algo.build("b1")).status == "failed"
            with pytest.raises(ManagementError, match="no answer had begun"):
                async with asyncio.timeout(50):
                    await waiting


async def test_a_log_that_is_not_there_says_why(algo, owned):
    owned.will("/builds/b1", RUNNING)
    with pytest.raises(BuildNotFinished):
        await algo.build_logs("b1")
    owned.will("/builds/b1", ENDED)
    with pytest.raises(LogsUnavailable):
        await algo.build_logs("b1")
    assert (await algo.diagnose("b1")).outcome == "no_log"
    with pytest.raises(ManagementError, match="Build logs not found"):
        await algo.build_logs("b2")


async def test_the_official_names_work_too(algo, owned):
    assert (algo.username, algo.algoname) == ("demo", "Routes")
    assert await algo.exists() is False
    owned.will("", {"id": "i1"})
    owned.will("/errors", [{"error": "error:\nNo"}, 5])
    assert (await algo.exists(), await algo.get_algorithm_id()) == (True, "i1")
    assert [one.message for one in await algo.errors()] == ["No"]
    async with algoprof.AsyncClient("simKey", owned.address) as client:
        assert await client.get_algorithm_errors("demo/Routes") == [{"error": "error:\nNo"}, 5]
        owned.will("/v1/connector/data", {"folders": [{"name": "demo"}]}, {})
        assert await client.username() == "demo"
        with pytest.raises(DataApiError, match="does not tell whose the key is"):
            await client.username()
    owned.will("/errors", {})
    with pytest.raises(ManagementError, match="no error log"):
        await algo.errors()
