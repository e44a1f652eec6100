"""What workers have recorded, added up: while they live, once they have gone, and where files cannot be read."""

import shutil

import pytest

from algoprof.delivery.losses import Losses
from algoprof.delivery.totals import Totals
from algoprof.recorder.directory import TOTALS_NAME, flight_files
from algoprof.server.monitoring.recordings import Recordings

RECORD = """
    import sys
    from algoprof import profile, section
    for _ in range(int(sys.argv[1])):
        with profile("apply"), section("load"):
            pass
"""


@pytest.fixture
def losses():
    return Losses()


@pytest.fixture
def recordings(losses):
    return Recordings(losses)


@pytest.fixture
def record(run_python, tmp_path):
    """Have a process record so many runs, and return its directory."""

    def recorded(name, runs):
        directory = tmp_path / name
        directory.mkdir(mode=0o700, exist_ok=True)
        assert run_python(RECORD, str(runs), env={"ALGOPROF_FLIGHT_DIR": str(directory)}).returncode == 0
        return directory

    return recorded


def counts(recordings):
    """Return how often each section has ended, by the name of its run."""
    return {profile.name: profile.node(profile.name, "load").count for profile in recordings.batch().profiles}


def test_workers_of_an_algorithm_add_up_and_those_of_others_stand_beside_them(recordings, record):
    for name, algorithm, runs in (("one", "demo/A", 3), ("two", "demo/A", 4), ("three", "demo/B", 5)):
        recordings.add(record(name, runs), algorithm)
    assert counts(recordings) == {"demo/A/apply": 7, "demo/B/apply": 5}


def test_a_worker_that_has_gone_keeps_counting_once(recordings, record):
    for name, runs in (("one", 3), ("two", 4)):
        recordings.add(record(name, runs), "demo/A")
    for directory in (record("one", 0), record("two", 0)):
        recordings.remove(directory)
        recordings.remove(directory)
        shutil.rmtree(directory)
        assert counts(recordings) == {"demo/A/apply": 7}


def test_files_that_are_removed_after_a_look_keep_counting(recordings, record):
    directory = record("one", 3)
    recordings.add(directory, "demo/A")
    recordings.look(directory)
    for path in flight_files(directory):
        (directory / path).unlink()
    record("one", 2)
    assert counts(recordings) == {"demo/A/apply": 5}
    recordings.look(directory.with_name("unknown"))  # of a worker that has gone meanwhile


@pytest.mark.parametrize("content", [b"", b"\xff" * 4096, bytes(48 * 1024 * 1024)])
def test_what_cannot_be_read_costs_the_others_nothing(recordings, record, losses, content):
    recordings.add(record("one", 3), "demo/A")
    hostile = record("hostile", 1)
    for name in (*flight_files(hostile), hostile / TOTALS_NAME):
        (hostile / name).write_bytes(content)
    recordings.add(hostile, "demo/B")
    assert counts(recordings) == {"demo/A/apply": 3}
    assert losses.counts()["totals", "unreadable"] > 0


def test_a_fault_in_the_reading_leaves_what_was_read_last(recordings, record, losses, monkeypatch):
    recordings.add(record("one", 3), "demo/A")
    assert counts(recordings) == {"demo/A/apply": 3}
    monkeypatch.setattr(Totals, "batch", lambda *_: 1 / 0)
    assert counts(recordings) == {"demo/A/apply": 3}
    assert losses.counts()["totals", "unreadable"] == 1
