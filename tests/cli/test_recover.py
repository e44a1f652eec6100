"""`algoprof recover` as a command: what it says of the killed, the ended and the living, and where it looked."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from algoprof.profiles.codec import from_json
from algoprof.profiles.tree import Profile

PROGRAM = """
import os, sys
from algoprof import profile, section
with profile(sys.argv[1]):
    with section("load"):
        pass
    with section("solve"):
        print("open", flush=True)
        sys.stdin.readline()
        if sys.argv[1] == "killed":
            os.kill(os.getpid(), 9)
"""


@pytest.fixture
def start():
    """Start the program, and wait until its section is open."""
    started = []

    def begin(name):
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        assert process.stdout.readline() == "open\n"
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def finished(start):
    def run(name):
        process = start(name)
        process.communicate("\n", timeout=30)
        return process

    return run


def test_the_newest_of_the_dead_is_told_and_the_others_named(algoprof, start, finished):
    living = start("living")
    ended, killed = finished("ended"), finished("killed")
    done = algoprof("recover")
    assert (done.returncode, done.stderr) == (0, "")
    first, others = done.stdout.split("There are 2 more: ")
    assert first.startswith(f"-c, process {killed.pid}: killed, or left by os._exit; last seen ")
    assert "\nkilled  killed  " in first
    assert "open when killed: solve (" in first
    assert "at least the time shown" in first
    assert f"-c, process {ended.pid}: exited " in others
    assert f"-c, process {living.pid}: still running\n" in others
    assert others.index("exited") < others.index("still running")


def test_all_are_told(algoprof, finished, start):
    finished("ended")
    finished("killed")
    start("living")
    said = algoprof("recover", "--all").stdout
    assert "\nended  ok  " in said
    assert "\nkilled  killed  " in said
    assert "\nliving  open  " in said
    assert "open now: solve (" in said
    assert [one["name"] for one in json.loads(algoprof("recover", "--all", "--json").stdout)] == [
        "killed",
        "ended",
        "living",
    ]


def test_a_file_or_a_folder_is_looked_into(algoprof, finished, tmp_path):
    process = finished("killed")
    (path,) = (tmp_path / "flight").glob(f"{process.pid}-*.flight")
    for place in (path, path.parent):
        done = algoprof("recover", str(place), "--json", env={"ALGOPROF_FLIGHT_DIR": "/nowhere"})
        assert from_json(json.loads(done.stdout)).node("killed", "solve").open_count == 1
    assert path.exists()


def test_output_saves_a_profile(algoprof, finished, tmp_path):
    finished("ended")
    done = algoprof("recover", "--output", "run.algoprof")
    assert done.stdout.startswith("saved run.algoprof, of -c, process ")
    assert Profile.load(tmp_path / "run.algoprof").node("ended", "load").count == 1
    done = algoprof("recover", "--all", "--output", "run.algoprof")
    assert (done.returncode, done.stdout) == (2, "")
    assert "--output keeps one profile" in done.stderr


def test_a_run_is_whole_with_what_its_workers_recorded(algoprof, run_python):
    run_python("""
        import os
        from algoprof import profile, section
        with profile("job"):
            child = os.fork()
            if child == 0:
                with section("step"):
                    pass
                os._exit(0)
            os.waitpid(child, 0)
            os.kill(os.getpid(), 9)
        """)
    said = json.loads(algoprof("recover", "--all", "--json").stdout)
    (job,) = [found for found in map(from_json, said) if not found.part]
    assert job.node("worker", "step").count == 1


def test_what_was_folded_is_told_last(algoprof, finished, tmp_path, monkeypatch):
    from algoprof.recorder import directory, directory_totals

    monkeypatch.setattr(directory, "MANY_FILES", 0)
    monkeypatch.setattr(directory_totals, "FEW_FILES", 0)
    finished("ended")
    finished("ended")
    assert directory_totals.fold(str(tmp_path / "flight")) == 2
    said = algoprof("recover").stdout
    assert said.startswith("2 runs of programs that have ended, added up\n")
    assert "\nended  2 runs  " in said
    finished("killed")
    assert "2 runs of programs that have ended, added up" in algoprof("recover").stdout.partition("There is 1 more")[2]


def test_nothing_found_says_where_it_looked_and_makes_nothing(algoprof, tmp_path):
    done = algoprof("recover")
    assert (done.returncode, done.stdout) == (1, "")
    assert f"there is no flight file in {tmp_path / 'flight'}; " in done.stderr
    assert "algoprof recover DIR" in done.stderr
    assert not (tmp_path / "flight").exists()


def test_without_a_named_directory_every_usual_one_is_looked_into(algoprof, tmp_path, monkeypatch):
    from algoprof.recorder import directory

    monkeypatch.delenv("ALGOPROF_FLIGHT_DIR")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "runtime"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    own = f"algoprof-{os.getuid()}"
    assert directory.known_directories() == [
        str(tmp_path / "runtime" / "algoprof"),
        f"/dev/shm/{own}",
        str(tmp_path / own),
    ]
    assert not (tmp_path / "runtime").exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "there is no file or folder file; "),
        (b"", "file: shorter than a flight file"),
        (b"hello", "file: shorter than a flight file"),
        (b'{"algoprof": 1}', "`algoprof report` shows profiles that were saved"),
        (bytes(48 * 1024 * 1024), "file: not a flight file"),
    ],
)
def test_what_is_no_flight_file_is_one_sentence(algoprof, tmp_path, content, said):
    if content is not None:
        (tmp_path / "file").write_bytes(content)
    done = algoprof("recover", "file")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("algoprof: error: ")
    assert done.stderr.count("\n") == 1
    assert said in done.stderr


def test_a_pipe_is_not_waited_for(algoprof, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert "neither a flight file nor a folder" in algoprof("recover", "pipe").stderr


def test_damaged_files_are_passed_over(algoprof, finished, tmp_path):
    finished("killed")
    for name in ("1-1.flight", "totals.flight"):
        Path(tmp_path / "flight" / name).write_bytes(b"damaged")
    done = algoprof("recover")
    assert done.returncode == 0
    assert "\nkilled  killed  " in done.stdout
    assert [line.split(":")[0] for line in done.stderr.splitlines()] == [
        "passed over 1-1.flight",
        f"passed over {tmp_path}/flight/totals.flight",
    ]
