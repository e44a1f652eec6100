"""What a killed server leaves, each part by itself: its directory, its processes, its runs."""

import os
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from algoprof.server import remnants
from algoprof.server.access import keys
from algoprof.server.building import wheel
from algoprof.server.hosting import keeper
from algoprof.server.scratch import Scratch
from algoprof.server.state import recovery, under_way
from algoprof.server.state.run_log import Run
from algoprof.server.state.store import Store
from algoprof.server.state.under_way import Journal


@pytest.fixture
def store(tmp_path):
    with closing(Store(tmp_path / "runs.sqlite3")) as made:
        yield made


@pytest.fixture
def run(store) -> Run:
    algorithm = store.algorithm("demo", "Hello")
    return Run(algorithm.id, "1.0.0", "req-0", 0, "lost", "", 0.0, 0.0, 0.0, 0.0, 10.0, "1", "")


@pytest.fixture
def folder(tmp_path) -> Path:
    made = tmp_path / under_way.FOLDER
    made.mkdir()
    return made


@pytest.fixture
def journal(folder) -> Journal:
    return Journal(folder)


def left_by(data: Path) -> Path:
    """Return the directory of a server that was killed."""
    living = Scratch(data)
    left = living.path.with_name(f"{living.path.name}-left")
    left.mkdir()
    (left / "lock").touch()
    (left / "data").write_bytes((living.path / "data").read_bytes())
    living.close()
    return left


def test_what_a_killed_server_left_is_there_for_the_next_one_of_the_same_data(tmp_path):
    left = left_by(tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    Scratch(other).close()
    assert left.exists()
    with closing(Scratch(tmp_path)) as scratch:
        assert list(scratch.left()) == [left]
        assert list(scratch.left()) == []
        assert scratch.path.exists()
    assert not scratch.path.exists()
    assert not left.exists()


def test_what_nobody_can_come_for_is_removed_and_not_what_a_living_one_uses(tmp_path):
    gone, old = tmp_path / "gone", tmp_path / "old"
    gone.mkdir()
    old.mkdir()
    left = [left_by(gone), left_by(old)]
    gone.rmdir()
    os.utime(left[1], (0, 0))
    half_made = left[0].with_name(f"{left[0].name}-half")
    half_made.mkdir()
    living = Scratch(old)
    another = Scratch(tmp_path)
    try:
        assert living.path.exists()
        assert not half_made.exists()
        assert [path.exists() for path in left] == [False, False]
    finally:
        living.close()
        another.close()


def test_servers_that_start_at_once_do_not_take_each_others_directory_for_a_dead_one(tmp_path, scaled):
    def start(number):
        with closing(Scratch(tmp_path / str(number))) as scratch:
            return (scratch.path / "data").exists()

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(start, range(scaled(2000))))


@pytest.mark.parametrize("how", [{}, {"start_new_session": True}])
def test_processes_are_found_by_what_their_environment_names(tmp_path, how, monkeypatch):
    monkeypatch.setattr(remnants, "_GRACE", 0.1)
    path = {"PATH": os.environ["PATH"]}
    meant = {**path, "ANY": f"{tmp_path}/below"}
    others = {**path, "ANY": f"{tmp_path}-beside", "OTHER": f"before {tmp_path}/below"}
    started = [subprocess.Popen(["sleep", "1000"], env=env, **how) for env in (meant, others)]
    try:
        while not all(Path(f"/proc/{process.pid}/environ").read_bytes() for process in started):
            time.sleep(0.01)  # as the kernel has it only once the program has begun
        remnants.end(tmp_path)
        assert started[0].wait(20) == -9
        assert started[1].poll() is None
    finally:
        for process in started:
            process.kill()
            process.wait()


def recover(tmp_path, store, died_ns=None):
    if died_ns is not None:
        (tmp_path / "worker").mkdir()
        (tmp_path / "worker" / keeper.ENDED).write_text(str(died_ns))
    return recovery.recover(tmp_path, store)


def test_a_run_is_kept_as_far_as_it_had_got(tmp_path, journal, store, run):
    journal.begin(run, 0)
    journal.begin(run._replace(request_id="req-1"), 10**9).load(0.5)
    running = journal.begin(run._replace(request_id="req-2"), 2 * 10**9)
    running.load(0.125)
    running.start(0.25, 0.5, 3 * 10**9)
    assert recover(tmp_path, store, 5 * 10**9) == 3
    kept = store.runs.newest(10)
    assert [(one.request_id, one.end, one.total, one.queue, one.load, one.run) for one in kept] == [
        ("req-2", "lost", 3.0, 0.25, 0.5, 2.0),
        ("req-1", "lost", 4.0, 0.5, 0.0, 0.0),
        ("req-0", "lost", 5.0, 0.0, 0.0, 0.0),
    ]
    assert [one.error for one in kept] == [
        "the server was killed while it ran",
        "the server was killed while its worker loaded the algorithm",
        "the server was killed before a worker was free for it",
    ]
    assert {failure.error_type for failure in store.errors(store.algorithm("demo", "Hello"))} == {"SystemError"}


def test_a_run_that_has_ended_is_kept_once_as_it_ended(tmp_path, journal, store, run):
    journal.begin(run, 0).finish(run._replace(end="ok", stdout="\ud800"), None)
    written = journal.begin(run._replace(request_id="req-1"), 1)
    written.finish(run._replace(request_id="req-1", end="failed"), None)
    written.forget()
    for _ in range(2):  # it may be killed again before the directory is removed
        assert recover(tmp_path, store) == 0
        assert [(one.request_id, one.end) for one in store.runs.newest(10)] == [("req-0", "ok")]


def test_a_run_of_an_algorithm_that_the_database_does_not_know_is_left_out(tmp_path, journal, store, run):
    journal.begin(run._replace(algorithm_id="unknown"), 0)
    assert recover(tmp_path, store) == 0


@given(st.binary(max_size=80), st.integers(0, 2000))
def test_a_file_that_is_cut_off_or_damaged_breaks_nothing(tmp_path_factory, noise, length):
    folder = tmp_path_factory.mktemp("runs")
    run = Run("", "1.0.0", "req-0", 0, "lost", "", 0.0, 0.0, 0.0, 0.0, 10.0, "1", "")
    record = Journal(folder).begin(run, 0)
    record.load(0.5)
    record.finish(run._replace(end="ok", queue=0.5), None)
    (path,) = folder.iterdir()
    whole = path.read_bytes()
    path.write_bytes(whole[:length] + noise)
    for found in under_way.left(folder):
        assert found.run in (run, run._replace(queue=0.5), run._replace(end="ok", queue=0.5)) or noise


def test_a_line_that_there_was_no_room_for_spoils_no_other(folder, journal, run):
    first = journal.begin(run, 0)
    (path,) = folder.iterdir()
    path.write_bytes(path.read_bytes() + b'\n{"request_id": "req-1", "inp')
    first.load(0.5)
    assert [(found.run, found.loading) for found in under_way.left(folder)] == [(run._replace(queue=0.5), True)]


def test_a_file_goes_with_the_last_of_its_runs_and_later_runs_have_another(folder, journal, run):
    slow = journal.begin(run, 0)
    for number in range(1, 1000):
        one = run._replace(request_id=f"req-{number}", input="x" * 2000)
        record = journal.begin(one, number)
        record.finish(one, None)
        record.forget()
        assert len(list(folder.iterdir())) <= 2
    assert [found.run for found in under_way.left(folder)] == [run]
    slow.forget()
    assert list(folder.iterdir()) == []


def test_where_there_is_no_room_calls_go_on(tmp_path, run):
    record = Journal(tmp_path / "nowhere").begin(run, 0)
    record.load(0.5)
    record.finish(run, None)
    record.forget()


def test_a_key_is_there_whole_or_not_at_all(tmp_path):
    (tmp_path / f"key{keys.UNFINISHED}").write_text("half a k")
    key = keys.find(tmp_path).key
    keys.keep(key, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


def test_a_wheel_that_was_cut_off_while_it_was_made_is_removed(tmp_path):
    whole = wheel.build(tmp_path)
    with subprocess.Popen(["true"]) as ended:
        ended.wait()
    cut, written = whole.with_suffix(f".{ended.pid}"), whole.with_suffix(f".{os.getpid()}")
    cut.touch()
    written.touch()
    wheel.remove_unfinished(tmp_path)
    assert sorted(whole.parent.iterdir()) == sorted([whole, written])
