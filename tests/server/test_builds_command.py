"""`algoprof builds` as a process, against a real server."""

import json
import os
import subprocess
import sys

import pytest


@pytest.fixture
def builds(server):
    def run(*arguments, **env):
        told = {"ALGORITHMIA_API": server.address, "ALGORITHMIA_API_KEY": server.key}
        command = [sys.executable, "-m", "algoprof", "builds", *arguments]
        environment = os.environ | told | env
        return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60, env=environment)

    return run


def test_list_shows_each_build(builds):
    done = builds("list", "demo/Adk")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[1] == "succeeded"
    assert "1.0.0" in done.stdout
    as_json = json.loads(builds("list", "demo/Adk", "--json").stdout)
    assert as_json[0]["build_id"] == done.stdout.split()[0]


def test_logs_shows_the_newest_or_the_one_asked_for(builds):
    newest = builds("logs", "demo/Broken")
    assert newest.returncode == 0, newest.stderr
    assert "no-such-package" in newest.stdout
    build_id = builds("list", "demo/Broken").stdout.split()[0]
    assert builds("logs", "demo/Broken", build_id).stdout == newest.stdout
    assert json.loads(builds("logs", "demo/Broken", build_id, "--json").stdout)["logs"].strip() == newest.stdout.strip()


def test_the_server_on_this_machine_is_found_by_its_files(server, tmp_path):
    (tmp_path / "algoprof").symlink_to(server.data)
    command = [sys.executable, "-m", "algoprof", "builds", "list", "demo/Adk"]
    environment = os.environ | {"XDG_DATA_HOME": str(tmp_path)}
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60, env=environment)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("arguments", "env", "status", "words"),
    [
        (["list", "demo/Nothing"], {}, 1, "algo://demo/Nothing not found"),
        (["logs", "demo/Adk", "none"], {}, 1, "has no build none"),
        (["list", "demo"], {}, 2, "it looks like demo/Routes"),
        (["list", "demo/Adk"], {"ALGORITHMIA_API_KEY": "simWrong"}, 1, "401"),
        (["list", "demo/Adk"], {"ALGORITHMIA_API": "http://127.0.0.1:9"}, 1, "cannot be reached"),
    ],
)
def test_what_fails_is_one_sentence(builds, arguments, env, status, words):
    done = builds(*arguments, **env)
    assert done.returncode == status
    assert words in done.stderr
    assert done.stderr.count("algoprof: error: ") == 1
    assert "Traceback" not in done.stderr
