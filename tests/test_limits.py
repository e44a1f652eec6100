"""Sections with a budget of their own: what `budget()` is inside, in every form, and what `check` names."""

import asyncio
import contextvars
import math
import pickle
import threading
import time

import pytest

from algoprof import BudgetExceeded, budget, profile, propagate, section
from algoprof.errors import ConfigurationError

brief = section.with_options(timeout=5)


def use_up():
    while budget().remaining:
        time.sleep(0.001)


def test_inside_the_budget_is_the_sections():
    with profile("job", timeout=60) as run:
        with brief("improve") as s:
            s.set(round=1)
            assert (budget().timeout, budget().source, budget().run, budget().section) == (
                5,
                "section",
                "job",
                "improve",
            )
            assert 4 < budget().remaining <= 5
        assert budget() is run.budget
    assert run.snapshot().node("job", "improve").count == 1
    with brief("alone"):
        assert (budget().run, budget().section, budget().timeout) == ("", "alone", 5)
    assert budget().remaining == math.inf


def test_it_never_has_more_than_remains_around_it():
    with profile("job", timeout=2), brief("improve"):
        assert (budget().source, budget().timeout) == ("parent", pytest.approx(2, abs=0.5))
        with section.with_options(timeout=1)("inner"):
            assert (budget().source, budget().timeout) == ("section", 1)
            with profile("run inside", timeout=30):
                assert budget().timeout <= 1
            assert budget().section == "inner"
        assert budget().section == "improve"


def test_check_names_the_section_whose_time_it_is():
    tight = section.with_options(timeout=0.01)
    with profile("job", timeout=60), tight("improve"), section("step"):
        use_up()
        with pytest.raises(BudgetExceeded, match=r"^improve has used 0\.\d+ s of its budget of 0.01 s") as raised:
            budget().check()
    error = raised.value
    assert (error.run, error.section, error.limited, error.timeout) == ("job", "job/improve/step", "improve", 0.01)
    copy = pickle.loads(pickle.dumps(error))
    assert (str(copy), copy.limited) == (str(error), "improve")


def test_check_names_the_run_around_whose_time_it_was():
    with profile("outer", timeout=0.01):
        use_up()
        with profile("inner", timeout=60), brief("improve"), pytest.raises(BudgetExceeded, match=r"^outer has ") as e:
            budget().check()
    assert (e.value.run, e.value.timeout, e.value.section) == ("outer", 0.01, "inner/improve")


def test_a_decorated_function_has_it_for_each_call():
    @brief("walk")
    def walk(depth):
        assert budget().section == "walk"
        return [budget().timeout] + (walk(depth - 1) if depth else [])

    with profile("job", timeout=60):
        first, *others = walk(2)
        assert budget().section == ""
    assert first == 5
    assert all(4 < timeout <= 5 for timeout in others)


def test_what_fails_gives_the_budget_back():
    @brief
    def fail():
        raise LookupError

    with profile("job", timeout=60) as run:
        with pytest.raises(LookupError):
            fail()
        with pytest.raises(LookupError), brief("fails"):
            raise LookupError
        assert budget() is run.budget


def test_a_generator_has_it_while_it_runs_and_its_caller_has_not():
    @brief("steps")
    def steps():
        for _ in range(2):
            yield budget().section
        with profile("inside", timeout=1):
            yield budget().run
            yield budget().run

    with profile("job", timeout=60):
        seen = []
        for step in steps():
            seen.append(step)
            assert (budget().run, budget().section) == ("job", "")
    assert seen == ["steps", "steps", "inside", "inside"]


def test_a_run_that_is_a_generator_keeps_what_it_had_open():
    @profile(timeout=9)
    def steps():
        with profile("inside", timeout=3), brief("improve"):
            yield budget().section, budget().run
            yield budget().section, budget().run
        yield budget().section, budget().run.rpartition(".")[2]

    with profile("job", timeout=60) as run:
        seen = []
        for step in steps():
            seen.append(step)
            assert budget() is run.budget
    assert seen == [("improve", "inside"), ("improve", "inside"), ("", "steps")]


async def test_tasks_and_threads_have_the_one_they_were_started_in():
    @brief("fetch")
    async def fetch(number):
        await asyncio.sleep(0.001 * number)
        inside = await asyncio.to_thread(lambda: budget().section)
        return inside, budget().section, budget().timeout

    with profile("job", timeout=60) as run:
        assert await asyncio.gather(*map(fetch, range(3))) == [("fetch", "fetch", 5)] * 3
        async with brief("aside"):
            assert budget().section == "aside"
            told = []
            thread = threading.Thread(target=propagate(lambda: told.append(budget().section)))
            thread.start()
            thread.join()
            assert told == ["aside"]
            late = asyncio.create_task(asyncio.sleep(0.02, result=None))
        assert budget() is run.budget
        await late


async def test_who_outlives_the_section_has_the_budget_around_it():
    async def late():
        await asyncio.sleep(0.01)
        return budget()

    with profile("job", timeout=60) as run:
        with brief("starts it"):
            task = asyncio.create_task(late())
        assert await task is run.budget


def test_contexts_do_not_see_each_others():
    with profile("job", timeout=60) as run:
        aside = contextvars.copy_context()
        aside.run(brief("aside").__enter__)
        assert budget() is run.budget
        assert aside.run(lambda: budget().section) == "aside"


def test_it_measures_too_and_can_be_asked_for_again():
    both = section.with_options(cpu=True, timeout=5)
    with profile("job") as run, both("work"):
        sum(range(100_000))
    assert run.snapshot().node("job", "work").cpu_time > 0
    assert both.with_options() is section


@pytest.mark.parametrize("timeout", [0, -1, math.nan, math.inf, "5", True, 1e10])
def test_a_timeout_that_cannot_be_meant_is_refused(timeout):
    with pytest.raises(ConfigurationError, match="a timeout is a positive number of seconds"):
        section.with_options(timeout=timeout)


def test_where_nothing_is_recorded_it_holds_all_the_same(run_python):
    done = run_python("""
        import asyncio
        from algoprof import BudgetExceeded, budget, section
        brief = section.with_options(timeout=0.001)
        def check():
            try:
                while True:
                    budget().check()
            except BudgetExceeded as error:
                return error.limited
        @brief("decorated")
        def function():
            return check()
        @brief("generator")
        def generator():
            yield check()
        @brief("coroutine")
        async def coroutine():
            await asyncio.sleep(0)
            async with brief("async with") as s:
                s.set(n=1)
                return check()
        with brief("with"):
            print(check())
        print(function(), *generator(), asyncio.run(coroutine()), budget().remaining)
        """, env={"ALGOPROF_DISABLED": "1"})  # fmt: skip
    assert (done.stderr, done.stdout) == ("", "with\ndecorated generator coroutine inf\n")
