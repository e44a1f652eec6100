"""`algoprof builds` as a process, against a real server."""

import fcntl
import json
import os
import pty
import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager, suppress

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


def test_a_named_folder_has_the_key_for_the_address_that_is_named(builds_here, server):
    done = builds_here("list", "demo/Adk", "--address", server.address, "--data", server.data)
    assert (done.returncode, done.stderr) == (0, "")
    assert "succeeded" in done.stdout


def test_a_build_whose_server_was_killed_has_failed_and_is_not_waited_for(builds_here, project, serve, tmp_path):
    data = tmp_path / "algoprof"
    serve(project("cut", {"main.py": "def apply(input): ...\n"}), data=data).stop()
    with closing(sqlite3.connect(data / "algoprof.sqlite3")) as database, database:
        database.execute("update build set status = 'in-progress', finished_ms = null")  # as a SIGKILL leaves it
    log = next(data.rglob("*.log"))
    log.write_text("Collecting six\n")
    done = builds_here("wait", "local/cut")
    assert done.returncode == 1
    assert "local/cut: failed" in done.stdout
    assert "the server ended in the middle of this build" in done.stdout
    with (data / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # as a server that lives does
        assert builds_here("list", "local/cut").stdout.split()[1] == "in-progress"
    serve(project("other", {"main.py": "def apply(input): ...\n"}), data=data).stop()
    told = log.read_text().splitlines()
    assert (told[0], told[-1].partition(";")[0]) == ("Collecting six", "the server ended in the middle of this build")


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
        (["diagnose", "/no/build"], {}, 1, "there is no file /no/build"),
        (["diagnose", os.devnull], {}, 1, "/dev/null is empty"),
    ],
)
def test_what_fails_is_one_sentence(builds, arguments, env, status, words):
    done = builds(*arguments, **env)
    assert done.returncode == status
    assert words in done.stderr
    assert done.stderr.count("algoprof: error: ") == 1
    assert "Traceback" not in done.stderr


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
