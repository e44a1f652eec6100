"""The stack sampler: whom it sees where and for how long, in which sections, and whose samples those are."""

import json
import textwrap
from pathlib import Path

import pytest

from algoprof.recorder import layout as at
from algoprof.recorder.reader import read
from algoprof.supervisor.flights import header_of

ON = {"ALGOPROF_SAMPLER": "on"}
PHASES = Path(__file__).parents[2] / "benchmarks" / "sampler_phases.py"
pytestmark = pytest.mark.alone
TOOLS = """
import json, time
import algoprof
from algoprof import profile, section

def tell(profile, **more):
    samples = [
        (list(one.path), [frame.name for frame in one.stack], one.count, one.concurrent) for one in profile.samples
    ]
    print(json.dumps({"samples": samples, "sampler": profile.sampler, "interval": profile.sample_interval} | more))
"""


@pytest.fixture
def tools(busy):
    """Return the source of what scripts here have."""
    return busy + TOOLS


@pytest.fixture
def sampled(run_python, tools):
    """Run a script with the sampler on, and return what it told."""

    def run(script: str, **env: str) -> dict:
        done = run_python(tools + textwrap.dedent(script), env=ON | env)
        assert (done.returncode, done.stderr) == (0, "")
        return json.loads(done.stdout.splitlines()[-1])

    return run


def count(told: dict, *path: str, leaf: str | None = None, concurrent: bool | None = None) -> int:
    return sum(
        ticks
        for where, stack, ticks, beside in told["samples"]
        if where[: len(path)] == list(path)
        and (leaf is None or stack[-1] == leaf)
        and (concurrent is None or beside == concurrent)
    )


def error(run_python, where: str, enough: float) -> float:
    """Return the largest error in percentage points, of the best of six tries: the machine may be busy.

    Samples are as many as at 100 Hz in four times as long: what is off in them is as far off, and chance less.
    """
    best = 100.0
    for _ in range(6):
        done = run_python(PHASES, "3", "0.01", where, env=ON | {"ALGOPROF_SAMPLE_RATE": "400"})
        assert done.returncode == 0, done.stderr
        best = min(best, json.loads(done.stdout)["worst"])
        if best <= enough:
            break
    return best


def test_the_main_thread_is_seen_as_it_is(run_python):
    assert error(run_python, "main", 1.5) <= 1.5


def test_other_threads_are_seen_nearly_as_they_are(run_python):
    assert error(run_python, "other", 4) <= 4


@pytest.mark.usefixtures("writer")
def test_samples_stand_where_the_sections_do(sampled):
    told = sampled(
        """
        with profile("job") as run:
            with section("load"):
                with section("parse"):
                    busy(0.3)
            busy(0.3)
            try:
                with section("failed"):
                    1 / 0
            except ZeroDivisionError:
                pass
        found = run.snapshot()
        assert all(found.node(*sample.path) for sample in found.samples)
        tell(found)
        """
    )
    parse = count(told, "job", "load", "parse", leaf="busy")
    rest = count(told, "job", leaf="busy") - parse
    assert min(parse, rest) >= 15
    assert 0.2 < parse / (parse + rest) < 0.8
    assert told["interval"] == 0.01


@pytest.mark.usefixtures("writer")
def test_a_recursive_section_stands_where_its_node_does(sampled):
    told = sampled(
        """
        @section
        def deep(n):
            return deep(n - 1) if n else busy(0.3)

        with profile("job") as run:
            deep(5)
        tell(run.snapshot())
        """
    )
    assert count(told, "job", "deep", leaf="busy") > 15


@pytest.mark.usefixtures("writer")
def test_asyncio_tasks_have_their_own_sections(sampled):
    told = sampled(
        """
        import asyncio

        async def task(name, work):
            with section(name):
                for _ in range(10):
                    work()
                    await asyncio.sleep(0)

        def one(): busy(0.03)
        def two(): busy(0.03)

        async def main():
            await asyncio.gather(task("one", one), task("two", two))

        with profile("job") as run:
            asyncio.run(main())
        found = run.snapshot()
        wrong = sum(
            sample.count for sample in found.samples
            for name in ("one", "two") if name in sample.path and name not in {f.name for f in sample.stack}
            and any(f.name == "busy" for f in sample.stack)
        )
        tell(found, wrong=wrong)
        """
    )
    assert count(told, "job", "one", leaf="busy") > 15
    assert count(told, "job", "two", leaf="busy") > 15
    assert told["wrong"] == 0


@pytest.mark.usefixtures("writer")
def test_what_a_suspended_generator_holds_open_is_not_the_callers(sampled):
    told = sampled(
        """
        def steps():
            with section("held"):
                yield

        with profile("job") as run:
            held = steps()
            next(held)
            busy(0.3)
            tell(run.snapshot())
        """
    )
    assert count(told, "job", leaf="busy") > 15
    assert count(told, "job", "held") == 0


def test_code_with_no_section_at_all_is_seen(sampled):
    told = sampled("with section('first'): pass\nbusy(0.3)\ntell(algoprof.snapshot())")
    assert count(told, "script.py", leaf="busy") > 15


def test_one_long_call_of_c_code_gets_all_of_its_ticks(sampled):
    told = sampled(
        """
        with profile("job") as run:
            busy(0.2)
            began = time.perf_counter()
            sum(range(30_000_000))
            took = time.perf_counter() - began
        tell(run.snapshot(), took=took)
        """
    )
    assert count(told, "job", leaf="<module>") == pytest.approx(told["took"] * 100, abs=12)


@pytest.mark.parametrize("wait", ["time.sleep(0.5)", "select.select([], [], [], 0.5)", "lock.acquire(timeout=0.5)"])
def test_waiting_is_seen_where_it_waits(sampled, wait):
    told = sampled(
        f"""
        import select, _thread
        lock = _thread.allocate_lock()
        lock.acquire()
        def wait():
            {wait}
        with profile("job") as run:
            wait()
            busy(0.1)
        tell(run.snapshot())
        """
    )
    assert 40 <= count(told, "job", leaf="wait") <= 90


def test_a_wait_is_in_the_file_before_it_is_over(sampled):
    """A kill in the middle of it finds it there."""
    told = sampled(
        """
        import threading
        held, told = threading.Lock(), []
        held.acquire()

        def look(run):
            until = time.monotonic() + 20
            while time.monotonic() < until and not told:
                time.sleep(0.05)
                found = run.snapshot()
                if sum(one.count for one in found.samples if not one.concurrent and one.stack[0].name == "wait") > 20:
                    told.append(found)
            held.release()

        def wait():
            held.acquire()

        with profile("job") as run:
            thread = threading.Thread(target=look, args=(run,))
            thread.start()
            wait()
            thread.join()
        tell(told[0]) if told else tell(run.snapshot())
        """.replace("one.stack[0].name", "one.stack[-1].name")
    )
    assert count(told, "job", leaf="wait", concurrent=False) > 20


@pytest.mark.usefixtures("writer")
def test_threads_come_and_go(sampled):
    told = sampled(
        """
        import sys, threading
        from algoprof import propagate
        before = sys.getswitchinterval()

        def work():
            with section("beside"):
                busy(0.6)

        def wait_for(is_so):
            until = time.monotonic() + 30
            while not is_so() and time.monotonic() < until:
                busy(0.01)
            return is_so()

        with profile("job") as run:
            for _ in range(2):
                thread = threading.Thread(target=propagate(work))
                thread.start()
                meanwhile = wait_for(lambda: sys.getswitchinterval() < before)
                thread.join()
            wait_for(lambda: sys.getswitchinterval() == before)
        tell(run.snapshot(), meanwhile=meanwhile, restored=sys.getswitchinterval() == before)
        """
    )
    assert count(told, "job", "beside", concurrent=True, leaf="busy") > 20
    assert told["meanwhile"]
    assert told["restored"]


def test_a_switch_interval_that_the_program_sets_meanwhile_is_left_alone(sampled):
    told = sampled(
        """
        import sys, threading
        done = threading.Event()
        with profile("job") as run:
            thread = threading.Thread(target=done.wait)
            thread.start()
            busy(0.5)
            sys.setswitchinterval(0.002)
            done.set()
            thread.join()
            busy(1.5)
        tell(run.snapshot(), interval=sys.getswitchinterval())
        """
    )
    assert told["interval"] == 0.002


def test_our_own_threads_are_not_seen(sampled):
    told = sampled(
        """
        with profile("job", timeout=60) as run:       # it has a watcher
            busy(0.5)
        tell(run.snapshot())
        """
    )
    assert count(told, "job", concurrent=True) == 0
    assert not [name for _, stack, *_ in told["samples"] for name in stack if name in ("_watch", "_help", "_beat")]


@pytest.mark.usefixtures("writer")
def test_each_run_has_its_own_samples_and_all_of_a_name_add_up(sampled):
    told = sampled(
        """
        runs, took = [], []
        for n in range(8):                             # more than stay readable
            began = time.perf_counter()
            with profile("job") as run:
                with section(f"part {n}"):
                    busy(0.1)
            took.append(time.perf_counter() - began)
            runs.append(run.snapshot())
        busy(0.2)
        own = [sorted({sample.path[-1] for sample in run.samples if len(sample.path) > 1}) for run in runs[-3:]]
        tell(algoprof.snapshot(), own=own, took=took)
        """
    )
    assert told["own"] == [["part 5"], ["part 6"], ["part 7"]]
    ticks = [count(told, "job", f"part {n}", leaf="busy") for n in range(8)]
    assert all(4 <= counted <= 100 * took + 15 for counted, took in zip(ticks, told["took"], strict=True))


def test_a_run_in_a_run_is_seen_in_both(sampled):
    told = sampled(
        """
        with profile("outer") as outer, section("a"):
            with profile("inner") as inner, section("b"):
                busy(0.3)
        found = inner.snapshot()
        tell(outer.snapshot(), inner=[sample.path for sample in found.samples for _ in range(sample.count)])
        """
    )
    assert count(told, "outer", "a", "inner", leaf="busy") > 15
    assert told["inner"].count(["inner", "b"]) > 15


def test_a_forked_child_has_its_own_samples(sampled):
    told = sampled(
        """
        import os
        with profile("job") as run:
            busy(0.2)
            child = os.fork()
            if not child:
                def only_here():
                    with section("child"):
                        busy(0.4)
                only_here()
                os._exit(0)
            assert os.waitpid(child, 0)[1] == 0
            found = run.snapshot()
        tell(found)
        """
    )
    assert count(told, "worker", leaf="busy") + count(told, "job", "child", leaf="busy") > 20
    assert count(told, "job", leaf="busy") >= 10


@pytest.mark.parametrize("work", ["busy(0.6)", "time.sleep(0.6)"])
def test_after_a_kill_what_was_open_lasted_to_the_last_sample(run_python, tools, tmp_path, work):
    """With no timeout nothing else tells: who waits is seen as well, and no heartbeat is made up."""
    done = run_python(
        tools
        + textwrap.dedent(
            f"""
            import os
            began = time.monotonic()
            with profile("job"), section("solve"):
                {work}
                print(time.monotonic() - began, flush=True)
                os.kill(os.getpid(), 9)
            """
        ),
        env=ON,
    )
    (path,) = (tmp_path / "flight").iterdir()
    flight = read(path)
    lasted = flight.runs[-1].node("job", "solve").open_time
    assert float(done.stdout) / 2 < lasted < float(done.stdout) * 2
    assert header_of(path)[at.HEADER_HEARTBEAT] == 0


def test_the_rate_can_be_chosen(sampled):
    told = sampled("with profile('job') as run: busy(0.5)\ntell(run.snapshot())", ALGOPROF_SAMPLE_RATE="500")
    assert told["interval"] == 0.002
    assert count(told, "job", leaf="busy") > 150


def test_it_can_be_begun_and_ended_in_the_program(run_python, tools):
    done = run_python(
        tools
        + textwrap.dedent(
            """
            def one(): busy(0.2)
            def two(): busy(0.2)
            def three(): busy(0.2)
            with profile("job") as run:
                one()
                algoprof.configure(sampler="on")
                two()
                algoprof.configure(sampler="off")
                one()
                algoprof.configure(sampler="on", sample_rate=200)
                three()
                algoprof.configure(report="never")
            tell(run.snapshot())
            """
        )
    )
    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads(done.stdout)
    seen = {
        name: sum(ticks for _, stack, ticks, _ in told["samples"] if name in stack) for name in ("one", "two", "three")
    }
    assert seen["one"] <= 2
    assert min(seen["two"], seen["three"]) > 10
    assert seen["three"] < 3 * seen["two"]


@pytest.mark.parametrize("choice", ["", "off"])
def test_nothing_is_sampled_unless_it_is_asked_for(run_python, choice):
    script = "import sys; from algoprof import section\nwith section('x'): pass\n"
    script += "print([name for name in sys.modules if name.endswith(('sampler', '_ticker'))])"
    done = run_python(script, env={"ALGOPROF_SAMPLER": choice})
    assert (done.stdout, done.stderr) == ("[]\n", "")


@pytest.mark.parametrize(
    ("variable", "value", "sentence"),
    [
        (
            "ALGOPROF_SAMPLER",
            "yes",
            "ALGOPROF_SAMPLER is 'yes', but it is one of on, thread, off; so nothing is sampled",
        ),
        ("ALGOPROF_SAMPLE_RATE", "fast", "ALGOPROF_SAMPLE_RATE is 'fast', but it is a whole number from 1 to 1000"),
        ("ALGOPROF_SAMPLE_RATE", "1001", "ALGOPROF_SAMPLE_RATE is '1001', but it is a whole number from 1 to 1000"),
    ],
)
def test_what_a_variable_cannot_mean_is_told(run_python, variable, value, sentence):
    done = run_python("from algoprof import section\nwith section('x'): print('done')", env=ON | {variable: value})
    assert done.stdout == "done\n"
    assert done.stderr.startswith(sentence)
    assert len(done.stderr.splitlines()) == 1
