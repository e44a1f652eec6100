"""`algoprof serve` as a process: how it starts, refuses, stops, and what it leaves."""

import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import textwrap
import threading
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from algoprof.cli.serve import command
from algoprof.errors import ConfigurationError
from tests.bisection.conftest import wheel

ECHO = {"main.py": "import time\n\n\ndef apply(input):\n    time.sleep(input)\n    return input\n"}


def run(*arguments, **options):
    command = [sys.executable, "-m", "algoprof", "serve", *map(str, arguments)]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60, **options)


def descendants(pid):
    """Return the processes below one, each before those below itself."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in map(int, (task / "children").read_text().split()):
            found += [child, *descendants(child)]
    return found


def gone(pids, patience=5):
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if not any(Path(f"/proc/{pid}").exists() for pid in pids):
            return True
        time.sleep(0.01)
    return False


def scratch_of(pid):
    opened = [entry.readlink() for entry in Path(f"/proc/{pid}/fd").iterdir()]
    return next(path.parent for path in opened if "algoprof-server-" in str(path))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_it_with_all_it_started(serve, project, number):
    serving = serve(project("echo", ECHO))
    answers = []
    serving.call("local/echo", 0)
    workers = descendants(serving.process.pid)
    scratch = scratch_of(serving.process.pid)
    assert len(workers) == 2  # the worker, and its keeper before it
    with_call = threading.Thread(target=lambda: answers.append(serving.post("local/echo", 50)))
    with_call.start()
    while not _sleeps(workers[1]):
        time.sleep(0.01)
    began = time.monotonic()
    assert serving.stop(number) == 0
    assert time.monotonic() - began < 5
    with_call.join()
    assert answers[0].status_code == 503
    assert "stopped" in answers[0].json()["error"]["message"]
    assert gone(workers)
    assert not scratch.exists()
    assert "Traceback" not in serving.said


def _sleeps(pid):
    """Whether a process is in `time.sleep`."""
    return Path(f"/proc/{pid}/syscall").read_text().split()[0] in ("35", "230")  # nanosleep, clock_nanosleep


def test_when_it_is_killed_its_workers_go_with_it_and_the_next_one_cleans_up(serve, project):
    serving = serve(project("echo", ECHO))
    serving.call("local/echo", 0)
    workers, scratch = descendants(serving.process.pid), scratch_of(serving.process.pid)
    assert serving.stop(signal.SIGKILL) == -signal.SIGKILL
    assert gone(workers)
    assert scratch.exists()
    assert serve(project("echo", ECHO), data=serving.data).call("local/echo", 0)["result"] == 0
    assert not scratch.exists()


@pytest.fixture
def building(project, tmp_path):
    """Return a server in the middle of a build, with the pids of all that builds."""
    begun = tmp_path / "begun"
    backend = f"""
        import os, pathlib, time

        pathlib.Path({str(begun)!r}).write_text(f"{{os.getppid()}} {{os.getpid()}}\\n")
        time.sleep(1000)
    """
    system = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    slow = {
        "backend.py": textwrap.dedent(backend),
        "pyproject.toml": system + '[project]\nname = "slow"\nversion = "1"\n',
        "requirements.txt": "./\n",
        "main.py": "def apply(input): ...\n",
    }
    command = [sys.executable, "-m", "algoprof", "serve", str(project("slow", slow)), "--port", "0"]
    with (tmp_path / "stderr").open("wb") as errors:
        process = subprocess.Popen(
            [*command, "--data", str(tmp_path / "data")], stdout=subprocess.PIPE, stderr=errors, text=True
        )
    while not begun.exists() or not begun.read_text().endswith("\n"):
        assert process.poll() is None, (tmp_path / "stderr").read_text()
        time.sleep(0.01)
    yield process, [*descendants(process.pid), *map(int, begun.read_text().split())]
    process.kill()
    process.communicate(timeout=20)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_the_middle_of_a_build_stops_that_too(building, tmp_path, number):
    process, started = building
    process.send_signal(number)
    out, _ = process.communicate(timeout=20)
    assert (process.returncode, out) == (128 + number, "")
    assert gone(started)
    assert not (tmp_path / "data" / "temporary").exists()
    assert not (tmp_path / "data" / "key").exists()
    _, said = (tmp_path / "stderr").read_text().splitlines()
    assert said == f"stopped by {number.name} before anything was served"


def test_when_it_is_killed_in_the_middle_of_a_build_that_ends(building):
    process, started = building
    process.kill()
    assert gone(started)


def test_a_server_of_a_program_ends_with_it_and_leaves_no_data(project, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    program = """
        import os, subprocess, sys, time

        serving = subprocess.Popen(
            [*sys.argv[1:], "--parent", str(os.getpid())], stdout=subprocess.PIPE, start_new_session=True
        )
        print(serving.pid, serving.stdout.readline(), flush=True)
        time.sleep(1000)
    """
    serve = [sys.executable, "-m", "algoprof", "serve", str(project("echo", ECHO)), "--port", "0", "--data", home / "x"]
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program), *serve],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        server = int(process.stdout.readline().split()[0])
        assert (home / "x" / "key").exists()
        process.kill()
    assert gone([server])
    assert not home.exists()


def test_what_it_keeps_is_private(serve, project):
    serving = serve(project("echo", ECHO))
    assert stat.S_IMODE((serving.data / "wheels").stat().st_mode) == 0o700
    for name in ("key", "address", "algoprof.sqlite3", "lock"):
        assert stat.S_IMODE((serving.data / name).stat().st_mode) == 0o600, name
    assert stat.S_IMODE(serving.data.stat().st_mode) == 0o700
    assert (serving.data / "address").read_text().strip() == serving.address
    assert serving.said.count(serving.key) == 1
    serving.stop()
    assert not (serving.data / "address").exists()


def test_the_key_of_the_environment_counts_and_is_neither_kept_nor_shown(project, serve, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    (data / "key").write_text("simKept")
    serving = serve(project("echo", ECHO), data=data, env={"ALGORITHMIA_API_KEY": "simGiven"})
    assert serving.post("local/echo", 0).status_code == 401  # the kept one
    url = f"{serving.address}/v1/algo/local/echo"
    assert requests.post(url, json=0, headers={"Authorization": "simGiven"}, timeout=20).json()["result"] == 0
    assert "simGiven" not in serving.said
    assert (data / "key").read_text() == "simKept"


def test_it_does_not_bind_beyond_loopback_without_a_key_of_ones_own(project, tmp_path):
    done = run(project("echo", ECHO), "--host", "0.0.0.0", "--port", "0", "--data", tmp_path / "data")
    assert done.returncode == 1
    assert f"`algoprof keys create --data-dir {tmp_path}/data`, or set ALGORITHMIA_API_KEY" in done.stderr
    assert done.stdout == ""


def test_a_host_that_is_none_is_told_as_such(project, tmp_path):
    done = run(project("echo", ECHO), "--host", "nohost.invalid", "--port", "0", "--data", tmp_path / "data")
    assert (done.returncode, done.stdout) == (1, "")
    assert "algoprof: error: --host nohost.invalid cannot be resolved" in done.stderr


def test_without_a_home_directory_it_asks_for_a_folder(project, monkeypatch):
    def unknown():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setattr(Path, "home", unknown)
    with pytest.raises(ConfigurationError, match="no home directory"):
        command.main([str(project("echo", ECHO)), "--port", "0"], standalone_mode=False)


def test_a_database_that_is_none_is_one_sentence(project, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "algoprof.sqlite3").write_bytes(b"no database" * 1000)
    done = run(project("echo", ECHO), "--port", "0", "--data", tmp_path / "data")
    assert (done.returncode, done.stdout) == (1, "")
    assert f"the database {tmp_path}/data/algoprof.sqlite3 cannot be used" in done.stderr
    assert "Traceback" not in done.stderr


def test_no_folder_at_all_is_refused_rather_than_taken_for_this_one(project, tmp_path):
    done = run("", "--port", "0", "--data", tmp_path / "data", cwd=project("echo", ECHO))
    assert (done.returncode, done.stdout) == (1, "")
    assert "'': is no folder" in done.stderr


def test_a_server_that_does_not_start_tells_no_key(project, tmp_path):
    done = run(tmp_path / "nothing", "--port", "0", "--data", tmp_path / "data")
    assert done.returncode == 1
    assert "key" not in done.stderr
    assert not (tmp_path / "data" / "key").exists()


def test_replicas_run_calls_at_once_and_each_call_is_a_line(serve, project, tmp_path):
    source = """
        import pathlib, time

        def apply(name):
            path = pathlib.Path(name)
            path.touch()
            while len(list(path.parent.iterdir())) < 2:
                time.sleep(0.01)
            return name
    """
    (tmp_path / "met").mkdir()
    serving = serve(project("meet", {"main.py": textwrap.dedent(source)}), options=["--replicas", "2"])
    with ThreadPoolExecutor() as pool:
        names = [str(tmp_path / "met" / name) for name in "ab"]
        answers = list(pool.map(lambda name: serving.call("local/meet?timeout=20", name), names))
    assert [answer["result"] for answer in answers] == names
    serving.call("local/meet?timeout=20", 5)
    lines = [line for line in serving.said.splitlines() if "local/meet/1.0.0" in line]
    assert [re.sub(r"[\d.]+ s of", "# s of", line.partition(" ")[2]) for line in lines] == [
        "local/meet/1.0.0 ok in # s of 20 s",
        "local/meet/1.0.0 ok in # s of 20 s",
        "local/meet/1.0.0 failed in # s of 20 s",
    ]


def test_a_port_in_use_is_one_sentence(project, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run(project("echo", ECHO), "--port", port, "--data", tmp_path / "data")
    assert done.returncode == 1
    assert f"algoprof: error: 127.0.0.1:{port} cannot be bound" in done.stderr
    assert "Traceback" not in done.stderr


def test_two_servers_do_not_share_a_data_directory(serve, project):
    serving = serve(project("echo", ECHO))
    done = run(project("echo", ECHO), "--port", "0", "--data", serving.data)
    assert done.returncode == 1
    assert f"another server uses {serving.data}" in done.stderr


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({}, "has no algorithm: make src/bad.py with 'def apply(input): ...' in it"),
        ({"bad.py": "x = 1\n"}, "bad.py: has no function 'apply'; define 'def apply(input): ...' in it"),
        ({"bad.py": "def apply(:\n"}, "bad.py: line 1: "),
        ({"bad.py": "def apply(i): ...\n", "requirements.txt": "./none\n"}, "requirements.txt: pip could not install"),
        ({"algorithmia.conf": "{", "bad.py": "def apply(i): ...\n"}, "algorithmia.conf: is not readable as JSON"),
    ],
)
def test_a_project_that_cannot_be_hosted_is_one_sentence(project, tmp_path, files, words):
    directory = project("bad", files | {"README.md": ""})
    done = run(directory, "--port", "0", "--data", tmp_path / "data")
    assert (done.returncode, done.stdout) == (1, "")
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("algoprof: error: ")
    assert words in last
    assert "Traceback" not in done.stderr


def test_one_bad_project_among_others_is_left_out(serve, project, tmp_path):
    serving = serve(project("echo", ECHO), tmp_path / "nothing")
    assert serving.call("local/echo", 0)["result"] == 0
    assert "left out: " in serving.said
    assert "is no folder" in serving.said


def test_two_projects_of_one_name_are_refused(project, tmp_path):
    (tmp_path / "other").mkdir()
    first = project("echo", ECHO)
    second = tmp_path / "other" / "echo"
    shutil.copytree(first, second)
    done = run(first, second, "--port", "0", "--data", tmp_path / "data")
    assert done.returncode == 1
    assert "are both local/echo" in done.stderr


def test_an_import_that_fails_is_a_loading_error_with_the_authors_traceback(serve, project):
    directory = project("lazy", {"main.py": "import helper\n\n\ndef apply(input): ...\n", "sub/x.txt": ""})
    answer = serve(directory).call("local/lazy?stdout=true", 1)
    assert answer["error"]["error_type"] == "LoadingError"
    assert answer["error"]["message"] == "No module named 'helper'"
    assert "main.py" in answer["error"]["stacktrace"]
    assert "importlib" not in answer["error"]["stacktrace"]


def test_a_load_that_never_ends_is_stopped_by_the_timeout(serve, project):
    source = "import time\nprint('fetching the model')\ntime.sleep(100)\n\n\ndef apply(input): ...\n"
    answer = serve(project("slow", {"main.py": source})).call("local/slow?timeout=1", 1)
    assert answer["error"]["error_type"] == "TimeoutError"
    assert answer["metadata"]["stdout"] == "fetching the model\n"
    assert answer["metadata"]["duration"] == 0
    assert answer["metadata"]["algoprof"]["load"] == pytest.approx(1, abs=0.3)


def test_a_load_that_exits_is_told_with_its_code_whatever_it_left_running(serve, project):
    source = """
        import sys, threading, time

        threading.Thread(target=time.sleep, args=[1000]).start()
        sys.exit(5)

        def apply(input): ...
    """
    answer = serve(project("quit", {"main.py": textwrap.dedent(source)})).call("local/quit?timeout=20", 1)
    assert (answer["error"]["message"], answer["error"]["error_type"]) == ("exited with code 5", "SystemExit")
    assert 'File "main.py", line 5, in <module>' in answer["error"]["stacktrace"]
    assert answer["metadata"]["algoprof"]["total"] < 10


def test_what_pythonpath_holds_is_not_taken_for_installed(serve, project, tmp_path):
    made = wheel(tmp_path, "tiny", "1.0")
    with zipfile.ZipFile(made) as archive:
        archive.extractall(tmp_path / "elsewhere")
    main = "import tiny\n\n\ndef apply(input):\n    return tiny.version\n"
    files = {"main.py": main, "requirements.txt": f"{made}\n"}
    serving = serve(project("needs", files), env={"PYTHONPATH": str(tmp_path / "elsewhere")})
    assert serving.call("local/needs", None)["result"] == "1.0"
