"""Runs: each has its tree, its budget and its identity, whoever opens it and however it ends."""

import asyncio
import threading
import time

import pytest

from algoprof import AlgoprofError, profile, section, snapshot


def test_a_run_is_the_root_of_its_tree():
    with profile("job", timeout=60, model="v3") as run, section("load"):
        pass
    taken = run.snapshot()
    assert [root.name for root in taken.roots] == ["job"]
    assert (taken.name, taken.outcome, taken.timeout, taken.budget_source) == ("job", "ok", 60.0, "argument")
    assert len(taken.run_id) == 32
    assert taken.node("job").spans[0].attributes == {"model": "v3"}
    assert 0 < taken.budget_used_ratio < 1
    assert taken.started_ns == pytest.approx(time.time_ns(), abs=60e9)


def test_each_call_of_a_decorated_function_is_a_run():
    seen = []

    @profile
    def apply(x):
        with section("step"):
            seen.append(snapshot().node("test_each_call_of_a_decorated_function_is_a_run.<locals>.apply").open_count)
        return x

    before = snapshot()
    assert [apply(1), apply(2)] == [1, 2]
    name = apply.__qualname__
    assert seen == [1, 1]
    assert snapshot().node(name).count == 2
    assert snapshot().runs >= before.runs + 2


def test_an_exception_ends_it_as_error_and_passes_through():
    with pytest.raises(LookupError), profile("job") as run:
        raise LookupError
    assert (run.snapshot().outcome, run.snapshot().node("job").errors) == ("error", 1)


def test_a_snapshot_of_an_open_run_shows_what_is_open_and_for_how_long():
    with profile("job") as run, section("outer"), section("inner"):
        time.sleep(0.01)
        taken = run.snapshot()
    assert taken.outcome == "open"
    assert [path for path, _ in taken.open_sections()] == [("job",), ("job", "outer"), ("job", "outer", "inner")]
    inner = taken.node("job", "outer", "inner")
    assert inner.open_time >= 0.01
    assert inner.self_ns == inner.total_ns
    assert taken.node("job", "outer").self_ns < inner.self_ns
    assert taken.bottleneck.name == "inner"


def test_a_snapshot_can_be_taken_from_any_thread():
    taken = []
    with profile("job") as run, section("load"):
        reader = threading.Thread(target=lambda: taken.append(run.snapshot()))
        reader.start()
        reader.join()
    assert taken[0].node("job", "load").open_count == 1


def test_a_run_inside_a_run_is_a_section_there_and_a_tree_of_its_own():
    with profile("outer", timeout=60) as outer, profile("inner") as inner, section("step"):
        pass
    assert outer.snapshot().node("outer", "inner").count == 1
    assert outer.snapshot().node("outer", "inner").children == ()
    taken = inner.snapshot()
    assert taken.node("inner", "step").count == 1
    assert taken.parent_run_id == outer.snapshot().run_id
    assert (taken.budget_source, taken.timeout) == ("parent", pytest.approx(60, abs=5))


def test_many_runs_open_at_once_keep_apart():
    number = 50
    together = threading.Barrier(number)
    snapshots = {}

    def work(n):
        with profile(f"job {n}") as run:
            together.wait()
            for _ in range(n + 1):
                with section("step"):
                    pass
            together.wait()
            snapshots[n] = run.snapshot()

    workers = [threading.Thread(target=work, args=(n,)) for n in range(number)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert {n: taken.node(f"job {n}", "step").count for n, taken in snapshots.items()} == {
        n: n + 1 for n in range(number)
    }


def test_more_runs_than_the_table_holds_become_sections_and_are_counted(run_python):
    done = run_python("""
        from contextvars import copy_context
        from algoprof import profile, section, snapshot

        def step():
            with section("step"):
                pass

        contexts = [copy_context() for _ in range(180)]
        for number, context in enumerate(contexts):
            context.run(profile(f"job {number}").__enter__)
        for context in contexts:
            context.run(step)
        taken = snapshot()
        print(taken.inexact, sum(node.count for path, node in taken.paths() if path[-1] == "step"))
        """)
    assert (done.stdout, done.stderr) == ("True 180\n", "")


def test_thousands_of_runs_leave_exact_totals_and_no_growth(run_python, scaled):
    runs = scaled(20_000)
    done = run_python(
        f"""
        from algoprof import profile, section, snapshot
        from algoprof.recorder import process
        sizes = []
        for n in range({runs}):
            with section("outside"):
                pass
            @profile("job")
            def apply():
                for _ in range(3):
                    with section("step", n=n):
                        with section("inner"):
                            pass
            apply()
            if n in ({runs} // 2, {runs} - 1):
                sizes.append(process.run_table()._words[10])
        taken = snapshot()
        print(taken.node("job").count, taken.node("job", "step").count, taken.node("job", "step", "inner").count)
        print(taken.folded, taken.inexact, sizes[0] == sizes[1])
        """,
        timeout=110,
    )
    assert done.stderr == ""
    assert done.stdout == f"{runs} {3 * runs} {3 * runs}\n0 False True\n"


async def test_runs_in_tasks_keep_apart():
    async def job(n):
        async with profile(f"task {n}") as run:
            for _ in range(n):
                with section("step"):
                    await asyncio.sleep(0)
        return run.snapshot().node(f"task {n}", "step").count

    assert await asyncio.gather(*(job(n) for n in range(1, 6))) == [1, 2, 3, 4, 5]


def test_a_task_that_outlives_its_run_still_counts_there():
    name = "outlived"

    async def main():
        async def late():
            with section("late"):
                await asyncio.sleep(0.01)

        with profile(name):
            task = asyncio.create_task(late())
            await asyncio.sleep(0)
        await task

    asyncio.run(main())
    assert snapshot().node(name, "late").count == 1


def test_a_run_is_decorated_onto_coroutines_and_generators():
    @profile("async job", timeout=60)
    async def job():
        from algoprof import budget

        await asyncio.sleep(0)
        return budget().remaining <= 60

    @profile("run of steps")
    def steps():
        from algoprof import budget

        yield budget().run
        yield budget().run

    assert asyncio.run(job())
    from algoprof import budget

    outside = []
    for inside in steps():
        outside.append(budget().run)
        assert inside == "run of steps"
    assert outside == ["", ""]
    assert snapshot().node("run of steps").count == 1


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), float("inf"), "soon", True])
def test_a_timeout_that_cannot_be_meant_is_refused_at_once(timeout):
    with pytest.raises(ValueError, match="a timeout is a positive number of seconds") as caught:
        profile("job", timeout=timeout)
    assert isinstance(caught.value, AlgoprofError)


def test_what_is_neither_name_nor_function_is_refused():
    with pytest.raises(TypeError, match="a name or a function is wanted, not 3"):
        profile(3)
    with pytest.raises(TypeError, match="decorate its methods"):
        profile(int)


def test_the_own_time_in_the_totals_only_grows():
    def steps():
        with section("held"):
            yield

    def own_time():
        return {path: node.self_ns for path, node in snapshot().paths() if path[0] == "own"}

    seen = own_time()
    for _ in range(3):
        with profile("own"), section("outer"):
            waiting = [steps() for _ in range(5)]
            for one in waiting:
                next(one)
            for one in waiting:
                one.close()
        now = own_time()
        assert all(now[path] >= before for path, before in seen.items())
        seen = now
    assert seen


@pytest.mark.parametrize("where", ["ALGOPROF_REPORT=always", "ALGOPROF_EXPORTERS=text"])
def test_sections_outside_every_run_are_told_of_at_exit(run_python, where):
    name, _, value = where.partition("=")
    done = run_python(
        """
        from algoprof import section
        with section("load"):
            pass
        print("program over")
        """,
        env={name: value},
    )
    assert done.stdout == "program over\n"
    assert done.stderr.startswith("script.py  ok")
    assert "\n  load " in done.stderr


def test_a_forked_child_starts_its_exporters_anew(run_python):
    done = run_python(
        """
        import os, sys
        from algoprof import profile, section
        with profile("parent"):
            pass
        sys.stderr.flush()
        child = os.fork()
        if not child:
            with profile("child"):
                pass
            sys.exit()
        os.waitpid(child, 0)
        """,
        env={"ALGOPROF_EXPORTERS": "text"},
    )
    headers = [line.split()[0] for line in done.stderr.splitlines() if "  ok  " in line]
    assert sorted(headers) == ["child", "parent"]
