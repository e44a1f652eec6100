"""Where flight files live: ours alone, no link followed, tidied of the dead."""

import os
import stat
from pathlib import Path

import pytest

from algoprof.recorder import directory


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
