"""Runs that print their profile: real programs, what their stdout carries, and the client that reads it."""

import os
import subprocess
import sys

import pytest

from algoprof import inband
from algoprof.profiles.inband import extract

ALGORITHM = """
import sys, threading
from algoprof import profile, section

@profile
def apply(number):
    with section("load"):
        print("loading", number)
    with section("infer"):
        print("no line break yet", end=" ")
    return number

apply(int(sys.argv[1]))
print("left")
"""


def run(*arguments, program=ALGORITHM, **variables):
    environment = {**os.environ, "ALGOPROF_REPORT": "never", **variables}
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], check=False, capture_output=True, text=True, env=environment
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_the_outermost_run_is_printed_after_what_it_printed():
    stdout = run("7", ALGOPROF_INBAND="1")
    found = extract(stdout)
    assert found.text == "loading 7\nno line break yet \nleft\n"
    assert found.profile.name == "apply"
    assert [node.name for node in found.profile.roots[0].children] == ["load", "infer"]
    assert stdout.index("no line break yet") < stdout.index("algoprof:1:") < stdout.index("left")


NOWHERE = ({}, {"ALGOPROF_INBAND": "0"}, {"ALGOPROF_INBAND": "1", "ALGOPROF_DISABLED": "1"})


@pytest.mark.parametrize("variables", NOWHERE)
def test_elsewhere_nothing_is_printed(variables):
    assert run("7", **variables) == "loading 7\nno line break yet left\n"


def test_where_the_platform_runs_it_is_printed_unless_a_server_of_ours_reads_it(tmp_path, monkeypatch):
    assert inband.RUNNER == "/tmp/algoout"
    monkeypatch.setattr(inband, "RUNNER", str(tmp_path))
    assert inband.wanted()
    monkeypatch.setenv("ALGOPROF_CONTROL", str(tmp_path / "page"))
    assert not inband.wanted()
    monkeypatch.delenv("ALGOPROF_CONTROL")
    monkeypatch.setattr(inband, "RUNNER", str(tmp_path / "missing"))
    assert not inband.wanted()


def test_an_exception_and_its_profile_come_home_together():
    program = ALGORITHM.replace("return number", "raise ValueError(number)").replace(
        "apply(int(sys.argv[1]))", "try:\n    apply(1)\nexcept ValueError:\n    pass"
    )
    assert extract(run("7", program=program, ALGOPROF_INBAND="1")).profile.outcome == "error"


def test_a_reader_that_does_not_read_is_not_waited_for():
    program = """
import os, threading, time
from algoprof import profile, section

reader, writer = os.pipe()
os.dup2(writer, 1)
os.set_blocking(1, False)
try:
    while True:
        os.write(1, b"x" * 4096)
except BlockingIOError:
    pass
os.set_blocking(1, True)
with profile("job"), section("step"):
    pass
os.write(2, b"went on")
os._exit(0)
"""
    environment = {**os.environ, "ALGOPROF_INBAND": "1"}
    done = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True, env=environment, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "went on")


def test_a_closed_stdout_does_not_hurt():
    program = """
import os
from algoprof import profile, section

os.close(1)
with profile("job"), section("step"):
    pass
"""
    assert run(program=program, ALGOPROF_INBAND="1") == ""
