"""Budgets: where a timeout comes from, what remains of it, and who says so in time."""

import ctypes
import math
import pickle
import threading
import time

import pytest

from algoprof import BudgetExceeded, budget, control, profile, section
from algoprof.errors import ConfigurationError


def test_without_a_timeout_there_is_no_end():
    with profile("job") as run:
        assert (run.budget.timeout, run.budget.remaining, run.budget.used_ratio) == (math.inf, math.inf, 0.0)
        run.budget.check()
    assert budget().remaining == math.inf


def test_the_argument():
    with profile("job", timeout=10) as run:
        assert budget() is run.budget
        assert (budget().timeout, budget().source, budget().run) == (10.0, "argument", "job")
        assert 9 < budget().remaining <= 10
        assert budget().elapsed + budget().remaining == pytest.approx(10, abs=0.1)
        assert 0 < budget().used_ratio < 0.1


def test_the_environment(monkeypatch):
    monkeypatch.setenv("ALGOPROF_TIMEOUT", "20")
    with profile("job"):
        assert (budget().timeout, budget().source) == (20.0, "environment")
    with profile("job", timeout=10):
        assert budget().timeout == 10.0
    assert budget().remaining < 20


def test_an_environment_that_cannot_be_meant_is_named_once_and_ignored(monkeypatch, caplog):
    monkeypatch.setenv("ALGOPROF_TIMEOUT", "five minutes")
    for _ in range(2):
        with profile("job"):
            assert budget().remaining == math.inf
    (message,) = caplog.messages
    assert "ALGOPROF_TIMEOUT='five minutes' is ignored" in message


@pytest.fixture
def page(tmp_path, monkeypatch):
    path = tmp_path / "control"
    monkeypatch.setenv("ALGOPROF_CONTROL", str(path))
    return path


def write_page(path, *, timeout, spent, traceparent=""):
    now = time.monotonic_ns()
    received = now - round(spent * 1e9)
    deadline = received + round(timeout * 1e9)
    control.write(path, control.Request(received, round(timeout * 1e9), deadline, "req-1", traceparent))


def test_the_servers_control_page_counts_what_is_already_spent(page):
    write_page(page, timeout=30, spent=12)
    with profile("job") as run:
        assert (budget().timeout, budget().source) == (30.0, "server")
        assert 17 < budget().remaining <= 18
        assert budget().elapsed >= 12
    taken = run.snapshot()
    assert taken.request_id == "req-1"
    assert taken.budget_spent_ns == pytest.approx(12e9, abs=1e9)
    assert taken.budget_used_ratio == pytest.approx(0.4, abs=0.05)


def test_the_earlier_deadline_wins_over_the_argument(page):
    write_page(page, timeout=30, spent=0)
    with profile("job", timeout=600):
        assert (budget().timeout, budget().source) == (30.0, "server")
    with profile("job", timeout=5) as run:
        assert (budget().timeout, budget().source) == (5.0, "argument")
    assert run.snapshot().request_id == "req-1"


def test_the_run_joins_the_callers_trace(page):
    write_page(page, timeout=30, spent=0, traceparent=f"00-{'ab' * 16}-{'cd' * 8}-01")
    with profile("job") as run:
        pass
    assert (run.snapshot().run_id, run.snapshot().parent_span_id) == ("ab" * 16, int("cd" * 8, 16))


@pytest.mark.parametrize("timeout", [0, -5])
def test_a_page_that_gives_no_time_is_no_timeout(page, timeout):
    write_page(page, timeout=timeout, spent=0)
    with profile("job"):
        assert budget().remaining == math.inf


def test_a_request_that_comes_later_does_not_change_an_open_runs_budget(page):
    write_page(page, timeout=30, spent=0)
    with profile("job"):
        write_page(page, timeout=90, spent=0)
        assert budget().timeout == 30
        with profile("inside", timeout=60):
            assert budget().remaining <= 30
    assert budget().timeout == 90


def test_after_its_run_a_budget_still_tells_and_no_longer_counts():
    with profile("job", timeout=0.01) as run:
        while run.budget.remaining:
            time.sleep(0.001)
    with pytest.raises(BudgetExceeded, match=r"^job has used"):
        run.budget.check()
    budget().check()


def test_a_forked_worker_has_what_is_left(run_python):
    done = run_python("""
        import os
        from algoprof import BudgetExceeded, budget, profile, section
        with profile("job", timeout=0.2), section("fan out"):
            if not os.fork():
                with section("step"):
                    try:
                        while True:
                            budget().check()
                    except BudgetExceeded as error:
                        print(error.run, error.section, error.timeout, flush=True)
                os._exit(0)
            os.wait()
        """, env={"ALGOPROF_REPORT": "never"})  # fmt: skip
    assert done.stdout == "job worker/step 0.2\n"


def test_a_run_that_begins_with_nothing_left_is_not_told_of(run_python):
    done = run_python("""
        import time
        from algoprof import profile
        with profile.with_options(thresholds=[])("outer", timeout=0.01):
            time.sleep(0.02)
            with profile("inner", timeout=9):
                time.sleep(0.05)
        """, env={"ALGOPROF_REPORT": "never"})  # fmt: skip
    assert done.stderr == ""


@pytest.mark.parametrize("content", [b"", b"ALGOCTL1", b"x" * 160])
def test_a_page_that_is_none_is_no_timeout(page, content):
    page.write_bytes(content)
    with profile("job"):
        assert budget().remaining == math.inf


def test_a_run_inside_a_run_never_gets_more_than_remains():
    with profile("outer", timeout=10):
        with profile("inner", timeout=60):
            assert (budget().source, budget().timeout) == ("parent", pytest.approx(10, abs=0.5))
        with profile("inner", timeout=1):
            assert (budget().source, budget().timeout) == ("argument", 1.0)
        assert budget().run == "outer"


def test_check_raises_when_nothing_is_left_and_says_where():
    with profile("job", timeout=0.001), section("improve"):
        while budget().remaining:
            time.sleep(0.001)
        with pytest.raises(
            BudgetExceeded, match=r"job has used .* s of its budget of 0.001 s, in section job/improve"
        ) as e:
            budget().check()
    assert isinstance(e.value, TimeoutError)
    assert (e.value.run, e.value.section, e.value.timeout) == ("job", "job/improve", 0.001)
    assert str(pickle.loads(pickle.dumps(e.value))) == str(e.value)


def test_thresholds_are_told_while_the_run_is_open(run_python):
    done = run_python("""
        import time
        from algoprof import profile, section
        with profile("job", timeout=0.5) as run:
            with section("improve"), section("two_opt"):
                while run.threshold < 0.95:
                    time.sleep(0.005)
        print("told", run.threshold)
        """, env={"ALGOPROF_REPORT": "never"})  # fmt: skip
    at_80, _, frame, at_95, _, _ = done.stderr.splitlines()
    assert at_80.startswith("job has used 80 % of its budget of 0.5 s; open: improve > two_opt (0.")
    assert at_95.startswith("job has used 95 % of its budget of 0.5 s; open: improve > two_opt (0.")
    assert frame.startswith('  File "')
    assert " in <module>" in frame
    assert done.stdout == "told 0.95\n"


def test_a_run_that_ends_in_time_is_not_told_of(run_python):
    done = run_python("""
        import time
        from algoprof import profile
        for _ in range(50):
            with profile("job", timeout=0.2):
                pass
        time.sleep(0.25)
        """)
    assert (done.stdout, done.stderr) == ("", "")


def test_many_runs_need_one_thread(run_python):
    done = run_python("""
        import threading
        from contextlib import ExitStack
        from algoprof import profile
        with ExitStack() as stack:
            for n in range(50):
                stack.enter_context(profile(f"job {n}", timeout=100))
            print(threading.active_count())
        """)
    assert (done.stdout, done.stderr) == ("2\n", "")


def wait_until(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


class TestThresholds:
    def test_each_threshold_is_told_once_with_what_is_open_and_how_late_it_is(self):
        told = []

        def tell(threshold):
            told.append((threshold.ratio, threshold.run.snapshot().node("job", "long").open_count, threshold.late_by))

        thresholds = profile.with_options(thresholds=(0.9, 0.3), on_threshold=tell)
        with thresholds("job", timeout=0.5) as run, section("long"):
            wait_until(lambda: len(told) == 2)
        assert [(ratio, is_open) for ratio, is_open, _ in told] == [(0.3, 1), (0.9, 1)]
        assert all(0 <= late < 5 for _, _, late in told)
        assert run.threshold == 0.9

    def test_a_run_that_ends_before_is_not_told_of(self):
        told = []
        with profile.with_options(on_threshold=told.append)("job", timeout=0.3):
            pass
        time.sleep(0.4)
        assert told == []

    def test_what_a_callback_raises_or_waits_for_is_its_own_affair(self, caplog):
        over = threading.Event()

        def wait(threshold):
            over.wait(10)

        def fail(threshold):
            raise LookupError("mine")

        with (
            profile.with_options(thresholds=[0.1], on_threshold=wait)("slow", timeout=1),
            profile.with_options(thresholds=[0.2], on_threshold=fail)("job", timeout=1),
        ):
            wait_until(lambda: "LookupError: mine" in caplog.text)
        over.set()
        assert "on_threshold of job failed" in caplog.text
        assert "LookupError: mine" in caplog.text

    @pytest.mark.parametrize("end", ["", "os._exit(0)"])
    def test_a_program_that_ends_meanwhile_lets_it_be_told(self, run_python, end):
        """In a worker too, which leaves past atexit."""
        done = run_python(f"""
            import logging, multiprocessing, os, time
            from algoprof import profile

            class Slow(logging.StreamHandler):
                def emit(self, record):
                    time.sleep(0.3)
                    super().emit(record)

            def tell(threshold):
                time.sleep(0.2)
                print("called", flush=True)

            def job():
                with profile.with_options(thresholds=[0.5], on_threshold=tell)("job", timeout=0.2) as run:
                    while run.budget.remaining:
                        pass

            logging.basicConfig(format="logged: %(message)s", handlers=[Slow()])
            if {bool(end)}:
                worker = multiprocessing.get_context("fork").Process(target=job)
                worker.start()
                worker.join()
            else:
                job()
            {end}
            """, env={"ALGOPROF_REPORT": "never"})  # fmt: skip
        assert (done.stdout, done.stderr.count("logged: job has used 50 %")) == ("called\n", 1)

    def test_where_no_thread_can_be_started_it_is_told_all_the_same(self, run_python):
        done = run_python("""
            import resource, threading
            from algoprof import profile
            told = []
            with profile.with_options(thresholds=[0.3, 0.6], on_threshold=told.append)("job", timeout=1) as run:
                threading.stack_size(256 << 20)
                pages = int(open("/proc/self/statm").read().split()[0])
                resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + (64 << 20),) * 2)
                while run.budget.remaining and len(told) < 2:
                    pass
            print([threshold.ratio for threshold in told])
            """, env={"ALGOPROF_REPORT": "never"})  # fmt: skip
        assert done.stdout == "[0.3, 0.6]\n"

    def test_a_program_that_ends_waits_for_no_callback_for_long(self, run_python):
        done = run_python("""
            import threading
            from algoprof import profile
            wait = lambda _: (print("called", flush=True), threading.Event().wait())
            with profile.with_options(thresholds=[0.5], on_threshold=wait)("job", timeout=0.2) as run:
                while run.budget.remaining:
                    pass
            """, env={"ALGOPROF_REPORT": "never"}, timeout=20)  # fmt: skip
        assert (done.returncode, done.stdout) == (0, "called\n")

    def test_one_share_alone_is_refused_with_what_to_write(self):
        with pytest.raises(ConfigurationError, match=r"thresholds are a list, as \[0.5, 0.9\], not 0.5"):
            profile.with_options(thresholds=0.5)

    def test_a_threshold_reached_in_c_code_that_ends_with_the_run_is_told_after_it(self):
        told, both = [], threading.Event()

        def tell(threshold):
            told.append((threshold.ratio, threshold.run.ended))
            if len(told) == 2:
                both.set()

        with profile.with_options(thresholds=[0.2, 0.4], on_threshold=tell)("job", timeout=1):
            ctypes.PyDLL(None).usleep(600_000)
        assert both.wait(20)
        assert [ratio for ratio, _ in told] == [0.2, 0.4]

    def test_many_runs_at_once_take_no_thread_each(self):
        ends, all_open, all_told = threading.Event(), threading.Barrier(21), threading.Event()
        told = []

        def tell(threshold):
            told.append(threshold)
            if len(told) == 20:
                all_told.set()

        def job(number):
            with profile.with_options(thresholds=[0.5], on_threshold=tell)(f"job {number}", timeout=1):
                all_open.wait(60)
                ends.wait(60)

        before = set(threading.enumerate())
        threads = [threading.Thread(target=job, args=(number,)) for number in range(20)]
        for thread in threads:
            thread.start()
        all_open.wait(60)
        ours = [thread.name for thread in set(threading.enumerate()) - before - set(threads)]
        assert len([name for name in ours if "algoprof" in name and "threshold" not in name]) <= 1
        assert all_told.wait(60)
        ends.set()
        for thread in threads:
            thread.join()
        assert sorted(threshold.run.name for threshold in told) == sorted(f"job {number}" for number in range(20))

    @pytest.mark.parametrize("threshold", [0, -0.1, 1.01, "0.5", True, None])
    def test_a_threshold_that_cannot_be_meant_is_refused(self, threshold):
        with pytest.raises(ConfigurationError, match="a threshold is a share of the timeout"):
            profile.with_options(thresholds=[threshold])
