"""The profile of one request out of the flight files of several real processes."""

import os
import subprocess
import sys
import time

import pytest

from algoprof import control
from algoprof.server.hosting.flights import profile_of

SCRIPT = """
import os, signal, sys
from algoprof import profile, section
with profile("apply"), section(sys.argv[1]):
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def killed(tmp_path):
    """Run a process that is killed within a section, while it serves a request; return its pid."""
    flights = tmp_path / "flights"
    flights.mkdir()

    def run(section, request_id):
        now = time.monotonic_ns()
        page = tmp_path / "control"
        control.write(page, control.Request(now, 10**10, now + 10**10, request_id))
        environment = os.environ | {"ALGOPROF_FLIGHT_DIR": str(flights), control.VARIABLE: str(page)}
        with subprocess.Popen([sys.executable, "-c", SCRIPT, section], env=environment) as process:
            assert process.wait(30) == -9
        return process.pid

    run.directory = flights
    return run


def test_the_roots_of_other_processes_stand_beside_the_workers_own(killed):
    child = killed("in the child", "req-1")
    worker = killed("in the worker", "req-1")
    profile = profile_of(killed.directory, "req-1", worker)
    assert profile.pid == worker
    assert profile.pid != child
    names = {path[-1] for path, _ in profile.paths()}
    assert names == {"apply", "in the worker", "in the child"}
    assert profile.node("apply").open_count == 2


def test_another_requests_profile_is_not_told_and_the_files_of_dead_children_go(killed):
    worker = killed("improve", "req-1")
    killed("in the child", "req-1")
    assert profile_of(killed.directory, "req-2", worker) is None
    (own,) = killed.directory.glob("*.flight")
    assert own.name.startswith(f"{worker}-"), "it may be dying right now, and its last request is yet to be read"


def test_what_is_no_flight_file_is_passed_over(killed):
    worker = killed("improve", "req-1")
    (killed.directory / "1-1.flight").write_bytes(b"no flight file")
    assert profile_of(killed.directory, "req-1", worker, time.monotonic_ns()).node("apply", "improve").open_count == 1
