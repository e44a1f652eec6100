"""Times that add up through recursion, tasks and copied contexts; sections that are copied and pickled."""

import asyncio
import contextvars
import copy
import pickle
import time

import pytest

from algoprof import profile, section

pytestmark = pytest.mark.alone


class TestRecursionAcrossTasks:
    def test_times_add_up_where_a_function_recurs_through_tasks(self):
        @section
        async def work(n):
            time.sleep(0.01)  # noqa: ASYNC251  (it is to take processor time, as it were)
            if n:
                await asyncio.gather(work(n - 1), work(n - 1))

        with profile("job") as run:
            asyncio.run(work(2))
        node = next(node for path, node in run.snapshot().paths() if path[-1].endswith("work"))
        assert node.count == 7
        assert 0 <= node.self_time <= node.total_time
        assert node.active_time <= node.total_time

    def test_the_time_of_steps_counts_once_in_a_recursion(self):
        @section
        async def down(n):
            time.sleep(0.01)  # noqa: ASYNC251  (as above)
            if n:
                await down(n - 1)

        @section
        def steps(n):
            time.sleep(0.01)
            yield n
            if n:
                yield from steps(n - 1)

        with profile("job") as run:
            asyncio.run(down(3))
            assert list(steps(3)) == [3, 2, 1, 0]
        for path, node in run.snapshot().paths():
            if path[-1].endswith(("down", "steps")):
                assert node.count == 4
                assert node.active_time <= node.total_time * 1.01
                assert 0 <= node.self_time <= node.total_time

    def test_a_helper_deep_in_a_recursion_is_found_at_once(self):
        from algoprof.recorder import cold

        steps = 0
        search = cold._outermost

        def counted(*arguments):
            nonlocal steps
            steps += 1
            return search(*arguments)

        helper, recurs = section("helper"), section("recurs")

        def down(n):
            with recurs:
                with helper:
                    pass
                if n:
                    down(n - 1)

        cold._outermost = counted
        try:
            with profile("job") as run:
                down(200)
        finally:
            cold._outermost = search
        assert steps < 250, "for each recursion once, and never for the helper"
        assert run.snapshot().node("job", "recurs", "helper").count == 201


def test_a_copied_context_that_runs_in_its_own_place_is_nested():
    def inner():
        with section("inner"):
            time.sleep(0.01)

    with profile("job") as run, section("outer"):
        contextvars.copy_context().run(inner)
    outer = run.snapshot().node("job", "outer")
    assert outer.children[0].concurrent is False
    assert outer.self_time < outer.total_time / 2


def test_a_section_that_was_used_can_be_copied_and_pickled():
    used = section("used", n=1)
    with used:
        pass
    for again in (copy.deepcopy(used), copy.copy(used), pickle.loads(pickle.dumps(used))):
        with again:
            pass
        assert repr(again) == repr(used)
    assert pickle.loads(pickle.dumps(section)) is section
    assert copy.copy(section) is section
