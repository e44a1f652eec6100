"""SIGKILL of a busy server at any moment: what was answered is there after the next start, and nothing else is left."""

import random
import signal
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
import requests

import algoprof
from algoprof.server.access.keyring import Keyring
from algoprof.server.access.rights import Rights
from algoprof.server.building.builds import CUT_SHORT
from algoprof.server.state.store import FILE, Store

ALGORITHM = f"""
import json, os, subprocess, sys, time, urllib.request
from pathlib import Path

sys.path.append({str(Path(algoprof.__file__).parents[1])!r})
from algoprof import control, profile, section

HOW = [{{}}, {{"start_new_session": True}}, {{"env": {{"PATH": os.environ["PATH"]}}}}]


@profile
def apply(input):
    with section("work"):
        time.sleep(0.002)
    if input["do"] == "fail":
        raise ValueError("as it was asked to")
    if input["do"] == "exit":
        os._exit(3)
    if input["do"] == "hang":
        time.sleep(1000)
    if input["do"] == "report":
        content = json.dumps([{{"insight_key": "number", "insight_value": input["number"]}}]).encode()
        urllib.request.urlopen(os.environ["ALGORITHMIA_API"] + "/v1/insights", content).close()
    if input["do"] == "hold":
        pids = [os.getpid(), *(subprocess.Popen(["sleep", "1000"], **how).pid for how in HOW)]
        with section("hold"):
            request = control.read(os.environ["ALGOPROF_CONTROL"]).request_id
            unfinished = Path(input["begun"], "unfinished")
            unfinished.write_text(" ".join(map(str, pids)))
            unfinished.rename(Path(input["begun"], request))
            time.sleep(1000)
    return input
"""
BACKEND = """
import os, pathlib, sys, time

pathlib.Path({begun!r}).write_text(f"{{os.getppid()}} {{os.getpid()}} ")
time.sleep(1000)
"""
PROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]

[project]
name = "slow"
version = "1"
"""
KEPT, SLOW = "local/kept", "local/slow"


class Work:
    """What clients ask of a server at once until it is killed, and what they were answered.

    Args:
        serving: the server.
        folder: for what the algorithms tell of themselves.
        projects: the folders that are served, by name.
    """

    def __init__(self, serving, folder, projects, chance):
        self.serving, self.folder, self.projects, self.chance = serving, folder, projects, chance
        self.begun = folder / f"begun-{chance.random()}"
        self.begun.mkdir()
        self.ends: dict[str, str] = {}
        self.profiled: list[str] = []
        self.reported: list[str] = []
        self.files: dict[str, bytes] = {}
        self.versions: list[str] = []
        self.keys: list[str] = []
        self.over = threading.Event()
        tasks = [self.call, self.call, self.hold, self.void, self.upload, self.publish, self.make_keys]
        self.threads = [threading.Thread(target=self.until_the_end, args=[task]) for task in tasks]
        for thread in self.threads:
            thread.start()

    def join(self):
        self.over.set()
        for thread in self.threads:
            thread.join()

    def until_the_end(self, task: Callable[[requests.Session], None]) -> None:
        with suppress(requests.RequestException), requests.Session() as session:
            session.headers.update(self.serving.session.headers)
            while not self.over.is_set():
                task(session)

    def post(self, session, path, content):
        answer = session.post(f"{self.serving.address}/v1/{path}", json=content, timeout=60)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def call(self, session):
        word = self.chance.choice(["echo"] * 5 + ["fail", "exit", "report", "hang"])
        timeout = 0.3 if word == "hang" else 60
        answer = self.post(session, f"algo/{KEPT}?timeout={timeout}", {"do": word, "number": len(self.ends)})
        self.ends[answer["request_id"]] = {"fail": "failed", "exit": "exited", "hang": "timeout"}.get(word, "ok")
        if word != "hang":  # which may have timed out in the queue, or as it began
            self.profiled.append(answer["request_id"])
        if word == "report":
            self.reported.append(answer["request_id"])

    def hold(self, session):
        self.post(session, f"algo/{KEPT}?timeout=1000", {"do": "hold", "begun": str(self.begun)})

    def void(self, session):
        answer = self.post(session, f"algo/{KEPT}?output=void", {"do": "echo"})
        self.ends[answer["request_id"]] = "any"
        self.over.wait(0.02)

    def upload(self, session):
        name, content = f"file{self.chance.randrange(5)}", self.chance.randbytes(self.chance.choice([9, 99, 2**22]))
        self.files.pop(name, None)  # either of the two may be there
        answer = session.put(f"{self.serving.address}/v1/data/.my/kept/{name}", data=content, timeout=60)
        assert answer.status_code == 200, answer.text
        self.files[name] = content

    def publish(self, session):
        """Publish twice, or not at all, then let a build hang in pip."""
        for _ in range(self.chance.choice([0, 2])):
            (self.projects["slow"] / "main.py").write_text(f"apply = lambda input: {self.chance.random()}\n")
            self.post(session, f"algorithms/{SLOW}/compile", {})
            told = self.post(session, f"algorithms/{SLOW}/versions", {"version_info": {"version_type": "minor"}})
            self.versions.append(told["version_info"]["semantic_version"])
        (self.projects["slow"] / "requirements.txt").write_text("./\n")
        self.post(session, f"algorithms/{SLOW}/compile", {})

    def make_keys(self, _session):
        ring = Keyring(self.serving.data / FILE)
        self.keys.append(ring.create(Rights())[0].text)
        ring.close()
        self.over.wait(0.05)


@pytest.mark.timeout(1800)
def test_what_was_answered_is_there_and_nothing_else_is_left(serve, project, tmp_path, scaled):
    chance = random.Random()
    backend = BACKEND.format(begun=str(tmp_path / "building"))
    projects = {
        "kept": project("kept", {"main.py": ALGORITHM}),
        "slow": project(
            "slow", {"main.py": "def apply(input): ...\n", "backend.py": backend, "pyproject.toml": PROJECT}
        ),
    }

    def start():
        return serve(*projects.values(), data=tmp_path / "data", options=["--replicas", "3"])

    serving = start()
    made = serving.session.post(f"{serving.address}/v1/data/.my", json={"name": "kept"}, timeout=60)
    assert made.status_code == 200
    serving.call(f"{KEPT}?timeout=60", {"do": "echo"})
    for _ in range(scaled(120)):
        work = Work(serving, tmp_path, projects, chance)
        time.sleep(1.5 * chance.random() ** 2)  # any moment will do, an early one rather
        serving.stop(signal.SIGKILL)
        work.join()
        assert gone(started(work.begun, tmp_path / "building")), "they end with the server, not with the next one"
        (projects["slow"] / "requirements.txt").unlink(missing_ok=True)
        (tmp_path / "building").unlink(missing_ok=True)
        if chance.random() < 0.3:
            starting = type(serving)(serving.data, *projects.values())
            time.sleep(chance.random())
            starting.stop(signal.SIGKILL)
        serving = start()
        check(serving, work)
    serving.stop()
    assert scratches(serving.data) == []


def check(serving, work):
    """What was answered is kept, and nothing is left of what was not."""
    assert serving.address, serving.said
    data = serving.data
    with sqlite3.connect(data / FILE) as database:
        assert database.execute("pragma integrity_check").fetchall() == [("ok",)]
        assert database.execute("pragma foreign_key_check").fetchall() == []
    database.close()
    store = Store(data / FILE)
    algorithm, slow = (store.algorithm("local", name) for name in ("kept", "slow"))
    failures = {failure.request_id for failure in store.errors(algorithm)}
    for request_id, end in work.ends.items():
        run = store.runs.find(request_id)
        assert run is not None
        assert end in (run.end, "any")
        assert run.end in ("ok", "lost") or request_id in failures
    for request_id in work.profiled:
        assert store.runs.profile(request_id).node("apply", "work").count == 1
    for path in work.begun.glob("req-*"):
        run, profile = store.runs.find(path.name), store.runs.profile(path.name)
        assert run.end == "lost"
        assert run.error.splitlines()[0] == "the server was killed while it ran"
        assert "apply/hold was open, for " in run.error
        assert "apply/hold was open, for " in serving.get(f"/runs/{path.name}").text
        assert profile.node("apply", "hold").open_time == pytest.approx(run.run, abs=1)
        assert path.name in failures
    assert {insight.request_id for insight in store.insights(algorithm)} >= set(work.reported)
    assert {version.semantic for version in store.versions(slow)} >= set(work.versions)
    for build in store.builds(slow):
        assert build.status != "in-progress"
        if build.status == "failed":
            assert (data / "logs" / f"{build.id}.log").read_text().rstrip().endswith(CUT_SHORT)
    store.close()
    for name, content in work.files.items():
        assert serving.get(f"/v1/data/.my/kept/{name}").content == content
    for key in work.keys:
        answer = requests.get(f"{serving.address}/v1/algorithms/{KEPT}", headers={"Authorization": key}, timeout=60)
        assert answer.status_code == 200
    assert not list((data / "files" / "unfinished").iterdir())
    assert not (data / "temporary").exists()
    deadline = time.monotonic() + 20
    while left := cut_short(data):  # what pruning removes is removed beside the first calls
        assert time.monotonic() < deadline, left
        time.sleep(0.01)
    assert len(scratches(data)) == 1


def cut_short(data):
    """Return what builds and the server have left half-made."""
    environments = [path for path in (data / "environments").iterdir() if not (path / ".algoprof-finished").exists()]
    wheels = [path for path in (data / "wheels").glob("*/*.[0-9]*") if path.suffix != ".whl"]
    return [*environments, *wheels, *data.glob("*.new"), *(data / "projects").glob(".*")]


def scratches(data):
    found = []
    for path in Path("/dev/shm").glob("algoprof-server-*/data"):
        with suppress(FileNotFoundError):  # another server's
            if path.read_text() == str(data):
                found.append(path)
    return found


def started(*told):
    """Return the processes that algorithms and builds have told of."""
    files = [file for path in told if path.exists() for file in (path.iterdir() if path.is_dir() else [path])]
    return [int(word) for file in files for word in file.read_text().split()]


def gone(pids):
    deadline = time.monotonic() + 20
    while any(_lives(pid) for pid in pids):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def _lives(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):  # the latter if it ends between opening and reading
        return False
