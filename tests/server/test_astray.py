"""What a worker has started, and what becomes of it and of the call: at a timeout, a crash, a kill from outside."""

import os
import shutil
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent / "projects" / "astray"
PATIENCE = 30


def wait_until(condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def ended(pid):
    """Whether a process is gone, or waits for nothing but to be reaped by whoever has inherited it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def parent(pid):
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


@pytest.fixture
def astray(serve_module, tmp_path_factory):
    """Start a server that hosts `local/astray`."""

    def start(*options):
        folder = tmp_path_factory.mktemp("astray") / "astray"
        return serve_module(shutil.copytree(PROJECT, folder), options=options)

    return start


@pytest.fixture(scope="module")
def server(serve_module, tmp_path_factory):
    return serve_module(shutil.copytree(PROJECT, tmp_path_factory.mktemp("astray") / "astray"))


@pytest.fixture
def call(server, tmp_path):
    """Call `local/astray`; the pid of what it starts is then in `tmp_path / "pids"`."""

    def ask(start, then, timeout=60):
        given = {"start": start, "then": then, "pids": str(tmp_path / "pids")}
        return server.call(f"local/astray?stdout=true&timeout={timeout}", given)

    return ask


def started(tmp_path):
    return int((tmp_path / "pids").read_text())


@pytest.mark.parametrize(
    ("start", "then", "error"),
    [
        ("child", "hang", "TimeoutError"),
        ("daemon", "hang", "TimeoutError"),
        ("daemon", "stop_the_group", "TimeoutError"),
        ("child", "end", "exited with code 5"),
        ("daemon", "end", "exited with code 5"),
        ("daemon", "end_the_group", "exited with code -9 (SIGKILL)"),
    ],
)
def test_what_a_worker_has_started_ends_with_it_a_daemon_too(call, tmp_path, start, then, error):
    answer = call(start, then, 1 if error == "TimeoutError" else 60)
    assert error in (answer["error"]["error_type"], answer["error"]["message"])
    assert ended(started(tmp_path))


def test_what_never_stays_one_process_is_caught(call, server):
    assert call("runner", "end")["error"]["message"] == "exited with code 5"
    assert not list(below(server.data))


def below(folder):
    """Return the processes that run in a folder, or below it."""
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended
            if (entry / "cwd").readlink().is_relative_to(folder):
                yield int(entry.name)


def test_a_daemon_is_there_for_the_next_call_and_ends_with_its_idle_worker(astray, tmp_path):
    serving = astray("--idle", "0.5")
    given = {"start": "daemon", "then": "answer", "pids": str(tmp_path / "pids")}
    worker = serving.call("local/astray", given)["result"]
    daemon = started(tmp_path)
    assert not ended(daemon)
    assert parent(daemon) == parent(worker)  # and not the worker itself, which might wait for its children
    assert serving.call("local/astray", given | {"start": ""})["result"] == worker
    wait_until(lambda: ended(worker) and ended(daemon))


@pytest.mark.parametrize("start", ["child", "daemon"])
def test_a_worker_that_somebody_kills_is_told_at_once_and_replaced(call, tmp_path, start):
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(call, start, "hang")
        wait_until((tmp_path / "pids").exists)
        worker = worker_of(started(tmp_path), start)
        os.kill(worker, signal.SIGKILL)
        told = answer.result()
    assert told["error"]["message"] == "exited with code -9 (SIGKILL)"
    assert told["metadata"]["algoprof"]["total"] < PATIENCE
    assert ended(started(tmp_path))
    assert call("", "answer")["result"] != worker


def worker_of(pid, kind):
    """Return the worker that has started a process."""
    if kind == "child":
        return parent(pid)
    keeper = parent(pid)
    below = map(int, Path(f"/proc/{keeper}/task/{keeper}/children").read_text().split())
    return next(other for other in below if other != pid)


def test_a_worker_that_is_killed_while_it_rests_fails_no_call(call):
    for _ in range(10):
        worker = call("", "answer")["result"]
        os.kill(worker, signal.SIGKILL)
        wait_until(lambda worker=worker: ended(worker))
        assert call("", "answer")["result"] != worker  # the server may not know yet, but nobody has read the request


def test_a_signal_for_the_keeper_is_one_for_the_worker(call):
    worker = call("", "answer")["result"]
    os.kill(parent(worker), signal.SIGTERM)
    wait_until(lambda: ended(worker))
    assert call("", "answer")["result"] != worker


def test_a_keeper_that_somebody_kills_takes_its_worker_along(call, tmp_path):
    worker = call("child", "answer")["result"]
    os.kill(parent(worker), signal.SIGKILL)
    wait_until(lambda: ended(worker) and ended(started(tmp_path)))
    assert call("", "answer")["result"] != worker


def test_a_keeper_that_is_stopped_goes_on_to_do_its_work(call, tmp_path):
    answer = call("daemon", "stop_the_keeper", 1)
    assert answer["error"]["error_type"] == "TimeoutError"
    assert ended(started(tmp_path))


def test_when_the_server_is_killed_nothing_goes_on(astray, tmp_path):
    serving = astray()
    begun = []
    for start in ("child", "daemon"):
        given = {"start": start, "then": "answer", "pids": str(tmp_path / start)}
        begun += [serving.call("local/astray", given)["result"], int((tmp_path / start).read_text())]
    assert serving.stop(signal.SIGKILL) == -signal.SIGKILL
    wait_until(lambda: all(map(ended, begun)))


@pytest.mark.parametrize("then", ["close_all", "close_output", "close_requests"])
def test_a_worker_that_closes_its_pipes_is_answered_and_fails_no_later_call(call, then):
    worker = call("", then)["result"]
    again = call("", "answer", 20)
    assert again["result"] == worker if then == "close_output" else again["result"] != worker
    assert again["metadata"]["algoprof"]["total"] < 10
    if then != "close_output":
        wait_until(lambda: ended(worker))


def test_a_reply_without_a_word_is_an_error(call):
    error = call("", "reply_nothing")["error"]
    assert error["error_type"] == "SystemExit"
    assert error["message"].startswith("JSON error - ")


def test_a_flood_without_a_line_is_cut_and_counted(call):
    answer = call("", "flood")
    assert answer["metadata"]["stdout"].endswith(f"\n[{96 * 2**20} bytes more were left out]\n")


def test_a_word_that_it_is_loaded_may_stand_in_a_line_without_end(serve_module, tmp_path):
    folder = tmp_path / "endless"
    folder.mkdir()
    flood = "import os\n\nos.write(1, b'PIPE_INIT_COMPLETE')\nfor _ in range(64):\n    os.write(1, b'x' * 2**20)\n"
    (folder / "main.py").write_text(flood + "\n\ndef apply(input):\n    return input\n")
    answer = serve_module(folder).call("local/endless?timeout=20&stdout=true", 1)
    assert answer.get("result") == 1, answer
    assert "PIPE_INIT_COMPLETE" not in answer["metadata"]["stdout"]


def test_a_worker_that_cannot_be_asked_or_started_is_told_and_the_next_one_may_be(server, call):
    assert call("", "answer")["result"]
    links = [entry.readlink() for entry in Path(f"/proc/{server.process.pid}/fd").iterdir()]
    scratch = next(link.parent for link in links if link.parent.name.startswith("algoprof-server-"))
    for left in scratch.glob("worker-*"):
        shutil.rmtree(left)
    python = next(server.data.glob("environments/*/bin/python"))
    hidden = python.rename(python.with_name("hidden"))
    for status, words in ((200, "its reply could not be read ("), (500, "no worker could be started: ")):
        answer = server.post("local/astray", {})
        assert answer.status_code == status
        assert words in answer.json()["error"]["message"]
    hidden.rename(python)
    assert call("", "answer")["result"]
    assert "Traceback" not in server.said
