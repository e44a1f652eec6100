"""The data API against those who mean harm, and those who give up midway."""

import concurrent.futures
import errno
import hashlib
import os
import resource
import signal
import socket
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest

MEBIBYTE = 1024 * 1024


@pytest.fixture
def folder(server, request):
    """A collection, as the folder on the server's disk."""
    name = request.node.name.removeprefix("test_")[:30]
    assert server.session.post(f"{server.address}/v1/data/.my", json={"name": name}).status_code == 200
    yield server.data / "files" / "user" / "local" / name
    server.session.delete(f"{server.address}/v1/data/.my/{name}?force=true")


def raw(server, method, target, headers=(), body=b""):
    """Send a request as it is, with nothing tidied up, and return the socket."""
    where = urlsplit(server.address)
    connection = socket.create_connection((where.hostname, where.port), timeout=60)
    lines = [f"{method} {target} HTTP/1.1", "Host: x", f"Authorization: {server.key}", "Connection: close", *headers]
    connection.sendall("\r\n".join([*lines, "", ""]).encode() + body)
    return connection


def answered(connection):
    """Read an answer to its end, and return its status and all of it."""
    with connection:
        everything = b"".join(iter(lambda: connection.recv(65536), b""))
    return int(everything.split(b" ", 2)[1]), everything


def wait_until(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize(
    "target",
    [
        "/v1/data/.my/../../../key",
        "/v1/data/.my/c/../../../../key",
        "/v1/data/.my/c/%2e%2e/%2e%2e/%2e%2e/%2e%2e/key",
        "/v1/data/.my/c/..%2f..%2f..%2f..%2fkey",
        "/v1/data/.my/c/%252e%252e%252f%252e%252e%252fkey",
        "/v1/data//etc/passwd",
        "/v1/data/%2fetc%2fpasswd",
        "/v1/data/.my/c/%00",
        "/v1/data/.my/c/..%5c..%5ckey",
        "/v1/data/.my/c/%c0%ae%c0%ae/key",  # overlong
        "/v1/data/.my/c/%0d%0aEvil:%20yes",
        "/v1/data/.my/c/" + "x" * 20_000,
        "/v1/connector/../../../../etc/passwd",
        "/v1/data/.algo/../../key/temp",
        "/v1/data/.session/../../key",
    ],
)
def test_no_path_leads_out(server, target):
    for method in ("GET", "DELETE"):
        status, everything = answered(raw(server, method, target))
        assert status in (400, 404)
        assert server.key.encode() not in everything
        assert b"root:" not in everything
        assert b"\r\nEvil" not in everything
    assert (server.data / "key").read_text().strip() == server.key


def test_symbolic_links_are_not_followed(server, folder, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    (folder / "link").symlink_to(outside / "secret")
    os.mkfifo(folder / "pipe")
    (folder / "deeper").mkdir()
    planted = folder.parent / "planted"
    planted.symlink_to(outside)
    base = f"{server.address}/v1/data/.my"
    try:
        assert server.session.get(f"{base}/{folder.name}").json() == {}
        for name in ("link", "pipe", "deeper"):
            assert server.session.get(f"{base}/{folder.name}/{name}").status_code == 404
        assert server.session.get(f"{base}/planted").status_code == 404
        assert server.session.put(f"{base}/planted/secret", data=b"changed").status_code == 404
        assert server.session.delete(f"{base}/planted?force=true").status_code in (400, 404)
        assert server.session.delete(f"{base}/{folder.name}/deeper").status_code in (400, 404)
        assert {"name": "planted"} not in server.session.get(base).json()["folders"]
        assert server.session.put(f"{base}/{folder.name}/deeper", data=b"x").status_code == 400
        assert server.session.put(f"{base}/{folder.name}/link", data=b"mine").status_code == 200
        assert (outside / "secret").read_text() == "secret"
        assert server.session.get(f"{base}/{folder.name}/link").text == "mine"
        assert server.session.delete(f"{base}/{folder.name}?force=true").status_code == 200
        assert (outside / "secret").read_text() == "secret"
    finally:
        planted.unlink()


def test_files_and_folders_are_their_owners_alone(server, folder):
    server.session.put(f"{server.address}/v1/data/.my/{folder.name}/file", data=b"x")
    assert (folder / "file").stat().st_mode & 0o777 == 0o600
    for path in (folder, *list(folder.parents)[:3]):
        assert path.stat().st_mode & 0o777 == 0o700


def test_a_listing_of_many_files_has_pages(server, folder):
    for number in range(10_000):
        os.mknod(folder / f"{number:05}", 0o600)
    (folder / "not-utf8-\udcff").touch()
    pages, marker = [], None
    while marker != "":
        page = server.get(f"/v1/data/.my/{folder.name}", **({"marker": marker} if marker else {})).json()
        pages.append([file["filename"] for file in page["files"]])
        marker = page.get("marker", "")
    assert [len(page) for page in pages] == [1000] * 10
    assert [name for page in pages for name in page] == [f"{number:05}" for number in range(10_000)]


def test_an_upload_cut_off_midway_leaves_what_was_there(server, folder):
    url = f"{server.address}/v1/data/.my/{folder.name}/file"
    server.session.put(url, data=b"the old one")
    unfinished = server.data / "files" / "unfinished"
    for headers in (["Content-Length: 9000000"], ["Transfer-Encoding: chunked"]):
        body = b"400000\r\n" if "chunked" in headers[0] else b""
        connection = raw(server, "PUT", urlsplit(url).path, headers, body + b"x" * 2 * MEBIBYTE)
        wait_until(lambda: any(part.stat().st_size for part in unfinished.iterdir()))
        connection.close()
        wait_until(lambda: not list(unfinished.iterdir()))
    assert server.session.get(url).content == b"the old one"


def test_of_many_writers_the_last_wins_and_none_is_mixed(server, folder):
    url = f"{server.address}/v1/data/.my/{folder.name}/file"
    contents = [bytes([65 + number]) * (MEBIBYTE + number) for number in range(8)]

    def write(content):
        assert server.session.put(url, data=content).status_code == 200
        answer = server.session.get(url)
        assert answer.headers["ETag"] == f'"{hashlib.md5(answer.content).hexdigest()}"'
        return answer.content

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert all(content in contents for content in pool.map(write, contents * 2))


def test_a_reader_keeps_the_file_that_it_began_to_read(server, folder):
    url = f"{server.address}/v1/data/.my/{folder.name}/file"
    old = b"o" * 20 * MEBIBYTE
    server.session.put(url, data=old)
    with server.session.get(url, stream=True) as answer:
        server.session.put(url, data=b"new")
        assert answer.content == old
    assert server.session.get(url).content == b"new"


def memory(pid, which):
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(which)) * 1024


def test_a_large_file_takes_little_memory(server, folder, tmp_path, scaled):
    size = scaled(2000) * MEBIBYTE  # 100 MiB, unless at full counts
    source = tmp_path / "large"
    with source.open("wb") as file:
        file.truncate(size)
    url = f"{server.address}/v1/data/.my/{folder.name}/large"
    Path(f"/proc/{server.process.pid}/clear_refs").write_text("5")  # the peak is that from now on
    before = memory(server.process.pid, "VmRSS")
    with source.open("rb") as file:
        assert server.session.put(url, data=file).status_code == 200
    with server.session.get(url, stream=True) as answer:
        assert sum(map(len, answer.iter_content(MEBIBYTE))) == size
    assert memory(server.process.pid, "VmHWM") - before < 40 * MEBIBYTE


def test_limits_full_disks_and_a_kill(serve, project, tmp_path):
    plain = project("plain", {"main.py": "def apply(input):\n    return input\n"})
    first = serve(plain, data=tmp_path / "kept", options=["--max-file", "3"])
    url = f"{first.address}/v1/data/.my/c/file"
    first.session.post(f"{first.address}/v1/data/.my", json={"name": "c", "acl": {"read": []}})
    unfinished = tmp_path / "kept" / "files" / "unfinished"
    for sent in (b"x" * (3 * MEBIBYTE + 1), iter([b"x" * 2 * MEBIBYTE] * 2)):  # told at once, and noticed on the way
        refused = first.session.put(url, data=sent)
        assert refused.status_code == 413
        assert "larger than 3 MiB, this server's limit; start it with --max-file MIB" in refused.text
    headers = ["Content-Length: 9000000", "Expect: 100-continue"]
    assert answered(raw(first, "PUT", urlsplit(url).path, headers))[0] == 413  # without waiting for 9 MB
    assert first.session.put(url, data=b"x" * 3 * MEBIBYTE).status_code == 200

    resource.prlimit(first.process.pid, resource.RLIMIT_FSIZE, (MEBIBYTE, resource.RLIM_INFINITY))
    full = first.session.put(url, data=b"y" * 2 * MEBIBYTE)
    assert (full.status_code, os.strerror(errno.EFBIG) in full.json()["error"]["message"]) == (507, True)
    assert list(unfinished.iterdir()) == []
    assert first.session.get(url).content == b"x" * 3 * MEBIBYTE

    cut = raw(first, "PUT", urlsplit(url).path, ["Content-Length: 2000000"], b"z" * MEBIBYTE)
    wait_until(lambda: any(part.stat().st_size for part in unfinished.iterdir()))
    first.stop(signal.SIGKILL)
    cut.close()
    assert len(list(unfinished.iterdir())) == 1
    second = serve(plain, data=tmp_path / "kept")
    assert list(unfinished.iterdir()) == []
    again = second.session.get(f"{second.address}/v1/data/.my/c/file")
    assert again.headers["ETag"] == f'"{hashlib.md5(b"x" * 3 * MEBIBYTE).hexdigest()}"'
    assert second.get("/v1/data/.my/c", acl="true").json()["acl"] == {"read": []}
