"""`algoprof serve --watch`: what is saved is served, what does not build changes nothing, calls end as they began."""

import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

VERSION = "def apply(input):\n    return {!r}\n"
WAITING = """
def apply(input):
    import pathlib, time
    pathlib.Path(input, "begun").touch()
    while not pathlib.Path(input, "go").exists():
        time.sleep(0.01)
    return "old"
"""


@pytest.fixture(scope="module")
def watched(serve_module, tmp_path_factory):
    """A server that watches one project for each test, and what waits until it has said something."""
    root = tmp_path_factory.mktemp("watched")
    sources = {
        "live": VERSION.format("first"),
        "slow": WAITING,
        "wrong": "def apply(input:\n",
        "still": VERSION.format("one"),
    }
    for name, source in sources.items():
        (root / name).mkdir()
        (root / name / "main.py").write_text(source)
    serving = serve_module(*(root / name for name in sources), options=["--watch"])

    def until(words, times=1):
        deadline = time.monotonic() + 60  # a busy machine may take long
        while serving.said.count(words) < times:
            assert time.monotonic() < deadline, serving.said
            time.sleep(0.05)

    return SimpleNamespace(root=root, serving=serving, until=until)


def test_what_is_saved_is_served_and_what_fails_changes_nothing(watched):
    directory, serving = watched.root / "live", watched.serving
    assert serving.call("local/live")["result"] == "first"

    def save(source, words, times=1):
        (directory / "main.py").write_text(source)
        watched.until(words, times)

    save(VERSION.format("second"), "serving local/live version 1.0.1")
    assert serving.call("local/live")["result"] == "second"
    assert serving.call("local/live/1.0.0")["result"] == "first"
    save("def apply(input:\n", "still serving local/live version 1.0.1")
    assert f"not built: {directory}/main.py: line 1: " in serving.said
    assert serving.call("local/live")["result"] == "second"
    (directory / "requirements.txt").write_text("./none\n")
    save(VERSION.format("third"), "still serving local/live version 1.0.1", times=2)
    assert "pip could not install it" in serving.said
    assert serving.call("local/live")["result"] == "second"
    assert serving.get("/v1/algorithms/local/live/builds").json()["results"][0]["status"] == "failed"
    (directory / "requirements.txt").unlink()
    save(VERSION.format("first"), "serving local/live version 1.0.2")
    assert serving.call("local/live")["result"] == "first"
    environments = [path for path in (serving.data / "environments").iterdir() if path.is_dir()]
    assert len(environments) == 1  # that of the build that failed is gone
    aside = directory.rename(watched.root / "aside")
    watched.until(f"not built: {directory}: is no folder any more")
    aside.rename(directory)
    save(VERSION.format("back"), "serving local/live version 1.0.3")


def test_a_call_ends_on_the_version_that_it_began_on(watched, tmp_path):
    serving = watched.serving
    with ThreadPoolExecutor() as pool:
        under_way = pool.submit(serving.post, "local/slow?timeout=100", str(tmp_path))
        while not (tmp_path / "begun").exists():
            assert not under_way.done(), under_way.result().text
            time.sleep(0.01)
        (watched.root / "slow" / "main.py").write_text(VERSION.format("new"))
        watched.until("serving local/slow version 1.0.1")
        assert serving.call("local/slow")["result"] == "new"
        assert not under_way.done()
        (tmp_path / "go").touch()
        assert under_way.result().json()["result"] == "old"


def test_a_project_that_does_not_build_at_first_may_be_corrected(watched):
    assert "left out until it is corrected: " in watched.serving.said
    assert watched.serving.post("local/wrong").status_code == 404
    (watched.root / "wrong" / "main.py").write_text(VERSION.format("right"))
    watched.until("serving local/wrong version 1.0.0")
    assert watched.serving.call("local/wrong")["result"] == "right"


def test_what_is_touched_or_not_part_of_it_is_not_built_anew(watched):
    directory = watched.root / "still"
    (directory / "main.py").touch()
    (directory / "__pycache__").mkdir()
    (directory / "__pycache__" / "main.pyc").write_bytes(b"compiled")
    (directory / "main.py").write_text(VERSION.format("two"))
    watched.until("serving local/still version 1.0.1")
    assert watched.serving.said.count(f"building {directory}") == 2
