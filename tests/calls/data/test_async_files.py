"""The files of `AsyncClient` against a server that may do anything: the same errors, nothing torn."""

import asyncio
import socket
import threading

import pytest

import algoprof
from algoprof.calls.data import plans
from algoprof.errors import DataApiError, DataTimeout

CONTENT = bytes(range(256)) * 1000


def client(address):
    return algoprof.AsyncClient("simVerySecretKey", address)


async def test_a_download_goes_on_where_it_broke_off(files, tmp_path):
    def answer(asked):
        start = int(asked.headers.get("range", "bytes=0-")[6:-1])
        headers = {"ETag": '"v1"', "Content-Range": f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}"}
        return files.reply(
            206 if start else 200, CONTENT[start:], headers, 100_000 if len(CONTENT) - start > 100_000 else None
        )

    files.answer = answer
    async with client(files.address) as asked:
        path = await asked.file("data://.my/a/b").download(tmp_path / "x")
    assert path.read_bytes() == CONTENT
    assert [asked.headers.get("range") for asked in files.asked] == [None, "bytes=100000-", "bytes=200000-"]


async def test_what_goes_wrong_is_told_and_leaves_nothing(files, tmp_path):
    async with client(files.address) as asked:
        file = asked.file("data://.my/a/b")
        assert await file.exists() is False
        files.says(CONTENT, ETag="0" * 32)
        with pytest.raises(DataApiError, match="MD5"):
            await file.download(tmp_path / "x")
        files.says({"error": {"message": "no, simVerySecretKey"}}, 403)
        with pytest.raises(DataApiError, match="no, ") as raised:
            await file.put(CONTENT)
        assert "simVerySecretKey" not in f"{raised.value} {vars(raised.value)}"
        files.says({"folders": [{"name": "../x"}]})
        with pytest.raises(DataApiError, match="nothing that can be in a folder"):
            await asked.dir("data://.my/a").download(tmp_path)
        with pytest.raises(FileNotFoundError):
            await file.putFile(str(tmp_path / "missing"))
    assert list(tmp_path.iterdir()) == []


async def test_content_of_any_kind_is_sent(files, tmp_path):
    (tmp_path / "x").write_bytes(CONTENT)
    files.says({"result": "data://.my/a/b"})
    async with client(files.address) as asked:
        file = asked.file("data://.my/a/b")
        for content in (CONTENT, tmp_path / "x", b"", "text"):
            assert await file.put(content) is file
    assert [one.body for one in files.asked] == [CONTENT, CONTENT, b"", b"text"]
    assert [int(one.headers["content-length"]) for one in files.asked] == [len(CONTENT), len(CONTENT), 0, 4]


async def test_nothing_that_moves_any_more_is_given_up(raw_server, monkeypatch, tmp_path):
    monkeypatch.setattr(plans, "IDLE", 0.2)

    def script(connection: socket.socket, stop: threading.Event) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbegun")
        stop.wait()

    async with client(raw_server(script)) as asked:
        with pytest.raises(DataTimeout):
            await asked.file("data://.my/a/b").download(tmp_path / "x")
        assert list(tmp_path.iterdir()) == []


async def test_a_cancelled_download_leaves_nothing(raw_server, tmp_path):
    begun = threading.Event()

    def script(connection: socket.socket, stop: threading.Event) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbegun")
        begun.set()
        stop.wait()

    async with client(raw_server(script)) as asked:
        task = asyncio.create_task(asked.file("data://.my/a/b").download(tmp_path / "x"))
        assert await asyncio.to_thread(begun.wait, 30)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert list(tmp_path.iterdir()) == []
