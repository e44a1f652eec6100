"""`algoprof builds bisect` with real pip, on a package index in a folder and on indexes that fail."""

import json
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest


def interrupted(_, folder):
    return [sys.executable, str(Path(__file__).with_name("interrupted.py")), str(folder)]


@pytest.mark.begun_early(command=interrupted)
@pytest.mark.timeout(300)
def test_faults_are_repaired_one_after_the_other_and_it_goes_on_after_ctrl_c(begun_early):
    done = begun_early(interrupted)
    assert done.returncode == 0, done.stdout
    found = json.loads(done.stdout)
    first, second, third = found["told"]

    assert first["status"] == 130, first
    assert "installing all 5 lines: fails" in first["errors"]
    assert "the same command goes on from there" in first["errors"]
    assert found["left"] == []

    assert second["status"] == 0, second
    result = json.loads(second["out"])
    assert (result["outcome"], result["written"]) == ("repaired", True)
    assert result["known"] >= 3
    conflict, build = result["faults"]
    assert [(one["text"], one["line"]) for one in conflict["lines"]] == [("core == 2.1", 1), ("app==1.0", 6)]
    assert conflict["diagnosis"]["reason"] == "conflict"
    assert [one["text"] for one in build["lines"]] == ["holder"]
    assert (build["diagnosis"]["reason"], build["diagnosis"]["package"]) == ("compiler_missing", "native")
    assert [one["requirement"] for one in result["changes"]] == ["core==1.1", "native==1.0"]
    assert found["files"]["more.txt"] == "core==1.1  # newest\n"
    assert found["files"]["requirements.txt"].splitlines()[-2:] == [
        "# pinned by `algoprof builds bisect`: what is asked for above brings it along",
        "native==1.0",
    ]
    assert result["trials"] <= 13

    assert third["status"] == 0, third
    assert third["out"].startswith("all 6 lines of ")
    assert "1 trial, which was known from before" in third["errors"]


@pytest.fixture
def bisect(command_line, tmp_path, monkeypatch):
    """Bisect a requirements.txt of some lines, and return what the command has answered."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)

    def run(*lines, options=()):
        path = tmp_path / "requirements.txt"
        path.write_text("".join(f"{line}\n" for line in lines))
        return command_line("builds", "bisect", path, "--data", tmp_path / "kept", *options)

    return run


def test_an_index_that_is_down_is_told_from_packages_that_fail(bisect):
    done = bisect("alpha", "beta", "--index-url http://127.0.0.1:9/simple", options=["--json"])
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


def test_an_index_that_has_nothing_at_all_is_told_too(bisect):
    with ThreadingHTTPServer(("127.0.0.1", 0), NothingHere) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        done = bisect("alpha", "beta", f"--index-url http://127.0.0.1:{server.server_port}/simple")
        server.shutdown()
    assert done.returncode == 3, done.stderr
    assert "none of the packages that it was asked for: 404 for http://127.0.0.1" in done.stdout


def test_what_no_version_mends_is_told_with_advice_and_nothing_is_written(bisect, tmp_path):
    done = bisect("six = 1.16  # old", options=["--write"])
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
def test_a_python_that_is_none_is_one_sentence(bisect, options, words):
    done = bisect("six", options=options)
    assert done.returncode == 1
    assert words in done.stderr


def test_nothing_asked_for_installs(bisect):
    done = bisect("# nothing yet")
    assert (done.returncode, done.stdout.startswith("nothing is asked for in ")) == (0, True)
