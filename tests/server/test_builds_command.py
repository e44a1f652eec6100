"""`algoprof builds` as a process, against a real server."""

import json
import os
import pty
import subprocess
import sys
from contextlib import contextmanager, suppress

import pytest


@contextmanager
def open_terminal():
    reader, terminal = pty.openpty()
    try:
        yield reader, terminal
    finally:
        os.close(reader)


def read_all(reader):
    """Read a terminal until nobody has it open any more, which Linux tells by an error."""
    parts = []
    with suppress(OSError):
        while part := os.read(reader, 65536):
            parts.append(part)
    return b"".join(parts).decode(errors="replace")


@pytest.fixture
def builds(server):
    def run(*arguments, **env):
        told = {"ALGORITHMIA_API": server.address, "ALGORITHMIA_API_KEY": server.key}
        group, given = env.pop("group", "builds"), env.pop("input", "")
        command = [sys.executable, "-m", "algoprof", group, *map(str, arguments)]
        environment = os.environ | told | env
        return subprocess.run(
            command, check=False, capture_output=True, text=True, timeout=60, env=environment, input=given
        )

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


@pytest.fixture
def builds_here(tmp_path):
    """Run the command where no platform is named; `tmp_path / "algoprof"` is the data directory."""

    def run(*arguments):
        command = [sys.executable, "-m", "algoprof", "builds", *map(str, arguments)]
        environment = os.environ | {"XDG_DATA_HOME": str(tmp_path)}
        return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60, env=environment)

    return run


def test_a_failed_build_of_the_only_project_can_be_read_without_a_server(builds_here, project, serve, tmp_path):
    failing = project(
        "failing",
        {
            "main.py": "def apply(input): ...\n",
            "requirements.txt": "./none\n",
            "algorithmia.conf": '{"username": "local", "algoname": "Failing"}',
        },
    )
    serving = serve(failing, data=tmp_path / "algoprof")
    assert serving.process.wait(20) == 1
    listed = builds_here("list", "algo://local/Failing/latest")
    assert listed.returncode == 0, listed.stderr
    assert listed.stdout.split()[1] == "failed"
    logs = builds_here("logs", "local/Failing")
    assert "./none" in logs.stdout
    assert builds_here("logs", "local/Failing", "--data", tmp_path / "algoprof").stdout == logs.stdout
    wrong = builds_here("logs", "local/Failing", "none")
    assert (wrong.returncode, wrong.stdout) == (1, "")
    assert "local/Failing has no build none" in wrong.stderr
    unknown = builds_here("list", "local/my-algo", "--data", tmp_path / "algoprof")
    assert unknown.returncode == 1
    assert "knows no algorithm local/my-algo" in unknown.stderr


def test_a_build_can_be_read_from_another_servers_routes(builds, serve, project, tmp_path):
    old = project("old", {"main.py": "def apply(input): ...\n"})
    serve(old, data=tmp_path / "shared").stop()
    serving = serve(project("new", {"main.py": "def apply(input): ...\n"}), data=tmp_path / "shared")
    logs = builds("logs", "local/old", ALGORITHMIA_API=serving.address, ALGORITHMIA_API_KEY=serving.key)
    assert (logs.returncode, logs.stdout.splitlines()[-1]) == (0, "succeeded")
    call = serving.post("local/old", 1)
    assert call.status_code == 404
    assert "No such algorithm is served now" in call.json()["error"]["message"]


def test_a_database_that_is_none_is_one_sentence(builds_here, tmp_path):
    (tmp_path / "algoprof").mkdir()
    (tmp_path / "algoprof" / "algoprof.sqlite3").write_bytes(b"no database" * 1000)
    done = builds_here("list", "local/any")
    assert done.returncode == 1
    assert f"the database {tmp_path}/algoprof/algoprof.sqlite3 cannot be used" in done.stderr
    assert "Traceback" not in done.stderr


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
        (["list", "demo"], {}, 1, "names no algorithm"),
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


def test_show_tells_one_build(builds):
    newest = builds("show", "demo/Adk")
    assert newest.returncode == 0, newest.stderr
    rows = dict(line.split(None, 1) for line in newest.stdout.splitlines())
    assert (rows["status"], rows["version"]) == ("succeeded", "1.0.0")
    assert json.loads(builds("show", "demo/Adk", rows["build"], "--json").stdout)["commit_sha"] == rows["commit"]


def test_diagnose_says_why_it_failed_and_what_to_try(builds, tmp_path):
    told = builds("diagnose", "demo/Broken")
    assert told.returncode == 0, told.stderr
    assert "no-such-package, which the build names, is not there" in told.stdout
    assert "  step: " in told.stdout
    assert "\ntry:\n  - commit it" in told.stdout
    assert json.loads(builds("diagnose", "demo/Broken", "--json").stdout)["reason"] == "file_missing"
    log = tmp_path / "build.log"
    log.write_text(builds("logs", "demo/Broken").stdout)
    of_file, of_stdin = builds("diagnose", log), builds("diagnose", "-", input=log.read_text())
    assert of_file.stdout == of_stdin.stdout
    assert of_file.stdout.splitlines() == told.stdout.splitlines()[1:]
    good = builds("diagnose", "demo/Adk")
    assert "the build succeeded" in good.stdout


def test_wait_tells_how_it_ended(builds):
    good = builds("wait", "demo/Adk")
    assert (good.returncode, good.stdout.splitlines()[1]) == (0, "the build succeeded"), good.stderr
    assert "succeeded" in good.stderr
    bad = builds("wait", "demo/Broken", "--json")
    assert bad.returncode == 1
    assert json.loads(bad.stdout)["diagnosis"]["reason"] == "file_missing"
    late = builds("wait", "demo/Adk", "--commit", "0000", "--timeout", "0")
    assert late.returncode == 124
    assert "no build of commit 0000 is listed after 0 s" in late.stderr


def test_wait_draws_a_bar_where_somebody_watches(server):
    command = [sys.executable, "-m", "algoprof", "builds", "wait", "demo/Adk"]
    told = {"ALGORITHMIA_API": server.address, "ALGORITHMIA_API_KEY": server.key, "TERM": "xterm", "COLUMNS": "80"}
    with open_terminal() as (reader, terminal):
        done = subprocess.run(
            command, check=False, stdout=subprocess.PIPE, stderr=terminal, timeout=60, env=os.environ | told
        )
        os.close(terminal)
        drawn = read_all(reader)
    assert done.returncode == 0
    assert "demo/Adk build" in drawn
    assert "━" in drawn


def test_pin_writes_what_was_installed(builds, tmp_path):
    listed = builds("pin", "demo/Adk")
    assert listed.returncode == 0, listed.stderr
    assert "algorithmia-adk==1.2.4" in listed.stdout.splitlines()
    pins = json.loads(builds("pin", "demo/Adk", "--json").stdout)
    assert f"requests=={pins['requests']}" in listed.stdout.splitlines()
    requirements, output = tmp_path / "requirements.txt", tmp_path / "pinned.txt"
    requirements.write_text("# the kit\nalgorithmia-adk  # any\n")
    assert builds("pin", "demo/Adk", "--requirements", requirements, "--output", output).returncode == 0
    assert output.read_text().splitlines()[:3] == [
        "# the kit",
        "algorithmia-adk==1.2.4  # any",
        "# wanted by the above",
    ]
    failed = builds("pin", "demo/Broken")
    assert failed.returncode == 1
    assert "has no build that succeeded; `algoprof builds diagnose demo/Broken` says why" in failed.stderr
    empty = builds("pin", "local/plain")
    assert "names no package that was installed" in empty.stderr


def test_versions_are_listed_read_and_published(builds, serve, project, tmp_path):
    listed = builds("list", "demo/Adk", group="versions")
    assert listed.stdout.split()[0] == "1.0.0", listed.stderr
    as_json = json.loads(builds("list", "demo/Adk", "--published", "--json", group="versions").stdout)
    assert as_json[0]["version_info"]["semantic_version"] == "1.0.0"
    assert "Successfully installed" in builds("logs", "demo/Adk", "1.0.0", group="versions").stdout
    serving = serve(project("next", {"main.py": "def apply(input): ...\n"}))
    here = {"ALGORITHMIA_API": "", "ALGORITHMIA_API_KEY": "", "group": "versions"}
    again = builds("publish", "local/next", "--minor", "--data-dir", serving.data, **here)
    assert (again.returncode, again.stdout) == (1, "")
    assert "published already" in again.stderr
    project("next", {"main.py": "def apply(input): return 2\n"})
    done = builds("publish", "local/next", "--minor", "--compile", "--data-dir", serving.data, **here)
    assert (done.returncode, done.stdout) == (0, "1.1.0\n"), done.stderr


SLOW_BACKEND = """
import pathlib, time

def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    while not pathlib.Path(GATE).exists():
        time.sleep(0.02)
    raise RuntimeError("set ROUTING_HOME first")
"""


def test_a_build_that_still_runs_is_told_so_and_waited_for(builds_here, project, tmp_path):
    gate, data = tmp_path / "gate", tmp_path / "algoprof"
    slow = project(
        "slow",
        {
            "main.py": "def apply(input): ...\n",
            "requirements.txt": "./vendor\n",
            "vendor/pyproject.toml": "[build-system]\nrequires = []\nbuild-backend = 'backend'\nbackend-path = ['.']\n",
            "vendor/backend.py": SLOW_BACKEND.replace("GATE", repr(str(gate))),
        },
    )
    command = [sys.executable, "-m", "algoprof", "serve", str(slow), "--port", "0", "--data", str(data)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as serving:
        try:
            assert "building" in serving.stderr.readline()
            assert builds_here("list", "local/slow").stdout.split()[1] == "in-progress"
            told = builds_here("diagnose", "local/slow")
            assert "not yet finished" in told.stdout
            late = builds_here("wait", "local/slow", "--timeout", "0.1")
            assert (late.returncode, late.stderr.count("in-progress")) == (124, 1)
            assert "has not ended after 0.1 s; wait longer" in late.stderr
            gate.touch()
            ended = builds_here("wait", "local/slow")
            assert ended.returncode == 1
            assert "RuntimeError: set ROUTING_HOME first" in ended.stdout
            assert "set ROUTING_HOME first" in serving.communicate(timeout=60)[1].splitlines()[-1]
        finally:
            serving.kill()
