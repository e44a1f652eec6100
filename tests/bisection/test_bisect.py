"""`algoprof builds bisect` with real pip, on a package index in a folder and on indexes that fail."""

import json
import os
import signal
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


@pytest.fixture(autouse=True)
def _no_other_index(monkeypatch):
    """Leave out what this machine's pip is told."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)


@pytest.fixture
def bisect(command_line, tmp_path):
    """Bisect a requirements file, and return what the command has answered."""

    def run(path, *options):
        return command_line("builds", "bisect", path, "--data", tmp_path / "kept", *options)

    return run


@pytest.fixture
def written(tmp_path):
    """Write a requirements.txt of some lines."""

    def write(*lines):
        path = tmp_path / "requirements.txt"
        path.write_text("".join(f"{line}\n" for line in lines))
        return path

    return write


@pytest.fixture
def project(index, tmp_path):
    """A project with two faults: lines that conflict, in two files, and one that brings along what does not build."""
    folder = tmp_path / "project"
    folder.mkdir()
    options = f"--no-index\n--find-links {index}\n"
    (folder / "requirements.txt").write_text(f"{options}alpha  # first\n-r more.txt\nholder\napp==1.0\nbeta\n")
    (folder / "more.txt").write_text("core == 2.1  # newest\n")
    return folder


@pytest.mark.long
@pytest.mark.timeout(300)
def test_faults_are_repaired_one_after_the_other_and_it_goes_on_after_ctrl_c(project, bisect, tmp_path):
    command = [sys.executable, "-m", "algoprof", "builds", "bisect", str(project), "--data", str(tmp_path / "kept")]
    (tmp_path / "temporary").mkdir()
    interrupted = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"TMPDIR": str(tmp_path / "temporary")},
    )
    with interrupted:
        seen = [interrupted.stderr.readline() for _ in range(3)]
        interrupted.send_signal(signal.SIGINT)
        seen += interrupted.stderr.readlines()
    assert interrupted.returncode == 130, seen
    assert "installing all 5 lines: fails" in seen[0]
    assert "the same command goes on from there" in seen[-1]
    assert list((tmp_path / "temporary").iterdir()) == []

    mended = bisect(project, "--json", "--write")
    assert mended.returncode == 0, mended
    found = json.loads(mended.stdout)
    assert (found["outcome"], found["written"]) == ("repaired", True)
    assert found["known"] >= 3
    assert found["trials"] <= 12
    conflict, build = found["faults"]
    assert [(one["text"], one["line"]) for one in conflict["lines"]] == [("core == 2.1", 1), ("app==1.0", 6)]
    assert conflict["diagnosis"]["reason"] == "conflict"
    assert [one["text"] for one in build["lines"]] == ["holder"]
    assert (build["diagnosis"]["reason"], build["diagnosis"]["package"]) == ("compiler_missing", "native")
    assert [one["requirement"] for one in found["changes"]] == ["core==1.1", "native==1.0"]
    assert (project / "more.txt").read_text() == "core==1.1  # newest\n"
    assert (project / "requirements.txt").read_text().splitlines()[-3:] == [
        "beta",
        "# pinned by `algoprof builds bisect`: what is asked for above brings it along",
        "native==1.0",
    ]
    again = bisect(project)
    assert again.returncode == 0, again
    assert again.stdout.startswith("all 6 lines of ")
    assert "1 trial, which was known from before" in again.stderr


def test_an_index_that_is_down_is_told_from_packages_that_fail(written, bisect):
    done = bisect(written("alpha", "beta", "--index-url http://127.0.0.1:9/simple"), "--json")
    assert done.returncode == 3, done.stderr
    found = json.loads(done.stdout)
    assert (found["outcome"], found["faults"], found["trials"]) == ("undecided", [], 1)
    assert "could not be read" in found["sentence"]


class NothingHere(BaseHTTPRequestHandler):
    """An index at a wrong address, or a token without rights: pip takes that for one that has no such package."""

    def do_GET(self):
        self.send_error(404)

    def log_message(self, *_):
        """Say nothing."""


def test_an_index_that_has_nothing_at_all_is_told_too(written, bisect):
    with ThreadingHTTPServer(("127.0.0.1", 0), NothingHere) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        done = bisect(written("alpha", "beta", f"--index-url http://127.0.0.1:{server.server_port}/simple"))
        server.shutdown()
    assert done.returncode == 3, done.stderr
    assert "none of the packages that it was asked for: 404 for http://127.0.0.1" in done.stdout


def test_what_no_version_mends_is_told_with_advice_and_nothing_is_written(written, bisect, tmp_path):
    done = bisect(written("six = 1.16  # old"), "--write")
    assert done.returncode == 1, done.stderr
    assert "this line does not install:\n  requirements.txt:1 " in done.stdout
    assert "reason: invalid_requirement" in done.stdout
    assert (tmp_path / "requirements.txt").read_text() == "six = 1.16  # old\n"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--python", "python3.no"], "there is no Python python3.no; name an interpreter"),
        (["--python", "/bin/true"], "/bin/true makes no environment"),
    ],
)
def test_a_python_that_is_none_is_one_sentence(written, bisect, options, words):
    done = bisect(written("six"), *options)
    assert done.returncode == 1
    assert words in done.stderr


def test_nothing_asked_for_installs(written, bisect):
    done = bisect(written("# nothing yet"))
    assert (done.returncode, done.stdout.startswith("nothing is asked for in ")) == (0, True)
