"""Which files of builds stay in a data directory, and which are removed."""

import itertools
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from algoprof.server.building import pruning

PATIENCE = 30
SOURCE = """
import os, time

print({number})


def apply(input):
    if input:
        open(input + ".begun", "w").close()
        while not os.path.exists(input):
            time.sleep(0.01)
    return {number}
"""


def wait_until(condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def kept(serve, project):
    """A server that keeps the files of two builds, with what builds another one there and what counts its files."""

    class Kept:
        folder = project("live", {"main.py": SOURCE.format(number=0)})
        serving = serve(folder, options=["--keep", "2", "--idle", "0.1"])
        path = f"{serving.address}/v1/algorithms/local/live"

        def build(self, number, *, environment=False):
            (self.folder / "main.py").write_text(SOURCE.format(number=number))
            (self.folder / "none.txt").touch()
            (self.folder / "requirements.txt").write_text("-r none.txt\n" if environment else "")
            assert self.serving.session.post(f"{self.path}/compile", timeout=60).json()["compilation"]["successful"]

        def publish(self):
            return self.serving.session.post(f"{self.path}/versions", timeout=60).json()["version_info"]

        def names(self, folder):
            return {path.name for path in (self.serving.data / folder).iterdir()}

    return Kept()


def test_what_was_asked_for_and_what_is_in_use_and_new_is_kept(kept, tmp_path):
    serving = kept.serving
    first = kept.names("projects")
    kept.build(1, environment=True)
    assert kept.publish()["semantic_version"] == "1.0.1"
    asked, environments = kept.names("projects") - first, kept.names("environments")
    assert len(environments) == 2
    with ThreadPoolExecutor() as pool:
        call = pool.submit(serving.call, "local/live/1.0.0", str(tmp_path / "go"))
        wait_until((tmp_path / "go.begun").exists)
        kept.build(2)
        kept.build(3, environment=True)
        kept.build(4)
        assert len(kept.names("projects")) == 4  # the two last, the one that was asked for, the one in use
        assert kept.names("projects") > first | asked
        assert len(kept.names("environments")) == 3
        (tmp_path / "go").touch()
        assert call.result()["result"] == 0
    number = itertools.count(5)

    def removed():  # by a build that finds no worker of it any more
        kept.build(next(number))
        return not first & kept.names("projects")

    wait_until(removed)
    assert len(kept.names("projects")) == 3
    assert serving.call("local/live/1.0.1")["result"] == 1
    gone = serving.post("local/live/1.0.0", None)
    assert gone.status_code == 404
    assert gone.json()["error"]["message"].startswith("algorithm algo://local/live/1.0.0 has no files any more")
    told = serving.get("/v1/algorithms/local/live/versions/1.0.0").json()
    assert told["version_info"]["semantic_version"] == "1.0.0"
    assert len(kept.names("wheels")) == 1
    assert "removed 1 snapshot or environment of old builds" in serving.said
    assert not (serving.data / "removed").exists()


def test_a_server_that_starts_removes_what_another_one_left(serve, project, tmp_path):
    folder = project("live", {"main.py": SOURCE.format(number=0)})
    first = serve(folder, data=tmp_path / "data")
    assert first.call("local/live", None)["result"] == 0
    first.stop()
    projects, environments = tmp_path / "data" / "projects", tmp_path / "data" / "environments"
    lasting = [*projects.iterdir(), *environments.iterdir(), projects / "mine"]
    for left in (projects / ".tmp/project", projects / ("a" * 40), environments / ("b" * 16), projects / "mine"):
        left.mkdir(parents=True)
    (environments / ("b" * 16) / ".algoprof-finished").touch()
    (tmp_path / "data" / "removed" / "half").mkdir(parents=True)
    second = serve(folder, data=tmp_path / "data")
    assert second.call("local/live", None)["result"] == 0
    assert sorted([*projects.iterdir(), *environments.iterdir()]) == sorted(lasting)
    assert not (tmp_path / "data" / "removed").exists()
    assert "removed 3 snapshots and environments of old builds" in second.said


def test_a_name_that_no_build_gives_is_left_alone(tmp_path):
    assert pruning.set_aside(tmp_path, pruning.WHEELS, ()) == 0
    for name in ("0" * 16, "1" * 16, "mine", "0" * 17):
        (tmp_path / pruning.WHEELS / name).mkdir(parents=True)
    assert pruning.set_aside(tmp_path, pruning.WHEELS, {"1" * 16}) == 1
    assert sorted(path.name for path in (tmp_path / pruning.WHEELS).iterdir()) == ["0" * 17, "1" * 16, "mine"]
    pruning.empty(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [pruning.WHEELS]
