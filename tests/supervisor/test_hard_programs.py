"""Programs that make it hard to supervise them, and a machine that does: nothing is left, and each is told of."""

import os
import resource
import subprocess
import sys
from pathlib import Path

NOTE = "import os, pathlib\npathlib.Path(os.environ['PIDS'], str(os.getpid())).touch()\n"
"""Has a process leave its pid, so that the test knows whether it is gone."""


def test_a_script_that_is_killed_before_its_first_section_has_a_profile(run):
    done = run("import os\nos.kill(os.getpid(), 9)")
    assert (done.status, done.report["signal"]) == (-9, "SIGKILL")
    assert done.profile.outcome == "killed"
    assert done.profile.node("program.py").open_count == 1


def test_a_chain_of_forks_that_never_stands_still_ends_too(run, tmp_path):
    done = run(
        NOTE
        + """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if not os.fork():
    while True:  # each is there for a moment, and leaves another one, with no parent
        if os.fork():
            os._exit(0)
        os.setsid()
        pathlib.Path(os.environ["PIDS"], str(os.getpid())).touch()
        time.sleep(0.005)
time.sleep(60)
""",
        "--timeout", "2", "--grace", "0.2",
    )  # fmt: skip
    assert (done.status, done.report["killed"]) == (124, True)
    assert len(list((tmp_path / "pids").iterdir())) > 3
    # that none of them lives is checked after every test


def test_a_daemon_that_has_stopped_itself_is_asked_as_well(run):
    done = run(
        NOTE
        + """
import signal, time
if not os.fork():
    os.setsid()
    pathlib.Path(os.environ["PIDS"], str(os.getpid())).touch()
    os.kill(os.getpid(), signal.SIGSTOP)
    time.sleep(60)
time.sleep(60)
""",
        "--timeout", "2", "--grace", "20",
    )  # fmt: skip
    assert (done.status, done.report["killed"]) == (124, False)


def test_on_a_full_disk_the_program_runs_and_its_profile_alone_is_lost(run):
    done = run(
        "import time\nprint('runs', flush=True)\ntime.sleep(60)",
        "--timeout", "2",
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (512, 512)),  # no file may become larger
    )  # fmt: skip
    assert (done.status, done.out) == (124, "runs\n")
    assert "no flight file, so a kill will lose the profile" in done.err
    assert (done.report["profiles"], done.report["timed_out"]) == ([], True)
    assert "File too large" in done.report["no_flight_file"]


def test_without_any_temporary_folder_it_runs_and_shows_no_stacks(script):
    main = (
        "import tempfile; tempfile._candidate_tempdir_list = lambda: ['/proc/none']; from algoprof.cli.main import main"
    )
    path = script("print('runs')\nraise SystemExit(3)")
    line = [sys.executable, "-c", f"import sys; sys.argv[1:1] = ['run']; {main}; main()", path]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (3, "runs\n")
    assert "program.py  error" in done.stderr


def test_with_its_streams_closed_it_runs_and_saves_the_profile(script, supervised, tmp_path):
    path = script("raise SystemExit(3)")
    line = [*map(str, supervised), "--output", str(tmp_path / "saved"), str(path)]
    for closed in ((0,), (0, 1, 2)):
        status = subprocess.run(
            line, stderr=subprocess.DEVNULL, check=False, preexec_fn=lambda those=closed: list(map(os.close, those))
        ).returncode
        assert status == 3
        assert (tmp_path / "saved").stat().st_size > 100


IN_PROCESS = """
import os, signal, sys
from algoprof.supervisor import commands, processes
from algoprof.supervisor.flights import Flights
from algoprof.supervisor.stacks import Stacks
from algoprof.supervisor.supervision import supervise

def around():
    handlers = {number: signal.getsignal(number) for number in signal.valid_signals()}
    descriptors = sorted(os.listdir("/proc/self/fd"))
    mask, pending = signal.pthread_sigmask(signal.SIG_BLOCK, []), signal.sigpending()
    timer = signal.getitimer(signal.ITIMER_REAL)
    return handlers, descriptors, mask, pending, timer, processes.descendants(os.getpid())

signal.signal(signal.SIGCHLD, signal.SIG_IGN)
signal.signal(signal.SIGUSR1, lambda *_: None)
before = around()
for timeout, body in ((None, "pass"), (0.5, "import time; time.sleep(60)"), (None, "import os; os.abort()")):
    flights, stacks = Flights(), Stacks()
    environment = commands.environment(timeout, flights.supervision, stacks.folder)
    supervise([sys.executable, "-c", body], environment, flights, stacks, timeout=timeout)
    stacks.close()
    assert not os.path.exists(stacks.folder)
    assert around() == before, (around(), before)
try:
    supervise(["/no/such/program"], {}, Flights(), Stacks())
except FileNotFoundError:
    assert around() == before
print("as before")
"""


def test_no_process_descriptor_or_signal_handler_is_left(run_python):
    done = run_python(IN_PROCESS, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (0, 0)))
    assert (done.stdout, done.stderr) == ("as before\n", "")


def test_a_guard_that_was_killed_is_not_missed(script, supervised):
    path = script("import time\nprint('ready', flush=True)\ntime.sleep(0.5)\nraise SystemExit(3)")
    with subprocess.Popen([*supervised, path], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        (guard,) = [pid for pid in children if Path(f"/proc/{pid}/comm").read_text() == "algoprof-guard\n"]
        os.kill(int(guard), 9)
        assert process.wait(20) == 3
