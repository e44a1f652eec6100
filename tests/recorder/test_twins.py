"""The two writers: what the one does the other does, and the compiled one's own shortcuts."""

import asyncio
import contextvars
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from algoprof import profile, section
from algoprof.profiles.buckets import BOUNDS_NS, bucket_of
from algoprof.recorder import backend

ROOT = Path(__file__).parents[2]
SAME_TESTS = (
    "tests/recorder/test_directory.py",
    "tests/recorder/test_families.py",
    "tests/recorder/test_kills.py",
    "tests/recorder/test_reader.py",
    "tests/recorder/test_twins.py",
    "tests/test_bound_methods.py",
    "tests/test_cells.py",
    "tests/test_measuring.py",
    "tests/test_propagation.py",
    "tests/test_run_contexts.py",
    "tests/test_runs.py",
    "tests/test_section_limits.py",
    "tests/test_sections.py",
    "tests/test_standins.py",
    "tests/test_wrapping.py",
)

OTHER = "python" if backend == "native" else "native"

needs_compiled = pytest.mark.skipif(backend != "native", reason="records with the writer in Python")


@pytest.mark.long
@pytest.mark.timeout(600)
def test_the_other_writer_passes_the_same_tests(request):
    if OTHER == "native" and not list((ROOT / "algoprof" / "recorder").glob("_native*.so")):
        pytest.skip("the compiled writer is not built here")
    this = "test_the_other_writer_passes_the_same_tests"
    full = ["--full"] if request.config.getoption("--full") else []
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", f"not {this}", *full, *SAME_TESTS],
        check=False,
        cwd=ROOT,
        env=os.environ | {"ALGOPROF_WRITER": OTHER},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-4000:]


def test_the_writer_that_was_asked_for_records():
    wanted = os.environ.get("ALGOPROF_WRITER")
    if wanted:
        assert backend == wanted
    assert backend in ("native", "python")


@needs_compiled
@given(st.one_of(st.integers(0, 2**62), st.sampled_from(BOUNDS_NS), st.sampled_from(BOUNDS_NS).map(lambda n: n + 1)))
def test_the_compiled_writer_finds_the_same_bucket(elapsed):
    from algoprof.recorder._native import bucket_as_compiled

    assert bucket_as_compiled(elapsed) == bucket_of(elapsed)


@given(st.one_of(st.integers(0, 2**62), st.sampled_from(BOUNDS_NS), st.sampled_from(BOUNDS_NS).map(lambda n: n + 1)))
def test_the_twin_finds_the_same_bucket(elapsed):
    from algoprof.recorder._python import _BOUNDS, _OCTAVES

    shift, buckets = _OCTAVES[elapsed.bit_length()]
    found = buckets[elapsed >> shift]
    assert found + (elapsed > _BOUNDS[found]) == bucket_of(elapsed)


@needs_compiled
def test_the_interpreters_layout_is_as_the_compiled_writer_believes():
    from algoprof.recorder import _native

    assert _native.reopens


def paths(run):
    return {path[1:]: node.count for path, node in run.snapshot().paths() if len(path) > 1}


class TestContextsThatWereCopied:
    """A context copied while a section was open, or closed, keeps what it held, whatever the original does then."""

    def test_a_copy_taken_inside_a_section_stands_in_it_after_that_was_closed_and_another_opened(self):
        other = contextvars.ContextVar("other", default=0)

        def step():
            with section("step"):
                pass

        with profile("job") as run:
            for number in range(3):
                with section("first"):
                    inside = contextvars.copy_context()
                    if number == 1:
                        inside.run(other.set, 1)
                outside = contextvars.copy_context()
                for copied in (inside, outside):
                    with section("second"):
                        thread = threading.Thread(target=copied.run, args=(step,))
                        thread.start()
                        thread.join()
        assert paths(run) == {("first",): 3, ("second",): 6, ("first", "step"): 3, ("step",): 3}

    def test_tasks_stand_in_the_section_that_started_them(self):
        async def child():
            await asyncio.sleep(0)
            for _ in range(2):
                with section("step"):
                    await asyncio.sleep(0)

        async def main():
            tasks = []
            for number in range(4):
                with section(f"s{number}"):
                    tasks.append(asyncio.create_task(child()))
                with section("between"):
                    await asyncio.sleep(0)
            await asyncio.gather(*tasks)

        with profile("job") as run:
            asyncio.run(main())
        expected = {("between",): 4}
        for number in range(4):
            expected |= {(f"s{number}",): 1, (f"s{number}", "step"): 2}
        assert paths(run) == expected

    def test_many_context_variables_change_nothing(self):
        variables = [contextvars.ContextVar(f"v{number}", default=0) for number in range(40)]
        with profile("job") as run:
            for number, variable in enumerate(variables):
                with section("outer"):
                    variable.set(number)
                    with section("inner"):
                        copied = contextvars.copy_context()
                with section("after"):
                    copied.run(variable.set, -1)
        assert paths(run) == {("outer",): 40, ("outer", "inner"): 40, ("after",): 40}


def test_finalizers_that_record_in_the_middle_of_anything_do_no_harm():
    import gc

    class Noisy:
        def __init__(self):
            self.itself = self

        def __del__(self):
            with section("finalizer", n=1):
                pass

    threshold = gc.get_threshold()
    gc.set_threshold(7)
    try:
        with profile("job") as run:
            for number in range(300):
                Noisy()
                with section("outer", n=number), section("inner"):
                    pass
            gc.collect()
    finally:
        gc.set_threshold(*threshold)
    snapshot = run.snapshot()
    assert sum(node.count for path, node in snapshot.paths() if path[-1] == "finalizer") == 300
    assert snapshot.node("job", "outer").count == snapshot.node("job", "outer", "inner").count == 300
