"""Our own clients' files and folders, and `algoprof data`, against this server."""

import asyncio
import hashlib
import io
import json
import os
import subprocess
import sys
import threading

import Algorithmia
import pytest

import algoprof
from algoprof.errors import DataApiError


@pytest.fixture
def client(server):
    with algoprof.client(server.key, server.address) as made:
        yield made


@pytest.fixture
def folder(client, request):
    made = client.dir(f"data://.my/c{hashlib.sha256(request.node.name.encode()).hexdigest()[:20]}")
    made.create()
    yield made
    if made.exists():
        made.delete(force=True)


@pytest.fixture
def data(server, command_line, tmp_path, monkeypatch):
    """Run `algoprof data` against the server."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments, given=""):
        return command_line("data", *arguments, "--data", server.data, given=given)

    return run


def test_what_is_written_is_read_again(client, folder, tmp_path):
    large = os.urandom(3_000_000)
    (tmp_path / "in").write_bytes(large)
    for content, held in (
        ("tëxt", "tëxt".encode()),
        (b"", b""),
        (tmp_path / "in", large),
        (io.BytesIO(b"xyz"), b"xyz"),
    ):
        file = folder.file("a strange %2F name?#.txt").put(content)
        assert file.get() == file.getBytes() == held
        assert file.exists()
        assert file.download(tmp_path / "out").read_bytes() == held
    assert folder.file("json").putJson({"a": [1, None]}).getJson() == {"a": [1, None]}
    assert folder.file("json").getString() == '{"a": [1, null]}'
    read, write = os.pipe()

    def feed() -> None:
        with os.fdopen(write, "wb") as pipe:
            pipe.write(large)

    writer = threading.Thread(target=feed)
    writer.start()
    with os.fdopen(read, "rb") as pipe:
        assert folder.file("piped").put(pipe).get() == large
    writer.join()


def test_the_key_names_its_account_as_in_the_official_client(client, folder, server):
    assert folder.exists()
    assert client.username() == Algorithmia.client(server.key, server.address).username() == "local"


def test_a_folder_lists_what_is_in_it(client, folder):
    for name in ("b", "a"):
        folder.file(name).put(name * 7)
    assert [(one.getName(), one.size, one.last_modified is not None) for one in folder.files()] == [
        ("a", 7, True),
        ("b", 7, True),
    ]
    assert list(folder.dirs()) == []
    assert folder.getName() in [one.getName() for one in client.dir("data://.my").dirs()]
    with pytest.raises(DataApiError) as raised:
        folder.delete()
    assert raised.value.status == 400
    assert folder.file("a").delete()
    assert folder.delete(force=True)
    assert not folder.exists()
    with pytest.raises(DataApiError, match="check the path"):
        list(folder.list())


def test_a_folder_is_made_once_and_shared(folder):
    with pytest.raises(DataApiError):
        folder.create()
    folder.create(exist_ok=True)
    assert folder.get_permissions() == algoprof.ReadAcl.my_algos
    for acl in (algoprof.ReadAcl.public, algoprof.ReadAcl.private):
        assert folder.update_permissions(acl)
        assert folder.get_permissions() == acl


def test_the_official_client_reads_what_ours_writes(server, folder):
    folder.file("a.json").putJson([1, 2])
    official = server.client()
    assert official.file(folder.file("a.json").uri).getJson() == [1, 2]
    official.file(folder.file("b").uri).put("theirs")
    assert folder.file("b").getString() == "theirs"


def test_a_wrong_key_is_no_answer_about_existence(server):
    with algoprof.client("simWrong", server.address) as stranger, pytest.raises(DataApiError, match="401"):
        stranger.file("data://.my/a/b").exists()


def test_an_input_that_is_no_json_arrives_as_files(client, tmp_path):
    algo = client.algo("local/plain")
    content = os.urandom(2_000_000)
    (tmp_path / "photo.jpg").write_bytes(b"jpg")
    response = algo.pipe({"frames": [content, tmp_path / "photo.jpg"], "n": 1}, upload=True)
    frames = response.result["frames"]
    assert response.result["n"] == 1
    assert frames[1].endswith(".jpg")
    assert [client.file(uri).get() for uri in frames] == [content, b"jpg"]
    assert (response.call.uploads, response.call.upload_bytes) == (2, 2_000_003)
    again = algo.pipe([content], upload=True)
    assert (again.result, again.call.uploads, again.call.upload_bytes) == (frames[:1], 1, 0)
    large = algo.pipe({"text": ["x" * 1000] * 11_000}, upload=True)
    assert len(client.file(large.result).getJson()["text"]) == 11_000


def test_asyncio_has_the_same_files(server, folder, tmp_path):
    async def main() -> None:
        async with algoprof.AsyncClient(server.key, server.address) as client:
            there = client.dir(folder.uri)
            file = await there.file("a").put(b"x" * 1_000_000)
            assert await file.exists()
            assert await file.get() == b"x" * 1_000_000
            await there.file("b").putJson([1])
            assert await there.file("b").getJson() == [1]
            assert [one.getName() async for one in there.list()] == ["a", "b"]
            assert await there.download(tmp_path / "all") == 2
            assert (tmp_path / "all" / "b").read_text() == "[1]"
            assert await there.get_permissions() == algoprof.ReadAcl.my_algos
            response = await client.algo("local/plain").pipe([b"async"], upload=True)
            assert await client.file(response.result[0]).get() == b"async"
            with pytest.raises(DataApiError, match="check the path"):
                await there.file("missing").get()
            assert await file.delete()

    asyncio.run(main())


def test_the_command_line_lists_reads_and_writes(data, folder, tmp_path):
    uri = folder.uri
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8jpg")
    assert data("put", "photo.jpg", f"{uri}/").returncode == 0
    assert data("put", "-", f"{uri}/from stdin", given="typed").returncode == 0
    listed = data("ls", uri).stdout.splitlines()
    assert [line.split("  ")[-1] for line in listed] == ["from stdin", "photo.jpg"]
    assert listed[0].lstrip().startswith("5 B")
    told = json.loads(data("ls", uri, "--json").stdout)
    assert [(one["type"], one["uri"], one["size"]) for one in told] == [
        ("file", f"{uri}/from stdin", 5),
        ("file", f"{uri}/photo.jpg", 5),
    ]
    assert data("cat", f"{uri}/from stdin").stdout == data("get", f"{uri}/from stdin", "-").stdout == "typed"
    assert "--force" in data("get", f"{uri}/photo.jpg").stderr
    assert data("get", f"{uri}/photo.jpg", "--force").returncode == 0
    assert (tmp_path / "photo.jpg").read_bytes() == b"\xff\xd8jpg"
    assert json.loads(data("get", f"{uri}/from stdin", "here", "--json").stdout) == [{"path": "here", "size": 5}]
    assert data("rm", f"{uri}/photo.jpg").returncode == 0
    missing = data("cat", f"{uri}/photo.jpg")
    assert (missing.returncode, missing.stdout, "404" in missing.stderr) == (1, "", True)


def test_the_command_line_moves_whole_folders(data, folder, tmp_path):
    uri = folder.uri
    (tmp_path / "in").mkdir()
    for name in ("a", "b"):
        (tmp_path / "in" / name).write_text(name)
    assert "-r" in data("put", "in", uri).stderr
    assert "2 files" in data("put", "-r", "in", uri).stderr
    assert "-r" in data("get", uri).stderr
    assert data("get", "-r", uri, "out").returncode == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a", "b"]
    assert data("get", "-r", uri, "out").returncode == 0, "a folder that is there gets the folder"
    assert sorted(path.name for path in (tmp_path / "out" / folder.getName()).iterdir()) == ["a", "b"]
    assert "--force" in data("get", "-r", uri, "out").stderr
    assert "--force" in data("rm", "-r", uri).stderr
    refused = data("rm", uri)
    assert refused.returncode == 1
    assert "-r deletes a folder with all that is in it" in refused.stderr
    assert data("rm", "-r", "--force", uri).returncode == 0
    assert not folder.exists()
    assert data("rm", "--force", uri).returncode == 0
    assert json.loads(data("rm", "--force", "--json", uri).stdout) == {"deleted": None}
    assert json.loads(data("mkdir", "--json", uri).stdout) == {"uri": uri}
    assert json.loads(data("rm", "--json", uri).stdout) == {"deleted": uri}
    assert [data(*one, uri).returncode for one in (["mkdir"], ["mkdir"], ["mkdir", "-p"])] == [0, 1, 0]


def test_the_command_line_calls_with_more_than_a_call_takes(command_line, server, client, tmp_path):
    for name, content in (("large.bin", bytes(11 << 20)), ("large.txt", b"x" * (12 << 20))):
        (tmp_path / name).write_bytes(content)
        call = ["call", "local/plain", "--data-dir", server.data, "--file", tmp_path / name]
        refused = command_line(*call)
        assert (refused.returncode, "upload" in refused.stderr) == (1, True)
        done = command_line(*call, "--upload")
        assert client.file(done.stdout.strip()).get() == content


def test_the_command_line_is_about_the_platforms_files(data):
    for arguments in (
        ("cat", "file:///etc/hostname"),
        ("ls", "file:///etc"),
        ("cat", "http://h/x"),
        ("cat", "data://.."),
    ):
        done = data(*arguments)
        assert (done.returncode, "data://" in done.stderr) == (1, True), arguments


def test_an_interrupted_download_leaves_nothing(server, folder, tmp_path):
    folder.file("large").put(bytes(20_000_000))
    script = """
import os, signal, sys
import algoprof
from algoprof.calls.data import receiving

write = receiving.Receiver.write
def interrupt(self, piece):
    os.kill(os.getpid(), signal.SIGINT)
    write(self, piece)
receiving.Receiver.write = interrupt
algoprof.client(data=sys.argv[1]).file(sys.argv[2]).download(sys.argv[3])
"""
    target = tmp_path / "target"
    target.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", script, str(server.data), folder.file("large").uri, str(target)],
        check=False, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode != 0
    assert "KeyboardInterrupt" in done.stderr
    assert list(target.iterdir()) == []
