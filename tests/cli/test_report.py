"""`algoprof report` as a command: profiles, flight files, and files that are neither."""

import json
import os
import signal
import subprocess
import sys
from functools import partial

import pytest

from algoprof.profiles.codec import from_json
from algoprof.profiles.tree import Node, Profile

SECOND = 1_000_000_000


@pytest.fixture
def report(tmp_path):
    def run(*arguments: object, **options) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "algoprof", "report", *map(str, arguments)]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60, **options)

    return run


@pytest.fixture
def saved(tmp_path):
    load = Node("load", 1, closed_ns=2 * SECOND, longest_ns=2 * SECOND, shortest_ns=2 * SECOND)
    job = Node("job", 1, closed_ns=3 * SECOND, nested_ns=2 * SECOND, children=(load,))
    profile = Profile("job", (job,), duration_ns=3 * SECOND, timeout=10)
    profile.save(tmp_path / "run.algoprof")
    return profile


def test_text(report, saved):
    done = report("run.algoprof")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0] == "job  ok  3.00 s  budget 3.00 s of 10 s (30 %)"
    assert done.stdout.splitlines()[-1] == "bottleneck: load, 67 % of the run is its own time"


def test_json_is_the_profile_itself(report, saved):
    done = report("run.algoprof", "--json")
    assert from_json(json.loads(done.stdout)) == saved


def test_output(report, saved, tmp_path):
    done = report("run.algoprof", "--output", "report.txt")
    assert (done.returncode, done.stdout) == (0, "")
    assert (tmp_path / "report.txt").read_text().startswith("job  ok  ")


def test_the_ending_of_output_says_the_format(report, saved, tmp_path):
    for name, begins in (("run.html", "<!doctype html>"), ("run.csv", "id,"), ("run.algoprof.json", '{"algoprof":1')):
        assert report("run.algoprof", "--output", name).stderr == ""
        assert (tmp_path / name).read_text().startswith(begins)
    assert report("run.algoprof", "--format", "html").stdout == (tmp_path / "run.html").read_text()
    report("run.algoprof", "--output", "text.html", "--format", "text")
    assert (tmp_path / "text.html").read_text() == report("run.algoprof").stdout


def test_the_page_is_opened_in_the_browser(report, saved, tmp_path):
    browser = tmp_path / "browser"
    browser.write_text('#!/bin/sh\necho "$1" > opened\n')
    browser.chmod(0o755)
    around = {**os.environ, "BROWSER": f"{browser} %s", "TMPDIR": str(tmp_path)}
    assert report("run.algoprof", "--open", "--output", "run.html", env=around).stderr == "wrote run.html\n"
    assert (tmp_path / "opened").read_text() == f"{(tmp_path / 'run.html').as_uri()}\n"
    assert report("run.algoprof", "--open", env=around).returncode == 0
    assert (tmp_path / "opened").read_text().startswith(f"{tmp_path.as_uri()}/algoprof-")
    none = report("run.algoprof", "--open", env={**around, "BROWSER": "missing %s", "PATH": str(tmp_path)})
    assert "algoprof: error: there is no browser to open " in none.stderr
    assert "--open is for html" in report("run.algoprof", "--open", "--format", "csv").stderr


def test_names_that_the_terminal_lacks_are_escaped(report, tmp_path):
    Profile("\u65e5\u672c", ()).save(tmp_path / "run.algoprof")
    done = report("run.algoprof", env={"PYTHONIOENCODING": "ascii", "PATH": "/usr/bin"})
    assert (done.returncode, done.stdout) == (0, "\\u65e5\\u672c  ok  0 s\n")


KILLED = """
import algoprof, sys
with algoprof.profile("job"):
    with algoprof.section("waits"):
        print("open", flush=True)
        sys.stdin.read()
"""


@pytest.fixture
def flight(tmp_path, monkeypatch):
    """The flight file of a process that was killed in its section."""
    path = tmp_path / "killed.flight"
    monkeypatch.setenv("ALGOPROF_FLIGHT_FILE", str(path))
    with subprocess.Popen(
        [sys.executable, "-c", KILLED], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "open\n"
        process.send_signal(signal.SIGKILL)
    return path, process.pid


def test_a_flight_file_of_a_killed_process(report, flight):
    path, pid = flight
    done = report(path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"-c, process {pid}, dead; 1 runs are still readable\n\njob  killed  ")
    assert "open when killed: waits (" in done.stdout
    found = json.loads(report(path, "--format", "json").stdout)
    assert (found["pid"], found["alive"], found["cumulative"]) == (pid, False, [])
    (run,) = (from_json(run) for run in found["runs"])
    assert run.node("job", "waits").open_count == 1
    assert "Open when it was killed" in report(path, "--format", "html").stdout


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "there is no file file; `Profile.save` and"),
        (b"", "file: is empty; `Profile.save` and"),
        (b"hello", "file: is neither a profile nor a flight file; "),
        (bytes(range(1, 256)) * 400, "file: is neither a profile nor a flight file; "),
        (b"ALGOPROF", "cut off"),
        (bytes(1000), "cut off"),
        (b"{", "`Profile.save` and"),
        (b'{"algoprof": 99}', "newer algoprof"),
        (b"[" * 100_000, "neither a profile"),
    ],
)
def test_what_is_no_profile_is_one_sentence(report, tmp_path, content, said):
    if content is not None:
        (tmp_path / "file").write_bytes(content)
    done = report("file")
    assert done.returncode == 1
    assert done.stderr.startswith("algoprof: error: ")
    assert done.stderr.count("\n") == 1
    assert said in done.stderr
    assert "file" in done.stderr


def test_a_pipe_or_a_folder_is_refused_and_not_waited_for(report, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert report("pipe").stderr.startswith("algoprof: error: pipe: is no regular file; ")
    assert report(".").stderr.startswith("algoprof: error: .: is a folder; ")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_of_somebody_else(report, saved, tmp_path):
    (tmp_path / "run.algoprof").chmod(0)
    assert report("run.algoprof").stderr == (
        "algoprof: error: run.algoprof may not be read by this user: profiles are their owner's only\n"
    )


def test_a_profile_is_known_by_its_content(report, saved, tmp_path):
    path = tmp_path / "run.algoprof"
    path.write_text("\n  " + path.read_text())
    assert report(path).stdout.startswith("job  ok  ")


def test_a_closed_stdout_is_one_sentence(report, saved):
    done = report("run.algoprof", preexec_fn=partial(os.close, 1))
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "stdout is closed" in done.stderr


def test_an_output_that_cannot_be_written_is_one_sentence(report, saved):
    done = report("run.algoprof", "--output", "missing/report.txt")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "missing/report.txt" in done.stderr
