"""Processor time of sections: only where it is asked for, only the own thread's, only the own steps'."""

import asyncio
import threading
import time

import pytest

from algoprof import measuring, profile, section, snapshot
from algoprof.errors import ConfigurationError
from algoprof.profiles.merging import merge

timed = measuring.with_options(cpu=True)
BUSY = 0.02  # seconds of processor time


def work(seconds=BUSY):
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def wait(seconds=3 * BUSY):
    threading.Event().wait(seconds)


def test_waiting_takes_wall_time_and_working_takes_processor_time():
    with profile("job") as run:
        with timed("waits"):
            wait()
        with timed("works"):
            work()
        with section("plain"):
            work()
    taken = run.snapshot()
    waits, works = taken.node("job", "waits"), taken.node("job", "works")
    assert waits.total_time >= 3 * BUSY > BUSY / 2 > waits.cpu_time > 0
    assert BUSY <= works.cpu_time <= works.total_time + BUSY / 10
    assert taken.node("job", "plain").cpu_time is None
    assert works.device_time is None
    assert taken.cpu_time >= 2 * BUSY


def test_every_occurrence_counts_and_nested_ones_are_part_of_it():
    with profile("job") as run:
        for _ in range(3):
            with timed("outer"), timed("inner"):
                work(BUSY / 2)
    taken = run.snapshot()
    outer, inner = taken.node("job", "outer"), taken.node("job", "outer", "inner")
    assert outer.count == inner.count == 3
    assert 1.5 * BUSY <= inner.cpu_time <= outer.cpu_time < 4 * BUSY


def test_a_recursion_counts_once():
    def descend(levels):
        with timed("step"):
            work(BUSY / 4)
            if levels:
                descend(levels - 1)

    with profile("job") as run:
        descend(3)
    step = run.snapshot().node("job", "step")
    assert step.count == 4
    assert BUSY <= step.cpu_time <= step.total_time + BUSY / 10


def test_other_threads_do_not_count():
    stop = threading.Event()

    def burn():
        while not stop.is_set():
            work(0.001)

    burner = threading.Thread(target=burn)
    burner.start()
    try:
        with profile("job") as run, timed("waits"):
            wait()
    finally:
        stop.set()
        burner.join()
    assert run.snapshot().node("job", "waits").cpu_time < BUSY


def test_threads_that_share_a_section_object_each_have_their_own():
    shared = timed("shared")
    together = threading.Barrier(4)

    def run():
        together.wait()
        with profile("threads"), shared:
            work()

    workers = [threading.Thread(target=run) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    node = snapshot().node("threads", "shared")
    assert 4 * BUSY <= node.cpu_time < 6 * BUSY


def test_decorated_functions_and_classes_are_measured():
    @timed
    def bare():
        work()

    @timed("named", kind="a")
    def named():
        work()

    @timed
    class Model:
        def infer(self):
            work()

    with profile("job") as run:
        bare()
        named()
        Model().infer()
    nodes = {node.name.rpartition(".")[2]: node for node in run.snapshot().node("job").children}
    assert {name: node.cpu_time >= BUSY for name, node in nodes.items()} == dict.fromkeys(
        ("bare", "named", "infer"), True
    )
    assert nodes["named"].spans[0].attributes == {"kind": "a"}


def test_a_generator_counts_its_own_steps():
    @timed("steps")
    def steps():
        for _ in range(3):
            work(BUSY / 3)
            yield

    with profile("job") as run:
        for _ in steps():
            work()
    node = run.snapshot().node("job", "steps")
    assert BUSY <= node.cpu_time < 2 * BUSY
    assert node.total_time >= 4 * BUSY


async def test_a_coroutine_counts_its_own_steps_and_not_those_of_other_tasks():
    @timed("light")
    async def light():
        for _ in range(10):
            await asyncio.sleep(0)

    @timed("heavy")
    async def heavy():
        for _ in range(10):
            work(BUSY / 5)
            await asyncio.sleep(0)

    @timed("events")
    async def events():
        for _ in range(2):
            work(BUSY / 4)
            yield 1

    async with profile("job") as run:
        await asyncio.gather(light(), heavy())
        async for _ in events():
            work()
    taken = run.snapshot()
    by_name = {path[-1]: node for path, node in taken.paths()}
    assert by_name["light"].cpu_time < BUSY
    assert 2 * BUSY <= by_name["heavy"].cpu_time < 3 * BUSY
    assert BUSY / 2 <= by_name["events"].cpu_time < 1.5 * BUSY


async def test_async_with_does_not_guess():
    async with profile("job") as run, timed("waits"):
        await asyncio.sleep(0)
    node = run.snapshot().node("job", "waits")
    assert (node.count, node.cpu_time) == (1, None)


def test_sections_of_suspended_generators_stay_their_own():
    def steps():
        with timed("within"):
            work(BUSY / 4)
            yield
            with section("deeper"):
                yield

    with profile("job") as run:
        first, second = steps(), steps()
        for _ in zip(first, second, strict=True):
            with section("beside"):
                pass
    taken = run.snapshot()
    assert sorted(node.name for node in taken.node("job").children) == ["beside", "within"]
    within = taken.node("job", "within")
    assert (within.count, [child.name for child in within.children]) == (2, ["deeper"])
    assert within.cpu_time >= BUSY / 2
    assert not measuring._open
    assert not measuring._held


def test_an_exception_passes_and_its_time_counts():
    @timed("fails")
    def fail():
        work()
        raise LookupError

    with profile("job") as run, pytest.raises(LookupError):
        fail()
    node = run.snapshot().node("job", "fails")
    assert (node.errors, node.cpu_time >= BUSY) == (1, True)


def test_a_section_that_another_thread_leaves_is_counted_as_dropped():
    with profile("job") as run:
        moved = timed("moved")
        opened = moved.enter()
        thread = threading.Thread(target=moved.leave, args=(opened, None))
        thread.start()
        thread.join()
    taken = run.snapshot()
    assert (taken.node("job", "moved").count, taken.node("job", "moved").cpu_time, taken.dropped) == (1, None, 1)


def test_totals_and_merged_profiles_add_it_up():
    runs = []
    for _ in range(2):
        with profile("added up") as run, timed("works"):
            work()
        runs.append(run.snapshot())
    both = snapshot().node("added up", "works").cpu_ns
    assert both == sum(run.node("added up", "works").cpu_ns for run in runs)
    assert merge(runs).node("added up", "works").cpu_ns == both


def test_a_forked_child_measures_its_own(run_python):
    done = run_python("""
        import os
        from algoprof import profile, snapshot
        from algoprof.measuring import with_options
        timed = with_options(cpu=True)
        with profile("job") as run, timed("around"):
            child = os.fork()
            if not child:
                with timed("in the child"):
                    sum(range(100_000))
                found = [node.cpu_time > 0 for path, node in snapshot().paths() if path[-1] == "in the child"]
                os._exit(0 if found == [True] else 1)
            print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        print(run.snapshot().node("job", "around").cpu_time > 0)
        """)
    assert (done.stdout, done.stderr) == ("0\nTrue\n", "")


def test_options_that_are_not_known_are_refused_with_those_that_are():
    with pytest.raises(TypeError, match="no option speed; it has cpu, device and timeout"):
        measuring.with_options(speed=True)
    with pytest.raises(ConfigurationError, match=r"no device 'tpu' can be timed; give \"cuda\""):
        measuring.with_options(device="tpu")
    with pytest.raises(TypeError, match="give the section a name"):
        timed(work, kind="a")
    with pytest.raises(TypeError, match="a name or a function is wanted, not 3"):
        timed(3)
    assert measuring.with_options() is section


def test_nothing_is_measured_where_recording_is_disabled(run_python):
    done = run_python(
        """
        from algoprof.measuring import with_options
        timed = with_options(cpu=True, device="cuda")
        def work(): return 1
        assert timed(work) is work and timed("a")(work) is work
        with timed("b", kind=1) as s:
            s.set(more=2)
        """,
        env={"ALGOPROF_DISABLED": "1"},
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_report_shows_a_column_where_it_was_asked_for():
    from algoprof.exporters.text import render

    with profile("job") as run, timed("works"):
        work()
    header = render(run.snapshot()).splitlines()[1]
    assert header.split() == ["section", "total", "self", "cpu", "run", "count", "mean", "p95"]
