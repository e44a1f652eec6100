"""What each way to end leaves behind; the kills at full speed are in test_hard.py."""

import os
import signal
import subprocess
import sys

import pytest

from algoprof.profiles.merging import merge
from algoprof.recorder import directory
from algoprof.recorder.reader import read


def start(script, tmp_path, **options):
    environment = os.environ | {"ALGOPROF_FLIGHT_DIR": str(tmp_path / "flight")}
    return subprocess.Popen([sys.executable, "-c", script], env=environment, stdout=subprocess.PIPE, **options)


def only_flight(tmp_path):
    (path,) = directory.flight_files(tmp_path / "flight")
    return read(path)


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


ENDING = """
import os
from algoprof import profile, section
from algoprof.recorder.totals import Totals

def end_after(rows):
    add = Totals._add_row
    left = iter(range(rows))
    def added(self, total, row):
        if next(left, None) is None:
            os.kill(os.getpid(), 9)
        add(self, total, row)
    Totals._add_row = added

for number in range(3):
    if number == 2:
        end_after({rows})
    with profile("job"):
        for name in ("load", "solve"):
            with section(name), section("step"):
                pass
"""


@pytest.mark.parametrize("rows", range(5))
def test_a_kill_while_an_ended_run_is_added_up_counts_nothing_twice(tmp_path, rows):
    with start(ENDING.format(rows=rows), tmp_path) as process:
        assert process.wait() == -signal.SIGKILL
    flight = only_flight(tmp_path)
    total = merge(flight.cumulative)
    paths = [("job",), ("job", "load"), ("job", "load", "step"), ("job", "solve"), ("job", "solve", "step")]
    assert {path: node.count for path, node in total.paths()} == dict.fromkeys(paths, 3)
    assert total.runs == 3
    assert [node.count for run in flight.runs for _, node in run.paths()] == [1] * 15, "each run shows all of its own"
