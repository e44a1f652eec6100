"""`algoprof run` inside `algoprof run`: each tells of all that is below it, and the program notices neither."""

import json
import subprocess
import time

import pytest

from algoprof.profiles.codec import from_json

OPEN = """
import sys, time
from algoprof import budget, profile, section
with profile("job"):
    print(budget().timeout, flush=True)
    with section("inside"):
        {body}
"""


@pytest.fixture
def nested(script, supervised, tmp_path):
    """Run a program under two supervisors, with the options of the outer and of the inner one."""

    def run(body, outer, inner):
        line = [*supervised, "--json", *outer, "--", *supervised, "--json", *inner, script(OPEN.format(body=body))]
        done = subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)
        reports, text, decoder = [], done.stderr, json.JSONDecoder()
        while (begin := text.find('{\n  "command"')) >= 0:
            report, end = decoder.raw_decode(text[begin:])
            reports.append(report)
            text = text[begin + end :]
        return done, reports

    return run


def test_both_tell_of_what_the_inner_one_stopped(nested):
    done, (inner, outer) = nested("time.sleep(60)", ["--timeout", "50"], ["--timeout", "2"])
    assert (done.returncode, done.stdout) == (124, "2.0\n")
    assert (inner["timed_out"], outer["timed_out"], outer["status"]) == (True, False, 124)
    for report in (inner, outer):
        (found,) = report["profiles"]
        assert from_json(found).node("job", "inside").open_count + from_json(found).node("job", "inside").errors == 1


def test_what_the_outer_one_stops_is_asked_once_and_both_tell(nested, tmp_path):
    body = f"""
        import signal
        def asked(*_):
            with open({str(tmp_path / "asked")!r}, "a") as file:
                file.write("x")
            time.sleep(0.3)
            sys.exit(5)
        signal.signal(signal.SIGTERM, asked)
        time.sleep(60)"""
    done, (inner, outer) = nested(body, ["--timeout", "3", "--grace", "20"], ["--timeout", "50"])
    assert (done.returncode, done.stdout) == (124, "3.0\n"), "the earlier deadline is the one that counts"
    assert (tmp_path / "asked").read_text() == "x"
    assert (inner["timed_out"], inner["status"], outer["timed_out"], outer["status"]) == (False, 5, True, 5)
    assert outer["killed"] is False
    assert from_json(outer["profiles"][0]).node("job", "inside").open_count == 1
    assert 'program.py", line' in outer["stacks"], "the inner supervisor's way to ask is the outer one's too"


@pytest.mark.parametrize(("body", "status"), [("sys.exit(7)", 7), ("import os; os.kill(os.getpid(), 9)", -9)])
def test_the_programs_status_passes_through_both(nested, body, status):
    done, (inner, outer) = nested(body, [], [])
    assert done.returncode == status
    assert inner["signal"] == outer["signal"] == ("SIGKILL" if status < 0 else None)


def test_when_the_outer_supervisor_is_killed_nothing_is_left(script, supervised, tmp_path, monkeypatch, lives):
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setenv("TMPDIR", str(place))
    path = script(
        """
        import os, pathlib, time
        if not os.fork():
            os.setsid()
            if os.fork():
                os._exit(0)
        pathlib.Path(os.environ["PIDS"], str(os.getpid())).touch()
        time.sleep(60)
        """
    )
    with subprocess.Popen([*supervised, "--", *supervised, path], stderr=subprocess.DEVNULL) as process:
        until = time.monotonic() + 20
        while len(pids := list((tmp_path / "pids").iterdir())) < 2 and time.monotonic() < until:
            time.sleep(0.01)
        assert len(list(place.iterdir())) == 2
        process.kill()
    assert len(pids) == 2
    until = time.monotonic() + 10
    while (any(lives(int(one.name)) for one in pids) or list(place.iterdir())) and time.monotonic() < until:
        time.sleep(0.01)
    assert list(place.iterdir()) == []
    # that none of them lives is checked after every test
