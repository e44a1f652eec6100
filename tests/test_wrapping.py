"""What the wrappers owe to what they wrap: generators in every detail, classes as they were, nothing kept alive."""

import asyncio
import contextlib
import functools
import gc
import inspect
import time
import types
import warnings
import weakref

import pytest

from algoprof import profile, section

PAUSE = 0.1  # long beside what a busy machine adds to the few microseconds of a body


def stubborn():
    """Answer whatever comes."""
    got = []
    while True:
        try:
            got.append((yield len(got)))
        except (LookupError, GeneratorExit) as error:
            if error.args == ("enough",):
                return [*got, error]
            got.append(error)


class TestGenerators:
    """Side by side with the original: the same answers to the same questions."""

    @pytest.mark.parametrize("make", [stubborn, section("steps")(stubborn), profile("steps")(stubborn)])
    def test_send_and_throw_reach_the_body_and_its_answer_comes_back(self, make):
        steps = make()
        assert next(steps) == 0
        assert steps.send("a") == 1
        assert steps.throw(LookupError("b")) == 2
        assert steps.throw(GeneratorExit("c")) == 3, "even this one is the body's to handle"
        with pytest.raises(RuntimeError, match="ignored GeneratorExit"):
            steps.close()
        last = LookupError("enough")
        with pytest.raises(StopIteration) as stop:
            steps.throw(last)
        assert [str(got) for got in stop.value.value] == ["a", "b", "c", "", "enough"]
        assert next(steps, "over") == "over"

    @pytest.mark.parametrize("make", [stubborn, section("steps")(stubborn)])
    def test_close_before_the_first_step_runs_nothing(self, make):
        with profile("job") as run:
            steps = make()
            steps.close()
            assert next(steps, "over") == "over"
        assert run.snapshot().node("job").children == ()

    def test_what_is_thrown_before_the_first_step_is_raised(self):
        steps = section("steps")(stubborn)()
        with pytest.raises(LookupError, match="early"):
            steps.throw(LookupError("early"))

    def test_a_body_may_not_end_by_stop_iteration(self):
        @section("steps")
        def steps():
            yield 1
            next(iter(()))

        with profile("job") as run, pytest.raises(RuntimeError, match="raised StopIteration"):
            list(steps())
        assert run.snapshot().node("job", "steps").errors == 1

    def test_close_and_a_loop_that_ends_early_are_no_errors(self):
        with profile("job") as run:
            for _ in section("steps")(lambda: (yield from range(3)))():
                break
        gc.collect()
        node = run.snapshot().node("job", "steps")
        assert (node.count, node.errors, node.open_count) == (1, 0, 0)

    def test_steps_from_several_threads_are_one_occurrence(self):
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(1) as pool, profile("job") as run:
            steps = section("steps")(lambda: (yield from range(3)))()
            assert [next(steps), pool.submit(next, steps).result(), next(steps), next(steps, 3)] == [0, 1, 2, 3]
        assert run.snapshot().node("job", "steps").count == 1

    async def test_asend_athrow_and_aclose_reach_the_body(self):
        @section("events")
        async def events():
            got = []
            while True:
                try:
                    got.append((yield len(got)))
                except (LookupError, GeneratorExit) as error:
                    await asyncio.sleep(0)
                    if isinstance(error, GeneratorExit):
                        ends.append(got)
                        raise
                    got.append(str(error))

        ends = []
        async with profile("job") as run:
            steps = events()
            assert await anext(steps) == 0
            assert await steps.asend("a") == 1
            assert await steps.athrow(LookupError("b")) == 2
            await steps.aclose()
        assert ends == [["a", "b"]]
        assert (run.snapshot().node("job", "events").count, run.snapshot().node("job", "events").errors) == (1, 0)

    async def test_an_async_generator_that_fails(self):
        @section("events")
        async def events():
            yield 1
            raise LookupError("why")

        async with profile("job") as run:
            with pytest.raises(LookupError, match="why"):
                _ = [item async for item in events()]
        assert run.snapshot().node("job", "events").errors == 1


class TestCoroutines:
    async def test_an_awaitable_of_types_coroutine_stays_one(self):
        @section("awaited")
        @types.coroutine
        def awaited():
            yield from asyncio.sleep(PAUSE).__await__()
            return "result"

        assert inspect.isawaitable(made := awaited())
        assert await made == "result"
        async with profile("job") as run:
            assert await awaited() == "result"
        node = run.snapshot().node("job", "awaited")
        assert node.active_time < PAUSE < node.total_time
        assert not node.concurrent

    def test_one_that_is_never_awaited_warns_by_its_name(self):
        @section
        async def forgotten():
            pass

        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            forgotten()
            gc.collect()
        assert [w.message for w in caught if "forgotten' was never awaited" in str(w.message)]

    def test_a_warning_names_the_module_of_the_function(self):
        @section
        def old():
            warnings.warn("use new()", DeprecationWarning, stacklevel=2)

        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            old()
        assert len(caught) == 1


class TestContextManagers:
    @pytest.mark.parametrize("order", ["above", "below"])
    def test_it_is_timed_from_enter_to_exit_and_the_body_of_the_with_is_not_its_own(self, order):
        def steps():
            with section("open"):
                pass
            try:
                yield "value"
            finally:
                with section("close"):
                    pass

        timed = section("transaction")
        use = timed(contextlib.contextmanager(steps)) if order == "above" else contextlib.contextmanager(timed(steps))
        with profile("job") as run, use() as value, section("inside"):
            time.sleep(PAUSE)
        assert value == "value"
        snapshot = run.snapshot()
        node = snapshot.node("job", "transaction")
        assert node.active_time < PAUSE <= node.total_time
        assert {child.name for child in node.children} == {"open", "close"}
        assert snapshot.node("job", "inside").count == 1

    def test_it_is_still_a_decorator_and_sees_errors(self):
        seen = []

        @section("guard")
        @contextlib.contextmanager
        def guard():
            try:
                yield
            except LookupError as error:
                seen.append(str(error))

        @guard()
        def fails():
            raise LookupError("why")

        with profile("job") as run:
            fails()
            fails()
        assert seen == ["why", "why"]
        assert (run.snapshot().node("job", "guard").count, run.snapshot().node("job", "guard").errors) == (2, 0)


class TestClasses:
    def test_a_subclass_calls_what_it_inherits_under_the_name_it_was_timed_with(self):
        @section
        class Base:
            def method(self):
                return "base"

        class Child(Base):
            def method(self):
                return super().method()

        with profile("job") as run:
            assert Child().method() == "base"
        (node,) = run.snapshot().node("job").children
        assert node.name.endswith("Base.method")

    @pytest.mark.parametrize("decorate", [section("name"), profile, profile("name")])
    def test_a_class_under_one_name_is_refused_with_what_to_write(self, decorate):
        with pytest.raises(TypeError, match="decorate its methods, or the class with a bare @section"):

            @decorate
            class Whole:
                pass


@pytest.mark.parametrize(
    "kind", [property, functools.cached_property, functools.singledispatchmethod, functools.partialmethod]
)
def test_what_is_no_function_is_refused_with_what_to_write(kind):
    with pytest.raises(TypeError, match=f"a {kind.__name__} is no function: put this decorator below it"):
        section("name")(kind(lambda self: 1))


class TestNothingIsKept:
    """An exception that a frame of its own traceback refers to lives on, with all that its frames hold."""

    @pytest.fixture(autouse=True)
    def _no_collector(self):
        gc.collect()
        gc.disable()
        yield
        gc.enable()

    @staticmethod
    def gone(call):
        class Big:
            pass

        def fail():
            big = Big()
            seen.append(weakref.ref(big))
            raise LookupError(big)

        seen = []
        with contextlib.suppress(LookupError):
            call(fail)
        return seen[0]() is None

    def test_by_a_function(self):
        assert self.gone(section("fails")(lambda fail: fail()))

    def test_by_a_generator(self):
        @section("steps")
        def steps(fail):
            yield
            fail()

        assert self.gone(lambda fail: list(steps(fail)))

    def test_by_what_is_thrown_into_a_generator(self):
        @section("steps")
        def steps():
            yield

        def throw(fail):
            made = steps()
            next(made)
            try:
                fail()
            except LookupError as error:
                made.throw(error)

        assert self.gone(throw)

    def test_by_a_coroutine(self):
        @section("fails")
        async def fails(fail):
            fail()

        assert self.gone(lambda fail: fails(fail).send(None))
