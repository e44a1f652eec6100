"""The server's small parts, each by itself: replies, versions, keys, snapshots, store."""

import os
import shutil
import subprocess
import threading
from itertools import pairwise

import pytest

from algoprof.errors import ProjectError, ServerError
from algoprof.server.access import keys
from algoprof.server.building import snapshots, versions
from algoprof.server.hosting import replies
from algoprof.server.state.store import Store, Version


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"no json",
        b"[]",
        b"null",
        b'{"result": 1}',
        b'{"result": 1, "metadata": {"content_type": "xml"}}',
        b'{"result": 1, "metadata": {"content_type": "text"}}',
        b'{"error": "text"}',
        b'{"error": {}}',
        b'{"result": Infinity, "metadata": {"content_type": "json"}}',
        b'{"result": "\xff", "metadata": {"content_type": "text"}}',
    ],
)
def test_a_reply_that_is_none_ends_its_worker(raw):
    reply = replies.parse(raw)
    assert reply.error is not None
    assert reply.error["error_type"] == "SystemExit"
    assert not reply.sound


def test_a_reply_that_is_too_deep_to_be_read_is_told_as_that_and_its_worker_goes_on():
    reply = replies.parse(b'{"result": ' + b"[" * 100_000 + b"]" * 100_000 + b', "metadata": {"content_type": "json"}}')
    assert reply == replies.TOO_DEEP
    assert reply.sound


def test_an_error_without_a_good_type_is_an_algorithm_error():
    assert replies.parse(b'{"error": {"message": 5, "error_type": null, "stacktrace": ""}}').error == {
        "message": "5",
        "error_type": "AlgorithmError",
    }


def version(major, minor, patch):
    return Version(0, "", major, minor, patch, "", f"{major}.{minor}.{patch}", 0)


@pytest.mark.parametrize(
    ("selector", "wanted"),
    [
        ("", "2.0.0"),
        ("latest", "2.0.0"),
        ("1", "1.10.0"),
        ("1.*", "1.10.0"),
        ("1.2", "1.2.3"),
        ("1.2.*", "1.2.3"),
        ("1.2.0", "1.2.0"),
        ("a" * 40, "1.2.0"),
        ("1.2.0.*", None),
        ("1.2.9", None),
        ("3", None),
        ("latestPrivate", None),
        ("*", None),
        ("1.2.3.4", None),
        ("../1", None),
        ("9" * 400, None),
    ],
)
def test_a_selector_means_the_newest_that_it_fits(selector, wanted):
    every = [version(2, 0, 0), version(1, 10, 0), version(1, 2, 3), version(1, 2, 0)]
    found = versions.select(every, selector, {"1.2.0": "a" * 40})
    assert (found and found.semantic) == wanted


def test_a_key_is_made_and_kept_and_private(tmp_path, monkeypatch):
    monkeypatch.delenv("ALGORITHMIA_API_KEY", raising=False)
    made = keys.find(tmp_path)
    assert made.origin == "made"
    assert keys.find(tmp_path).key.text != made.key.text  # until it is kept
    path = keys.keep(made.key, tmp_path)
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o644)
    again = keys.find(tmp_path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert (again.origin, again.key.text) == ("kept", made.key.text)
    assert made.key.text not in repr(made)


def test_an_empty_key_file_is_told(tmp_path):
    (tmp_path / "key").touch()
    with pytest.raises(ServerError, match="is empty: remove it"):
        keys.find(tmp_path)


def test_a_snapshot_is_of_the_content_and_stays(project, tmp_path):
    directory = project("kept", {"a.py": "1", "sub/b.txt": "2", "__pycache__/x.pyc": "3", ".git/HEAD": "4"})
    (directory / "link").symlink_to(directory / "a.py")
    (directory / "dangling").symlink_to("nowhere")
    os.mkfifo(directory / "fifo")
    first = snapshots.take(directory, tmp_path / "copies")
    held = {path.relative_to(first.path).as_posix() for path in first.path.rglob("*") if path.is_file()}
    assert held == {"a.py", "sub/b.txt", "link"}
    assert snapshots.take(directory, tmp_path / "copies") == first
    (directory / "a.py").write_text("changed")
    second = snapshots.take(directory, tmp_path / "copies")
    assert second.content != first.content
    assert (first.path / "a.py").read_text() == "1"
    assert len(first.content) == 40
    assert first.commit == first.content


def test_files_that_go_while_a_snapshot_is_taken_do_not_refuse_it(project, tmp_path):
    directory = project("busy", {"a.py": "1"})
    done = threading.Event()

    def come_and_go():
        while not done.is_set():
            (directory / "passing").mkdir()
            for number in range(50):
                (directory / "passing" / f"{number}.swp").write_text("x")
            shutil.rmtree(directory / "passing")

    passing = threading.Thread(target=come_and_go)
    passing.start()
    try:
        taken = [snapshots.take(directory, tmp_path / "copies") for _ in range(20)]
    finally:
        done.set()
        passing.join()
    assert all((snapshot.path / "a.py").read_text() == "1" for snapshot in taken)


def test_a_snapshot_is_named_for_its_commit_where_it_equals_one(project, tmp_path):
    directory = project("committed", {"a.py": "1"})
    settings = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    for command in (["init", "-q"], ["add", "."], [*settings, "commit", "-qm", "first"]):
        subprocess.run(["git", "-C", directory, *command], check=True)
    asked = subprocess.run(["git", "-C", directory, "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
    assert snapshots.take(directory, tmp_path / "copies").commit == asked.stdout.strip()
    (directory / "a.py").write_text("2")
    changed = snapshots.take(directory, tmp_path / "copies")
    assert changed.commit == changed.content


def test_a_folder_that_is_too_large_is_told(project, tmp_path, monkeypatch):
    monkeypatch.setattr(snapshots, "MAX_FILES", 2)
    directory = project("large", {"a.py": "", "b.py": "", "c.py": ""})
    with pytest.raises(ProjectError, match="holds more than 2 files; give the folder of one algorithm"):
        snapshots.take(directory, tmp_path / "copies")


def begin(store, algorithm, content):
    return store.begin_build(algorithm, commit_sha="c" * 40, content=content, environment="e", kind="apply", module="m")


def test_each_new_content_is_the_next_patch_version(tmp_path):
    store = Store(tmp_path / "db")
    algorithm = store.algorithm("demo", "Hello")
    published = []
    for content in ("a", "b", "b", "a"):
        build = store.finish_build(begin(store, algorithm, content), "succeeded")
        published.append(store.publish(build).semantic)
    assert published == ["1.0.0", "1.0.1", "1.0.1", "1.0.2"], "what goes back is the newest, not what it was before"
    assert [version.content for version in store.versions(algorithm)] == ["a", "b", "a"]
    assert all(newer.number > older.number for newer, older in pairwise(store.builds(algorithm)))
    store.close()


def test_a_build_that_the_server_did_not_survive_has_failed(tmp_path):
    store = Store(tmp_path / "db")
    begin(store, store.algorithm("demo", "Hello"), "a")
    store.close()
    store = Store(tmp_path / "db")
    (build,) = store.fail_unfinished()
    assert [build] == store.builds(store.algorithm("demo", "Hello"))
    assert build.status == "failed"
    assert build.finished_ms is not None
    store.close()


def test_the_error_log_is_bounded_and_takes_any_text(tmp_path):
    store = Store(tmp_path / "db")
    algorithm = store.algorithm("demo", "Hello")
    for number in range(205):
        error = {"message": "\ud800" + "m" * 200_000, "error_type": "\ud800"}
        store.record_error(algorithm, request_id=str(number), version="1.0.0", given="\ud800" * 500, error=error)
    errors = store.errors(algorithm)
    assert [failure.request_id for failure in errors] == [str(number) for number in range(204, 4, -1)]
    assert len(errors[0].error) <= 100_000
    assert len(errors[0].input) == 128
    store.close()
