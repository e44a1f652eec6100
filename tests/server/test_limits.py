"""How much a server takes on: the queue's order, sessions, jobs, and workers that have nothing to do."""

import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from algoprof.calls.access.keys import Secret
from algoprof.calls.client import client as caller
from algoprof.errors import CallRefused
from algoprof.server.envelopes import Refusal
from algoprof.server.hosting.sessions import MAX_CHILDREN, Sessions

HOLD = """
    import os, subprocess, time

    time.sleep(0.2)  # so that loading takes time


    def apply(input):
        with open(input["log"], "a") as log:
            log.write(f"{input['number']}\\n")
        while not os.path.exists(input["until"]):
            time.sleep(0.005)
        return [os.getpid(), subprocess.Popen(["sleep", "1000"]).pid]
"""
OUTER = """
    import json, os, time, urllib.request


    def apply(input):
        while not os.path.exists(input["after"]):
            time.sleep(0.005)
        shown = {"Authorization": os.environ["ALGORITHMIA_API_KEY"], "Content-Type": "application/json"}
        url = os.environ["ALGORITHMIA_API"] + "/v1/algo/local/hold"
        with urllib.request.urlopen(urllib.request.Request(url, json.dumps(input).encode(), shown)) as answer:
            return json.load(answer)["result"]
"""
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


class Loads:
    """How busy a server's versions are, as an admin key may ask."""

    def __init__(self, serving, key):
        self.serving = serving
        self.session = requests.Session()
        self.session.headers["Authorization"] = f"Simple {key}"

    def of(self, name="hold"):
        answer = self.session.get(f"{self.serving.address}/v1/admin/executions", timeout=20).json()
        found = {load["algorithm"]: load for load in answer}.get(f"local/{name}")
        return (found["queued"], found["running"], found["idle"]) if found else (0, 0, 0)


@pytest.fixture
def limited(serve, project, command_line, tmp_path):
    """Start a server with these options, which hosts `hold` and `outer`; it comes with its loads."""
    watching = []

    def start(*options):
        admin = command_line("keys", "create", "--admin", "--data-dir", tmp_path / "data").stdout.strip()
        folders = [
            project(name, {"main.py": textwrap.dedent(code)}) for name, code in (("hold", HOLD), ("outer", OUTER))
        ]
        serving = serve(*folders, data=tmp_path / "data", options=options)
        assert serving.address, serving.said
        watching.append(Loads(serving, admin))
        return serving, watching[-1]

    yield start
    for loads in watching:
        loads.session.close()


@pytest.fixture
def held(tmp_path):
    """Return the input of a call that ends once `(tmp_path / "go")` exists."""
    return lambda number: {"log": str(tmp_path / "log"), "until": str(tmp_path / "go"), "number": number}


def test_those_who_wait_are_served_in_the_order_they_came_and_one_too_many_is_refused(limited, held, tmp_path):
    serving, loads = limited("--sessions", "21")
    with ThreadPoolExecutor(21) as pool:
        answers = [pool.submit(serving.call, "local/hold", held(0))]
        wait_until((tmp_path / "log").exists)
        for number in range(1, 21):
            answers.append(pool.submit(serving.call, "local/hold", held(number)))
            wait_until(lambda number=number: loads.of() == (number, 1, 0))
        with caller(Secret(serving.key), serving.address) as client, pytest.raises(CallRefused) as refused:
            client.algo("local/hold").pipe(held(21))
        (tmp_path / "go").touch()
        told = [answer.result()["metadata"]["algoprof"] for answer in answers]
    assert (tmp_path / "log").read_text().split() == [str(number) for number in range(21)]
    assert (refused.value.call.status, refused.value.retry_after) == (429, 1.0)
    assert refused.value.message.startswith("21 sessions are under way")
    assert told[0]["load"] > 0.2 > told[0]["queue"]
    assert all(one["queue"] > 0 and one["load"] < 0.2 for one in told[1:])
    assert loads.of() == (0, 0, 1)
    assert serving.call("local/hold", held(22))["result"]


def test_a_worker_that_has_nothing_to_do_ends_and_the_next_call_waits_for_one_to_load(limited, held, tmp_path):
    serving, loads = limited("--idle", "0.3")
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(serving.call, "local/hold", held(1))
        wait_until((tmp_path / "log").exists)
        busy = serving.call("local/hold?timeout=0.5", held(2))  # longer than a worker may be idle, and this one is not
        (tmp_path / "go").touch()
        first = answer.result()
    assert (busy["error"]["error_type"], busy["metadata"]["duration"]) == ("TimeoutError", 0)
    wait_until(lambda: loads.of() == (0, 0, 0))
    for pid in first["result"]:  # the worker, and what it has started
        wait_until(lambda pid=pid: ended(pid))
    second = serving.call("local/hold", held(3))
    assert second["result"] != first["result"]
    for answer in (first, second):
        told = answer["metadata"]["algoprof"]
        assert told["load"] > 0.2
        assert answer["metadata"]["duration"] == told["run"]
        assert 0 <= told["total"] - told["queue"] - told["load"] - told["run"] < 1


def test_jobs_wait_for_each_other_but_not_for_those_they_make_themselves(limited, held, tmp_path):
    serving, loads = limited("--jobs", "1")
    with ThreadPoolExecutor() as pool:
        after = {"after": str(tmp_path / "after")}
        outer = pool.submit(serving.call, "local/outer?timeout=60", held("outer") | after)
        wait_until(lambda: loads.of("outer") == (0, 1, 0))
        hold = pool.submit(serving.call, "local/hold?timeout=60", held("hold"))
        wait_until(lambda: loads.of() == (1, 0, 0))
        (tmp_path / "after").touch()
        wait_until(lambda: loads.of() == (1, 1, 0))  # what it calls runs before the one that came first
        (tmp_path / "go").touch()
        assert outer.result()["result"]
        assert hold.result()["metadata"]["algoprof"]["queue"] > 0
    assert (tmp_path / "log").read_text().split() == ["outer", "hold"]


def test_the_calls_of_a_session_are_bounded_and_it_ends_with_the_last():
    sessions = Sessions(1)
    session = sessions.enter("")
    for _ in range(MAX_CHILDREN):
        assert sessions.enter(session) == session
    with pytest.raises(Refusal, match="24 calls under way") as refused:
        sessions.enter(session)
    assert (refused.value.status, refused.value.retry_after) == (429, 1)
    assert [sessions.leave(session) for _ in range(MAX_CHILDREN + 1)] == [*[False] * MAX_CHILDREN, True]
    assert sessions.enter("") != session
