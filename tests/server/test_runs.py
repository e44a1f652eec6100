"""The runs that a server keeps: bounded, damaged ones told apart, written after the answer."""

import asyncio
import resource
import sqlite3
import zlib

import pytest

from algoprof.errors import ProfileFileError
from algoprof.profiles.tree import Node, Profile
from algoprof.server.state import run_log
from algoprof.server.state.run_keeping import Keeper
from algoprof.server.state.run_log import Run, packed
from algoprof.server.state.store import Store

PROFILE = Profile("job", (Node("job", 1, closed_ns=5, children=(Node("load", 1, closed_ns=3),)),))


@pytest.fixture
def store(tmp_path):
    made = Store(tmp_path / "runs.sqlite3")
    yield made
    made.close()


@pytest.fixture
def run(store) -> Run:
    algorithm = store.algorithm("demo", "Hello")
    return Run(algorithm.id, "1.0.0", "req-0", 0, "ok", "", 0.1, 0.2, 0.3, 0.7, 10.0, "1", "")


def numbered(run: Run, count: int) -> list[tuple[Run, bytes | None]]:
    return [(run._replace(request_id=f"req-{number}"), None) for number in range(count)]


def test_a_run_comes_back_with_its_profile(store, run):
    store.runs.add([(run, packed(PROFILE))])
    assert store.runs.find("req-0") == run
    assert store.runs.profile("req-0") == PROFILE
    assert store.runs.find("req-1") is store.runs.profile("req-1") is None


def test_the_newest_are_kept(store, run, monkeypatch):
    monkeypatch.setattr(run_log, "KEPT", 3)
    store.runs.add(numbered(run, 4))
    store.runs.add([(run._replace(request_id="req-4"), None)])
    assert [kept.request_id for kept in store.runs.newest(10)] == ["req-4", "req-3", "req-2"]
    assert [kept.request_id for kept in store.runs.newest(1, run.algorithm_id)] == ["req-4"]
    assert store.runs.newest(10, "another") == []


def test_texts_are_bounded_and_can_be_stored(store, run):
    store.runs.add([(run._replace(input="\ud800" * 9999, error="e" * 9999, stdout="a" + "z" * 8000), None)])
    kept = store.runs.find("req-0")
    assert (len(kept.input), len(kept.error), kept.stdout) == (500, 4000, "z" * 8000)


def test_a_batch_is_kept_whole_or_not_at_all(store, run):
    with pytest.raises(sqlite3.IntegrityError):
        store.runs.add([*numbered(run, 2), (run, None)])
    assert store.runs.newest(10) == []
    store.runs.add(numbered(run, 2))


def test_a_profile_that_is_too_large_is_not_kept():
    spread = tuple(Node(str(hash((number, "name"))) * 50, 1, closed_ns=hash(str(number))) for number in range(2000))
    assert packed(Profile("job", spread)) is None


@pytest.mark.parametrize("data", [b"", b"no", zlib.compress(b"{}"), zlib.compress(b"[" * 100_000), packed(PROFILE)[:9]])
def test_a_damaged_profile_is_none(store, run, data):
    store.runs.add([(run, data)])
    assert store.runs.profile("req-0") is None


async def test_what_cannot_be_read_any_more_is_kept_without_a_profile(store, run, tmp_path):
    def gone() -> Profile:
        raise ProfileFileError("there", "is gone")

    keeper = Keeper(store.path, tmp_path / "runs", pytest.fail)
    keeper.keep(keeper.begin(run, 0), run, recorded=gone)
    await keeper.close()
    assert store.runs.find("req-0") == run
    assert store.runs.profile("req-0") is None


async def test_under_a_burst_every_run_is_kept_and_the_first_with_their_profiles(store, run, tmp_path):
    keeper = Keeper(store.path, tmp_path / "runs", pytest.fail)
    for one, _ in numbered(run, 200):
        keeper.keep(keeper.begin(one, 0), one, recorded=lambda: PROFILE)
    await keeper.close()
    assert len(store.runs.newest(1000)) == 200
    assert store.runs.profile("req-0") == PROFILE
    assert store.runs.profile("req-199") is None


async def test_a_database_that_fails_is_told_once_and_calls_go_on(store, run, tmp_path):
    said = []
    keeper = Keeper(store.path, tmp_path / "runs", said.append)
    for _ in range(3):  # the same request twice cannot be
        keeper.keep(keeper.begin(run, 0), run)
        await keeper.close()
        await asyncio.sleep(0)
    assert len(said) == 1
    assert "runs are not kept" in said[0]
    assert list((tmp_path / "runs").iterdir()) == []


def test_on_a_full_disk_calls_are_answered_as_ever(serve, project):
    serving = serve(project("full", {"main.py": "def apply(input):\n    return 1 / input\n"}))
    assert serving.call("local/full", 1)["result"] == 1  # its worker, and what is imported for a call, is there
    before = resource.prlimit(serving.process.pid, resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))
    failed = [serving.call("local/full", 0), serving.call("local/full", 0)]
    assert [answer["error"]["message"] for answer in failed] == ["division by zero"] * 2
    assert serving.call("local/full", 2)["result"] == 0.5
    resource.prlimit(serving.process.pid, resource.RLIMIT_FSIZE, before)
    last = serving.call("local/full", 0)["request_id"]
    assert last in {row["request_id"] for row in serving.get("/v1/algorithms/local/full/errors").json()}
