"""The data API's answers, as the platform's contract has them."""

import hashlib
import re

import pytest


class Api:
    """Requests for what is below a path."""

    def __init__(self, server, path):
        self.server = server
        self.path = path

    def __call__(self, method, path="", **options):
        return self.server.session.request(method, self.server.address + self.path + path, timeout=60, **options)


@pytest.fixture(params=["/v1/data/", "/v1/connector/data/"])
def api(request, server):
    return Api(server, request.param)


@pytest.fixture
def collection(api):
    """A collection, as the path below the route."""
    assert api("POST", ".my", json={"name": "contract"}).json() == {"result": "data://.my/contract"}
    yield ".my/contract"
    api("DELETE", ".my/contract?force=true")


def told(answer):
    """The message of a refusal: in the body, and in a header for those who ask with HEAD."""
    error = answer.json()["error"]
    assert set(error) == {"id", "code", "message"}
    assert answer.headers["X-Error-Message"] == re.sub("[^ -~]", "?", error["message"])
    return error["message"]


def test_a_file_is_written_looked_at_read_and_deleted(api, collection):
    file, content = f"{collection}/cat.txt", b"a cat"
    put = api("PUT", file, data=content)
    assert (put.status_code, put.json()) == (200, {"result": "data://.my/contract/cat.txt"})
    head, got = api("HEAD", file), api("GET", file)
    for answer in (head, got):
        assert answer.status_code == 200
        assert answer.headers["X-Data-Type"] == "file"
        assert answer.headers["ETag"] == f'"{hashlib.md5(content).hexdigest()}"'
        assert answer.headers["Content-Length"] == "5"
        assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert (head.content, got.content) == (b"", content)
    assert api("DELETE", file).json() == {"result": {"deleted": 1}}
    gone = api("HEAD", file)
    assert (gone.status_code, gone.headers["X-Error-Message"]) == (404, "there is no file data://.my/contract/cat.txt")
    assert told(api("GET", file)) == told(api("DELETE", file)) == "there is no file data://.my/contract/cat.txt"


def test_a_part_of_a_file_can_be_had_and_none_that_is_known(api, collection):
    file = f"{collection}/part.bin"
    api("PUT", file, data=bytes(range(200)))
    etag = api("HEAD", file).headers["ETag"]
    part = api("GET", file, headers={"Range": "bytes=10-19", "If-Range": etag})
    assert (part.status_code, part.content) == (206, bytes(range(10, 20)))
    assert part.headers["Content-Range"] == "bytes 10-19/200"
    assert api("GET", file, headers={"Range": "bytes=200-"}).status_code == 416
    known = api("GET", file, headers={"If-None-Match": f'"other", {etag}'})
    assert (known.status_code, known.content) == (304, b"")
    api("PUT", file, data=b"new")
    assert api("GET", file, headers={"Range": "bytes=1-", "If-Range": etag}).content == b"new"


def test_what_is_sent_in_chunks_is_kept_too(api, collection):
    file = f"{collection}/chunked"
    for content in ([], [b"a", b"bc" * 70_000]):
        assert api("PUT", file, data=iter(content)).status_code == 200
        assert api("GET", file).content == b"".join(content)


def test_a_folder_is_listed(api, collection):
    empty = api("GET", collection)
    assert (empty.status_code, empty.json(), empty.headers["X-Data-Type"]) == (200, {}, "directory")
    api("PUT", f"{collection}/b", data=b"22")
    api("PUT", f"{collection}/a ü", data=b"")
    files = api("GET", collection).json()["files"]
    assert [(file["filename"], file["size"]) for file in files] == [("a ü", 0), ("b", 2)]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", file["last_modified"]) for file in files)
    assert {"name": "contract"} in api("GET", ".my").json()["folders"]
    assert api("GET").json()["folders"][0] == {"name": "local"}
    assert api("HEAD", collection).headers["X-Data-Type"] == "directory"
    assert told(api("GET", ".my/nothing")).startswith("there is no folder data://.my/nothing;")
    assert told(api("GET", "nobody")).startswith("there is no folder data://nobody;")


def test_another_user_has_folders_too(api):
    assert api("POST", "demo", json={"name": "models"}).json() == {"result": "data://demo/models"}
    assert api("PUT", "demo/models/m", data=b"x").json() == {"result": "data://demo/models/m"}
    assert [folder["name"] for folder in api("GET").json()["folders"]] == ["local", "demo"]
    assert api("DELETE", "demo/models?force=true").json() == {"result": {"deleted": 1}}


def test_a_folder_with_files_is_deleted_by_force_alone(api, collection):
    for name in "abc":
        api("PUT", f"{collection}/{name}", data=b"x")
    assert told(api("DELETE", collection)).startswith("data://.my/contract holds 3 files:")
    assert api("GET", f"{collection}/a").status_code == 200
    assert api("DELETE", f"{collection}?force=true").json() == {"result": {"deleted": 3}}
    assert api("DELETE", f"{collection}?force=true").status_code == 404
    assert api("POST", ".my", json={"name": "contract", "acl": None}).status_code == 200
    assert api("DELETE", collection).json() == {"result": {"deleted": 0}}


def test_the_acl_is_kept_and_goes_with_the_folder(api, collection):
    def read():
        return api("GET", collection, params={"acl": "true"}).json()["acl"]["read"]

    assert read() == ["algo://.my/*"]
    for acl in ([], ["user://*"], ["algo://.my/*"], []):
        patched = api("PATCH", collection, json={"acl": {"read": acl}})
        assert (patched.status_code, patched.content) == (200, b"")
        assert read() == acl
    api("DELETE", collection)
    api("POST", ".my", json={"name": "contract"})
    assert read() == ["algo://.my/*"]
    api("DELETE", collection)
    api("POST", ".my", json={"name": "contract", "acl": {"read": ["user://*"]}})
    assert read() == ["user://*"]


def test_hosted_data_lists_the_collections(api, collection):
    api("PATCH", collection, json={"acl": {"read": ["user://*"]}})
    listed = {one["collection_name"]: one for one in api.server.get("/v1/hostedData").json()["result"]}
    found = listed["contract"]
    assert (found["username"], found["location"]) == ("local", "data://local/contract")
    assert found["acl"] == {"read_w": True, "read_g": False, "read_u": True, "read_a": True}


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (("POST", ".my", {"data": b"{"}), "the request is no JSON object"),
        (("POST", ".my", {"data": b"[" * 100_000}), "the request is no JSON object"),
        (("POST", ".my", {"data": b"\xff"}), "the request is no JSON object"),
        (("POST", ".my", {"json": []}), "the request is no JSON object"),
        (("POST", ".my", {"json": {}}), "the folder has no name"),
        (("POST", ".my", {"json": {"name": ["x"]}}), "the folder has no name"),
        (("POST", ".my", {"json": {"name": "../x"}}), "cannot be the name of a collection"),
        (("POST", ".my", {"json": {"name": "x\r\nEvil: yes\ud800"}}), "cannot be the name of a collection"),
        (("POST", ".my", {"json": {"name": "x", "acl": "all"}}), "acl is "),
        (("POST", ".my", {"json": {"name": "x", "acl": {"read": ["user://demo"]}}}), "acl is "),
        (("POST", ".my", {"json": {"name": "x", "acl": {"read": [["user://*"]]}}}), "acl is "),
        (("POST", ".my", {"json": {"name": "contract"}}), "data://.my/contract exists already"),
        (("PATCH", ".my/contract", {"json": {}}), "acl is "),
        (("PATCH", ".my/contract", {"json": {"acl": {"read": ["user://*", "x"]}}}), "acl is "),
        (("PUT", ".my/contract/f", {"data": b"x", "headers": {"Content-Encoding": "gzip"}}), "send it whole and plain"),
        (("PUT", ".my/contract/f", {"data": b"x", "headers": {"Content-Range": "bytes 0-0/9"}}), "send it whole"),
        (("GET", ".my/contract?marker=%21", {}), "the marker '!' is none of this server's"),
        (("GET", ".my/contract?marker=/w==", {}), "is none of this server's"),
    ],
)
def test_what_cannot_be_done_is_said(api, collection, asked, message):
    method, path, options = asked
    answer = api(method, path, **options)
    assert answer.status_code == 400
    assert message in told(answer)
    assert "Evil" not in answer.headers
    assert collection in (".my/" + folder["name"] for folder in api("GET", ".my").json()["folders"])


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "", "GET, HEAD"),
        ("POST", ".my/contract", "DELETE, GET, HEAD, PATCH"),
        ("POST", ".my/contract/f", "DELETE, GET, HEAD, PUT"),
        ("POST", ".algo/demo/X", "GET, HEAD"),
        ("PATCH", ".my", "GET, HEAD, POST"),
        ("PATCH", ".algo/demo/X/perm", "DELETE, GET, HEAD"),
        ("PUT", ".my/contract", "DELETE, GET, HEAD, PATCH"),
        ("DELETE", ".my", "GET, HEAD, POST"),
    ],
)
def test_a_method_that_is_for_something_else_is_told_with_those_that_are_not(api, collection, method, path, allowed):
    answer = api(method, path, json={"name": "x", "acl": {"read": []}})
    assert (answer.status_code, answer.headers["Allow"]) == (405, allowed)
    assert f"; {method} " in told(answer)


def test_what_is_not_there_is_a_404(api):
    for method in ("GET", "DELETE", "PUT", "PATCH"):
        path = ".my/nothing" if method == "PATCH" else ".my/nothing/file"
        answer = api(method, path, json={"acl": {"read": []}})
        assert (answer.status_code, "there is no" in told(answer)) == (404, True)


def test_without_the_key_nothing_is_told(api):
    answer = api("HEAD", ".my", headers={"Authorization": "Simple wrong"})
    assert answer.status_code == 401
    assert "the API key is not this server's" in answer.headers["X-Error-Message"]
