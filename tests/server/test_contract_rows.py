"""Rows of the platform's contract that the official client and its command see, and that no other test here has."""

import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from algoprof.calls.access.keys import Secret
from algoprof.calls.client import client as caller
from algoprof.errors import AlgorithmException, CallTimeout

ALGO = Path(sys.executable).with_name("algo")
REBUILT = """
import os, time

def apply(input):
    if input == "fail":
        raise ValueError("no photo")
    if input == "hang":
        time.sleep(100)
    if input == "end":
        os._exit(3)
    return {}
"""


@pytest.fixture
def client(server):
    made = server.client()
    yield made
    made.requestSession.close()


@pytest.fixture
def algo(server, tmp_path):
    """Run the official client's command, with a profile of its own; return what it prints."""
    folder = tmp_path / ".algorithmia"
    folder.mkdir()
    fields = {"api_key": server.key, "api_server": server.address, "ca_cert": "", "bearer_token": ""}
    told = [f"{name} = '{value}'" for name, value in fields.items()]
    (folder / "config").write_text("\n".join(["[profiles.default]", *told, ""]))

    def run(*arguments):
        environment = os.environ | {"HOME": str(tmp_path)}
        ended = subprocess.run(
            [ALGO, *arguments], env=environment, cwd=tmp_path, stdout=subprocess.PIPE, text=True, timeout=60, check=True
        )
        return ended.stdout

    return run


@pytest.fixture(scope="module")
def rebuilt(serve_module, tmp_path_factory):
    """A server that tells failures by their status, whose algorithm was published twice and then built once more."""
    folder = tmp_path_factory.mktemp("projects") / "rebuilt"
    folder.mkdir()
    (folder / "main.py").write_text(REBUILT.format(1))
    serving = serve_module(folder, options=["--failures-by-status"])
    assert serving.address, serving.said
    made = serving.client()
    for number in (2, 3):
        (folder / "main.py").write_text(REBUILT.format(number))
        assert made.algo("local/rebuilt").compile()["compilation"]["successful"]
        if number == 2:
            made.algo("local/rebuilt").publish()
    yield serving
    serving.official.close()


def test_its_command_calls_and_lists_builds(algo, tmp_path):
    assert algo("run", "local/plain", "--data", "grüße", "--timeout", "30") == "grüße\n"
    assert algo("run", "local/plain", "--json", '{"do": "say"}', "--debug") == "said\n"
    (tmp_path / "input.txt").write_text("from a file")
    algo("run", "local/plain", "--text-file", "input.txt", "--output", "output.txt")
    assert (tmp_path / "output.txt").read_text() == "from a file"
    assert re.search("""['"]status['"]: ['"]succeeded""", algo("builds", "local", "plain"))


def test_an_owner_that_is_called_as_a_route_is_an_owner(server):
    """`/v1/algorithms/{id}/errors` is one of an id alone: here it is an algorithm `errors` of somebody's."""
    for name in ("errors", "builds", "versions"):
        answer = server.get(f"/v1/algorithms/hello/{name}")
        assert (answer.status_code, "No such algorithm" in answer.json()["error"]["message"]) == (404, True)


def test_the_errors_of_a_user_or_an_organization_are_those_of_its_algorithms(client, server):
    request = server.call("local/plain", {"do": "fail", "message": "of local"})["request_id"]
    for errors in (client.get_user_errors("local"), client.get_organization_errors("local")):
        assert errors[0]["request_id"] == request
        assert {row["username"] for row in errors} == {"local"}
    assert "nobody here is called stranger" in client.get_user_errors("stranger")["error"]["message"]


def test_what_the_platform_keeps_and_a_folder_says_is_answered(client, server):
    algo = client.algo("local/plain")
    assert algo.get_scm_status() == {"scm_connection_status": "active"}
    with pytest.raises(Exception, match=r"Failure: <Response \[400\]>"):  # the client reads no further
        algo.create({"label": "x"}, {"license": "apl"})
    refused = server.session.post(f"{server.address}/v1/algorithms/local", json={"name": "new"}, timeout=20)
    assert "algoprof serve DIR" in refused.json()["error"]["message"]
    updated = algo.update(details={"label": "x"}, settings={"license": "apl"})  # it sends a form, of the keys alone
    assert (updated["id"], updated["details"]) == (algo.get_algorithm_id(), {"label": "plain"})


def test_a_build_that_is_not_published_is_called_by_its_hash(rebuilt):
    newest = rebuilt.get("/v1/algorithms/local/rebuilt/builds").json()["results"][0]
    assert "version_info" not in newest
    assert rebuilt.call(f"local/rebuilt/{newest['commit_sha']}")["result"] == 3
    assert rebuilt.call("local/rebuilt")["result"] == rebuilt.call("local/rebuilt/latest")["result"] == 2
    assert rebuilt.call("local/rebuilt/1.0.0")["result"] == 1
    answer = rebuilt.post(f"local/rebuilt/{'0' * 40}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, 1014)


@pytest.mark.parametrize(("query", "count"), [({"published": "true"}, 2), ({"callable": "false"}, 1), ({}, 3)])
def test_the_next_page_of_a_narrowed_list_is_narrowed_as_well(rebuilt, query, count):
    path, found = "/v1/algorithms/local/rebuilt/versions", []
    page = rebuilt.get(path, limit=1, **query).json()
    while True:
        found += [one["version_info"]["git_hash"] for one in page["results"]]
        if page["next_link"] is None:
            break
        assert parse_qs(urlsplit(page["next_link"]).query) == {
            "limit": ["1"],
            "marker": [page["marker"]],
            **{name: [value] for name, value in query.items()},
        }
        page = rebuilt.session.get(page["next_link"], timeout=20).json()
    assert len(found) == len(set(found)) == count
    assert page["marker"] is None


@pytest.mark.parametrize("query", ["", "&output=raw"])
@pytest.mark.parametrize(
    ("asked", "status", "kind"),
    [("fail", 400, "AlgorithmError"), ("end", 400, "SystemExit"), ("hang", 504, "TimeoutError")],
)
def test_failures_are_told_by_their_status_where_that_is_wanted(rebuilt, query, asked, status, kind):
    answer = rebuilt.post(f"local/rebuilt?timeout={1 if asked == 'hang' else 60}{query}", asked)
    assert (answer.status_code, answer.json()["error"]["error_type"]) == (status, kind)
    assert answer.json()["metadata"]["duration"] >= 0


def test_our_client_takes_such_a_failure_for_what_it_is(rebuilt):
    with caller(Secret(rebuilt.key), rebuilt.address) as client:
        algo = client.algo("local/rebuilt").set_options(timeout=1)
        with pytest.raises(AlgorithmException, match="no photo"):
            algo.pipe("fail")
        with pytest.raises(CallTimeout):
            algo.pipe("hang")
