"""`algoprof doctor` against a real server."""

import json
import os
import subprocess
import sys

import pytest


@pytest.fixture
def doctor(command_line, server):
    return lambda *arguments, **env: command_line(
        "doctor", *arguments, env={"ALGORITHMIA_API": server.address, "ALGORITHMIA_API_KEY": server.key} | env
    )


def verdicts(done):
    return {finding["check"]: finding["verdict"] for finding in json.loads(done.stdout)["findings"]}


def test_nothing_is_wrong_with_what_can_be_called(doctor, tmp_path):
    pins = tmp_path / "requirements.txt"
    pins.write_text("algorithmia-adk==1.2.4\n")
    done = doctor("demo/Adk", "--data", "{}", "--requirements", pins, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert set(verdicts(done).values()) == {"fine"}
    told = doctor("demo/Adk")
    assert told.returncode == 0
    assert "13 checks: nothing is wrong" in told.stdout
    assert "unknown input " in told.stdout


def test_what_was_never_built_well_says_why(doctor):
    done = doctor("demo/Broken")
    assert done.returncode == 1
    assert "wrong   last build" in done.stdout
    assert "no-such-package" in done.stdout
    assert "`algoprof builds diagnose demo/Broken` says more" in done.stdout
    assert "no version is published" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "env", "wrong"),
    [
        (["demo/Adk/9.9.9"], {}, {"versions"}),
        (["demo/Adk?timeout=3001"], {}, {"timeout"}),
        (["demo/Adk", "--timeout", "-1", "--data", "[NaN]"], {}, {"timeout", "input"}),
        (["demo/Nothing"], {}, {"algorithm"}),
        (["demo/Adk"], {"ALGORITHMIA_API_KEY": "simWrongKey"}, {"key"}),
        (["demo/Adk"], {"ALGORITHMIA_API_KEY": ""}, {"key"}),
        (["demo/Adk"], {"ALGORITHMIA_API": "http://127.0.0.1:9"}, {"platform"}),
    ],
)
def test_what_is_wrong_is_found_where_it_is(doctor, arguments, env, wrong):
    done = doctor(*arguments, "--json", **env)
    assert done.returncode == 1, done.stderr
    assert {check for check, verdict in verdicts(done).items() if verdict == "wrong"} == wrong
    assert "simWrongKey" not in done.stdout + done.stderr


def test_as_a_process_it_ends_with_a_status(server):
    told = {"ALGORITHMIA_API": server.address, "ALGORITHMIA_API_KEY": server.key}
    command = [sys.executable, "-m", "algoprof", "doctor", "demo/Broken"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60, env=os.environ | told)
    assert (done.returncode, done.stderr) == (1, "")
    assert "wrong   last build" in done.stdout


def test_what_cannot_be_meant_is_one_sentence(doctor):
    assert "names no algorithm" in doctor("demo").stderr
