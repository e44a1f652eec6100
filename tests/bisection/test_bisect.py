"""`algoprof builds bisect` with real pip, on a package index in a folder and on indexes that fail."""

import json
import sys
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
    assert "1 trials, 1 of them known from before" in third["errors"]
