import os
import re
import signal
import subprocess
import sys
import threading
from functools import partial

import click
import pytest

from algoprof.cli.main import main


def test_version(algoprof):
    from algoprof import __version__

    done = algoprof("--version")
    assert (done.returncode, done.stdout) == (0, f"algoprof {__version__}\n")


@pytest.mark.parametrize("asked", [("--help",), ("-h",)])
def test_help_names_every_command_and_imports_none(algoprof, asked):
    done = algoprof(*asked)
    assert done.returncode == 0
    for command in ("serve", "call", "builds", "report", "demo"):
        assert f"\n  {command} " in done.stdout
    script = (
        "import sys, atexit; atexit.register(lambda: print(*sys.modules)); sys.argv = ['algoprof', '--help'];"
        "from algoprof.cli.main import main; main()"
    )
    loaded = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout.split()
    assert "click" in loaded
    assert {"requests", "starlette", "prometheus_client", "opentelemetry"}.isdisjoint(loaded)


def leaves(group, *names):
    """Yield each command that does something, with the words that call it and the help of the group it stands in."""
    with click.Context(group, info_name=names[-1]) as context:
        listing = group.get_help(context)
        for name in group.list_commands(context):
            command = group.get_command(context, name)
            if isinstance(command, click.Group):
                yield from leaves(command, *names, name)
            else:
                yield command, (*names, name), listing


def test_each_commands_help_ends_with_examples_and_no_summary_is_cut_off():
    found = list(leaves(main, "algoprof"))
    assert len(found) > 15
    for command, words, listing in found:
        told = command.get_help(click.Context(command, info_name=words[-1]))
        examples = told.partition("\n  Examples:\n")[2].splitlines()
        assert examples, words
        assert all(" ".join(words) in line for line in examples), words
        summary = next(line for line in listing.splitlines() if line.split()[:1] == [words[-1]])
        assert not summary.endswith("..."), summary


def test_without_a_command_there_is_help_and_a_failure(algoprof):
    done = algoprof()
    assert done.returncode == 2
    assert "Commands:" in done.stderr


@pytest.mark.parametrize(
    ("word", "hint"),
    [("cal", "did you mean 'call'?"), ("sevre", "did you mean 'serve'?"), ("x\x1b[2J", "there are builds")],
)
def test_an_unknown_command_is_answered_with_the_near_one(algoprof, word, hint):
    done = algoprof(word)
    assert done.returncode == 2
    assert done.stderr.startswith("algoprof: error: there is no command ")
    assert hint in done.stderr
    assert done.stderr.count("\n") == 1
    assert "\x1b" not in done.stderr


def test_an_unknown_option_is_one_sentence(algoprof):
    done = algoprof("call", "--frobnicate")
    assert (done.returncode, done.stderr) == (2, "algoprof: error: No such option '--frobnicate'.\n")


def test_a_missing_package_is_named_with_its_extra(algoprof, tmp_path):
    (tmp_path / "requests.py").write_text("raise ModuleNotFoundError(\"No module named 'requests'\", name='requests')")
    done = algoprof("call", "demo/Routes", "--data", "1", env={"PYTHONPATH": str(tmp_path)})
    assert done.returncode == 1
    assert done.stderr == "algoprof: error: `algoprof call` needs the package requests: pip install 'algoprof[all]'\n"


@pytest.mark.parametrize("arguments", [["--help"], ["call", "demo/Routes", "--data", "1"]])
def test_a_full_disk_is_one_sentence(algoprof, platform, arguments):
    with open("/dev/full", "w") as full:  # noqa: PTH123  (a device)
        command = [sys.executable, "-m", "algoprof", *arguments]
        done = subprocess.run(command, check=False, stdout=full, stderr=subprocess.PIPE, text=True)
        assert done.returncode == 1
        last = done.stderr.splitlines()[-1]
        assert last.startswith("algoprof: error: ")
        assert "No space left on device" in last
        assert "Exception ignored" not in done.stderr
        done = subprocess.run(command, check=False, stdout=subprocess.DEVNULL, stderr=full)
        assert done.returncode in (0, 1), "with a full stderr, too, it ends in order"


@pytest.mark.parametrize("arguments", [["--version"], ["builds", "--help"], ["doctor", "demo/Routes"]])
def test_what_cannot_be_printed_is_no_success(algoprof, platform, arguments):
    done = algoprof(*arguments, preexec_fn=partial(os.close, 1))
    last = "algoprof: error: what it prints could not be written (stdout is closed), so it is lost"
    assert (done.returncode, done.stderr.splitlines()[-1]) == (1, last)
    with open("/dev/full", "w") as full:  # noqa: PTH123  (a device)
        done = algoprof(*arguments, stdout=full)
    assert done.returncode == 1
    assert "could not be written (No space left on device)" in done.stderr.splitlines()[-1]


def test_who_reads_less_than_all_hears_nothing(algoprof, platform):
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write) as broken:
        done = algoprof("doctor", "demo/Routes", stdout=broken)
    assert (done.returncode, done.stderr) == (1, "")


BROKEN = """
import sys
from algoprof.cli import call, main
def fail(*_, **__):
    raise KeyError("deep\\ninside")
call.command.callback = fail
sys.argv = ["algoprof", "call", "demo/Routes"]
main.main()
"""


def test_what_nobody_foresaw_is_one_sentence_and_a_traceback_on_demand(run_python):
    done = run_python(BROKEN)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("algoprof: error: KeyError: ")
    assert "ALGOPROF_DEBUG=1" in done.stderr
    done = run_python(BROKEN, env={"ALGOPROF_DEBUG": "1"})
    assert done.returncode == 1
    assert "Traceback" in done.stderr


def test_a_closed_pipe_ends_it_without_a_word(platform):
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "algoprof", "call", "demo/Routes", "--data", "1"]
    done = subprocess.run(command, check=False, stdout=write, stderr=subprocess.PIPE, text=True)
    os.close(write)
    assert (done.returncode, done.stderr) == (1, "")


def test_ctrl_c_exits_130_without_a_traceback(platform):
    asked, release = threading.Event(), threading.Event()

    def wait(path, headers, body):
        asked.set()
        release.wait(30)
        return 200, {}

    platform.answer = wait
    command = [sys.executable, "-m", "algoprof", "call", "demo/Routes", "--data", "1"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert asked.wait(30)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=30)
        release.set()
    assert process.returncode == 130
    assert "Traceback" not in stderr
    assert re.match(r"interrupted after [0-9.]+ s: nobody waits for demo/Routes any more\n", stderr)
    assert "what the platform has begun goes on there, to its end or its timeout of 300 s" in stderr


def test_run_says_that_it_needs_linux_where_nothing_else_of_it_can_be_imported():
    script = (
        "import sys, signal; sys.platform = 'darwin'; sys.argv = ['algoprof', 'run', 'x.py'];"
        "sys.modules.update(dict.fromkeys(['resource', 'termios', 'fcntl', 'pwd']));"
        "[delattr(signal, name) for name in ('SIGHUP', 'SIGQUIT', 'SIGUSR1', 'pthread_sigmask', 'SIGRTMAX')];"
        "from algoprof.cli.main import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, text=True)
    assert done.returncode == 125
    assert "only Linux lets it; elsewhere use `algoprof recover`" in done.stderr
    assert done.stderr.count("\n") == 1
