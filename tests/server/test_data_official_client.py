"""The data API through the official client, unmodified."""

import re
from pathlib import Path

import numpy as np
import pytest
from Algorithmia.acl import ReadAcl
from Algorithmia.CLI import CLI
from Algorithmia.errors import DataApiError


@pytest.fixture
def client(server):
    made = server.client()
    yield made
    made.requestSession.close()


@pytest.fixture
def folder(client, request):
    """A collection of this test's own."""
    made = client.dir(f"data://.my/t{abs(hash(request.node.nodeid)) % 10**12}")
    made.create()
    yield made
    made.delete(force=True)


def test_texts_bytes_and_json_go_there_and_back(folder):
    file = folder.file("content")
    assert file.exists() is False
    for content in ("grüße", "", "x" * 100_000):
        file.put(content)
        assert file.exists() is True
        assert file.getString() == content
    file.put(b"\x00\xff")
    assert file.getBytes() == b"\x00\xff"
    file.putJson({"a": [1, None, "ü"]})
    assert file.getJson() == {"a": [1, None, "ü"]}
    assert file.delete() is True
    assert file.exists() is False


def test_arrays_go_there_and_back(folder):
    assert folder.file("array").putNumpy(np.arange(3)).getNumpy().tolist() == [0, 1, 2]


def test_files_go_there_and_back_empty_ones_too(folder, tmp_path):
    for name, content in (("full.bin", bytes(range(256)) * 1000), ("empty.bin", b"")):  # the empty one is sent chunked
        source = tmp_path / name
        source.write_bytes(content)
        folder.file(name).putFile(str(source))
        got = Path(folder.file(name).getFile(as_path=True))
        assert got.read_bytes() == content
        got.unlink()
    assert folder.file("full.bin").getName() == "full.bin"


def test_what_is_missing_is_told_in_the_clients_own_error(client, folder):
    with pytest.raises(DataApiError, match=r"there is no file data://\.my/\w+/nothing"):
        folder.file("nothing").getString()
    with pytest.raises(Exception, match=r"Response \[404\]"):
        client.file("data://.my/no_such_folder/file").put("x")


def test_folders_are_made_listed_and_deleted(client, folder):
    name = folder.getName()
    assert folder.exists() is True
    assert client.dir("data://.my/no_such_folder").exists() is False
    assert name in [one.getName() for one in client.dir("data://.my").dirs()]
    with pytest.raises(Exception, match=r"Response \[400\]"):
        folder.create()
    folder.file("a.txt").put("a")
    folder.file("b.txt").put("bb")
    assert [(file.getName(), file.size) for file in folder.files()] == [("a.txt", 1), ("b.txt", 2)]
    assert [file.getName() for file in folder.list()] == ["a.txt", "b.txt"]
    with pytest.raises(DataApiError, match="holds 2 files"):
        folder.delete()
    other = client.dir("data://.my/another")
    other.create(ReadAcl.public)
    assert other.delete() is True
    assert other.exists() is False


def test_permissions_are_kept(client, folder):
    assert folder.get_permissions().read_acl.pseudonym == "my_algos"
    for acl in (ReadAcl.public, ReadAcl.private, ReadAcl.my_algos):
        assert folder.update_permissions(acl) is True
        assert folder.get_permissions().read_acl is acl.read_acl


def test_the_client_learns_its_name(client):
    assert client.username() == "local"


def test_its_command_line_works(client, folder, tmp_path, capsys):
    command, uri = CLI(), f"data://{folder.path}"
    (tmp_path / "a.txt").write_text("grüße\n")
    command.mkdir(uri, client)  # it is there, and that is fine
    command.cp([str(tmp_path / "a.txt")], uri, client)
    command.cp([f"{uri}/a.txt"], f"{uri}/b.txt", client)
    command.cp([f"{uri}/b.txt"], str(tmp_path / "b.txt"), client)
    assert (tmp_path / "b.txt").read_text() == "grüße\n"
    assert command.ls(f"{uri}/", client).split() == [f"{folder.path}/a.txt", f"{folder.path}/b.txt"]
    assert re.fullmatch(r"[-\d]{10} [:\d]{8}   8   \S+/a\.txt\n", command.ls(f"{uri}/a.txt", client, longlist=True))
    assert f"{folder.path}/\n" in command.ls("data://.my/", client)
    assert command.ls(None, client).startswith("local/\n")
    assert command.cat([f"{uri}/*"], client) == "grüße\n" * 2
    command.rm(f"{uri}/a.txt", client)
    command.rmdir(uri, client)
    assert "holds a file" in capsys.readouterr().out
    command.rmdir(uri, client, force=True)
    command.mkdir(uri, client)
    assert command.ls(f"{uri}/", client) == ""
