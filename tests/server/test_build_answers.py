"""What `algoprof builds` and `algoprof versions` answer, in this process, about the builds of a real server."""

import json
import subprocess
import sys

import pytest


@pytest.fixture
def algoprof(server, command_line):
    def run(*arguments, env, given=""):
        told = {"ALGORITHMIA_API": server.address, "ALGORITHMIA_API_KEY": server.key}
        return command_line(*arguments, env=told | env, given=given)

    return run


@pytest.fixture
def builds(algoprof):
    return lambda *arguments, given="", **env: algoprof("builds", *arguments, env=env, given=given)


@pytest.fixture
def versions(algoprof):
    return lambda *arguments, **env: algoprof("versions", *arguments, env=env)


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
    of_file, of_stdin = builds("diagnose", log), builds("diagnose", "-", given=log.read_text())
    assert of_file.stdout == of_stdin.stdout
    assert of_file.stdout.splitlines() == told.stdout.splitlines()[1:]
    assert "there is no file none.log" in builds("diagnose", "none.log").stderr
    with log.open("wb") as file:
        file.truncate(64 * 1024 * 1024 + 1)
    assert "is over 67,108,864 bytes: give its end" in builds("diagnose", log).stderr
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


def test_versions_are_listed_read_and_published(versions, builds, serve, project):
    listed = versions("list", "demo/Adk")
    assert listed.stdout.split()[0] == "1.0.0", listed.stderr
    as_json = json.loads(versions("list", "demo/Adk", "--published", "--json").stdout)
    assert as_json[0]["version_info"]["semantic_version"] == "1.0.0"
    assert "Successfully installed" in versions("logs", "demo/Adk", "1.0.0").stdout
    serving = serve(project("next", {"main.py": "def apply(input): ...\n"}))
    here = {"ALGORITHMIA_API": "", "ALGORITHMIA_API_KEY": ""}
    again = versions("publish", "local/next", "--minor", "--data-dir", serving.data, **here)
    assert (again.returncode, again.stdout) == (1, "")
    assert "published already" in again.stderr
    project("next", {"main.py": "def apply(input): return 2\n"})
    done = versions("publish", "local/next", "--minor", "--compile", "--data-dir", serving.data, **here)
    assert (done.returncode, done.stdout) == (0, "1.1.0\n"), done.stderr
    newest = versions("list", "local/next", "--limit", "1", "--data-dir", serving.data, **here)
    assert (newest.stdout.split()[0], newest.stderr) == ("1.1.0", "there are older ones: --limit shows more\n")
    assert versions("list", "local/next", "--limit", "2", "--data-dir", serving.data, **here).stderr == ""
    assert (
        "--limit shows more" in builds("list", "local/next", "--limit", "1", "--data-dir", serving.data, **here).stderr
    )


SLOW_BACKEND = """
import pathlib, time

def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    while not pathlib.Path(GATE).exists():
        time.sleep(0.02)
    raise RuntimeError("set ROUTING_HOME first")
"""


def test_a_build_that_still_runs_is_told_so_and_waited_for(builds, project, tmp_path):
    gate, data = tmp_path / "gate", tmp_path / "algoprof"
    here = {"ALGORITHMIA_API": "", "XDG_DATA_HOME": str(tmp_path)}
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
            assert builds("list", "local/slow", **here).stdout.split()[1] == "in-progress"
            told = builds("diagnose", "local/slow", **here)
            assert "not yet finished" in told.stdout
            late = builds("wait", "local/slow", "--timeout", "0.1", **here)
            assert (late.returncode, late.stderr.count("in-progress")) == (124, 1)
            assert "has not ended after 0.1 s; wait longer" in late.stderr
            followed = subprocess.Popen(
                [sys.executable, "-m", "algoprof", "builds", "logs", "local/slow", "--follow", "--data", str(data)],
                stdout=subprocess.PIPE,
                text=True,
            )
            lines = [followed.stdout.readline() for _ in range(3)]  # of a log that is being written
            assert lines[0].startswith("environment "), lines
            gate.touch()
            rest = followed.stdout.read()  # communicate() would leave out what readline() has read ahead
            followed.wait()
            followed.stdout.close()
            assert "RuntimeError: set ROUTING_HOME first" in rest
            assert "".join(lines) + rest == builds("logs", "local/slow", **here).stdout
            ended = builds("wait", "local/slow", **here)
            assert ended.returncode == 1
            assert "RuntimeError: set ROUTING_HOME first" in ended.stdout
            assert "set ROUTING_HOME first" in serving.communicate(timeout=60)[1].splitlines()[-1]
        finally:
            serving.kill()
