"""Exporters that write a file for each run, by name and in a real program."""

import json
import stat
from dataclasses import replace

import pytest

from algoprof.errors import ConfigurationError
from algoprof.exporters import Context, make_exporter
from algoprof.exporters.formats import files
from algoprof.exporters.formats.catalogue import FORMATS
from algoprof.profiles.batch import Batch
from algoprof.profiles.tree import Profile
from algoprof.settings import Settings


@pytest.fixture
def context(tmp_path) -> Context:
    return Context(Settings(profile_dir=str(tmp_path / "profiles")))


@pytest.mark.parametrize("name", FORMATS)
def test_each_format_is_an_exporter(served, context, tmp_path, name):
    make_exporter(name, context).export(Batch((served,)))
    (written,) = (tmp_path / "profiles").iterdir()
    assert written.name == f"job-20231114T221320-0af76519{FORMATS[name].endings[0]}"
    assert stat.S_IMODE(written.stat().st_mode) == 0o600
    content = FORMATS[name].render(served)
    assert written.read_bytes() == (content if isinstance(content, bytes) else content.encode())


def test_a_run_that_was_open_is_written_again_when_it_ends(served, context, tmp_path):
    exporter = make_exporter("json", context)
    exporter.export(Batch((replace(served, outcome="open"),)))
    exporter.export(Batch((replace(served, outcome="ok"),)))
    (written,) = (tmp_path / "profiles").iterdir()
    assert Profile.load(written).outcome == "ok"


def test_the_newest_are_kept(context, tmp_path, monkeypatch):
    monkeypatch.setattr(files, "KEPT", 3)
    exporter = make_exporter("csv", context)
    exporter.export(Batch(tuple(Profile(f"job {number}", ()) for number in range(10))))
    names = sorted(path.name.partition("-")[0] for path in (tmp_path / "profiles").iterdir())
    assert names == ["job_7", "job_8", "job_9"]


def test_a_hostile_name_stays_in_its_folder(hostile, context, tmp_path):
    make_exporter("collapsed", context).export(Batch((Profile(f"../{hostile}", (), run_id="/../x"),)))
    (written,) = (tmp_path / "profiles").iterdir()
    assert written.name.isascii()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["profiles"]


def test_one_that_cannot_be_written_loses_no_other(served, context, tmp_path):
    exporter = make_exporter("csv", context)
    other = replace(served, run_id="ab" * 16)
    (tmp_path / "profiles" / files.file_name(served, FORMATS["csv"])).mkdir()
    with pytest.raises(IsADirectoryError):
        exporter.export(Batch((served, other)))
    assert sorted(path.name for path in (tmp_path / "profiles").iterdir() if path.is_file()) == [
        files.file_name(other, FORMATS["csv"])
    ]


def test_a_folder_that_cannot_be_is_said_when_it_is_configured(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(
        ConfigurationError, match=r"exporter 'pprof' cannot write to .*file/below .*: set ALGOPROF_PROF"
    ):
        make_exporter("pprof", Context(Settings(profile_dir=str(tmp_path / "file" / "below"))))


def test_a_program_writes_a_file_for_each_run(run_python, tmp_path, monkeypatch):
    monkeypatch.setenv("ALGOPROF_EXPORTERS", "speedscope,json")
    monkeypatch.setenv("ALGOPROF_PROFILE_DIR", str(tmp_path / "profiles"))
    done = run_python(
        """
        from algoprof import profile, section

        @profile
        def plan():
            with section("load"):
                pass

        plan(), plan()
        """
    )
    assert done.stderr == ""
    written = sorted(path.name.partition(".")[2] for path in (tmp_path / "profiles").iterdir())
    assert written == ["algoprof", "algoprof", "speedscope.json", "speedscope.json"]
    for path in (tmp_path / "profiles").glob("*.algoprof"):
        assert Profile.load(path).node("plan", "load").count == 1
    for path in (tmp_path / "profiles").glob("*.speedscope.json"):
        assert json.loads(path.read_text())["name"].startswith("plan: ok after ")
