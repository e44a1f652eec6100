"""Every kind of thing that `section` times: once per call, with its true duration, looking like the original."""

import asyncio
import copy
import functools
import inspect
import pickle
import threading
import time
import types
from concurrent.futures import ThreadPoolExecutor

import pytest

from algoprof import profile, propagate, section

PAUSE = 0.005
LONG_PAUSE = 0.1  # beside what a busy machine adds to the few microseconds of a body


@section
def plain(a, /, b=2, *rest, c, d=4, **more):
    time.sleep(PAUSE)
    return a, b, rest, c, d, more


@section
def count_down(n):
    return 0 if n == 0 else count_down(n - 1)


@section
def odd(n):
    return n != 0 and even(n - 1)


@section
def even(n):
    return n == 0 or odd(n - 1)


@section
async def coroutine(n):
    await asyncio.sleep(PAUSE)
    return n


@section
def generator(n):
    got = []
    try:
        for i in range(n):
            got.append((yield i))  # noqa: PERF401  (a yield cannot stand in a comprehension)
    except KeyError as error:
        yield f"caught {error.args[0]}"
    return got


@section
async def async_generator(n):
    try:
        for i in range(n):
            sent = yield i
            if sent is not None:
                yield f"got {sent}"
    except KeyError as error:
        yield f"caught {error.args[0]}"


class Model:
    @section
    def method(self):
        return self

    @section
    @staticmethod
    def static_inside(x):
        return x

    @staticmethod
    @section
    def static_outside(x):
        return x

    @section
    @classmethod
    def class_inside(cls):
        return cls

    @classmethod
    @section
    def class_outside(cls):
        return cls


@section
class Whole:
    def run(self):
        return self._hidden()

    def _hidden(self):
        return "hidden"

    @staticmethod
    def still(x):
        return x

    @classmethod
    def of_class(cls):
        return cls

    @property
    def shape(self):
        return "square"

    def __call__(self):
        return "called"


class Callable:
    def __call__(self, x):
        return x + 1


def names(node):
    return {child.name for child in node.children}


class TestFunctions:
    def test_arguments_and_result_pass_through(self):
        assert plain(1, c=3) == (1, 2, (), 3, 4, {})
        assert plain(1, 5, 6, 7, c=8, d=9, e=10) == (1, 5, (6, 7), 8, 9, {"e": 10})
        with pytest.raises(TypeError, match="plain"):
            plain()

    def test_it_is_a_real_function_that_shows_the_original(self):
        original = plain.__wrapped__
        assert type(plain) is types.FunctionType
        assert inspect.signature(plain) == inspect.signature(original)
        assert inspect.getfullargspec(plain) == inspect.getfullargspec(original)
        assert (plain.__name__, plain.__qualname__, plain.__module__) == ("plain", "plain", __name__)

    def test_pickle_and_copy_give_the_decorated_function_itself(self, monkeypatch):
        import sys

        monkeypatch.setitem(sys.modules, __name__, sys.modules.get(__name__) or types.ModuleType(__name__))
        monkeypatch.setattr(sys.modules[__name__], "plain", plain, raising=False)
        assert pickle.loads(pickle.dumps(plain)) is plain
        assert copy.copy(plain) is plain
        assert copy.deepcopy(plain) is plain

    def test_adk_counts_the_arguments_of_apply(self):
        @profile
        def apply(value, state):
            return value, state

        assert len(inspect.getfullargspec(apply).args) == 2

    def test_duration_is_the_true_one(self):
        with profile("job") as run:
            plain(1, c=3)
        node = run.snapshot().node("job", "plain")
        assert node.count == 1
        assert PAUSE <= node.total_time < 100 * PAUSE
        assert node.longest == node.shortest == node.total_time

    def test_exceptions_pass_through_and_are_counted(self):
        @section("fails")
        def fails():
            raise LookupError("why")

        with profile("job") as run:
            for _ in range(2):
                with pytest.raises(LookupError, match="why"):
                    fails()
        node = run.snapshot().node("job", "fails")
        assert (node.count, node.errors) == (2, 2)
        assert {span.error for span in node.spans} == {"LookupError"}

    def test_recursion_counts_each_entry_and_the_time_once(self):
        with profile("job") as run:
            count_down(50)
        snapshot = run.snapshot()
        node = snapshot.node("job", "count_down")
        assert node.count == 51
        assert node.children == ()
        assert node.total_ns <= snapshot.node("job").total_ns
        assert node.self_ns == node.total_ns
        assert node.histogram.count == 1

    def test_mutual_recursion_folds_into_the_outermost_of_each_name(self):
        with profile("job") as run:
            assert even(10)
        snapshot = run.snapshot()
        assert snapshot.node("job", "even").count == 6
        assert snapshot.node("job", "even", "odd").count == 5
        assert sum(node.self_ns for _, node in snapshot.paths()) == snapshot.node("job").total_ns

    def test_lambda_partial_and_callable_object(self):
        with profile("job") as run:
            assert section(lambda x: x)(1) == 1
            assert section(functools.partial(plain.__wrapped__, 1, c=3))(5)[1] == 5
            assert section(Callable())(1) == 2
        assert names(run.snapshot().node("job")) == {
            "TestFunctions.test_lambda_partial_and_callable_object.<locals>.<lambda>",
            "plain",
            "Callable",
        }

    def test_what_is_no_callable_is_refused(self):
        with pytest.raises(TypeError, match="a name or a function is wanted, not 3"):
            section(3)
        with pytest.raises(TypeError, match="give the section a name"):
            section(print, model="v3")


class TestMethods:
    def test_methods_with_the_decorator_on_either_side(self):
        model = Model()
        with profile("job") as run:
            assert model.method() is model
            assert (Model.static_inside(1), model.static_outside(2)) == (1, 2)
            assert Model.class_inside() is model.class_outside() is Model
        assert names(run.snapshot().node("job")) == {
            f"Model.{name}" for name in ("method", "static_inside", "static_outside", "class_inside", "class_outside")
        }

    def test_a_decorated_class_stays_that_class_and_its_own_public_functions_are_timed(self):
        assert isinstance(Whole, type)
        whole = Whole()
        with profile("job") as run:
            assert (whole.run(), Whole.still(1), whole.shape, whole()) == ("hidden", 1, "square", "called")
            assert Whole.of_class() is Whole
        assert names(run.snapshot().node("job")) == {
            "Whole.run",
            "Whole.still",
            "Whole.of_class",
            "Whole.__call__",
        }


class TestGenerators:
    def test_it_stays_a_generator_function(self):
        assert inspect.isgeneratorfunction(generator)

    def test_send_throw_close_and_return_value_are_kept(self):
        with profile("job") as run:
            steps = generator(3)
            assert [next(steps), steps.send("a"), steps.send("b")] == [0, 1, 2]
            with pytest.raises(StopIteration) as stop:
                steps.send("c")
            assert stop.value.value == ["a", "b", "c"]
            steps = generator(3)
            next(steps)
            assert steps.throw(KeyError("k")) == "caught k"
            steps.close()
        node = run.snapshot().node("job", "generator")
        assert (node.count, node.errors) == (2, 0)

    def test_its_body_is_measured_and_the_time_of_its_caller_is_not_its_own(self):
        with profile("job") as run:
            for _ in generator(3):
                with section("caller"):
                    time.sleep(LONG_PAUSE)
        snapshot = run.snapshot()
        node = snapshot.node("job", "generator")
        assert node.total_time >= 3 * LONG_PAUSE
        assert node.active_time < LONG_PAUSE
        assert node.self_time < LONG_PAUSE
        assert names(snapshot.node("job")) == {"generator", "caller"}, "a suspended generator adopts nothing"
        assert sum(child.self_ns for _, child in snapshot.paths()) <= snapshot.node("job").total_ns

    def test_sections_inside_it_are_its_children_again_after_each_step(self):
        @section("numbers")
        def numbers():
            for i in range(3):
                with section("make"):
                    pass
                yield i

        with profile("job") as run:
            for _ in numbers():
                with section("use"):
                    pass
        assert run.snapshot().node("job", "numbers", "make").count == 3
        assert run.snapshot().node("job", "use").count == 3

    def test_one_that_is_never_finished_is_open_and_then_closed(self):
        with profile("job") as run:
            steps = generator(3)
            next(steps)
            assert run.snapshot().node("job", "generator").open_count == 1
            steps.close()
        assert run.snapshot().node("job", "generator").count == 1


class TestAsync:
    async def test_a_coroutine_is_measured_and_stays_a_coroutine_function(self):
        assert inspect.iscoroutinefunction(coroutine)
        async with profile("job") as run:
            assert await coroutine(1) == 1
        node = run.snapshot().node("job", "coroutine")
        assert node.total_time >= PAUSE
        assert node.active_time < node.total_time
        assert not node.concurrent

    async def test_concurrent_coroutines_stand_beside_each_other(self):
        async with profile("job") as run:
            await asyncio.gather(*(coroutine(n) for n in range(3)))
        snapshot = run.snapshot()
        node = snapshot.node("job", "coroutine")
        assert (node.count, node.concurrent, node.children) == (3, True, ())
        assert node.total_time >= 3 * PAUSE
        assert snapshot.node("job").self_ns == snapshot.node("job").total_ns
        assert snapshot.bottleneck.name == "coroutine"

    async def test_async_with_on_the_object_that_with_takes(self):
        both = section("both")
        async with profile("job") as run:
            async with both:
                with both:
                    await asyncio.sleep(0)
            with both:
                pass
        assert run.snapshot().node("job", "both").count == 3

    async def test_an_async_generator_with_asend_athrow_and_aclose(self):
        assert inspect.isasyncgenfunction(async_generator)
        async with profile("job") as run:
            assert [item async for item in async_generator(3)] == [0, 1, 2]
            steps = async_generator(3)
            assert await anext(steps) == 0
            assert await steps.asend("x") == "got x"
            assert await steps.athrow(KeyError("k")) == "caught k"
            await steps.aclose()
        node = run.snapshot().node("job", "async_generator")
        assert (node.count, node.errors) == (2, 0)

    async def test_cancelling_passes_through(self):
        async with profile("job") as run:
            task = asyncio.create_task(coroutine(1))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert run.snapshot().node("job", "coroutine").errors == 1

    async def test_to_thread_carries_the_parent(self):
        async with profile("job") as run:
            with section("outer"):
                await asyncio.to_thread(plain, 1, c=3)
        node = run.snapshot().node("job", "outer", "plain")
        assert (node.count, node.concurrent) == (1, True)


class TestThreads:
    def test_threads_at_once_count_exactly(self, scaled):
        threads, each = 8, scaled(10_000)

        def work():
            for _ in range(each):
                with section("step"):
                    pass

        with profile("job") as run:
            workers = [threading.Thread(target=propagate(work)) for _ in range(threads)]
            for worker in workers:
                worker.start()
            for worker in workers:
                worker.join()
        node = run.snapshot().node("job", "step")
        assert node.count == node.histogram.count == threads * each
        assert node.concurrent

    def test_a_thread_without_context_counts_in_the_implicit_run(self):
        from algoprof import snapshot

        with profile("job") as run:
            worker = threading.Thread(target=lambda: section("stray")(abs)(1))
            worker.start()
            worker.join()
        assert run.snapshot().node("job").children == ()
        assert any(path[1:] == ("stray",) and path[0] != "job" for path, _ in snapshot().paths())

    def test_propagate_carries_section_and_budget_into_a_pool(self):
        from algoprof import budget

        with ThreadPoolExecutor() as pool, profile("job", timeout=60) as run, section("fan out"):
            remaining = list(pool.map(propagate(lambda _: budget().remaining), range(3)))
            list(pool.map(propagate(section("part")(abs)), range(3)))
        assert all(0 < seconds <= 60 for seconds in remaining)
        assert run.snapshot().node("job", "fan out", "part").count == 3

    def test_a_section_closed_by_another_thread_is_counted_once(self):
        crossing = section("crossing")
        with profile("job") as run:
            crossing.__enter__()
            worker = threading.Thread(target=propagate(lambda: crossing.__exit__(None, None, None)))
            worker.start()
            worker.join()
            with section("after"):
                pass
        node = run.snapshot().node("job", "crossing")
        assert (node.count, node.open_count) == (1, 0)


class TestNames:
    """Whatever the author calls things, the wrapper's own names stay out of the way."""

    def test_parameters_may_have_any_name(self):
        @section("odd names")
        def odd(opened, _scope, _function, result, error, BaseException, *, _algoprof_scope, **_wrapper):  # noqa: A002, N803
            return opened, _scope, _function, result, error, BaseException, _algoprof_scope, _wrapper

        assert odd(1, 2, 3, 4, 5, 6, _algoprof_scope=7, more=8) == (1, 2, 3, 4, 5, 6, 7, {"more": 8})

    def test_generators_and_coroutines_too(self):
        @section("odd generator")
        def steps(_steps, sent, step):
            yield _steps, sent, step

        @section("odd coroutine")
        async def awaits(_awaits, _scope):
            return _awaits, _scope

        @section("odd async generator")
        async def both(body, StopAsyncIteration):  # noqa: A002, N803
            yield body, StopAsyncIteration

        async def first():
            return [item async for item in both(1, 2)]

        assert next(steps(1, 2, 3)) == (1, 2, 3)
        assert asyncio.run(awaits(1, 2)) == (1, 2)
        assert asyncio.run(first()) == [(1, 2)]

    @pytest.mark.parametrize("name", ["class", "None", "_function", "_scope", "StopAsyncIteration", "<lambda>"])
    def test_functions_may_have_any_name(self, name):
        def original(x):
            return x

        original.__name__ = name
        wrapped = section(original)
        assert (wrapped(1), wrapped.__name__) == (1, name)

    def test_a_traceback_names_the_function(self):
        import traceback

        @section
        def fails():
            raise LookupError

        with pytest.raises(LookupError) as caught:
            fails()
        assert [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)][-2:] == ["fails", "fails"]
