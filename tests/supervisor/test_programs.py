"""A supervised program runs as it would without: its arguments, its streams, its signals and its exit."""

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from algoprof.profiles.tree import Profile


def test_a_script_sees_what_python_would_show_it(run, tmp_path):
    done = run(
        """
        import sys
        if __name__ == "__main__":
            import pickle
            class Here: pass
            print(sys.argv[1:], sys.path[0], __file__, pickle.loads(pickle.dumps(Here())).__class__ is Here)
            print(sys.stdin.read(), end="")
        """,
        input="from stdin",
    )
    path = str(tmp_path / "program.py")
    assert (done.status, done.err) == (0, "")
    assert done.out == f"[] {tmp_path} {path} True\nfrom stdin"


def test_arguments_go_to_the_program(script, supervised):
    path = script("import sys; print(sys.argv[1:])")
    done = subprocess.run([*supervised, path, "--timeout", "x", "--", "-m"], capture_output=True, text=True, check=True)
    assert done.stdout == "['--timeout', 'x', '--', '-m']\n"


def test_a_module_runs_as_python_m_does(tmp_path, supervised):
    (tmp_path / "tool.py").write_text("import sys; from algoprof import section\nwith section('work'): print(sys.argv)")
    done = subprocess.run([*supervised, "-m", "tool", "a"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, f"['{tmp_path}/tool.py', 'a']\n")
    assert "work" in done.stderr


def test_all_after_the_module_is_its_own(tmp_path, supervised):
    (tmp_path / "tool.py").write_text("import sys; print(sys.argv[1:])")
    line = [*supervised, "-m", "tool", "-q", "--json", "--help", "--", "-m"]
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "['-q', '--json', '--help', '--', '-m']\n"


def test_what_a_script_finds_of_itself(run, tmp_path):
    (tmp_path / "signal.py").write_text("raise ImportError('beside the script, and not for algoprof')")
    done = run(
        """
        import os, sys
        os.chdir("/")
        print(len(open(__file__).read()) > 0, __annotations__, __spec__, __loader__.get_source("__main__")[:10].strip())
        """
    )
    assert (done.status, done.out, done.err) == (0, "True {} None import os\n", "")


def test_signals_that_a_program_blocks_wait_for_it(run):
    done = run(
        """
        import os, signal
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
        os.kill(os.getpid(), signal.SIGUSR1)
        print(signal.sigpending() == {signal.SIGUSR1}, signal.sigwait([signal.SIGUSR1]).name)
        """
    )
    assert (done.status, done.out) == (0, "True SIGUSR1\n")


@pytest.mark.parametrize("end", ["pass", "sys.exit(7)"])
def test_a_report_that_nobody_takes_does_not_change_the_status(script, supervised, end):
    path = script(f"import sys\n{end}\n")
    with Path("/dev/full").open("w") as full:
        status = subprocess.run([*supervised, path], stderr=full, check=False).returncode
    assert status == (7 if "7" in end else 0)


@pytest.mark.parametrize(("options", "begins"), [(["--json"], '{\n  "command"'), ([], "algoprof: it ended after")])
def test_a_report_of_its_own_holds_nothing_else_and_stderr_is_the_programs(
    script, supervised, tmp_path, options, begins
):
    path, report = script("import sys\nsys.exit('mine')"), tmp_path / "report"
    done = subprocess.run(
        [*supervised, *options, "--report", report, path], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "mine\n")
    assert report.read_text().startswith(begins)
    assert not options or json.loads(report.read_text())["status"] == 1


def test_a_report_goes_to_a_descriptor_and_waits_for_nobody_else(script, supervised):
    path = script("import os\nos._exit(7)")
    line = f"{' '.join(supervised)} --json --report /dev/fd/3 {path} 3>&1 >/dev/null"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)
    assert (done.returncode, json.loads(done.stdout)["status"], done.stderr) == (7, 7, "")


def test_a_report_that_cannot_be_written_after_all_is_told(script, supervised):
    done = subprocess.run(
        [*supervised, "--report", "/dev/full", script("")], stderr=subprocess.PIPE, text=True, check=False
    )
    assert done.returncode == 0
    assert "the result could not be written to /dev/full (No space left on device)" in done.stderr


def test_children_that_were_there_before_are_left_alone(script, supervised, lives):
    path = script("import time; time.sleep(60)")
    line = f"sleep 30 & echo $!; exec {' '.join(supervised)} --timeout 0.5 --grace 0.2 {path}"
    with subprocess.Popen(["bash", "-c", line], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as shell:
        other = int(shell.stdout.readline())
        assert shell.wait(20) == 124
        assert lives(other)
        os.kill(other, signal.SIGKILL)


def test_a_traceback_is_the_programs_own(run):
    done = run("def fail():\n    raise LookupError('gone')\nfail()\n")
    assert done.status == 1
    assert done.err.splitlines()[0] == "Traceback (most recent call last):"
    assert done.err.count("File ") == 2
    assert done.err.endswith("LookupError: gone\n")
    assert run("def (:").err.rstrip().endswith("SyntaxError: invalid syntax")


@pytest.mark.parametrize(
    ("end", "status"),
    [("pass", 0), ("sys.exit(3)", 3), ("os._exit(7)", 7), ("os.kill(os.getpid(), 15)", -15), ("os.abort()", -6)],
)
def test_it_exits_as_the_program_does(run, end, status):
    done = run(f"import os, sys\n{end}\n")
    assert done.status == status
    assert done.report["timed_out"] is False
    assert done.report["signal"] == (signal.Signals(-status).name if status < 0 else None)


@pytest.mark.parametrize(
    ("arguments", "status", "sentence"),
    [
        (["--", "no-such-program"], 127, "there is no such program"),
        (["--", "/etc/passwd"], 126, "cannot be run (Permission denied)"),
        (["--", "/"], 126, "cannot be run (Permission denied)"),
        (["--", __file__], 126, "(Permission denied); a Python script is run where no -- is before it"),
        ([], 125, "what to run is missing"),
        (["ls"], 125, "put -- before it"),
        (["--timeout", "0", "x.py"], 125, "above 0"),
        (["--timeout", "soon", "x.py"], 125, "soon"),
        (["--output", "/no/such/folder/x", "x.py"], 125, "cannot be written"),
        (["--report", "/no/such/folder/x", "x.py"], 125, "--report /no/such/folder/x cannot be written"),
        (["no-such.py"], 2, "can't open file"),
    ],
)
def test_what_cannot_be_run_is_told_as_timeout_tells_it(arguments, status, sentence, supervised):
    done = subprocess.run([*supervised, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == status
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("end", "outcome"), [("raise ValueError", "error"), ("sys.exit(7)", "error"), ("pass", "ok")])
def test_its_own_run_failed_if_it_did(run, end, outcome):
    assert run(f"import sys\n{end}").profile.outcome == outcome


def test_signals_go_on_to_the_program(script, supervised):
    path = script(
        """
        import os, signal, sys, time
        signal.signal(signal.SIGUSR1, lambda *_: os.write(1, b"usr1\\n"))  # print may be under way
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(9))
        print("ready", flush=True)
        while True:
            time.sleep(0.05)
        """
    )
    with subprocess.Popen([*supervised, path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGUSR1)
        assert process.stdout.readline() == "usr1\n", process.communicate(timeout=10)
        process.send_signal(signal.SIGTERM)
        assert process.communicate(timeout=10)[0] == ""
    assert process.returncode == 9


def test_an_interrupt_ends_it_as_it_would_end_python(script, supervised):
    path = script("import time\nprint('ready', flush=True)\ntime.sleep(60)\n")
    with subprocess.Popen(
        [*supervised, path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=10)
    assert process.returncode == -signal.SIGINT
    assert err.startswith("Traceback (most recent call last):\n")
    assert "KeyboardInterrupt" in err
    assert "start.py" not in err


def _rest(pid, terminal):
    """Return what a process still shows on its terminal until it ends, which it is to do well."""
    shown = b""
    try:
        while chunk := os.read(terminal, 4096):
            shown += chunk
    except OSError:  # the terminal's other end was closed
        pass
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    return shown


def test_the_terminal_is_the_programs_own(script, tmp_path, supervised):
    path = script("import os\nprint('you said', input(), os.tcgetpgrp(0) == os.getpgrp())\n")
    pid, terminal = pty.fork()
    if not pid:
        os.execv(sys.executable, [*supervised, "--output", str(tmp_path / "saved"), str(path)])
    time.sleep(0.5)
    os.write(terminal, b"hello\n")
    shown = _rest(pid, terminal)
    assert b"you said hello True" in shown
    assert Profile.load(tmp_path / "saved").name == "program.py"


def test_ctrl_c_at_the_terminal_reaches_the_program_once(script, supervised):
    path = script(
        """
        import time
        print("ready", flush=True)
        for seconds in (30, 0.4):
            try:
                time.sleep(seconds)
            except KeyboardInterrupt:
                print("interrupted", flush=True)
        """
    )
    pid, terminal = pty.fork()
    if not pid:
        os.execv(sys.executable, [*supervised, str(path)])
    shown = b""
    while b"ready" not in shown:
        shown += os.read(terminal, 4096)
    time.sleep(0.2)
    os.write(terminal, b"\x03")
    shown += _rest(pid, terminal)
    assert shown.count(b"interrupted") == 1


def test_ctrl_z_where_no_shell_would_resume_it_stops_neither(script, supervised):
    path = script("import time\nprint('ready', flush=True)\ntime.sleep(0.3)\nprint('went on', flush=True)\n")
    pid, terminal = pty.fork()
    if not pid:
        os.execv(sys.executable, [*supervised, str(path)])
    shown = b""
    while b"ready" not in shown:
        shown += os.read(terminal, 4096)
    os.write(terminal, b"\x1a")
    shown += _rest(pid, terminal)
    assert b"went on" in shown


def test_a_shell_stops_and_resumes_both_as_one_job(script, supervised):
    path = script("print('ready', flush=True)\nprint('read', input(), flush=True)\n")
    shell, terminal = pty.fork()
    if not shell:
        os.execvp("bash", ["bash", "--norc", "-i"])

    def until(sought):
        shown = b""
        while sought not in shown:
            assert select.select([terminal], [], [], 30)[0], shown
            shown += os.read(terminal, 4096)
        return shown

    os.write(terminal, b" ".join(os.fsencode(str(word)) for word in [*supervised, path]) + b"\n")
    until(b"ready\r\n")
    os.write(terminal, b"\x1a")
    until(b"Stopped")
    os.write(terminal, b"bg\n")
    known = b""
    while b"Stopped" not in known:  # in the background it may not read; a shell resumes what it knows to be stopped
        os.write(terminal, b"jobs; echo told $((40 + 2))\n")
        known = until(b"told 42")
    os.write(terminal, b"fg\n")
    while os.tcgetpgrp(terminal) == shell:
        time.sleep(0.01)
    os.write(terminal, b"hello\n")
    assert b"it ended after" in until(b"MiB in one process")
    os.write(terminal, b"exit\n")
    os.close(terminal)
    os.waitpid(shell, 0)


LARGE = "import sys\nheld = b'x' * (200 << 20)\nfrom algoprof.cli.main import main\nsys.argv[1:1] = ['run']\nmain()"


@pytest.mark.parametrize(
    ("line", "is_exact"),
    [
        (["program.py"], True),
        (["--timeout", "0.3", "--", "sleep", "60"], True),
        (["--", "sh", "-c", "exit"], False),
        (["--", sys.executable, "-c", "held = b'x' * (300 << 20)"], True),
    ],
)
def test_memory_is_its_own_not_that_of_what_it_was_started_by(script, tmp_path, line, is_exact):
    """What the kernel tells of an ended process is at least what that had while it was still a copy of algoprof."""
    script("held = b'x' * (3 << 20)")
    command = [sys.executable, "-c", LARGE, "--json", "--report", "report", *line]
    subprocess.run(command, cwd=tmp_path, check=False, capture_output=True)
    report = json.loads((tmp_path / "report").read_text())
    assert report["memory_peak_is_exact"] is is_exact
    assert (report["memory_peak_bytes"] > 150 << 20) == (line[0] == "--")


def test_memory_that_is_not_known_exactly_is_told_as_less(supervised):
    told = subprocess.run([*supervised, "--", "true"], capture_output=True, text=True, check=True).stderr
    assert " of processor time, less than " in told


def test_open_files_and_the_environment_are_handed_on(run, tmp_path):
    with (tmp_path / "given").open("w") as given:
        done = run(
            f"import os\nos.write({given.fileno()}, b'through')\nprint(os.environ['MINE'])",
            pass_fds=[given.fileno()],
            env=os.environ | {"MINE": "here"},
        )
    assert (tmp_path / "given").read_text() == "through"
    assert done.out == "here\n"
