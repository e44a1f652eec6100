"""However a program ends, `algoprof recover` finds its profile: right counts, and what was open for how long."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from algoprof.profiles.codec import from_json

PROGRAM = """
import multiprocessing, os, signal, sys, threading, time
from concurrent.futures import ProcessPoolExecutor
from algoprof import profile, section

def work():
    for _ in range(5):
        with section("step"):
            pass

def job(end):
    with profile("job"), section("solve"):
        work()
        with section("load"):
            time.sleep(0.03)
        with section("wait"):
            print("ready", flush=True)
            end()

def nothing(): pass
def fail(): raise LookupError
def receive(): sys.stdin.read()
def leave(): os._exit(0)
def die(): os.kill(os.getpid(), signal.SIGKILL)

if __name__ == "__main__":
"""


@pytest.fixture
def recovered(tmp_path):
    """Run `algoprof recover` as a command and return the profiles it gives."""

    def recover(*arguments):
        command = [sys.executable, "-m", "algoprof", "recover", "--json", *arguments]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60)
        assert done.stderr == ""
        found = json.loads(done.stdout)
        return [from_json(one) for one in found] if isinstance(found, list) else from_json(found)

    return recover


@pytest.fixture
def run(tmp_path):
    """Run the program with a body, send it a signal when it is ready; return its exit status and its seconds."""

    def start(body, sent=None):
        (tmp_path / "program.py").write_text(PROGRAM + "".join(f"    {line}\n" for line in body.splitlines()))
        began = time.monotonic()
        with subprocess.Popen(
            [sys.executable, "program.py"],
            cwd=tmp_path,
            env=os.environ | {"ALGOPROF_REPORT": "never"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as process:
            if sent is not None:
                process.stdout.readline()
                process.send_signal(sent)
            status = process.wait(60)
        return status, time.monotonic() - began

    return start


@pytest.mark.parametrize(
    "case",
    [
        ("job(nothing)", None, 0, "ok"),
        ("job(sys.exit)", None, 0, "ok"),
        ("job(lambda: sys.exit(0))", None, 0, "ok"),
        ("job(lambda: sys.exit(3))", None, 3, "error"),
        ("job(fail)", None, 1, "error"),
        ("job(receive)", signal.SIGINT, -signal.SIGINT, "error"),
        ("signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))\njob(receive)", signal.SIGTERM, 7, "error"),
        ("job(receive)", signal.SIGTERM, -signal.SIGTERM, "killed"),
        ("job(receive)", signal.SIGKILL, -signal.SIGKILL, "killed"),
        ("job(receive)", signal.SIGQUIT, -signal.SIGQUIT, "killed"),
        ("job(leave)", None, 0, "killed"),
        ("job(os.abort)", None, -signal.SIGABRT, "killed"),
    ],
)
def test_every_end_of_a_program(run, recovered, case):
    body, sent, status, outcome = case
    ended_with, seconds = run(body, sent)
    assert ended_with == status
    profile = recovered()
    assert (profile.name, profile.outcome, profile.runs) == ("job", outcome, 1)
    assert profile.node("job", "solve", "step").count == 5
    assert profile.node("job", "solve", "load").longest >= 0.03
    wait, solve = profile.node("job", "solve", "wait"), profile.node("job", "solve")
    if outcome != "killed":
        assert not profile.open_sections()
        assert (wait.count, solve.count) == (1, 1)
        assert wait.errors == (outcome == "error")
        return
    assert [path[-1] for path, _ in profile.open_sections()] == ["job", "solve", "wait"]
    assert 0.03 <= solve.open_time <= profile.duration <= seconds
    assert 0 <= wait.open_time <= solve.open_time - 0.03


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.parametrize("end", ["nothing", "fail", "leave", "die"])
def test_every_end_of_a_child_of_multiprocessing(run, recovered, method, end):
    run(f"""child = multiprocessing.get_context("{method}").Process(target=job, args=({end},))
child.start()
child.join()""")
    (profile,) = [found for found in recovered("--all") if found.name == "job"]
    check_child(profile, {"nothing": "ok", "fail": "error"}.get(end, "killed"))


def check_child(profile, outcome):
    assert (profile.outcome, profile.runs) == (outcome, 1)
    assert profile.node("job", "solve", "step").count == 5
    still_open = ["job", "solve", "wait"] if outcome == "killed" else []
    assert [path[-1] for path, _ in profile.open_sections()] == still_open
    if still_open:
        assert profile.node("job", "solve").open_time >= 0.03


@pytest.mark.parametrize("end", ["nothing", "leave", "die"])
def test_every_end_of_an_executors_worker(run, recovered, end):
    run(f"""with ProcessPoolExecutor(1) as executor:
    future = executor.submit(job, {end})
    future.exception()""")
    (profile,) = [found for found in recovered("--all") if found.name == "job"]
    check_child(profile, "ok" if end == "nothing" else "killed")


@pytest.mark.parametrize("end", ["nothing", "fail", "leave", "die"])
def test_every_end_of_a_forked_child(run, recovered, end):
    run(f"""child = os.fork()
if child == 0:
    job({end})
    os._exit(0)
os.waitpid(child, 0)""")
    (profile,) = [found for found in recovered("--all") if found.name == "job"]
    check_child(profile, {"nothing": "ok", "fail": "error"}.get(end, "killed"))


def test_a_generator_that_is_suspended_at_the_end_of_its_run(run, recovered):
    run("""def steps():
    with section("inside"):
        yield
with profile("job"):
    work()
    suspended = steps()
    next(suspended)""")
    profile = recovered()
    assert (profile.name, profile.outcome) == ("job", "ok")
    assert profile.node("job", "step").count == 5
    inside = profile.node("job", "inside")
    assert inside.count + inside.open_count == 1


def test_a_generator_that_is_a_run_and_suspended_at_the_end(run, recovered):
    run("""@profile
def steps():
    work()
    with section("inside"):
        yield
suspended = steps()
next(suspended)
time.sleep(0.03)
sys.keep = suspended""")
    profile = recovered()
    assert profile.name.endswith("steps")
    root = profile.roots[0]
    assert profile.node(root.name, "step").count == 5
    inside = profile.node(root.name, "inside")
    assert inside.count + inside.open_count == 1
    assert inside.total_time >= 0.03


def test_a_thread_that_works_on_at_the_end(run, recovered):
    run("""ready = threading.Event()
def forever():
    with profile("job"):
        work()
        with section("wait"):
            ready.set()
            time.sleep(3600)
threading.Thread(target=forever, daemon=True).start()
ready.wait()
time.sleep(0.03)""")
    profile = recovered()
    assert (profile.name, profile.outcome) == ("job", "killed")
    assert profile.node("job", "step").count == 5
    assert profile.node("job", "wait").open_time >= 0.03
