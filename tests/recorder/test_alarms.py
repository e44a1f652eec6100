"""Thresholds are told of in time, with what is open and every stack, while C code keeps Python code from running."""

import os
import re
import statistics
import subprocess
import sys
import textwrap
import time

import pytest

from algoprof.recorder import backend
from algoprof.recorder.reader import read

pytestmark = pytest.mark.alone
needs_compiled = pytest.mark.skipif(backend != "native", reason="the writer in Python has no thread without the GIL")
shows_stacks = pytest.mark.skipif(
    sys.version_info >= (3, 13) or sys.platform != "linux",
    reason="stacks are read without the GIL up to 3.12, on Linux",
)

C_CODE = {
    "a catastrophic regex": "re.match('(a|a)*b', 'a' * 60)",
    "a sum without end": "sum(itertools.repeat(1, 10**13))",
    "an extension that sleeps": "ctypes.PyDLL(None).sleep(60)",
}
PROGRAM = """
    import ctypes, itertools, re, signal, sys, threading, time
    from algoprof import profile, propagate, section

    def solve():
        with section("solve"), section("inner loop"):
            {code}

    def waiting():
        threading.Event().wait()

    threading.Thread(target=propagate(waiting), daemon=True).start()
    with profile.with_options(thresholds=[{thresholds}])("job", timeout={timeout}) as run:
        print(run.budget.began_ns, flush=True)
        solve()
"""


def started(code, thresholds="0.5, 0.8", timeout=1.0, before="", **popen):
    source = before + textwrap.dedent(PROGRAM).format(code=code, thresholds=thresholds, timeout=timeout)
    return subprocess.Popen([sys.executable, "-u", "-c", source], stdout=subprocess.PIPE, text=True, **popen)


def told_by(program, count):
    """Return, of so many tellings, the monotonic moment of the first line of each, and all lines; then kill it."""
    moments, lines = [], []
    try:
        while True:
            line = program.stderr.readline()
            assert line, lines
            if "has used" in line:
                moments.append(time.monotonic_ns())
            lines.append(line.rstrip("\n"))
            if len(moments) == count and "in <module>" in line:
                return moments, lines
    finally:
        program.kill()
        program.wait()
        program.stderr.close()
        program.stdout.close()


@needs_compiled
@shows_stacks
@pytest.mark.parametrize("code", C_CODE.values(), ids=C_CODE)
def test_it_is_told_in_time_where_it_hangs(code):
    late = []
    for _ in range(3):
        program = started(code, stderr=subprocess.PIPE)
        began = int(program.stdout.readline())
        moments, lines = told_by(program, 2)
        late += [moment - began - due for moment, due in zip(moments, (500_000_000, 800_000_000), strict=True)]
        told = [line for line in lines if "has used" in line]
        assert re.fullmatch(r"job has used 50 % of its budget of 1 s; open: solve > inner loop \([0-9.]+ s\)", told[0])
        assert re.fullmatch(r"job has used 80 % of its budget of 1 s; open: solve > inner loop \([0-9.]+ s\)", told[1])
        stack = "\n".join(lines[lines.index(told[1]) :])
        assert re.search(r'File "<string>", line 7 in solve\n  File "<string>", line 15 in <module>', stack)
        assert re.search(r'File "<string>", line 10 in waiting\n', stack)
        assert "watcher.py" not in stack
    assert statistics.median(late) < 50_000_000
    assert min(late) >= 0


@needs_compiled
def test_after_a_kill_what_was_open_has_lasted_to_the_last_threshold(tmp_path):
    program = started(C_CODE["a sum without end"], stderr=subprocess.PIPE)
    told_by(program, 2)
    (path,) = (tmp_path / "flight").glob("*.flight")
    (job,) = [profile for profile in read(path).runs if profile.name == "job"]
    assert 0.79 <= job.duration < 1
    assert job.node("job", "solve", "inner loop").open_time > 0.5


@needs_compiled
def test_each_is_told_once_whoever_tells(run_python):
    done = run_python("""
        import ctypes, logging, threading, time
        from algoprof import profile, section
        logging.basicConfig(format="logged: %(message)s")
        logged, all_logged = [], threading.Event()

        def note(record):
            logged.append(record)
            if len(logged) == 40:
                all_logged.set()
            return True

        logging.getLogger("algoprof").addFilter(note)

        def job(number):
            with profile.with_options(thresholds=[0.03, 0.06])(f"job {number}", timeout=10), section("wait"):
                all_logged.wait(30)

        threads = [threading.Thread(target=job, args=(number,)) for number in range(20)]
        for thread in threads:
            thread.start()
        time.sleep(0.45)
        ctypes.PyDLL(None).usleep(300_000)  # over the second threshold of all
        for thread in threads:
            thread.join()
        """, env={"ALGOPROF_REPORT": "never"})  # fmt: skip
    told = re.findall(r"^(logged: )?(job \d+) has used (\d+) %", done.stderr, re.MULTILINE)
    logged = sorted((name, share) for by, name, share in told if by)
    wanted = sorted((f"job {number}", share) for number in range(20) for share in ("3", "6"))
    assert logged == wanted, "the log has them all"
    directly = [(name, share) for by, name, share in told if not by]
    assert len(directly) == len(set(directly))
    assert {share for _, share in directly} >= {"6"}


@needs_compiled
def test_without_a_log_of_its_own_the_program_hears_it_once():
    program = started(
        "ctypes.PyDLL(None).usleep(950_000)", stderr=subprocess.PIPE, env=os.environ | {"ALGOPROF_REPORT": "never"}
    )
    _, errors = program.communicate(timeout=30)
    assert errors.count("has used 50 %") == errors.count("has used 80 %") == 1


@needs_compiled
def test_who_wants_no_warnings_gets_none():
    quiet = "import logging; logging.getLogger('algoprof').setLevel(logging.ERROR)\n"
    program = started(
        "ctypes.PyDLL(None).usleep(900_000)",
        before=quiet,
        stderr=subprocess.PIPE,
        env=os.environ | {"ALGOPROF_REPORT": "never"},
    )
    _, errors = program.communicate(timeout=30)
    assert errors == ""


@needs_compiled
def test_the_programs_own_alarms_and_dumps_are_its_own():
    own = textwrap.dedent("""
        import ctypes, faulthandler, signal, algoprof.runs  # which takes a while; the alarms are for what comes then
        signal.signal(signal.SIGALRM, lambda *_: print("alarm", flush=True))
        signal.setitimer(signal.ITIMER_REAL, 0.6)
        faulthandler.dump_traceback_later(0.7, exit=False)
    """)
    program = started("time.sleep(0.75); ctypes.PyDLL(None).usleep(100_000)", before=own, stderr=subprocess.PIPE)
    out, errors = program.communicate(timeout=30)
    assert out.splitlines().count("alarm") == 1
    assert errors.count("Timeout (0:00:00.700000)!") == 1
    assert errors.count("has used 80 %") == 1


@needs_compiled
def test_a_reader_that_does_not_read_holds_nobody_up():
    full, other = os.pipe()
    os.set_blocking(other, False)
    try:
        while True:
            os.write(other, b"x" * 4096)
    except BlockingIOError:
        os.set_blocking(other, True)
    program = started("ctypes.PyDLL(None).usleep(700_000); os._exit(7)", before="import os\n", stderr=other)
    assert program.wait(timeout=30) == 7
    program.stdout.close()
    os.close(full)
    os.close(other)


@needs_compiled
@pytest.mark.parametrize("before", ["import os; os.close(2)\n", "import os, sys; sys.stderr = None; os.close(2)\n"])
def test_a_program_without_stderr_goes_on(before):
    program = started("ctypes.PyDLL(None).usleep(900_000); print('done')", before=before, stderr=subprocess.PIPE)
    out, _ = program.communicate(timeout=30)
    assert out.splitlines()[1:] == ["done"]
    assert program.returncode == 0


@needs_compiled
def test_a_forked_child_tells_of_its_own_runs():
    program = started(
        "0 if os.fork() else child(); os.wait()",
        before=textwrap.dedent("""
            import ctypes, os
            from algoprof import profile, section
            def child():
                with profile.with_options(thresholds=[0.5])("child's", timeout=0.4), section("deep"):
                    ctypes.PyDLL(None).usleep(300_000)
                os._exit(0)
        """),
        timeout=100,
        stderr=subprocess.PIPE,
        env=os.environ | {"ALGOPROF_REPORT": "never"},
    )
    _, errors = program.communicate(timeout=30)
    assert re.search(r"^child's has used 50 % of its budget of 0.4 s; open: deep \([0-9.]+ s\)$", errors, re.MULTILINE)


@needs_compiled
def test_threads_that_run_on_may_be_looked_at_any_time(run_python, scaled):
    """What is read may be freed at that moment: with faulthandler's own dump this program ends by SIGSEGV."""
    done = run_python(f"""
        import logging, random, sys, threading, time
        from algoprof import profile
        logging.basicConfig(format="logged: %(message)s")
        over = False

        def deep(levels):
            return deep(levels - 1) + len([levels] * 3) if levels else 0

        def busy():
            while not over:
                deep(random.randrange(5, 300))
                exec(compile("def f(n):\\n    return f(n - 1) if n else 0\\nf(40)", "made", "exec"), {{}})

        threads = [threading.Thread(target=busy) for _ in range(12)]
        for thread in threads:
            thread.start()
        end = time.monotonic() + {scaled(40)}
        with profile.with_options(thresholds=[n / 10_000 for n in range(1, 200)])("job", timeout=100):
            while time.monotonic() < end:
                time.sleep(0.05)
        over = True
        for thread in threads:
            thread.join()
        print("whole")
        """, env={"ALGOPROF_REPORT": "never"}, timeout=110)  # fmt: skip
    assert done.stdout == "whole\n"
    assert len(re.findall(r"^job has used", done.stderr, re.MULTILINE)) >= 5, "told without the GIL"
