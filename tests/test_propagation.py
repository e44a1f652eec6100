"""Where sections stand that were asked for here and run elsewhere: in tasks, threads and other processes."""

import asyncio
import functools
import json
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from algoprof import budget, profile, propagate, section

METHODS = ("fork", "spawn", "forkserver")


@section("step")
def step(number=0):
    with section("inner"):
        return number, budget().remaining


async def async_step(number=0):
    with section("step"):
        await asyncio.sleep(0)
        with section("inner"):
            await asyncio.sleep(0)
        return number, budget().remaining


async def by_create_task():
    return [await task for task in [asyncio.create_task(async_step(number)) for number in range(4)]]


async def by_gather():
    return await asyncio.gather(*map(async_step, range(4)))


async def by_task_group():
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(async_step(number)) for number in range(4)]
    return [task.result() for task in tasks]


async def by_to_thread():
    return await asyncio.gather(*(asyncio.to_thread(step, number) for number in range(4)))


async def by_call_soon():
    loop, results, over = asyncio.get_running_loop(), [], asyncio.Event()
    for number in range(4):
        loop.call_soon(lambda number=number: results.append(step(number)))
    loop.call_soon(over.set)
    await over.wait()
    return results


async def by_run_in_executor():
    loop = asyncio.get_running_loop()
    return await asyncio.gather(*(loop.run_in_executor(None, propagate(step), number) for number in range(4)))


async def by_coroutines_that_are_propagated():
    def in_a_loop_of_its_own(function, number):
        results[number] = asyncio.run(function(number))

    results = {}
    workers = [
        threading.Thread(target=in_a_loop_of_its_own, args=(propagate(async_step), number)) for number in range(4)
    ]
    for worker in workers:
        worker.start()
        worker.join()
    return [results[number] for number in range(4)]


def by_thread():
    results = []
    for number in range(4):
        worker = threading.Thread(
            target=lambda work, number: results.append(work(number)), args=(propagate(step), number)
        )
        worker.start()
        worker.join()
    return results


def by_submit():
    with ThreadPoolExecutor(2) as pool:
        return [future.result() for future in [pool.submit(propagate(step), number) for number in range(4)]]


def by_map():
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(propagate(step), range(4)))


IN_THIS_PROCESS = [
    by_create_task, by_gather, by_task_group, by_to_thread, by_call_soon, by_run_in_executor,
    by_coroutines_that_are_propagated, by_thread, by_submit, by_map,
]  # fmt: skip


@pytest.mark.parametrize("boundary", IN_THIS_PROCESS, ids=lambda function: function.__name__)
def test_in_this_process(boundary):
    with profile("job", timeout=60) as run, section("fan out"):
        results = asyncio.run(boundary()) if asyncio.iscoroutinefunction(boundary) else boundary()
        left = run.budget.remaining
    assert [number for number, _ in results] == [0, 1, 2, 3]
    assert all(left <= remaining <= 60 for _, remaining in results)
    taken = run.snapshot()
    assert {path: node.count for path, node in taken.paths()} == {
        ("job",): 1,
        ("job", "fan out"): 1,
        ("job", "fan out", "step"): 4,
        ("job", "fan out", "step", "inner"): 4,
    }
    fan_out, found = taken.node("job", "fan out"), taken.node("job", "fan out", "step")
    if boundary is not by_call_soon:  # a callback has a context of its own, but no task, as the section around the loop
        assert found.concurrent
    assert not found.children[0].concurrent
    if found.concurrent:
        assert fan_out.self_ns == fan_out.total_ns


HEAD = """
import asyncio, json, multiprocessing, os, signal, sys, threading
from concurrent.futures import ProcessPoolExecutor
from algoprof import budget, profile, propagate, section, snapshot

@section
def step(number=0):
    with section("inner"):
        if number < 0:
            raise LookupError(number)
        return number, budget().remaining, os.getpid()

def to_queue(queue, function, number):
    queue.put(function(number))

def tree(taken):
    return [["/".join(path), node.count, node.open_count, node.concurrent, node.inherited, node.errors]
            for path, node in taken.paths()]

def by_process(context, function):
    queue = context.SimpleQueue()
    workers = [context.Process(target=to_queue, args=(queue, function, number)) for number in range(4)]
    for worker in workers: worker.start()
    results = [queue.get() for _ in workers]
    for worker in workers: worker.join()
    return sorted(results)

def by_pool(context, function):
    with context.Pool(2) as pool:
        results = pool.map(function, range(4))
        pool.close(); pool.join()
        return results

def by_submit(context, function):
    with ProcessPoolExecutor(2, context) as pool:
        return [future.result() for future in [pool.submit(function, number) for number in range(4)]]

def by_map(context, function):
    with ProcessPoolExecutor(2, context) as pool:
        return list(pool.map(function, range(4)))

def by_run_in_executor(context, function):
    async def run():
        with ProcessPoolExecutor(2, context) as pool:
            loop = asyncio.get_running_loop()
            return await asyncio.gather(*(loop.run_in_executor(pool, function, number) for number in range(4)))
    return asyncio.run(run())

def main(boundary, method, handed_on):
    context = multiprocessing.get_context(method)
    with profile("job", timeout=60) as run, section("fan out"):
        before = run.budget.remaining
        results = globals()[boundary](context, propagate(step) if handed_on == "propagate" else step)
        after = run.budget.remaining
    assert [number for number, _, _ in results] == [0, 1, 2, 3]
    assert os.getpid() not in {pid for _, _, pid in results}
    seconds = [before, *(remaining for _, remaining, _ in results), after]
    print(json.dumps({"remaining": seconds, "run": tree(run.snapshot()), "all": tree(snapshot())}))
"""

MAIN = HEAD + "if __name__ == '__main__':\n    main(*sys.argv[1:])\n"
BOUNDARIES = ("by_process", "by_pool", "by_submit", "by_map", "by_run_in_executor")
STEPS = [["step", 4, 0, True, False, 0], ["step/inner", 4, 0, False, False, 0]]


def below(rows, parent):
    """Return the rows below a path, with the rest of their paths."""
    return [[path.removeprefix(f"{parent}/"), *rest] for path, *rest in rows if path.startswith(f"{parent}/")]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_propagate_carries_run_node_and_budget_into_processes(run_python, boundary, method):
    done = run_python(MAIN, boundary, method, "propagate")
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    before, *remaining, after = found["remaining"]
    assert all(after <= seconds <= before for seconds in remaining)
    for rows in (found["run"], found["all"]):
        assert below(rows, "job/fan out") == STEPS
        assert len(rows) == 4
        assert rows[0][:3] == ["job", 1, 0]
        assert rows[1][:3] == ["job/fan out", 1, 0]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("boundary", ["by_process", "by_pool", "by_map"])
def test_without_it_they_stand_below_a_root_of_their_own(run_python, boundary, method):
    done = run_python(MAIN, boundary, method, "as it is")
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    runs = [rows for rows in (found["run"], found["all"]) if any(row[0] == "worker" for row in rows)]
    assert len(runs) == (2 if method == "fork" else 1)  # the others know their parent process, not its runs
    for rows in runs:
        assert [row[4] for row in rows if row[0] == "worker"] == [True]
        assert [row[:3] for row in below(rows, "worker")] == [["step", 4, 0], ["step/inner", 4, 0]]
        assert below(rows, "job") == [["fan out", 1, 0, False, False, 0]]


def test_what_nobody_counts_for_takes_nothing_from_own_time(run_python):
    done = run_python(
        HEAD
        + """
if __name__ == "__main__":
    with profile("job") as run, section("fan out"):
        by_map(multiprocessing.get_context("fork"), propagate(step))
        by_map(multiprocessing.get_context("fork"), step)
    fan_out = run.snapshot().node("job", "fan out")
    print(fan_out.self_ns == fan_out.total_ns, run.snapshot().runs, snapshot().runs)
"""
    )
    assert (done.stdout, done.stderr) == ("True 1 1\n", "")


@pytest.mark.parametrize("method", METHODS)
def test_one_pool_serves_many_runs(run_python, method, scaled):
    done = run_python(
        HEAD
        + f"""
if __name__ == "__main__":
    wrong = 0
    with ProcessPoolExecutor(2, multiprocessing.get_context({method!r})) as pool:
        for number in range({max(12, scaled(200))}):
            with profile("job") as run, section(f"part {{number % 3}}"):
                list(pool.map(propagate(step), range(3)))
            wrong += run.snapshot().node("job", f"part {{number % 3}}", "step").count != 3
    taken = snapshot()
    print(wrong, sum(taken.node("job", f"part {{number}}", "step").count for number in range(3)), taken.runs)
"""
    )
    runs = max(12, scaled(200))
    assert (done.stdout, done.stderr) == (f"0 {3 * runs} {runs}\n", "")


@pytest.mark.parametrize("method", METHODS)
def test_results_and_exceptions_pass_through(run_python, method):
    done = run_python(
        HEAD
        + f"""
if __name__ == "__main__":
    with ProcessPoolExecutor(1, multiprocessing.get_context({method!r})) as pool, profile("job") as run:
        try:
            pool.submit(propagate(step), -1).result()
        except LookupError as error:
            print(error)
    print(run.snapshot().node("job", "step").errors, run.snapshot().outcome)
"""
    )
    assert (done.stdout, done.stderr) == ("-1\n1 ok\n", "")


@pytest.mark.parametrize("method", METHODS)
def test_the_budget_crosses_where_nothing_is_recorded(run_python, method):
    done = run_python(
        HEAD
        + f"""
if __name__ == "__main__":
    with ProcessPoolExecutor(1, multiprocessing.get_context({method!r})) as pool, profile("job", timeout=60) as run:
        remaining = pool.submit(propagate(step)).result()[1]
        print(run.budget.remaining <= remaining < 60)
""",
        env={"ALGOPROF_DISABLED": "1"},
    )
    assert (done.stdout, done.stderr) == ("True\n", "")


@pytest.mark.parametrize("handed_on", ["propagate", "as it is"])
def test_a_killed_worker_is_counted(run_python, handed_on):
    done = run_python(
        HEAD
        + f"""
def die(_):
    step()
    with section("last"):
        os.kill(os.getpid(), signal.SIGKILL)

if __name__ == "__main__":
    context = multiprocessing.get_context("fork")
    with profile("job") as run:
        function = propagate(die) if {handed_on == "propagate"} else die
        worker = context.Process(target=function, args=(0,))
        worker.start(); worker.join()
        taken = run.snapshot()
    root = taken.node({"'job'" if handed_on == "propagate" else "'worker'"})
    found = {{node.name: (node.count, node.open_count) for node in root.walk()}}
    print(found["step"], found["last"], worker.exitcode)
    print([node.name for _, node in snapshot().paths() if node.open_count])
"""
    )
    assert done.stderr == ""
    assert done.stdout.splitlines()[0] == "(1, 0) (0, 1) -9"
    assert "last" in done.stdout.splitlines()[1]


def test_a_snapshot_while_workers_run(run_python):
    done = run_python(
        HEAD
        + """
def wait(ready, over):
    step()
    with section("waits"):
        ready.release()
        over.acquire()

if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    ready, over = context.Semaphore(0), context.Semaphore(0)
    with profile("job") as run:
        workers = [context.Process(target=propagate(wait), args=(ready, over)) for _ in range(2)]
        for worker in workers: worker.start()
        for worker in workers: ready.acquire()
        waits = run.snapshot().node("job", "waits")
        print(waits.count, waits.open_count, run.snapshot().node("job", "step").count)
        for worker in workers: over.release()
        for worker in workers: worker.join()
        print(run.snapshot().node("job", "waits").count)
"""
    )
    assert (done.stdout, done.stderr) == ("0 2 2\n2\n", "")


def test_a_worker_of_a_worker(run_python):
    done = run_python(
        HEAD
        + """
def outer(_):
    with section("outer"):
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            list(pool.map(propagate(step), range(3)))
        if not os.fork():
            step()
            os._exit(0)
        os.wait()

if __name__ == "__main__":
    with profile("job", timeout=60) as run:
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            list(pool.map(propagate(outer), range(1)))
    taken = run.snapshot()
    print(taken.node("job", "outer", "step").count, taken.node("worker", "step").count)
"""
    )
    assert (done.stdout, done.stderr) == ("3 1\n", "")


def test_runs_of_a_worker_are_its_own_and_stand_in_the_run_that_asked(run_python):
    done = run_python(
        HEAD
        + """
def inner_job(_):
    with profile("inner job") as run:
        step()
    return run.snapshot().parent_run_id, run.snapshot().node("inner job", "step").count

if __name__ == "__main__":
    with ProcessPoolExecutor(1, multiprocessing.get_context("fork")) as pool, profile("job", timeout=60) as run:
        [(parent, count)] = pool.map(propagate(inner_job), range(1))
        print(run.snapshot().node("job", "inner job").count, bool(parent), count)
"""
    )
    assert (done.stdout, done.stderr) == ("1 True 1\n", "")


class TestAPropagatedFunction:
    def test_looks_like_the_function(self):
        carried = propagate(step)
        assert (carried.__name__, carried.__doc__, carried.__module__) == ("step", step.__doc__, __name__)
        assert carried.__wrapped__ is step

    def test_can_be_pickled_more_than_once(self):
        with profile("job", timeout=60) as run, section("here"):
            carried = pickle.loads(pickle.dumps(pickle.loads(pickle.dumps(propagate(step)))))
            assert carried(7)[0] == 7
            assert run.snapshot().node("job", "here", "step").count == 1
        with profile("later", timeout=5) as later:
            assert carried(8)[1] > 5  # its budget is the one it was made in
        assert later.snapshot().node("later").children == ()

    def test_in_the_same_process_it_still_stands_where_it_was_made(self):
        with profile("job") as run, section("here"):
            carried = pickle.loads(pickle.dumps(propagate(step)))
            carried()
            carried()
            spans = {span.parent_id for span in run.snapshot().node("job", "here", "step").spans}
            assert spans == {run.snapshot().node("job", "here").spans[0].span_id}
            assert run.snapshot().node("job", "here", "step").count == 2

    def test_a_section_named_as_the_one_it_stands_in_is_no_recursion(self):
        with profile("job") as run, section("step"):
            pickle.loads(pickle.dumps(propagate(step)))()
            assert run.snapshot().node("job", "step", "step", "inner").count == 1

    def test_generators_keep_their_place_and_their_protocol(self):
        def numbers(end):
            with section("numbers"):
                for number in range(end):
                    with section("made"):
                        sent = yield number
                        if sent:
                            yield sent
            return "over"

        with profile("job") as run, section("here"):
            steps = propagate(numbers)(3)
        with section("elsewhere"):
            assert next(steps) == 0
            assert steps.send("echo") == "echo"
            assert [*steps] == [1, 2]
        with profile("other") as other:
            stopped = propagate(numbers)(1)
            next(stopped)
            with pytest.raises(LookupError):
                stopped.throw(LookupError)
            closed = propagate(numbers)(1)
            next(closed)
            closed.close()
        assert run.snapshot().node("job").children[0].name == "here"
        assert other.snapshot().node("other", "numbers").errors == 1

    def test_a_partial_and_a_method(self):
        class Work:
            def go(self, number):
                return step(number)

        with profile("job") as run, ThreadPoolExecutor(1) as pool:
            assert pool.submit(propagate(functools.partial(step, 3))).result()[0] == 3
            assert pool.submit(propagate(Work().go), 4).result()[0] == 4
        assert run.snapshot().node("job", "step").count == 2

    def test_a_function_that_cannot_be_pickled_says_so(self):
        with pytest.raises((AttributeError, pickle.PicklingError)):
            pickle.dumps(propagate(lambda: None))


def test_ten_thousand_short_tasks_have_their_parents_and_leave_nothing(run_python, scaled):
    done = run_python(
        f"""
        import asyncio, gc, os
        from algoprof import profile, section
        from algoprof.recorder.directory import flight_directory, flight_files

        async def short(number):
            with section(f"parent {{number % 2}}"):
                await asyncio.gather(asyncio.create_task(leaf(number)), leaf(number))

        async def leaf(number):
            with section(f"leaf {{number % 2}}"):
                await asyncio.sleep(0)

        async def churn(count):
            for start in range(0, count, 100):
                await asyncio.gather(*map(short, range(start, start + 100)))

        def taken():
            gc.collect()
            [path] = flight_files(flight_directory())
            return os.stat(path).st_blocks, len(gc.get_objects())

        with profile("job") as run:
            asyncio.run(churn(1000))
            blocks, objects = taken()
            asyncio.run(churn({max(1000, scaled(10_000))}))
            more_blocks, more_objects = taken()
        job = run.snapshot()
        print([job.node("job", f"parent {{n}}", f"leaf {{n}}").count for n in range(2)], len(list(job.paths())))
        print(more_blocks - blocks, more_objects - objects < 500)
        """
    )
    each = max(1000, scaled(10_000)) + 1000
    assert (done.stdout, done.stderr) == (f"[{each}, {each}] 5\n0 True\n", "")
