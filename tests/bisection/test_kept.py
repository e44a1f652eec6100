"""What is kept of trials, and what is left of a pip that is stopped."""

import os
import sys
import time
from pathlib import Path

import pytest

from algoprof.bisection.kept import Kept
from algoprof.bisection.pips import Pip
from algoprof.bisection.verdicts import Verdict

FAILED = Verdict(False, 1.5, "ERROR: No matching distribution found for six==9\n")


def test_what_is_kept_is_found_by_a_later_one(tmp_path):
    Kept(tmp_path / "kept").keep("a", FAILED)
    found = Kept(tmp_path / "kept").find("a", 10)
    assert found.known
    assert (found.passed, found.culprit, found.diagnosis) == (False, "six", FAILED.diagnosis)
    assert Kept(tmp_path / "kept").find("b", 10) is None
    assert Kept(tmp_path / "kept", fresh=True).find("a", 10) is None


def test_what_took_too_long_is_tried_again_with_more_time(tmp_path):
    kept = Kept(tmp_path)
    kept.keep("a", Verdict(False, 5, "", timed_out=5))
    assert kept.find("a", 5).sentence == "pip had not finished after 5 s"
    assert kept.find("a", 6) is None


def test_what_is_old_is_not_used_and_removed(tmp_path):
    kept = Kept(tmp_path)
    kept.keep("a", FAILED)
    yesterday = time.time() - 25 * 3600
    os.utime(tmp_path / "a.json", (yesterday, yesterday))
    assert kept.find("a", 10) is None
    kept.sweep()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", ["", "{", "[]", '{"passed": true}', '{"passed": 1, "chosen": []}', "\0"])
def test_what_is_damaged_is_not_known(tmp_path, content):
    (tmp_path / "a.json").write_text(content)
    assert Kept(tmp_path).find("a", 10) is None


def test_a_folder_that_cannot_be_written_costs_only_what_it_would_spare(tmp_path):
    (tmp_path / "kept").write_text("")
    kept = Kept(tmp_path / "kept")
    kept.keep("a", FAILED)
    kept.sweep()
    assert kept.find("a", 10) is None


def runs(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_pip_that_takes_too_long_is_stopped_with_what_it_has_started(tmp_path):
    child = "import os, subprocess; p = subprocess.Popen(['sleep', '1000']); print(p.pid, flush=True); p.wait()"
    with Pip(sys.executable, tmp_path) as pip:
        scratch = pip.scratch
        ended = pip._run([sys.executable, "-I", "-c", child], 2)
    assert ended.code is None
    assert not scratch.exists()
    deadline = time.monotonic() + 20
    while ended.log.strip() and runs(ended.log.strip()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
