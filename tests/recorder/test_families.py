"""A run and its workers: parts that other processes recorded, found in their files and added to the run, each once."""

import json
import pickle
import subprocess
import sys

import pytest
from click.testing import CliRunner

from algoprof import control, profile, propagate, section
from algoprof.cli.main import main
from algoprof.profiles.codec import from_json, to_json
from algoprof.profiles.merging import merge
from algoprof.profiles.tree import Node, Profile
from algoprof.recorder import directory, reader
from algoprof.recorder import layout as at
from algoprof.recorder.assembly import assemble
from algoprof.recorder.families import joined, settled, with_family, with_workers
from algoprof.recorder.reader import read
from algoprof.server.hosting.flights import profile_of


def part(run_id: str, parent: str, *roots: Node, **facts: object) -> Profile:
    return Profile("job", roots, run_id=run_id, parent_run_id=parent, part=True, runs=0, duration_ns=99, **facts)


JOB = Profile("job", (Node("job", 1, closed_ns=10, nested_ns=4, children=(Node("load", 1, closed_ns=4),)),), run_id="a")
LOADED = Node("job", children=(Node("load", concurrent=True, children=(Node("step", 2, 7, concurrent=True),)),))
WORKER = Node("worker", open_count=1, open_ns=9, inherited=True, children=(Node("step", 1, 3),))


class TestJoining:
    def test_a_part_stands_below_the_node_it_names(self):
        run = with_workers(JOB, [part("b", "a", LOADED)])
        assert run.node("job", "load", "step").closed_ns == 7
        assert (run.node("job", "load").self_ns, run.node("job").self_ns) == (4, 6)
        assert not run.node("job", "load").concurrent
        assert (run.runs, run.duration_ns) == (JOB.runs, JOB.duration_ns)

    def test_parts_of_parts_and_nobody_elses(self):
        run = with_workers(JOB, [part("c", "b", WORKER), part("b", "a", LOADED), part("d", "z", LOADED)])
        assert run.node("job", "load", "step").count == 2
        assert run.node("worker", "step").count == 1
        assert run.node("worker").inherited
        assert [root.name for root in run.roots] == ["job", "worker"]

    def test_a_run_that_is_no_part_is_not_added(self):
        other = Profile("other", (LOADED,), run_id="b", parent_run_id="a")
        assert with_workers(JOB, [other]) == JOB

    def test_parts_that_name_each_other_end(self):
        loop = [part("b", "c", LOADED), part("c", "b", LOADED)]
        assert with_workers(JOB, loop) == JOB
        assert joined([JOB, *loop]) == [JOB, *loop]

    def test_a_part_whose_run_is_there_does_not_stand_by_itself(self):
        orphan = part("d", "z", LOADED)
        runs = joined([part("b", "a", LOADED), JOB, orphan])
        assert runs[1:] == [orphan]
        assert runs[0].node("job", "load", "step").count == 2

    def test_parts_add_no_runs_and_no_duration(self):
        whole = merge([JOB, part("b", "a", LOADED)])
        assert (whole.runs, whole.duration_ns) == (1, 0)
        assert whole.node("job", "load", "step").count == 2

    def test_open_work_is_not_settled(self):
        waiting = Node("job", children=(Node("step", 2, 7, open_count=1),))
        assert settled(part("b", "a", waiting)) is None
        done = settled(part("b", "a", WORKER))
        assert done is not None
        assert (done.node("worker").open_count, done.node("worker").total_ns) == (0, 0)
        assert done.node("worker", "step").count == 1

    def test_a_profile_keeps_its_marks_in_a_file(self):
        run = with_workers(JOB, [part("b", "a", WORKER)])
        assert from_json(to_json(run)).node("worker").inherited
        assert from_json(to_json(part("b", "a", WORKER))).part

    def test_waiting_for_workers_is_their_bottleneck(self):
        slow = Node("worker", 1, closed_ns=99, nested_ns=9, inherited=True, children=(Node("step", 1, 9),))
        waits = Profile("job", (Node("job", 1, closed_ns=10),), run_id="a")
        assert with_workers(waits, [part("b", "a", slow)]).bottleneck.name == "step"
        assert with_workers(JOB, [part("b", "a", slow)]).bottleneck.name == "step"


WORKS = """
import os, signal, sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from algoprof import profile, propagate, section

@section
def step(number):
    return os.getpid()

def job():
    with profile("job"), section("fan out"), ProcessPoolExecutor(2, get_context("fork")) as pool:
        list(pool.map(propagate(step), range(6)))
        list(pool.map(step, range(5)))
        if "die" in sys.argv:
            os.killpg(os.getpgrp(), signal.SIGKILL)

if __name__ == "__main__":
    job()
    if "twice" in sys.argv:
        job()
"""


def flight_of(folder, pid):
    [path] = [path for path in directory.flight_files(folder) if directory.process_of(path)[0] == pid]
    return path


def counts(taken):
    return {"/".join(path): node.count for path, node in taken.paths() if node.name == "step"}


STEPS = {"job/fan out/step": 6, "worker/step": 5}


@pytest.fixture
def start(tmp_path):
    """Start a program with workers, and wait for its end; return its pid."""

    def begin(*arguments):
        script = tmp_path / "works.py"
        script.write_text(WORKS)
        command = [sys.executable, str(script), *arguments]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
            _, complaints = process.communicate(timeout=60)
        assert complaints == ""
        return process.pid

    return begin


class TestFiles:
    def test_a_program_that_ended(self, start, tmp_path):
        path = flight_of(tmp_path / "flight", start())
        flight = with_family(path, read(path))
        [whole] = flight.cumulative
        assert counts(whole) == STEPS
        assert whole.runs == 1
        assert counts(flight.runs[0]) == STEPS

    def test_a_program_that_ran_twice(self, start, tmp_path):
        path = flight_of(tmp_path / "flight", start("twice"))
        [whole] = with_family(path, read(path)).cumulative
        assert (counts(whole), whole.runs) == ({name: 2 * count for name, count in STEPS.items()}, 2)

    def test_a_program_that_was_killed(self, start, tmp_path):
        path = flight_of(tmp_path / "flight", start("die"))
        flight = with_family(path, read(path))
        [run] = flight.runs
        assert run.outcome == "killed"
        assert counts(run) == STEPS
        assert sum(sum(counts(whole).values()) for whole in flight.cumulative) == 0

    @pytest.mark.parametrize("end", ["exits", "die"])
    def test_report_shows_them(self, start, tmp_path, end):
        path = flight_of(tmp_path / "flight", start(end))
        shown = CliRunner().invoke(main, ["report", path])
        assert shown.exit_code == 0
        assert "in worker processes" in shown.output
        [found] = [json.loads(CliRunner().invoke(main, ["report", path, "--format", "json"]).output)]
        assert counts(from_json(found["runs"][0])) == STEPS

    def test_the_server_tells_of_a_killed_requests_workers(self, start, tmp_path, monkeypatch):
        page = tmp_path / "control"
        control.write(page, control.Request(1, 10**18, 10**18, "req-1"))
        monkeypatch.setenv(control.VARIABLE, str(page))
        pid = start("die")
        found = profile_of(tmp_path / "flight", "req-1", pid)
        assert (counts(found), found.pid, found.outcome) == (STEPS, pid, "killed")

    def test_a_named_flight_file_is_the_programs_own(self, start, tmp_path, monkeypatch):
        named = tmp_path / "named.flight"
        monkeypatch.setenv("ALGOPROF_FLIGHT_FILE", str(named))
        pid = start()
        flight = with_family(named, read(named))
        assert flight.pid == pid
        assert counts(flight.cumulative[0]) == STEPS


def test_the_totals_of_a_process_count_its_idle_workers(run_python):
    done = run_python(
        WORKS.partition("def job")[0]
        + """
if __name__ == "__main__":
    from algoprof import delivery
    with ProcessPoolExecutor(2, get_context("fork")) as pool:
        for round in range(3):
            with profile("job"), section("fan out"):
                list(pool.map(propagate(step), range(6)))
                open_runs = delivery.current().open_runs
            [whole] = delivery.current().profiles
            print(whole.node("job", "fan out", "step").count, whole.runs, [run.name for run in open_runs])
    [whole] = delivery.current().profiles
    print(whole.node("job", "fan out", "step").count, whole.runs)
"""
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == ["6 1 ['job']", "12 2 ['job']", "18 3 ['job']", "18 3"]


def test_a_run_without_workers_looks_for_none(monkeypatch):
    from algoprof.recorder import process

    monkeypatch.setattr(process, "has_workers", lambda: False)
    monkeypatch.setattr(process, "_families", lambda: pytest.fail("it looked"))
    with profile("job") as run, section("here"):
        propagate(abs)(1)
    assert run.snapshot().node("job", "here").count == 1


@section
def carried():
    pass


def test_the_end_of_a_run_reads_that_run_and_parts_but_no_other_run(monkeypatch):
    read_runs = []

    def counting(record, *rest, **named):
        read_runs.append(record.run)
        return assemble(record, *rest, **named)

    for _ in range(3):
        with profile("another"):
            pass
    with profile("job") as run:
        pickle.loads(pickle.dumps(propagate(carried)))()  # as another process would be told of it
        monkeypatch.setattr(reader, "assemble", counting)
    assert run.snapshot().node("job", "carried").count == 1
    own, *others = read_runs
    assert not own[at.RUN_FLAGS] & at.PART
    assert others
    assert all(run[at.RUN_FLAGS] & at.PART for run in others)
