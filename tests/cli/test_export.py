"""`algoprof export` as somebody types it: what it reads, what it writes, and what it says when it cannot."""

import gzip
import json
import os
import pty
import signal
import sqlite3
import subprocess
import sys

import pytest

from algoprof.profiles.codec import from_json
from algoprof.profiles.tree import Node, Profile

SECOND = 1_000_000_000


@pytest.fixture
def export(tmp_path):
    def run(*arguments: object, **options) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "algoprof", "export", *map(str, arguments)]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60, **options)

    return run


@pytest.fixture
def saved(tmp_path):
    load = Node("load", 1, closed_ns=2 * SECOND)
    job = Node("job", 1, closed_ns=3 * SECOND, nested_ns=2 * SECOND, children=(load,))
    profile = Profile("job", (job,), duration_ns=3 * SECOND, timeout=10)
    profile.save(tmp_path / "run.algoprof")
    return profile


def test_the_ending_says_the_format(export, saved, tmp_path):
    done = export("run.algoprof", "-o", "run.speedscope.json")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.startswith("wrote run.speedscope.json: speedscope, ")
    assert json.loads((tmp_path / "run.speedscope.json").read_text())["exporter"].startswith("algoprof ")


def test_text_goes_to_stdout(export, saved):
    done = export("run.algoprof", "--to", "csv")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[1].startswith("0,,0,job,job,1,0,3.000000000,1.000000000,")
    assert export("run.algoprof", "--to", "json", "-o", "-").stdout == export("run.algoprof", "--to", "json").stdout


def test_stdin_is_read(export, saved, tmp_path):
    done = export("-", "--to", "json", input=(tmp_path / "run.algoprof").read_text())
    assert from_json(json.loads(done.stdout)) == saved
    assert export("-", "--to", "json", input="[]").stderr.startswith("algoprof: error: stdin holds no profile (")


def test_what_was_not_sampled_says_so(export, saved):
    done = export("run.algoprof", "--to", "collapsed")
    assert done.stdout == "job 1000000000\njob;load 2000000000\n"
    assert done.stderr == "it has no stack samples: these are the sections' own times, in nanoseconds\n"


def test_a_baseline_is_compared_with(export, saved):
    done = export("run.algoprof", "--to", "markdown", "--baseline", "run.algoprof")
    assert done.stdout.startswith("**`job`**: as fast as before: 3.00 s before, 3.00 s now\n")
    done = export("run.algoprof", "--to", "html", "--baseline", "run.algoprof")
    assert "<b>As fast as before</b>" in done.stdout
    refused = export("run.algoprof", "--to", "csv", "--baseline", "x").stderr
    assert "--baseline is for html and markdown, not for csv" in refused


def test_binary_goes_to_a_pipe_and_not_to_a_terminal(export, saved, tmp_path):
    command = [sys.executable, "-m", "algoprof", "export", "run.algoprof", "--to", "pprof"]
    piped = subprocess.run(command, cwd=tmp_path, capture_output=True, check=True)
    assert gzip.decompress(piped.stdout)
    ours, theirs = pty.openpty()
    refused = subprocess.run(command, cwd=tmp_path, stdout=theirs, stderr=subprocess.PIPE, text=True, check=False)
    os.close(theirs)
    os.close(ours)
    assert refused.returncode == 1
    assert refused.stderr == "algoprof: error: pprof is binary, and stdout is a terminal: say -o PROFILE.pprof\n"


KILLED = """
import algoprof, sys
with algoprof.profile("job"):
    with algoprof.section("waits"):
        print("open", flush=True)
        sys.stdin.read()
"""


@pytest.fixture
def flights(tmp_path, monkeypatch):
    """The flight directory of a process that was killed in its section."""
    folder = tmp_path / "flights"
    folder.mkdir(mode=0o700)
    monkeypatch.setenv("ALGOPROF_FLIGHT_DIR", str(folder))
    with subprocess.Popen(
        [sys.executable, "-c", KILLED], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "open\n"
        process.send_signal(signal.SIGKILL)
    return folder, process.pid


def test_a_killed_process_is_read_from_its_file_or_folder(export, flights):
    folder, pid = flights
    (file,) = folder.glob("*.flight")
    of_file, of_folder = export(file, "--to", "json"), export(folder, "--to", "json")
    assert of_file.stdout == of_folder.stdout
    assert of_folder.stderr == f"of {file.name}: -c, process {pid}\n"
    killed = from_json(json.loads(of_file.stdout))
    assert (killed.outcome, killed.node("job", "waits").open_count) == ("killed", 1)
    assert "2 open sections marked" in export(file, "-o", "killed.pftrace").stderr


def test_what_recover_and_run_save_is_named_for_its_format_too(algoprof, flights, tmp_path):
    (file,) = flights[0].glob("*.flight")
    assert algoprof("recover", str(file), "--output", "killed.csv").stdout.startswith(
        "saved killed.csv, of -c, process"
    )
    assert (tmp_path / "killed.csv").read_text().startswith("id,parent_id,")
    (tmp_path / "program.py").write_text("from algoprof import profile\nwith profile('job'): pass\n")
    assert algoprof("run", "--output", "run.speedscope.json", "program.py").returncode == 0
    assert json.loads((tmp_path / "run.speedscope.json").read_text())["profiles"]
    assert algoprof("run", "--output", "run.html", "program.py").returncode == 0
    assert "<title>job: ok after " in (tmp_path / "run.html").read_text()
    assert algoprof("run", "--output", "run.profile", "program.py").returncode == 0
    assert Profile.load(tmp_path / "run.profile").node("job").count == 1


def test_a_run_of_the_server_is_read_by_its_request_id(export, saved, tmp_path):
    from algoprof.server.state.run_log import Run, packed
    from algoprof.server.state.store import FILE, Store

    store = Store(tmp_path / FILE)
    with sqlite3.connect(tmp_path / FILE) as database:
        database.execute("insert into algorithm values ('1', 'demo', 'Routes')")
    for request, profile in (("req-1", packed(saved)), ("req-2", None)):
        times = {"queue": 0.0, "load": 0.0, "run": 1.0, "total": 1.0, "timeout": 10.0}
        run = Run("1", "1.0.0", request, 0, "ok", "", **times, input="", stdout="")
        store.runs.add([(run, profile)])
    store.close()
    assert from_json(json.loads(export("req-1", "--data-dir", ".", "--to", "json").stdout)) == saved
    assert (
        "req-2 has no profile: its algorithm recorded nothing"
        in export("req-2", "--data-dir", ".", "--to", "csv").stderr
    )
    assert "knows no run req-3" in export("req-3", "--data-dir", ".", "--to", "csv").stderr
    assert "no server has kept anything in" in export("req-1", "--data-dir", "elsewhere", "--to", "csv").stderr


def test_the_formats_and_the_schema_are_listed(export):
    assert [line.split()[0] for line in export("--list").stdout.splitlines()] == [
        *("format", "speedscope", "chrome", "perfetto", "pprof", "collapsed", "json", "csv", "markdown", "html")
    ]
    assert json.loads(export("--schema").stdout)["title"] == "A profile of algoprof"


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        ([], 2, "PROFILE is missing"),
        (["run.algoprof"], 2, "which format? say --to FORMAT or -o FILE; there are speedscope, chrome, "),
        (
            ["run.algoprof", "-o", "run.xlsx"],
            2,
            "'run.xlsx' says no format: say --to FORMAT, or end it in one of .speed",
        ),
        (["run.algoprof", "--to", "speedscop"], 1, "there is no format 'speedscop'; did you mean 'speedscope'?"),
        (["missing.algoprof", "--to", "csv"], 1, "there is no file missing.algoprof; `Profile.save` and"),
        (["req-1", "--to", "csv", "--data-dir", "none"], 1, "no server has kept anything in none"),
        (["empty", "--to", "csv"], 1, "there is no flight file in empty; a program writes"),
        (["run.algoprof", "-o", "missing/run.csv"], 1, "-o missing/run.csv cannot be written"),
        (["text", "--to", "csv"], 1, "text: is neither a profile nor a flight file"),
    ],
)
@pytest.mark.usefixtures("saved")
def test_what_cannot_be_is_one_sentence(export, tmp_path, arguments, status, said):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text").write_text("hello")
    done = export(*arguments)
    assert done.returncode == status
    assert done.stderr.startswith("algoprof: error: ")
    assert done.stderr.count("\n") == 1
    assert said in done.stderr
