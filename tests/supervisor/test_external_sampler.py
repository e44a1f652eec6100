"""`algoprof run --sampler external`: py-spy looks; where it cannot, the program runs all the same."""

import subprocess
import sys
from pathlib import Path

import pytest

from algoprof.supervisor import external


@pytest.fixture
def looked_at(run):
    """Run a program that py-spy looks at; skip where the machine lets nobody look into a process."""

    def ran(program: str | list[str], *options: str):
        done = run(program, "--sampler", "external", *options)
        if "could not look into the program: Error: Permission" in done.err:
            pytest.skip(done.err)
        return done

    return ran


@pytest.mark.parametrize("ending", ["", "os.kill(os.getpid(), 9)", "while True: pass"])
def test_the_program_is_seen_however_it_ends(busy, looked_at, ending):
    done = looked_at(busy + f"import os\nbusy(1.5)\n{ending}", "--timeout", "3", "--grace", "1")
    profile = done.profile
    assert profile.sampler == "py-spy"
    frames = [frame for sample in profile.samples for frame in sample.stack]
    assert "busy" in {frame.name for frame in frames}
    assert not [frame for frame in frames if "supervisor" in frame.file]
    assert done.report["cpu_seconds"] < 10


def test_a_python_command_that_knows_nothing_of_algoprof_is_seen(busy, looked_at, script):
    path = script(busy + "busy(1.5)")
    done = looked_at([sys.executable, "-S", "-I", str(path)])
    assert "busy" in {frame.name for sample in done.profile.samples for frame in sample.stack}


def test_the_report_ends_with_what_was_seen(busy, looked_at, supervised, script):
    looked_at("pass")
    line = [*supervised, "--sampler", "external", script(busy + "busy(1.5)")]
    text = subprocess.run(line, capture_output=True, text=True, check=True).stderr
    assert "by py-spy:" in text
    assert "program.py:" in text


def test_what_is_no_python_program_runs_all_the_same(run):
    done = run(["/bin/sleep", "0.5"], "--sampler", "external")
    assert (done.status, done.out) == (0, "")
    assert done.err.count("algoprof: error: ") == 1
    assert "py-spy" in done.err


def test_where_it_is_not_installed_one_sentence_says_so(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(external.sys, "executable", str(tmp_path / "python"))
    nobody = external.External(str(tmp_path), 100)
    nobody.begin(1)
    nobody.end()
    assert (nobody.samples(), nobody.pid) == ((), 0)
    assert nobody.failure == "there is no py-spy: pip install 'algoprof[sampler]'"


@pytest.mark.parametrize(
    "text", ["", "x", ";;; 5", "thread (7): a;b 99999999999999999999999", "thread (7): a;f (x.py:9"]
)
def test_what_it_writes_is_not_trusted(tmp_path, text):
    found = external.External(str(tmp_path), 100)
    Path(tmp_path, "py-spy.txt").write_text(text)
    assert len(found.samples()) <= 1
