"""The data API as an algorithm uses it, with the client and the key that it finds where it runs."""

import os
import time

import pytest


@pytest.fixture
def collection(server, request):
    name = f"of_{request.node.name}"[:30]
    assert server.session.post(f"{server.address}/v1/data/.my", json={"name": name}).status_code == 200
    yield name
    server.session.delete(f"{server.address}/v1/data/.my/{name}?force=true")


def test_what_an_algorithm_writes_its_caller_reads(server, collection):
    uri = f"data://.my/{collection}/said"
    assert server.call("local/caller", {"put": {uri: "hello"}, "get": [uri]})["result"][uri] == "hello"
    assert server.get(f"/v1/data/.my/{collection}/said").text == "hello"
    assert server.get(f"/v1/data/local/{collection}/said").text == "hello"


def test_its_own_folders_have_a_short_name_inside(server):
    put = {"data://.algo/temp/a": "in temp", "data://.algo/perm/b": "in perm"}
    told = server.call("local/caller", {"put": put, "get": list(put)})["result"]
    assert [told[uri] for uri in put] == ["in temp", "in perm"]
    assert server.get("/v1/data/.algo/local/caller/temp/a").text == "in temp"
    listed = server.get("/v1/connector/data/.algo/local/caller").json()
    assert listed == {"folders": [{"name": "perm"}, {"name": "temp"}]}
    outside = server.get("/v1/data/.algo/temp/a")
    assert (outside.status_code, "write data://.algo/OWNER/NAME/temp" in outside.text) == (400, True)


def test_what_has_lain_in_temp_for_a_day_goes_with_the_next_that_comes(server):
    url = f"{server.address}/v1/data/.algo/demo/Adk/temp"
    for name in ("old", "young"):
        assert server.session.put(f"{url}/{name}", data=b"x").status_code == 200
    yesterday = time.time() - 25 * 3600
    os.utime(server.data / "files" / "algo" / "demo" / "Adk" / "temp" / "old", (yesterday, yesterday))
    assert server.session.put(f"{url}/next", data=b"x").status_code == 200
    assert [file["filename"] for file in server.session.get(url).json()["files"]] == ["next", "young"]


def test_a_session_is_shared_by_a_call_tree_and_gone_at_its_end(server):
    uri = "data://.session/shared"
    asked = {"put": {uri: "for my children"}, "call": {"do": "read", "path": "/v1/data/.session/shared"}}
    told = server.call("local/caller", asked)["result"]
    assert told["called"] == "for my children"
    alone = server.call("local/plain", {"do": "read", "path": "/v1/data/.session/shared"})["result"]
    assert alone == "there is no file data://.session/shared"
    assert list((server.data / "files" / "session").iterdir()) == []
    assert "one call tree" in server.get("/v1/data/.session/shared").json()["error"]["message"]


def test_a_worker_has_a_key_of_its_own(server):
    key = server.call("local/caller", {})["result"]["key"]
    assert key.startswith("sim")
    assert key != server.key
