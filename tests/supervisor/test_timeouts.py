"""What a program does when its timeout comes, and what is known of it then: real programs, really killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from algoprof.profiles.tree import Profile

NOTE = "import os, pathlib\npathlib.Path(os.environ['PIDS'], str(os.getpid())).touch()\n"
"""Has a process leave its pid, so that the test knows whether it is gone."""


def test_what_was_open_is_told_and_where_it_hung(run, tmp_path):
    example = Path(__file__).parents[2] / "examples" / "stuck.py"
    done = run(example.read_text(), "--timeout", "2", "--output", str(tmp_path / "saved"))
    assert done.status == 124
    report = done.report
    assert (report["timed_out"], report["timeout"]) == (True, 2)
    assert (report["killed"], report["signal"]) == (False, "SIGTERM")
    assert report["cpu_seconds"] > 0.2
    assert report["memory_peak_bytes"] > 5 << 20
    assert report["verdict"]["kind"] == "native"
    assert 'program.py", line 17 in <module>' in report["stacks"]
    assert "supervisor" not in report["stacks"], "frames of ours are left out"
    saved = Profile.load(tmp_path / "saved")
    assert saved.node("job", "load").count == 1
    assert 0.2 < saved.node("job", "finish", "solve").open_time <= 2.1
    assert saved.timeout == 2
    assert (saved.runs, saved.bottleneck.name) == (1, "solve")


def test_every_run_inside_knows_when_the_program_will_be_stopped(run):
    done = run(
        """
        import time
        from algoprof import budget, profile
        with profile("job"):
            first = budget().remaining
            print(budget().source, 50 < first < 100, end=" ")
            time.sleep(0.1)
        with profile("job"):
            print(budget().source, budget().remaining <= first - 0.1, end=" ")
        with profile("job", timeout=600):
            print(budget().remaining <= first - 0.1)
        """,
        "--timeout", "100",
    )  # fmt: skip
    assert (done.status, done.out) == (0, "environment True environment True True\n")


def test_the_report_reads_well_in_a_log(script, supervised):
    path = script("import time\nfrom algoprof import section\nwith section('wait'):\n    time.sleep(60)\n")
    done = subprocess.run([*supervised, "--timeout", "2", path], capture_output=True, text=True, check=False)
    assert done.returncode == 124
    assert done.stderr.startswith("algoprof: the timeout of 2 s stopped it: asked to end, and did; ")
    assert "open when killed: wait" in done.stderr
    assert "at its timeout it was blocked: it waited" in done.stderr
    assert 'program.py", line 4 in <module>' in done.stderr


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("while True: pass", "python"),
        ("import time; time.sleep(60)", "blocked"),
        ("import re; re.match('(a|a)*b', 'a' * 60)", "native"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSTOP)", "stopped"),
    ],
)
def test_the_verdict(run, body, kind):
    done = run(NOTE + body, "--timeout", "2", "--grace", "1")
    assert done.status == 124
    assert done.report["verdict"]["kind"] == kind


def test_a_verdict_soon_after_the_start_does_not_blame_the_program(run):
    """Python takes a while to start, the longer the busier the machine is."""
    done = run(["sh", "-c", "while :; do :; done"], "--timeout", "0.3", "--grace", "0")
    assert done.report["verdict"]["kind"] == "starting"
    assert done.report["verdict"]["text"].startswith("busy, if only with the start of Python itself: ")


def test_short_lived_children_count_too(run):
    done = run(
        NOTE + "import subprocess, sys\nwhile True: subprocess.run([sys.executable, '-c', 'sum(range(10**6))'])",
        "--timeout", "2",
    )  # fmt: skip
    assert done.status == 124
    assert done.report["verdict"]["cpu_seconds"] > 0.05, "who waits for them uses next to nothing"


def test_a_daemon_is_asked_before_it_is_killed(run, tmp_path):
    done = run(
        NOTE
        + """
import signal, sys, time
if not os.fork():
    os.setsid()
    signal.signal(signal.SIGTERM, lambda *_: (pathlib.Path("asked").touch(), sys.exit()))
    time.sleep(60)
time.sleep(60)
""",
        "--timeout", "2", "--grace", "10", cwd=tmp_path,
    )  # fmt: skip
    assert (done.status, done.report["killed"]) == (124, False)
    assert (tmp_path / "asked").exists()


def test_whoever_ignores_sigterm_is_killed_after_the_grace(run):
    began = time.monotonic()
    done = run(
        NOTE + "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(60)",
        "--timeout",
        "2",
        "--grace",
        "0.2",
    )
    assert done.status == 124
    assert (done.report["killed"], done.report["signal"], done.report["status"]) == (True, "SIGKILL", None)
    assert 2.2 <= time.monotonic() - began < 20


def test_who_ends_in_the_grace_has_what_was_open_at_the_timeout_told(run):
    done = run(
        NOTE
        + """
import signal, sys, time
from algoprof import section
def end(*_):
    time.sleep(0.2)
    sys.exit(5)
signal.signal(signal.SIGTERM, end)
with section("long"):
    time.sleep(60)
""",
        "--timeout", "2",
    )  # fmt: skip
    assert (done.status, done.report["status"], done.report["killed"]) == (124, 5, False)
    assert done.profile.node("program.py", "long").open_count == 1


GRANDCHILDREN = (
    NOTE
    + """
import signal, sys, time
def leave(detached):
    if os.fork():
        return
    if detached:
        os.setsid()
        if os.fork():
            os._exit(0)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    pathlib.Path(os.environ["PIDS"], str(os.getpid())).touch()
    time.sleep(60)
leave(False)
leave(True)
time.sleep({seconds})
"""
)


def test_grandchildren_and_daemons_go_too(run, tmp_path):
    done = run(GRANDCHILDREN.format(seconds=60), "--timeout", "2", "--grace", "0.3")
    assert done.status == 124
    assert len(list((tmp_path / "pids").iterdir())) == 3
    # that none of them lives is checked after every test


def test_a_daemon_that_a_program_leaves_when_it_ends_stays(script, tmp_path, supervised, lives):
    path = script(GRANDCHILDREN.format(seconds=0.3))
    line = [*supervised, "--timeout", "20", path]
    assert subprocess.run(line, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0
    left = [int(path.name) for path in (tmp_path / "pids").iterdir() if lives(int(path.name))]
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    time.sleep(0.2)
    assert len(left) == 2


def test_a_program_that_becomes_another_one(run, tmp_path):
    other = tmp_path / "other.py"
    other.write_text(
        NOTE + "from algoprof import section\nimport os\nwith section('in the other'):\n    os.kill(os.getpid(), 9)"
    )
    done = run(f"import os, sys\nos.execv(sys.executable, [sys.executable, {str(other)!r}])")
    assert done.status == -9
    assert "in the other" in str(done.report["profiles"])


def test_nobody_reads_what_it_writes(script, supervised):
    path = script(NOTE + "print('x' * 10_000_000)")
    with subprocess.Popen(
        [*supervised, "--timeout", "2", path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert "blocked" in process.stderr.read()
        assert process.wait(10) == 124


def test_descriptors_that_the_program_closes_are_its_own_affair(run, tmp_path):
    done = run(
        NOTE
        + """
import time
from algoprof import section
with section("before"):
    pass
os.closerange(3, 4096)
kept = [open(os.environ["PIDS"] + "/../victim", "a") for _ in range(600)]
with section("after"):
    time.sleep(60)
""",
        "--timeout", "2",
    )  # fmt: skip
    assert done.status == 124
    assert done.report["stacks"] == "", "its descriptor is somebody else's now, so nothing is asked for"
    assert (tmp_path / "victim").read_text() == ""
    assert done.profile.node("program.py", "after").open_count == 1


def test_a_program_that_is_killed_before_its_first_section(run):
    done = run(["sh", "-c", "kill -9 $$"])
    assert done.status == -9
    assert (done.report["signal"], done.report["profiles"], done.report["no_flight_file"]) == ("SIGKILL", [], None)


def test_memory_that_runs_out(run):
    done = run(
        NOTE
        + """
import resource
from algoprof import section
resource.setrlimit(resource.RLIMIT_AS, (400 << 20, 400 << 20))
with section("fill"):
    held = [bytearray(50 << 20) for _ in range(100)]
"""
    )
    assert done.status == 1
    assert done.err.rstrip().endswith("MemoryError")
    assert done.profile.node("program.py", "fill").errors == 1
    assert done.report["memory_peak_bytes"] > 100 << 20


def test_ten_thousand_open_sections(run):
    done = run(
        NOTE
        + """
import os
from contextvars import copy_context
from algoprof import section
contexts = [copy_context() for _ in range(10_000)]
for context in contexts:
    context.run(section("open").__enter__)
os.kill(os.getpid(), 9)
"""
    )
    assert done.status == -9
    assert done.profile.node("program.py", "open").open_count == 10_000


def test_workers_are_part_of_the_profile(run):
    done = run(
        """
        import multiprocessing, os, time
        from algoprof import section, profile, propagate
        def work(number):
            with section("step"):
                time.sleep(0.01)
        if __name__ == "__main__":
            with profile("job"):
                with section("fan out"), multiprocessing.get_context("fork").Pool(2) as pool:
                    pool.map(propagate(work), range(8))
                with section("end"):
                    os.kill(os.getpid(), 9)
        """
    )
    assert done.status == -9
    assert done.profile.node("job", "fan out", "step").count == 8
    assert done.profile.node("job", "end").open_count == 1


def test_a_forked_child_that_records_nothing_shows_its_stack_too(run):
    done = run(
        NOTE
        + """
child = os.fork()
if not child:
    import itertools
    sum(itertools.repeat(1, 10**11))
os.waitpid(child, 0)
""",
        "--timeout", "2",
    )  # fmt: skip
    assert done.status == 124
    assert 'program.py", line 7 in <module>' in done.report["stacks"], "the child's"
    assert 'program.py", line 8 in <module>' in done.report["stacks"], "the parent's"
    assert done.report["stacks"].count("process ") == 2
    assert done.report["verdict"]["kind"] in ("native", "running")


def test_a_command_that_runs_python_deep_inside(run, script):
    path = script(NOTE + "import time\nfrom algoprof import section\nwith section('deep'):\n    time.sleep(60)\n")
    done = run(["sh", "-c", f"{sys.executable} {path}; true"], "--timeout", "2")
    assert done.status == 124
    assert done.profile.node("program.py", "deep").open_count == 1
    assert 'program.py", line' in done.report["stacks"]


def test_when_the_supervisor_is_killed_the_program_dies_and_its_profile_is_recovered(
    script, tmp_path, monkeypatch, supervised
):
    path = script(
        NOTE
        + """
import time
from algoprof import section
with section("work"):
    print("ready", flush=True)
    time.sleep(60)
"""
    )
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setenv("TMPDIR", str(place))
    with subprocess.Popen([*supervised, path], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        process.kill()
    until, found = time.monotonic() + 20, ""
    while "open when killed: work" not in found and time.monotonic() < until:
        command = [sys.executable, "-m", "algoprof", "recover"]
        found = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "open when killed: work" in found
    subprocess.run([*supervised, "--", "true"], stderr=subprocess.DEVNULL, check=True)
    assert list(place.iterdir()) == [], "the next one tidies up"


def test_two_supervisors_tell_each_of_its_own(script, supervised):
    path = script("import sys, time\nfrom algoprof import section\nwith section(sys.argv[1]):\n    time.sleep(60)\n")
    started = [
        subprocess.Popen([*supervised, "--timeout", "2", path, name], stderr=subprocess.PIPE, text=True)
        for name in ("alpha", "omega")
    ]
    told = [process.communicate(timeout=20)[1] for process in started]
    assert ["alpha" in text for text in told] == [True, False]
    assert ["omega" in text for text in told] == [False, True]


def test_a_place_where_nothing_can_be_written_costs_the_profile_alone(run, tmp_path, script, supervised):
    place = tmp_path / "no folder"
    place.write_text("")
    there = os.environ | {"ALGOPROF_FLIGHT_DIR": str(place)}
    done = run("print('fine')", env=there)
    assert (done.status, done.out) == (0, "fine\n")
    assert (done.report["profiles"], done.report["no_flight_file"]) == ([], f"[Errno 17] File exists: '{place}'")
    line = [*supervised, "--output", str(tmp_path / "saved"), script("print('fine')")]
    told = subprocess.run(line, capture_output=True, text=True, check=True, env=there).stderr
    assert "what it recorded is lost, for no flight file could be made: [Errno 17] File exists" in told
    assert "error: --output: there is no profile to save: what it recorded is lost, for" in told
    assert "it recorded nothing" not in told


def test_no_file_of_the_supervision_is_left(run, tmp_path):
    place = tmp_path / "temporary"
    place.mkdir()
    done = run("import time; time.sleep(60)", "--timeout", "0.5", env=os.environ | {"TMPDIR": str(place)})
    assert done.status == 124
    assert list(place.iterdir()) == []
