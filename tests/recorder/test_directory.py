"""Where flight files live: ours alone, no link followed, tidied of the dead."""

import os
import stat
from pathlib import Path

import pytest

from algoprof.recorder import directory
from algoprof.recorder.reader import read

ONE_SECTION = """
from algoprof import profile, section
with profile("job") as run:
    with section("x"):
        pass
print(run.snapshot().node("job", "x").count)
"""


def test_the_named_directory_is_made(tmp_path, monkeypatch):
    monkeypatch.setenv("ALGOPROF_FLIGHT_DIR", str(tmp_path / "a" / "b"))
    assert directory.flight_directory() == str(tmp_path / "a" / "b")
    assert stat.S_IMODE((tmp_path / "a" / "b").stat().st_mode) == 0o700


def test_the_runtime_directory_comes_first(tmp_path, monkeypatch):
    monkeypatch.delenv("ALGOPROF_FLIGHT_DIR")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert directory.flight_directory() == str(tmp_path / "algoprof")


def test_a_link_in_its_place_is_not_followed(tmp_path, monkeypatch):
    monkeypatch.delenv("ALGOPROF_FLIGHT_DIR")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "algoprof").symlink_to(tmp_path / "elsewhere")
    assert directory.flight_directory() != str(tmp_path / "algoprof")


def test_one_open_to_others_is_closed_to_them(tmp_path, monkeypatch):
    monkeypatch.delenv("ALGOPROF_FLIGHT_DIR")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    (tmp_path / "algoprof").mkdir(mode=0o777)
    assert stat.S_IMODE(Path(directory.flight_directory()).stat().st_mode) == 0o700


def test_old_and_too_many_dead_files_go(tmp_path, monkeypatch):
    monkeypatch.setattr(directory, "KEPT_BYTES", 3 * 4096)
    for age in range(6):
        path = tmp_path / f"{age}{directory.SUFFIX}"
        path.write_bytes(b"x" * 4096)
        moment = directory.time.time() - age * 60
        os.utime(path, (moment, moment))
    week_old = tmp_path / f"old{directory.SUFFIX}"
    week_old.write_bytes(b"")
    os.utime(week_old, (0, 0))
    directory.tidy(tmp_path)
    assert directory.flight_files(tmp_path) == [str(tmp_path / f"{age}.flight") for age in range(3)]


def test_an_unwritable_directory_costs_one_sentence_and_no_run(run_python, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    done = run_python(
        """
        from algoprof import profile, section
        with profile("job") as run:
            with section("x"):
                pass
        print(run.snapshot().node("job", "x").count)
        """,
        env={"ALGOPROF_FLIGHT_DIR": str(blocked / "below")},
    )
    assert done.stdout == "1\n"
    assert done.stderr.count("\n") == 1
    assert "a kill will lose the profile" in done.stderr
    assert "ALGOPROF_FLIGHT_DIR" in done.stderr


def test_the_file_is_for_its_owner_alone(run_python, tmp_path):
    run_python("""
        import os
        from algoprof import section
        with section("x"):
            os._exit(0)
        """)
    (path,) = directory.flight_files(tmp_path / "flight")
    status = Path(path).stat()
    assert stat.S_IMODE(status.st_mode) == 0o600
    assert status.st_blocks * 512 < 1024 * 1024, "only what is used is backed"


@pytest.mark.parametrize("left", ["dead", "nothing"])
def test_a_named_file_replaces_what_a_dead_process_left(run_python, tmp_path, left):
    path = tmp_path / "mine.flight"
    script = """
        import os
        from algoprof import section
        with section("x"):
            os._exit(0)
        """
    for _ in range(2 if left == "dead" else 1):
        done = run_python(script, env={"ALGOPROF_FLIGHT_FILE": str(path)})
        assert done.stderr == ""
    assert path.exists()


def test_a_named_file_that_is_a_pipe_costs_one_sentence_and_no_run(run_python, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    done = run_python(ONE_SECTION, env={"ALGOPROF_FLIGHT_FILE": str(tmp_path / "pipe")}, timeout=20)
    assert (done.returncode, done.stdout) == (0, "1\n")
    assert "is no regular file" in done.stderr


def test_a_pipe_in_the_place_of_the_totals_holds_nobody_up(run_python, tmp_path, monkeypatch):
    monkeypatch.setenv("ALGOPROF_FLIGHT_DIR", str(tmp_path / "flight"))
    (tmp_path / "flight").mkdir()
    os.mkfifo(tmp_path / "flight" / "totals.flight")
    done = run_python(
        """
        from algoprof.recorder import directory_totals
        directory_totals.fold(__import__("os").environ["ALGOPROF_FLIGHT_DIR"])
        print("done")
        """,
        timeout=20,
    )
    assert (done.stdout, done.stderr) == ("done\n", "")


def test_a_disk_that_fills_up_while_the_file_is_made_leaves_none(run_python, tmp_path):
    full = """
import errno
from algoprof.recorder.flight import FlightFile
back = FlightFile._back
def full(self, segment):
    if self.path and segment > 1:
        raise OSError(errno.ENOSPC, "No space left on device")
    back(self, segment)
FlightFile._back = full
"""
    done = run_python(full + ONE_SECTION, env={"ALGOPROF_FLIGHT_DIR": str(tmp_path / "flight")})
    assert (done.returncode, done.stdout) == (0, "1\n")
    assert "No space left on device" in done.stderr
    assert list((tmp_path / "flight").iterdir()) == []


def test_a_program_that_becomes_another_one_leaves_the_files_of_both(run_python, tmp_path):
    done = run_python(
        """
        import os, sys
        from algoprof import profile, section
        with profile("job"), section(sys.argv[1]):
            if sys.argv[1] == "before":
                os.execv(sys.executable, [sys.executable, __file__, "after"])
        """,
        "before",
        env={"ALGOPROF_FLIGHT_DIR": str(tmp_path / "flight")},
    )
    assert (done.returncode, done.stderr) == (0, "")
    runs = [run for path in directory.flight_files(tmp_path / "flight") for run in read(path).runs]
    assert {(run.outcome, run.roots[0].children[0].name) for run in runs} == {("killed", "before"), ("ok", "after")}
