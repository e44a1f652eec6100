"""Files and folders against a server that may do anything: typed errors, nothing torn, nothing outside its folder."""

import hashlib
import io
import json
import os
import pickle
import socket
import threading
import time
import traceback
import tracemalloc
from pathlib import Path

import pytest

import algoprof
from algoprof.calls.data import plans
from algoprof.errors import ConfigurationError, DataApiError, DataTimeout

CONTENT = bytes(range(256)) * 1000
MD5 = hashlib.md5(CONTENT).hexdigest()


def test_a_missing_file_is_told_from_a_platform_that_does_not_say(files, client):
    file = client.file("data://.my/photos/cat.jpg")
    assert file.exists() is False
    assert file.existsWithError() == (False, "there is no file data://.my/photos/cat.jpg")
    for status in (401, 403, 500):
        files.says({"error": {"message": "no"}}, status, X_Error_Message="no, simVerySecretKey")
        with pytest.raises(DataApiError, match=f"answered {status}: no, ") as raised:
            file.exists()
        assert raised.value.status == status
        assert "simVerySecretKey" not in str(raised.value) + raised.value.message
        with pytest.raises(DataApiError):
            client.dir("data://.my/photos").exists()


def test_an_error_carries_what_it_is_about(files, client):
    with pytest.raises(DataApiError) as raised:
        client.file("data://.my/photos/cat.jpg").get()
    error = pickle.loads(pickle.dumps(raised.value))
    assert (error.status, error.code, error.message, error.uri) == (404, 3000, "not here", "data://.my/photos/cat.jpg")
    assert error.hint in str(error)
    with pytest.raises(DataApiError, match=r"is data://.my/photos there\? client.dir"):
        client.file("data://.my/photos/cat.jpg").put("x")


def test_a_key_in_an_answer_is_never_shown(files, client):
    files.says({"error": {"message": "the key simVerySecretKey is wrong"}}, 401)
    for ask in (
        client.file("data://.my/a/b").get,
        client.file("data://.my/a/b").delete,
        lambda: client.file("data://.my/a/b").put("x"),
        client.dir("data://.my/a").create,
        lambda: list(client.dir("data://.my/a").list()),
    ):
        with pytest.raises(DataApiError) as raised:
            ask()
        assert "simVerySecretKey" not in f"{raised.value} {vars(raised.value)}"
        assert "ALGORITHMIA_API_KEY" in raised.value.hint


@pytest.mark.parametrize(
    "said",
    [
        {"error": "simVerySecretKey"},
        {"folders": [{"name": "../simVerySecretKey"}]},
        {"files": [], "marker": {"x": "simVerySecretKey"}},
        {"acl": {"read": ["simVerySecretKey"]}},
    ],
)
def test_a_key_in_an_answer_is_in_no_variable_of_a_frame(files, client, said):
    files.says(said, 200, ETag='"simVerySecretKey"')
    folder = client.dir("data://.my/a")
    with pytest.raises(DataApiError) as raised:
        folder.get_permissions() if "acl" in said else list(folder.list())
    frames = raised.value.__traceback__.tb_next  # without this test's own, which has the key
    shown = traceback.TracebackException(DataApiError, raised.value, frames, capture_locals=True)
    assert "simVerySecretKey" not in "".join(shown.format())


def test_a_success_that_says_error_is_none(files, client):
    files.says({"error": {"message": "disk full"}})
    for ask in (client.file("data://.my/a/b").delete, lambda: client.file("data://.my/a/b").put("x")):
        with pytest.raises(DataApiError, match="disk full"):
            ask()


@pytest.mark.parametrize(
    "content", ["text", b"bytes", bytearray(b"array"), memoryview(b"view"), b"", "path", "file", "pipe"]
)
def test_what_is_written_is_what_is_given(files, client, tmp_path, content):
    files.says({"result": "data://.my/a/b"})
    wanted = content.encode() if isinstance(content, str) else bytes(content)
    (tmp_path / "x").write_bytes(wanted)
    given, opened = content, None
    if content == "path":
        given = tmp_path / "x"
    elif content == "file":
        given = opened = (tmp_path / "x").open("rb")
        opened.seek(2)
        wanted = wanted[2:]
    elif content == "pipe":
        read, write = os.pipe()
        os.write(write, wanted)
        os.close(write)
        given = opened = os.fdopen(read, "rb")
    file = client.file("data://.my/a/b")
    assert file.put(given) is file
    assert files.asked[-1].body == wanted
    assert ("content-length" in files.asked[-1].headers) is (content != "pipe")
    if opened:
        assert not opened.closed
        opened.close()


def test_what_cannot_be_written_is_refused_before_anything_is_sent(files, client, tmp_path):
    file = client.file("data://.my/a/b")
    with (tmp_path / "x").open("w+") as text, pytest.raises(ConfigurationError, match="opened as text"):
        file.put(text)
    for wrong in (7, None, [b"x"]):
        with pytest.raises(ConfigurationError, match="not from"):
            file.put(wrong)
    with pytest.raises(FileNotFoundError):
        file.putFile(str(tmp_path / "missing"))
    with pytest.raises(ConfigurationError, match="JSON"):
        file.putJson({"x": {1}})
    assert files.asked == []


def test_a_file_that_shrinks_while_it_is_sent_is_no_upload(files, client, tmp_path):
    path = tmp_path / "x"
    path.write_bytes(bytes(10))

    class Shrinking(io.FileIO):
        def read(self, size=-1):
            os.truncate(path, 3)
            return super().read(size)

    with Shrinking(path) as shrinking, pytest.raises(DataApiError, match="became shorter"):
        client.file("data://.my/a/b").put(shrinking)


def test_an_etag_that_is_another_md5_is_noticed(files, client, tmp_path):
    files.says(CONTENT, ETag=f'"{MD5}"')
    file = client.file("data://.my/a/b")
    assert file.get() == CONTENT
    files.says(CONTENT, ETag="0" * 32)
    for read in (file.get, lambda: file.download(tmp_path / "x"), lambda: file.put(CONTENT)):
        with pytest.raises(DataApiError, match="MD5"):
            read()
    assert list(tmp_path.iterdir()) == []
    assert file.download(tmp_path / "x", verify=False).read_bytes() == CONTENT
    files.says(CONTENT, ETag='"not-an-md5"')
    assert file.get() == CONTENT


def ranged(files, asked, *, cut=None, etag='"v1"'):
    start = int(asked.headers.get("range", "bytes=0-")[6:-1])
    rest = CONTENT[start:]
    headers = {"ETag": etag, "X-Data-Type": "file"}
    if start:
        headers["Content-Range"] = f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}"
    return files.reply(206 if start else 200, rest, headers, cut if len(rest) > (cut or 0) else None)


def test_a_download_goes_on_where_it_broke_off(files, client, tmp_path):
    files.answer = lambda asked: ranged(files, asked, cut=100_000)
    assert client.file("data://.my/a/b").download(tmp_path / "x").read_bytes() == CONTENT
    assert [asked.headers.get("range") for asked in files.asked] == [None, "bytes=100000-", "bytes=200000-"]
    assert {asked.headers.get("if-range") for asked in files.asked[1:]} == {'"v1"'}


def test_a_file_that_has_changed_meanwhile_is_read_anew(files, client):
    def answer(asked):
        if len(files.asked) == 1:
            return ranged(files, asked, cut=1000)
        return files.reply(200, b"another", {"ETag": '"v2"'})

    files.answer = answer
    assert client.file("data://.my/a/b").get() == b"another"


@pytest.mark.parametrize("wrong", ["bytes 0-9/10", "bytes 5-9/256000", "nonsense", ""])
def test_another_part_than_was_asked_for_is_refused(files, client, tmp_path, wrong):
    def answer(asked):
        told = ranged(files, asked, cut=1000)
        return files.reply(206, told.body, told.headers | {"Content-Range": wrong}) if told.status == 206 else told

    files.answer = answer
    with pytest.raises(DataApiError, match="another part"):
        client.file("data://.my/a/b").download(tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


def test_a_download_that_keeps_breaking_off_leaves_what_was_there(files, client, tmp_path):
    (tmp_path / "x").write_text("old")
    files.answer = lambda asked: files.reply(200, CONTENT, {}, 10)
    with pytest.raises(DataApiError, match="broke off"):
        client.file("data://.my/a/b").download(tmp_path / "x")
    assert (tmp_path / "x").read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_download_takes_its_place_in_one_step(files, client, tmp_path):
    files.says(CONTENT)
    file = client.file("data://.my/a/b.bin")
    assert file.download(tmp_path) == tmp_path / "b.bin"
    (tmp_path / "b.bin").chmod(0o640)
    (tmp_path / "link").symlink_to("b.bin")
    file.download(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "b.bin").stat().st_mode & 0o777 == 0o640
    with pytest.raises(FileExistsError):
        file.download(tmp_path / "b.bin", overwrite=False)
    with pytest.raises(FileNotFoundError):
        file.download(tmp_path / "no" / "where")


def test_a_device_is_written_as_it_is(files, client, tmp_path):
    files.says(b"content")
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    try:
        client.file("data://.my/a/b").download(tmp_path / "pipe")
        assert os.read(reader, 100) == b"content"
    finally:
        os.close(reader)
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


def test_a_full_disk_is_the_systems_error_and_leaves_nothing(files, client):
    files.says(CONTENT)
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full")
    with Path("/dev/full").open("wb", buffering=0) as full, pytest.raises(OSError, match="No space left"):
        client.file("data://.my/a/b").copy_to(full)


def test_a_folder_is_no_file_and_a_file_no_folder(files, client):
    files.says({"files": []}, X_Data_Type="directory")
    with pytest.raises(DataApiError, match="it is a folder"):
        client.file("data://.my/a").get()
    assert client.file("data://.my/a").exists() is False
    assert client.dir("data://.my/a").exists() is True
    files.says(CONTENT, X_Data_Type="file")
    with pytest.raises(DataApiError, match="it is a file"):
        list(client.dir("data://.my/a").list())
    assert client.dir("data://.my/a").exists() is False


@pytest.mark.parametrize(
    ("listing", "says"),
    [
        (b"<html>", "not JSON"), ([], "an object"), ({"files": 7}, "no list"),
        ({"files": [{"filename": 7}]}, "no filename"), ({"marker": 7, "files": []}, "marker"),
        ({"files": [{"filename": "../x"}]}, "nothing that can be in a folder"),
        ({"folders": [{"name": "a"}], "marker": "same"}, "there before"), ({"marker": "same"}, "there before"),
    ],
)  # fmt: skip
def test_a_listing_that_cannot_be_is_an_error(files, client, listing, says):
    files.says(listing)
    with pytest.raises(DataApiError, match=says):
        list(client.dir("data://.my/a").list())


def test_pages_are_asked_for_when_they_are_needed(files, client):
    def answer(asked):
        number = int(asked.query.get("marker", ["0"])[0])
        page = {"files": [{"filename": f"f{number}", "size": 1, "last_modified": "2020-01-01T00:00:00.000Z"}]}
        return files.reply(200, json.dumps(page | {"marker": str(number + 1)}).encode())

    files.answer = answer
    found = client.dir("data://.my/a").files()
    assert files.asked == []
    assert [next(found).getName() for _ in range(3)] == ["f0", "f1", "f2"]
    assert len(files.asked) == 3


def test_no_name_in_a_listing_leads_out_of_the_folder(files, client, tmp_path):
    names = ["../out", "..", "/etc/out", "a/../../out", "out\0"]
    for name in names:
        for kind in ({"folders": [{"name": name}]}, {"files": [{"filename": name}]}):
            files.says(kind)
            with pytest.raises(DataApiError, match="nothing that can be in a folder"):
                client.dir("data://.my/a").download(tmp_path / "in")
    assert [path.name for path in tmp_path.rglob("*")] in ([], ["in"])


def test_folders_without_end_are_given_up(files, client, tmp_path):
    files.says({"folders": [{"name": "a"}]})
    with pytest.raises(DataApiError, match="levels deep"):
        client.dir("data://.my/a").download(tmp_path)


def test_nothing_that_moves_any_more_is_given_up(raw_server, make_client, monkeypatch, tmp_path):
    monkeypatch.setattr(plans, "IDLE", 0.2)

    def script(connection: socket.socket, stop: threading.Event) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbegun")
        stop.wait()

    file = make_client("simKey", raw_server(script)).file("data://.my/a/b")
    with pytest.raises(DataTimeout, match="nothing more came"):
        file.download(tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_trickles_is_kept_to_the_timeout(raw_server, make_client):
    def script(connection: socket.socket, stop: threading.Event) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while not stop.wait(0.01):
            connection.sendall(b"x")

    file = make_client("simKey", raw_server(script)).file("data://.my/a/b")
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        file.get(timeout=0.3)
    assert time.monotonic() - began < 20


def test_an_upload_that_nobody_reads_is_given_up(raw_server, make_client, monkeypatch):
    monkeypatch.setattr(plans, "IDLE", 0.2)
    address = raw_server(lambda connection, stop: stop.wait())
    with pytest.raises(DataTimeout):
        make_client("simKey", address).file("data://.my/a/b").put(bytes(50_000_000))


def test_a_refusal_in_the_middle_of_an_upload_is_read(raw_server, make_client):
    body = b'{"error": {"message": "over the limit"}}'

    def script(connection: socket.socket, stop: threading.Event) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 413 X\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        stop.wait()  # it neither reads on nor closes

    file = make_client("simKey", raw_server(script)).file("data://.my/a/b")
    with pytest.raises(DataApiError, match="over the limit") as raised:
        file.put(bytes(50_000_000))
    assert raised.value.status == 413


def test_a_large_file_needs_little_memory(files, client, tmp_path):
    files.says(bytes(30_000_000))
    tracemalloc.start()
    client.file("data://.my/a/b").download(tmp_path / "got")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5_000_000
    assert (tmp_path / "got").stat().st_size == 30_000_000


def test_within_a_run_the_budget_is_the_limit(client, files):
    files.says(CONTENT)
    with algoprof.profile("job", timeout=1e-6), pytest.raises(DataTimeout, match="nothing remains"):
        client.file("data://.my/a/b").get()
    assert files.asked == []
    for wrong in (0, -1, "9", True, float("nan")):
        with pytest.raises(ConfigurationError, match="timeout"):
            client.file("data://.my/a/b").get(timeout=wrong)


def test_a_file_reads_as_one_of_this_machine(files, client):
    files.says("one\ntwo\nthrée\n".encode())
    file = client.file("data://.my/a/b.txt", cleanup=True)
    assert (file.readline(), file.read(), file.read()) == ("one\n", "two\nthrée\n", "")
    file.seek(0)
    assert file.readlines() == ["one\n", "two\n", "thrée\n"]
    file.seek(0)
    assert [*file] == ["one\n", "two\n", "thrée\n"]
    assert len(files.asked) == 1
    file.close()
    with client.file("data://.my/a/b.txt") as opened:
        assert opened.readline() == "one\n"
    with file.getFile() as copy:
        assert copy.read() == "one\ntwo\nthrée\n"
    assert copy.name.endswith(".txt")
    Path(copy.name).unlink()


def test_archives_go_there_and_back(files, client, tmp_path):
    kept: list[bytes] = []

    def answer(asked):
        if asked.method == "PUT":
            kept[:] = [asked.body]
            return files.reply()
        return files.reply(200, kept[0])

    files.answer = answer
    (tmp_path / "in" / "deep").mkdir(parents=True)
    (tmp_path / "in" / "a").write_text("A")
    (tmp_path / "in" / "deep" / "b").write_text("B")
    file = client.file("data://.my/a/b.zip").putAsZip(tmp_path / "in")
    unpacked = file.getAsZip()
    assert Path(unpacked, "deep", "b").read_text() == "B"
    single = client.file("data://.my/a/b.zip").putAsZip(tmp_path / "in" / "a").getAsZip()
    assert Path(single).read_text() == "A"
    kept[:] = [b"no archive"]
    with pytest.raises(DataApiError, match="no ZIP"):
        file.getAsZip()


def test_a_local_file_has_the_same_methods_and_keeps_its_source(client, tmp_path):
    source = tmp_path / "source"
    source.write_text('{"a": 1}')
    file = client.file(f"file://{tmp_path}/copy")
    assert file.exists() is False
    file.putFile(str(source))
    assert source.read_text() == file.getString() == '{"a": 1}'
    assert (file.getJson(), file.getBytes(), file.getName()) == ({"a": 1}, b'{"a": 1}', "copy")
    file.put("text").set_attributes()
    assert file.size == 4
    folder = client.dir(f"file://{tmp_path}")
    assert list(folder.files()) == ["copy", "source"]
    folder.dir("inner").create()
    assert list(folder.dirs()) == ["inner"]
    assert folder.dir("inner").delete() is file.delete() is True
    with pytest.raises(DataApiError, match="No such file"):
        file.get()
