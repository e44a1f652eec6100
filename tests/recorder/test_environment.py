"""What was around a run: known while it is open, when it ended, and after a kill."""

import gc
import os
import signal
import subprocess
import sys
import threading

import pytest

from algoprof import profile, section
from algoprof.profiles.environment import Environment, merge_environments
from algoprof.recorder import directory
from algoprof.recorder import layout as at
from algoprof.recorder.cgroups import ControlGroups
from algoprof.recorder.environment import Environments
from algoprof.recorder.environment_reader import EnvironmentRecord
from algoprof.recorder.flight import FlightFile
from algoprof.recorder.reader import read


def test_an_ended_run_says_what_it_had_and_what_it_cost():
    with profile("job") as run:
        sum(range(200_000))
    taken = run.snapshot()
    around = taken.environment
    assert around.python == sys.version.split()[0]
    assert around.cpu_count == len(os.sched_getaffinity(0))
    assert around.memory_peak > 2**20
    assert taken.cpu_time > 0
    assert taken.allocation_peak is None


def test_an_open_run_says_it_too():
    with profile("job") as run:
        before = run.snapshot().cpu_time
        sum(range(200_000))
        taken = run.snapshot()
    assert 0 <= before < taken.cpu_time <= run.snapshot().cpu_time
    assert taken.environment.cpu_count == run.snapshot().environment.cpu_count


from algoprof.recorder import backend  # noqa: E402

needs_compiled = pytest.mark.skipif(backend != "native", reason="the compiled writer times the collector's pauses")


@needs_compiled
def test_the_pauses_of_the_garbage_collector_are_those_during_the_run():
    gc.collect()
    with profile("outer") as outer:
        gc.collect()
        with profile("inner") as inner:
            gc.collect()
            gc.collect()
    around, within = outer.snapshot().environment, inner.snapshot().environment
    assert within.gc_pauses >= 2
    assert around.gc_pauses >= within.gc_pauses + 1
    assert 0 < within.gc_longest_ns <= within.gc_paused_ns <= around.gc_paused_ns
    assert around.gc_pause_time == around.gc_paused_ns / 1e9


@needs_compiled
def test_the_garbage_collector_is_left_alone_where_no_run_is_open(run_python):
    done = run_python("""
        import gc
        from algoprof import profile
        counts = [len(gc.callbacks)]
        with profile("job"):
            counts.append(len(gc.callbacks))
            with profile("inner"):
                counts.append(len(gc.callbacks))
        counts.append(len(gc.callbacks))
        print(counts)
        """)
    assert (done.stdout, done.stderr) == ("[0, 1, 1, 0]\n", "")


@needs_compiled
def test_a_forked_child_leaves_its_parents_file_alone(run_python):
    done = run_python("""
        import gc, os, sys
        from algoprof import profile
        with profile("job") as run:
            before = run.snapshot().environment.gc_pauses
            child = os.fork()
            if not child:
                print(len(gc.callbacks), flush=True)
                for _ in range(1000):
                    gc.collect()
                os._exit(0)
            os.waitpid(child, 0)
            print(run.snapshot().environment.gc_pauses - before < 1000, len(gc.callbacks))
        """)
    assert (done.stdout, done.stderr) == ("0\nTrue 1\n", "")


@needs_compiled
def test_runs_at_once_each_begin_and_end_their_own():
    together = threading.Barrier(8)
    taken = []

    def work():
        with profile("job") as run:
            together.wait()
            gc.collect()
            together.wait()
        taken.append(run.snapshot().environment)

    workers = [threading.Thread(target=work) for _ in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert all(around.gc_pauses >= 1 and around.gc_longest_ns > 0 for around in taken)


KILLED = """
import gc, os, sys
from algoprof import profile
from algoprof.recorder import process
with profile("job", timeout=600):
    held = bytearray(50_000_000)
    for _ in range(3):
        gc.collect()
    process.beat()  # as once a second
    print("ready", flush=True)
    sys.stdin.read()
"""


@needs_compiled
def test_a_killed_run_keeps_what_was_known(tmp_path):
    environment = os.environ | {"ALGOPROF_FLIGHT_DIR": str(tmp_path / "flight")}
    command = [sys.executable, "-c", KILLED]
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        process.send_signal(signal.SIGKILL)
    (path,) = directory.flight_files(tmp_path / "flight")
    (run,) = read(path).runs
    around = run.environment
    assert run.outcome == "killed"
    assert around.cpu_count == len(os.sched_getaffinity(0))
    assert around.gc_pauses >= 3
    assert around.gc_longest_ns > 0
    assert around.memory_peak > 50_000_000
    assert run.cpu_time > 0


@pytest.fixture
def throttled(tmp_path):
    """An environment log over a fake machine with a quota, and its cpu.stat."""
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text("0::/\n")
    groups = tmp_path / "sys/fs/cgroup"
    groups.mkdir(parents=True)
    (groups / "cpu.max").write_text("200000 100000\n")
    (groups / "cpu.stat").write_text("nr_periods 100\nnr_throttled 5\nthrottled_usec 1000\n")
    (groups / "memory.max").write_text("1000000\n")
    (groups / "memory.peak").write_text("400\n")
    flight = FlightFile(None)
    environments = Environments(flight, ControlGroups(str(tmp_path)))
    yield flight, environments, groups
    environments.abandon()


def record_of(flight, environments, slot, *, is_open):
    start, process = environments.record(slot), environments.record(at.RUNS_AT // 8 + at.RUN_COUNT * at.RUN_WORDS)
    words = flight.words
    return EnvironmentRecord(
        words[start : start + at.ENVIRONMENT_WORDS].tolist(),
        words[process : process + at.ENVIRONMENT_WORDS].tolist(),
        is_open=is_open,
    ).environment("")


def test_throttling_is_what_happened_during_the_run(throttled, monkeypatch):
    flight, environments, groups = throttled
    monkeypatch.setattr("algoprof.recorder.environment._FRESH_NS", 0)
    slot = at.RUNS_AT // 8
    environments.begin(slot, 1)
    (groups / "cpu.stat").write_text("nr_periods 140\nnr_throttled 15\nthrottled_usec 3000\n")
    (groups / "memory.peak").write_text("900\n")
    environments.observe()
    while_open = record_of(flight, environments, slot, is_open=True)
    environments.end(slot)
    (groups / "cpu.stat").write_text("nr_periods 999\nnr_throttled 99\nthrottled_usec 9999\n")
    environments.observe()
    ended = record_of(flight, environments, slot, is_open=False)
    for around in (while_open, ended):
        assert (around.cpu_quota, around.memory_limit, around.group_memory_peak) == (2.0, 1_000_000, 900)
        assert (around.periods, around.throttled_periods, around.throttled_ns) == (40, 10, 2_000_000)
        assert around.throttled_ratio == 0.25


def test_the_totals_add_runs_up(throttled, monkeypatch):
    flight, environments, groups = throttled
    monkeypatch.setattr("algoprof.recorder.environment._FRESH_NS", 0)
    total = at.RUNS_AT // 8 + at.RUN_WORDS
    for serial in (1, 2):
        environments.begin(at.RUNS_AT // 8, serial)
        counted = f"nr_periods {200 * serial}\nnr_throttled {20 * serial}\nthrottled_usec 1000\n"
        (groups / "cpu.stat").write_text(counted)
        environments.end(at.RUNS_AT // 8)
        environments.add(total, 7, at.RUNS_AT // 8)
    around = record_of(flight, environments, total, is_open=False)
    assert (around.cpu_quota, around.periods, around.throttled_periods) == (2.0, 100 + 200, 15 + 20)


def test_files_are_read_once_for_many_short_runs(throttled, monkeypatch):
    _, environments, _ = throttled
    reads = []
    monkeypatch.setattr(environments._groups, "throttling", lambda: reads.append(1))
    monkeypatch.setattr("algoprof.recorder.environment.monotonic_ns", lambda: 10**12)
    for serial in range(1, 100):
        environments.begin(at.RUNS_AT // 8, serial)
        environments.end(at.RUNS_AT // 8)
    assert len(reads) == 1


def test_merging_keeps_what_is_the_same_and_adds_what_is_counted():
    here = Environment("3.13.1", cpu_count=4, cpu_quota=2.0, memory_peak=5, gc_pauses=1, gc_longest_ns=9)
    there = Environment("3.13.1", cpu_count=8, memory_peak=7, gc_pauses=2, gc_longest_ns=3)
    assert merge_environments([here, there]) == Environment(
        "3.13.1", cpu_quota=2.0, memory_peak=7, gc_pauses=3, gc_longest_ns=9
    )


def test_sections_alone_have_an_environment_too(run_python):
    done = run_python("""
        from algoprof import section, snapshot
        with section("load"):
            print(snapshot().environment.cpu_count > 0, snapshot().cpu_time > 0)
        """)
    assert (done.stdout, done.stderr) == ("True True\n", "")


def test_a_section_reads_no_file(monkeypatch):
    reads = []
    with profile("job"), section("load"):
        monkeypatch.setattr("algoprof.recorder.cgroups._read", lambda path: reads.append(path) or b"")
        for _ in range(100):
            with section("step"):
                pass
        assert reads == []
