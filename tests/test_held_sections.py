"""Sections that generators hold open while they wait: they take nothing from their callers, nor keep them waiting."""

import asyncio
import contextlib
import time

from algoprof import profile, section


def counts(run):
    return {path[1:]: node.count for path, node in run.snapshot().paths() if len(path) > 1}


def test_a_generator_that_others_resume_leaves_their_sections_alone():
    def loader():
        with section("loader"):
            while True:
                with section("read"):
                    yield

    with profile("job") as run:
        steps = loader()
        for number in range(3):
            with section(f"step {number}"):
                next(steps)
        with section("after"):
            pass
        steps.close()
    assert counts(run) == {
        ("step 0",): 1,
        ("step 0", "loader"): 1,
        ("step 0", "loader", "read"): 3,
        ("step 1",): 1,
        ("step 2",): 1,
        ("after",): 1,
    }


def test_an_async_generator_that_others_resume_leaves_their_sections_alone():
    async def loader():
        async with section("loader"):
            while True:
                async with section("read"):
                    yield

    async def main():
        steps = loader()
        for number in range(3):
            async with section(f"step {number}"):
                await anext(steps)
        with section("after"):
            pass
        await steps.aclose()

    with profile("job") as run:
        asyncio.run(main())
    found = counts(run)
    assert [found[f"step {number}",] for number in range(3)] == [1, 1, 1]
    assert (found["after",], found["step 0", "loader", "read"]) == (1, 3)


def test_a_generator_of_the_same_name_as_its_callers_section():
    def same():
        with section("same"):
            yield
            yield

    with profile("job") as run:
        steps = same()
        next(steps)
        with section("same"):
            next(steps)
        with section("after"):
            pass
        steps.close()
    assert counts(run) == {("same",): 2, ("after",): 1}


def test_what_a_dropped_generator_drives_is_closed_at_once():
    closed = []

    @section
    def inner():
        try:
            yield
        finally:
            closed.append("inner")

    def outer():
        with section("outer"), section("within"):
            driven = inner()
            next(driven)
            yield

    with profile("job"):
        steps = outer()
        next(steps)
        del steps
        closed.append("dropped")
    assert closed == ["inner", "dropped"]


class TestSectionsHeldByATimedGenerator:
    def test_a_generator_waits_once_however_many_sections_it_holds_open(self):
        @section("steps")
        def steps():
            with section("outer"), section("inner"):
                for _ in range(3):
                    time.sleep(0.01)
                    yield
            time.sleep(0.03)

        with profile("job") as run:
            for _ in steps():
                time.sleep(0.02)
        node = run.snapshot().node("job", "steps")
        assert node.nested_ns < node.closed_ns
        assert 0.03 <= node.self_time <= node.total_time - 0.09, "what it did outside the sections that it held"
        assert node.active_time < node.total_time - 0.06

    def test_a_context_manager_waits_once_however_many_sections_it_holds_open(self):
        @section("managed")
        @contextlib.contextmanager
        def managed():
            time.sleep(0.02)
            with section("held"):
                yield

        with profile("job") as run, managed():
            time.sleep(0.05)
        node = run.snapshot().node("job", "managed")
        assert node.nested_ns < node.closed_ns
        assert 0.02 <= node.self_time <= node.total_time - 0.05
