"""What a kill leaves behind: a readable file, with everything that was completed in it."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from algoprof.recorder import directory
from algoprof.recorder.reader import read

WRITER = """
import sys, threading
from algoprof import profile, propagate, section

def work(number):
    done = 0
    inner = section("inner")
    while True:
        with section("outer"):
            for _ in range(3):
                with inner:
                    pass
        done += 1
        if number == 0:
            sys.stdout.buffer.write(b"%d\\n" % done)
            sys.stdout.buffer.flush()

with profile("job"):
    for number in range(1, 3):
        threading.Thread(target=propagate(work), args=(number,), daemon=True).start()
    work(0)
"""


def start(script, tmp_path, **options):
    environment = os.environ | {"ALGOPROF_FLIGHT_DIR": str(tmp_path / "flight")}
    return subprocess.Popen([sys.executable, "-c", script], env=environment, stdout=subprocess.PIPE, **options)


def only_flight(tmp_path):
    (path,) = directory.flight_files(tmp_path / "flight")
    return read(path)


@pytest.mark.timeout(1800)
def test_a_kill_at_any_moment_loses_no_completed_section(tmp_path, scaled):
    moments = random.Random(1)
    for _ in range(scaled(2_000)):
        with start(WRITER, tmp_path) as process:
            process.stdout.readline()
            time.sleep(moments.random() * 0.01)
            process.kill()
            said = [int(line) for line in process.stdout.read().split(b"\n")[:-1]]
        flight = only_flight(tmp_path)
        assert not flight.alive
        (run,) = [run for run in flight.runs if run.name == "job"]
        assert run.outcome == "killed"
        outer, inner = run.node("job", "outer"), run.node("job", "outer", "inner")
        torn = 3 if run.inexact else 0  # one row a thread, each one call off at the most
        assert outer.count >= max(said, default=1) - torn
        assert abs(inner.count - 3 * outer.count) <= 9 + torn
        assert abs(inner.histogram.count - inner.count) <= torn
        for path in directory.flight_files(tmp_path / "flight"):
            Path(path).unlink()


SLOW = """
import os, sys, time
from algoprof import profile, section
with profile("job", timeout=60):
    with section("load"):
        time.sleep(0.02)
    with section("solve", model="v3"), section("step"):
        print("ready", flush=True)
        {end}
"""


@pytest.mark.parametrize(
    "end",
    [
        "os.kill(os.getpid(), 9)",
        "os.kill(os.getpid(), 15)",
        "os._exit(0)",
        "os.abort()",
        "sum(__import__('itertools').repeat(1, 10**11))",
    ],
)
def test_what_was_open_is_told_with_its_attributes(tmp_path, end):
    with start(SLOW.format(end=end), tmp_path, stderr=subprocess.DEVNULL) as process:
        process.stdout.readline()
        if "itertools" in end:
            process.kill()
    (run,) = only_flight(tmp_path).runs
    assert run.outcome == "killed"
    assert not only_flight(tmp_path).closed
    assert [path for path, _ in run.open_sections()] == [("job",), ("job", "solve"), ("job", "solve", "step")]
    assert run.node("job", "load").count == 1
    assert run.node("job", "solve").spans[0].attributes == {"model": "v3"}
    assert run.duration >= 0.02


@pytest.mark.parametrize("end", ["pass", "sys.exit(3)", "raise LookupError", "raise KeyboardInterrupt"])
def test_a_clean_end_is_told_from_a_kill(tmp_path, end):
    with start(SLOW.format(end=end), tmp_path, stderr=subprocess.DEVNULL) as process:
        process.stdout.read()
    flight = only_flight(tmp_path)
    assert (flight.alive, flight.closed) == (False, True)
    (run,) = flight.runs
    assert run.outcome == ("ok" if end == "pass" else "error")
    assert not run.open_sections()
    assert [job.runs for job in flight.cumulative] == [1]


def test_an_interrupted_run_ends_as_one_that_raised(tmp_path):
    with start(
        SLOW.format(end="time.sleep(60)") + "\nprint('not reached')", tmp_path, stderr=subprocess.PIPE
    ) as process:
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()
    assert out == b""
    assert b"KeyboardInterrupt" in err


def test_a_forked_child_writes_a_file_of_its_own(tmp_path):
    script = """
import os, time
from algoprof import profile, section, snapshot
with profile("job") as run:
    with section("before"):
        pass
    child = os.fork()
    if child == 0:
        with section("in the child"):
            print("ready", flush=True)
            os._exit(0)
    os.waitpid(child, 0)
    with section("after"):
        os.kill(os.getpid(), 9)
"""
    with start(script, tmp_path) as process:
        process.stdout.read()
    runs = {
        (run.name, run.part): {path for path, _ in run.paths()}
        for path in directory.flight_files(tmp_path / "flight")
        for run in read(path).runs
    }
    assert runs == {
        ("job", False): {("job",), ("job", "before"), ("job", "after")},
        ("job", True): {("worker",), ("worker", "in the child")},
    }
