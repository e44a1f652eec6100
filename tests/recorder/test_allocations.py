"""The allocation peak of a run: its own, whoever else measures, and tracing stopped by whoever started it."""

import threading
import tracemalloc

import pytest

from algoprof import profile

MEGABYTE = 1_000_000
measured = profile.with_options(allocations=True)  # to within what the interpreter frees meanwhile


@pytest.fixture(autouse=True)
def _nobody_traces():
    assert not tracemalloc.is_tracing()
    yield
    tracing = tracemalloc.is_tracing()
    tracemalloc.stop()
    assert not tracing, "tracing was started and not stopped"


def test_the_peak_counts_and_not_what_is_left():
    with measured("job") as run:
        held = bytearray(5 * MEGABYTE)
        del held
    assert 4.95 * MEGABYTE <= run.snapshot().allocation_peak < 6 * MEGABYTE


def test_a_run_that_did_not_ask_has_none():
    with measured("outer") as outer, profile("inner") as inner:
        held = bytearray(2 * MEGABYTE)
    assert inner.snapshot().allocation_peak is None
    assert outer.snapshot().allocation_peak >= 0.99 * len(held)
    assert profile.with_options(allocations=False) is profile


def test_nested_runs_have_their_own_peaks():
    with measured("outer") as outer:
        before = bytearray(8 * MEGABYTE)
        del before
        kept = bytearray(3 * MEGABYTE)
        with measured("inner") as inner:
            held = bytearray(2 * MEGABYTE)
            del held
        after = inner.snapshot().allocation_peak
    assert 1.95 * MEGABYTE <= after < 2.5 * MEGABYTE
    assert 7.95 * MEGABYTE <= outer.snapshot().allocation_peak < 8.5 * MEGABYTE
    assert len(kept) == 3 * MEGABYTE


def test_an_open_run_says_how_much_so_far():
    with measured("job") as run:
        first = bytearray(MEGABYTE)
        early = run.snapshot().allocation_peak
        second = bytearray(MEGABYTE)
        late = run.snapshot().allocation_peak
    assert 0.99 * len(first) <= early < late
    assert late >= 0.99 * (len(first) + len(second))


def test_runs_at_once_share_the_process_and_the_last_one_stops_tracing():
    together = threading.Barrier(4)
    peaks = []

    def work():
        with measured("job") as run:
            together.wait()
            held = bytearray(MEGABYTE)
            together.wait()
            assert tracemalloc.is_tracing()
            del held
            together.wait()
        peaks.append(run.snapshot().allocation_peak)

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(peaks) == 4
    assert all(3.95 * MEGABYTE <= peak < 5 * MEGABYTE for peak in peaks)


def test_a_program_that_traces_by_itself_goes_on(run_python):
    done = run_python("""
        import tracemalloc
        from algoprof import profile
        tracemalloc.start(5)
        before = bytearray(9_000_000)
        with profile.with_options(allocations=True)("job") as run:
            held = bytearray(1_000_000)
        print(tracemalloc.is_tracing(), tracemalloc.get_traceback_limit())
        print(990_000 <= run.snapshot().allocation_peak < 2_000_000)
        """)
    assert (done.stdout, done.stderr) == ("True 5\nTrue\n", "")


def test_a_program_that_stops_tracing_in_between_loses_no_more_than_that():
    with measured("job") as run:
        held = bytearray(2 * MEGABYTE)
        assert run.snapshot().allocation_peak >= 0.99 * len(held)
        tracemalloc.stop()
    assert run.snapshot().allocation_peak >= 0.99 * len(held)


def test_a_decorated_function_is_measured_and_keeps_its_arguments():
    @measured("job", timeout=60, model="v3")
    def apply(size):
        return len(bytearray(size))

    @measured
    def bare(size):
        return apply(size)

    assert bare(MEGABYTE) == MEGABYTE
    assert apply.__wrapped__(3) == 3


def test_a_killed_run_keeps_the_peak_that_was_observed(run_python, tmp_path):
    from algoprof.recorder.reader import read

    path = tmp_path / "killed.flight"
    done = run_python(
        """
        import os
        from algoprof import profile
        from algoprof.recorder import process
        with profile.with_options(allocations=True)("job"):
            held = bytearray(4_000_000)
            process.beat()
            os.kill(os.getpid(), 9)
        """,
        env={"ALGOPROF_FLIGHT_FILE": str(path)},
    )
    assert done.returncode == -9
    (run,) = read(path).runs
    assert 3_990_000 <= run.allocation_peak < 5_000_000


def test_an_unknown_option_is_refused_with_those_that_are_known():
    with pytest.raises(TypeError, match="no option memory; it has allocations"):
        profile.with_options(memory=True)


def test_nobody_imports_tracemalloc_who_does_not_ask(bare_python):
    script = "import sys\nfrom algoprof import profile\nwith profile('job'): pass\nprint('tracemalloc' in sys.modules)"
    assert bare_python(script) == "False\n"
