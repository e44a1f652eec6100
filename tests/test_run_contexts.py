"""Runs that end elsewhere than they began, or not in order: each ends its own, and none haunts what comes after."""

import asyncio
import contextvars
import os
import pickle
import threading
import time

import pytest

from algoprof import budget, profile, propagate, section, snapshot
from algoprof.recorder import directory
from algoprof.recorder.reader import read


def test_each_with_ends_the_run_that_it_opened():
    a, b = profile("a"), profile("b")
    first, second = a.__enter__(), b.__enter__()
    a.__exit__(None, None, None)
    assert (first.ended, second.ended) == (True, False)
    assert budget() is second.budget
    b.__exit__(None, None, None)
    assert second.ended
    assert (first.snapshot().name, second.snapshot().name) == ("a", "b")
    assert budget().run == ""


def test_a_suspended_generator_keeps_its_run_to_itself():
    def steps():
        with profile("inner"):
            yield
            yield

    with profile("outer") as outer:
        waiting = steps()
        next(waiting)
    assert outer.ended
    waiting.close()


def test_a_run_left_in_another_context_ends_and_leaves_the_one_there_alone():
    opened = profile("opened")
    run = contextvars.copy_context().run(opened.__enter__)
    with profile("mine") as mine:
        opened.__exit__(None, None, None)
        assert (run.ended, mine.ended) == (True, False)
        assert budget() is mine.budget
    assert run.snapshot().node("opened").count == 1


def test_leaving_what_was_never_entered_does_nothing():
    profile("never").__exit__(None, None, None)


async def test_a_task_that_outlives_its_run_is_free_of_its_budget():
    async def housekeeping():
        await over.wait()
        budget().check()
        with profile("housekeeping", timeout=60) as run:
            return budget().run, run.budget.source, budget().timeout, run._is_outermost

    over = asyncio.Event()
    with profile("request", timeout=0.01):
        task = asyncio.create_task(housekeeping())
        await asyncio.sleep(0.02)
    over.set()
    assert await task == ("housekeeping", "argument", 60.0, True)


def test_no_chain_grows_where_each_task_starts_its_successor():
    async def tick(left):
        with profile("tick") as run, section("work"):
            if left:
                tasks.append(loop.create_task(tick(left - 1)))
            else:
                done.set_result(run)

    async def main():
        nonlocal loop, done
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        tasks.append(loop.create_task(tick(500)))
        last = await done
        await asyncio.sleep(0)
        return last

    loop = done = None
    tasks = []
    run = asyncio.run(main())
    depth = 0
    while run is not None:
        run, depth = run._around, depth + 1
    assert depth < 5
    assert snapshot().node("tick", "work").count >= 500


def test_where_no_thread_can_start_the_run_goes_on(monkeypatch):
    from algoprof import watcher

    standard = {"__name__": "threading"}  # as the real one: what the program's own code raises goes on to the program
    source = """def refused(_self): raise RuntimeError("can't start new thread")"""
    exec(compile(source, threading.__file__, "exec"), standard)
    monkeypatch.delenv("PYTEST_CURRENT_TEST")
    monkeypatch.setattr(watcher, "_watcher", watcher._Watcher())
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", standard["refused"])
        with profile("job", timeout=60) as run:
            assert budget().remaining <= 60
    assert run.snapshot().name == "job"
    with profile("next", timeout=60):
        assert watcher._watcher._thread is not None, "a later run tries again"


def test_too_many_runs_at_once_have_no_profile_and_say_so(run_python):
    done = run_python("""
        from contextvars import copy_context
        from algoprof import profile
        contexts = [copy_context() for _ in range(180)]
        runs = [context.run(profile(f"job {n}").__enter__) for n, context in enumerate(contexts)]
        print(runs[0].snapshot().name)
        try:
            runs[-1].snapshot()
        except RuntimeError as error:
            print(error)
        """)
    assert done.stdout.splitlines()[0] == "job 0"
    assert "the run 'job 179' has no profile" in done.stdout
    assert "too many runs are open at once" in done.stdout


@pytest.mark.parametrize(("way", "outcome", "errors"), [("sys.exit(0)", "ok", 0), ("sys.exit(3)", "error", 1)])
def test_a_program_that_ends_with_success_has_not_failed(run_python, way, outcome, errors):
    done = run_python(f"""
        import sys
        from algoprof import profile
        try:
            with profile("job") as run:
                {way}
        finally:
            print(run.snapshot().outcome, run.snapshot().node("job").errors)
        """, env={"ALGOPROF_REPORT": "never"})  # fmt: skip
    assert done.stdout == f"{outcome} {errors}\n"


def test_a_generator_that_is_closed_has_not_failed():
    def steps():
        with section("inside"):
            yield

    with profile("job") as run:
        for _ in steps():
            break
    assert run.snapshot().node("job", "inside").errors == 0


def test_the_smallest_timeout_is_one():
    with profile("job", timeout=1e-12):
        assert budget().remaining == 0


class TestForks:
    def test_a_child_that_leaves_its_parents_run_changes_nothing(self, run_python, tmp_path):
        done = run_python(
            """
            import os
            from algoprof import profile, section
            with profile("job") as run, section("before"):
                child = os.fork()
            if child == 0:
                try:
                    run.snapshot()
                except RuntimeError:
                    print("not ours", flush=True)
                with section("child"):
                    os._exit(0)
            os.waitpid(child, 0)
            with profile("second") as run:
                child = os.fork()
                if child == 0:
                    run.opener.__exit__(None, None, None)
                    os._exit(0)
                os.waitpid(child, 0)
                os.kill(os.getpid(), 9)
            """
        )
        assert done.stdout == "not ours\n"
        flights = map(read, directory.flight_files(tmp_path / "flight"))
        runs = {run.roots[0].name: run for flight in flights for run in flight.runs}
        assert runs["job"].node("job", "before").count == 1
        assert runs["second"].outcome == "killed"
        assert runs["second"].node("second").open_count == 1
        assert set(runs) == {"job", "second", "worker"}

    def test_a_fork_while_another_thread_records_first_does_not_hang(self, run_python, scaled):
        done = run_python(
            f"""
            import os, sys, threading
            from algoprof import section
            def record():
                for _ in range(100):
                    with section("x"):
                        pass
            for _ in range({scaled(200)}):
                recording = [threading.Thread(target=record) for _ in range(3)]
                for thread in recording:
                    thread.start()
                child = os.fork()
                if child == 0:
                    record()
                    os._exit(7)
                assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
                for thread in recording:
                    thread.join()
            print("all answered")
            """,
            timeout=100,
        )
        assert (done.stdout, done.stderr) == ("all answered\n", "")

    @pytest.mark.parametrize("exporters", ["", "text,prometheus,otlp"])
    def test_recording_first_imports_nothing_that_a_fork_could_cut_short(self, run_python, exporters):
        done = run_python(
            f"""
            import sys, threading  # where there is another thread, this is there
            from algoprof import profile, section
            loaded = set(sys.modules)
            with section("x"), profile("job", timeout=60), section("y"):
                late = set(sys.modules) - loaded
                print(sorted(name for name in late if "{exporters}" == "" or name.startswith("algoprof")))
            """,
            env={
                "ALGOPROF_EXPORTERS": exporters,
                "ALGOPROF_PROMETHEUS_ADDRESS": "127.0.0.1:0",
                "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9",
            },
        )
        assert done.stdout == "[]\n"

    def test_a_fork_in_the_middle_of_the_start_leaves_a_child_that_can_start(self, run_python):
        done = run_python("""
            import os, threading
            from algoprof import section
            from algoprof.recorder import process
            made, go = threading.Event(), threading.Event()
            slow = process._made
            def hold():
                made.set()
                go.wait(10)
                return slow()
            process._made = hold
            def record():
                with section("x"):
                    pass
            thread = threading.Thread(target=record)
            thread.start()
            made.wait(10)
            threading.Timer(0.1, go.set).start()
            child = os.fork()
            if child == 0:
                process._made = slow
                record()
                os._exit(7)
            print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
            thread.join()
            """)
        assert (done.stdout, done.stderr) == ("7\n", "")

    @pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
    def test_a_clean_child_of_multiprocessing_closes_its_file(self, run_python, tmp_path, method):
        done = run_python(f"""
            import multiprocessing
            from algoprof import profile, section
            def work():
                with profile("work"), section("step"):
                    pass
            if __name__ == "__main__":
                context = multiprocessing.get_context("{method}")
                with profile("job"):
                    children = [context.Process(target=work) for _ in range(2)]
                    for child in children:
                        child.start()
                    for child in children:
                        child.join()
                print([child.exitcode for child in children])
            """)
        assert (done.stdout, done.stderr) == ("[0, 0]\n", "")
        flights = [read(path) for path in directory.flight_files(tmp_path / "flight")]
        assert [(flight.alive, flight.closed) for flight in flights] == [(False, True)] * 3


def test_names_without_end_take_no_memory_without_end(run_python):
    done = run_python("""
        from algoprof import profile, section
        from algoprof.recorder import process
        with profile("job") as run:
            for number in range(20_000):
                with section(f"name {number}"):
                    pass
        flight = process._flight
        print(len(flight.names) <= 4097, len(flight._numbers) <= 4096, run.snapshot().folded > 0)
        """)
    assert done.stdout == "True True True\n"


def test_threads_on_a_full_file_system_lose_no_count(tmp_path, run_python):
    small = tmp_path / "small"
    small.mkdir()
    if os.getuid() != 0 or os.system(f"mount -t tmpfs -o size=400k tmpfs {small} 2>/dev/null"):
        pytest.skip("needs to mount a small file system: root, with the right to")
    try:
        done = run_python("""
            import threading
            from algoprof import profile, propagate, section
            def work():
                for _ in range(200):
                    with section("step"):
                        pass
            with profile("job") as run:
                workers = [threading.Thread(target=propagate(work)) for _ in range(8)]
                for worker in workers:
                    worker.start()
                    worker.join()
            taken = run.snapshot()
            print(taken.node("job", "step").count)
            """, env={"ALGOPROF_FLIGHT_DIR": str(small)})  # fmt: skip
    finally:
        os.system(f"umount {small}")
    assert done.stderr == ""
    assert done.stdout == "1600\n"


def test_time_moves_on_in_an_open_run():
    with profile("job") as run:
        before = run.snapshot().duration
        time.sleep(0.002)
        assert run.snapshot().duration > before


@section("carried")
def carried():
    pass


def test_propagate_in_a_task_that_outlives_its_section_still_counts_there():
    async def late(over):
        await over.wait()
        pickle.loads(pickle.dumps(propagate(carried)))()  # as another process would be told of it

    async def main():
        over = asyncio.Event()
        with section("asked for here"):
            task = asyncio.create_task(late(over))
            await asyncio.sleep(0)
        over.set()
        await task

    with profile("job") as run:
        asyncio.run(main())
    assert run.snapshot().node("job", "asked for here", "carried").count == 1
