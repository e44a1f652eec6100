"""Keys of a real server: what each opens, and that a revoked one opens nothing."""

import json
import re

import Algorithmia
import pytest
import requests

PLAIN = "local/plain"
ECHO = {"main.py": "import os\n\n\ndef apply(input):\n    return input\n"}


@pytest.fixture
def made(server, command_line):
    """Make a key of the shared server with these options of `algoprof keys create`, for the time of a test."""
    ids = []

    def make(*options):
        done = command_line("keys", "create", "--data-dir", server.data, "--json", *options)
        told = json.loads(done.stdout)
        ids.append(told["id"])
        return told["key"]

    yield make
    for key_id in ids:
        assert command_line("keys", "revoke", key_id, "--data-dir", server.data).returncode == 0


@pytest.fixture
def ask(server):
    """Ask the shared server with a key of one's own: `ask(key, path)`, or `ask(key, path, body)` to post."""
    with requests.Session() as session:

        def ask(key, path, body=None):
            method = "GET" if body is None else "POST"
            shown = {"Authorization": key if " " in key else f"Simple {key}", "Content-Type": "application/json"}
            answer = session.request(method, server.address + path, data=body, headers=shown, timeout=60)
            assert key not in answer.text
            error = answer.json().get("error", {}) if isinstance(answer.json(), dict) else {}
            return answer.status_code, error.get("code"), error.get("message", "")

        yield ask


def test_a_key_calls_what_it_is_for_and_nothing_else(made, ask, server):
    key = made("--algorithm", "algo://demo/*", "--algorithm", f"algo://{PLAIN}")
    assert ask(key, "/v1/algo/demo/Classic", '"you"')[0] == 200
    assert ask(key, f"/v1/algo/{PLAIN}/1.0.0", "1")[0] == 200
    status, code, message = ask(key, "/v1/algo/local/caller", "1")
    assert (status, code) == (403, 2001)
    assert message.startswith("403: this key may not call algo://local/caller; ")
    algorithm_id = server.get("/v1/algorithms/local/caller").json()["id"]
    assert ask(key, f"/v1/algo/{algorithm_id}", "1")[0] == 403
    assert ask(key, f"/v1/algo/{algorithm_id}/1.0.0", "1")[0] == 403
    assert ask(key, "/v1/algorithms/local/caller")[0] == 403
    assert ask(key, "/v1/algorithms/local/caller/versions")[0] == 403
    assert ask(key, "/v1/algorithms/demo/Adk")[0] == 200
    assert ask(key, "/v1/algorithms/demo/Adk/versions")[0] == 200


def test_only_a_key_that_manages_sees_builds_and_errors(made, ask, server):
    build = server.get("/v1/algorithms/demo/Adk/builds").json()["results"][0]
    paths = [
        "/v1/algorithms/demo/Adk/builds",
        f"/v1/algorithms/demo/Adk/builds/{build['build_id']}",
        f"/v1/algorithms/demo/Adk/builds/{build['build_id']}/logs",
        "/v1/algorithms/demo/Adk/versions/1.0.0",
        "/v1/algorithms/demo/Adk/errors",
    ]
    calling, managing = made(), made("--manage", "--algorithm", "algo://demo/*")
    for path in paths:
        assert ask(calling, path)[:2] == (403, 2001), path
        assert ask(managing, path)[0] == 200, path
        assert ask(managing, path.replace("demo/Adk", PLAIN))[0] == 403, path
    for path in ("compile", "versions"):
        status, code, message = ask(calling, f"/v1/algorithms/demo/Adk/{path}", "{}")
        assert (status, code) == (403, 2001)
        assert "may not manage algorithms" in message


def test_a_key_reads_data_writes_data_or_does_neither(made, server):
    folder = f"{server.address}/v1/data/.my"
    for access, reads, writes in ((None, 403, 403), ("read", 200, 403), ("write", 200, 200)):
        shown = {"Authorization": made(*(["--data", access] if access else []))}
        asked = [requests.get(path, headers=shown, timeout=20) for path in (folder, f"{server.address}/v1/hostedData")]
        made_one = requests.post(folder, json={"name": "of_a_key"}, headers=shown, timeout=20)
        put = requests.put(f"{folder}/of_a_key/file", data=b"x" * 100_000, headers=shown, timeout=20)
        assert [answer.status_code for answer in asked] == [reads, reads]
        assert (made_one.status_code, put.status_code) == (writes, writes)
        if writes == 403:
            assert put.json()["error"]["code"] == 2001
            assert put.json()["error"]["message"].startswith("403: this key may not write data; ")
    deleted = requests.delete(f"{folder}/of_a_key?force=true", headers=shown, timeout=20)
    assert deleted.json()["result"] == {"deleted": 1}


def test_an_admin_key_administers_and_is_refused_elsewhere(made, ask, server):
    admin, standard = made("--admin"), made("--manage", "--data", "write")
    assert ask(admin, "/v1/admin/reservations")[0] == 200
    assert ask(admin, "/v1/admin/executions/")[0] == 200
    for path, body in ((f"/v1/algo/{PLAIN}", "1"), (f"/v1/algorithms/{PLAIN}", None), ("/v1/nothing", None)):
        status, code, message = ask(admin, path, body)
        assert (status, code) == (401, 2002)
        assert "an admin key" in message
    assert ask(standard, "/v1/admin/executions")[:2] == (403, 2001)
    assert ask(server.key, "/v1/admin/reservations")[:2] == (403, 2001)


def test_each_form_of_the_header_shows_a_key(made, ask):
    key = made()
    for shown in ("Simple {}", "{}", "Bearer {}", "  Simple   {} "):
        assert ask(shown.format(key).strip(), f"/v1/algorithms/{PLAIN}")[0] == 200
    for shown in ("simple {}", "Basic {}", "Simple Simple {}", "Simple {}x", "{},{}"):
        assert ask(shown.format(key, key), f"/v1/algorithms/{PLAIN}")[:2] == (401, 2002)


@pytest.mark.parametrize("shown", ["Simple é", "x" * 10_000, "a.b.c", "Bearer e30.e30.", "Simple ' or 1=1 --"])
def test_what_is_no_key_is_refused(ask, shown):
    assert ask(shown.encode().decode("latin-1"), f"/v1/algo/{PLAIN}", "1")[:2] == (401, 2002)


def test_a_key_is_shown_once_and_told_apart_by_its_id(server, command_line):
    done = command_line(
        "keys", "create", "--name", "ci", "--algorithm", "algo://demo/Routes", "--data-dir", server.data
    )
    key = done.stdout.strip()
    key_id = re.search(r"`algoprof keys revoke (\w+)`", done.stderr)[1]
    listed = command_line("keys", "list", "--data-dir", server.data)
    assert key not in listed.stdout + server.said
    line = next(line for line in listed.stdout.splitlines() if line.startswith(key_id))
    assert line.endswith("calls algo://demo/Routes/*; data: none  ci")
    assert "own " in listed.stdout
    rows = json.loads(command_line("keys", "list", "--json", "--data-dir", server.data).stdout)
    row = next(row for row in rows if row["id"] == key_id)
    assert (row["kind"], row["algorithms"], row["manage"]) == ("standard", ["algo://demo/Routes/*"], False)
    assert "key" not in row
    url = f"{server.address}/v1/algorithms/demo/Adk"
    assert requests.get(url, headers={"Authorization": key}, timeout=20).status_code == 403
    assert command_line("keys", "revoke", key_id, "--data-dir", server.data).returncode == 0
    assert requests.get(url, headers={"Authorization": key}, timeout=20).status_code == 401


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["create", "--admin", "--manage"], "--admin goes with no other right"),
        (["create", "--admin", "--algorithm", "algo://*"], "--admin goes with no other right"),
        (["create", "--algorithm", "demo/Routes"], "'demo/Routes' is no scope: write algo://*"),
        (["revoke", "nothing"], "there is no key 'nothing'"),
    ],
)
def test_what_cannot_be_meant_is_one_sentence(command_line, tmp_path, arguments, words):
    done = command_line("keys", *arguments, "--data-dir", tmp_path / "data")
    assert done.returncode == 1
    assert words in done.stderr


def test_where_there_is_no_server_there_are_no_keys(command_line, tmp_path):
    done = command_line("keys", "list", "--data-dir", tmp_path / "none")
    assert (done.stdout, (tmp_path / "none").exists()) == ("", False)
    assert "there are no keys" in done.stderr
    (tmp_path / "file").touch()
    assert "is a file" in command_line("keys", "list", "--data-dir", tmp_path / "file").stderr


def test_an_algorithm_has_a_key_of_its_own_that_ends_with_its_worker(server, ask):
    key = server.call(PLAIN, {"do": "key"})["result"]
    assert key != server.key
    assert ask(key, f"/v1/algo/{PLAIN}", "1")[0] == 200
    assert ask(key, f"/v1/algorithms/{PLAIN}/builds")[0] == 403
    assert ask(key, "/v1/admin/executions")[0] == 403
    server.call(PLAIN, {"do": "end"})
    assert ask(key, f"/v1/algo/{PLAIN}", "1")[0] == 401
    assert server.call("local/caller", 20)["result"] == 21


def test_the_official_client_is_told_that_it_may_not(made, server):
    client = Algorithmia.client(made("--algorithm", "algo://demo/*"), server.address)
    try:
        with pytest.raises(Exception, match="you don't own"):
            client.algo(PLAIN).exists()
        with pytest.raises(Exception, match=r"<Response \[403\]>"):
            client.algo(PLAIN).pipe(1)
        assert client.algo("demo/Adk").exists() is True
    finally:
        client.requestSession.close()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--admin"], ("key kind", "an admin key")),
        (["--algorithm", "algo://demo/*"], ("callability", "look at what this key may call")),
        ([], ("owner", "may not manage algorithms")),
    ],
)
def test_doctor_tells_one_key_from_another(made, command_line, server, options, told):
    check, words = told
    env = {"ALGORITHMIA_API": server.address, "ALGORITHMIA_API_KEY": made(*options)}
    done = command_line("doctor", PLAIN, "--json", env=env)
    findings = {finding["check"]: finding for finding in json.loads(done.stdout)["findings"]}
    assert words in json.dumps(findings[check]), findings[check]


def test_beyond_loopback_it_serves_once_there_is_a_key_and_its_own_can_be_replaced(
    serve, project, command_line, tmp_path
):
    create = ["keys", "create", "--data-dir", tmp_path / "data"]
    key = command_line(*create).stdout.strip()
    directory = project("echo", ECHO)
    serving = serve(directory, data=tmp_path / "data", options=["--host", "0.0.0.0"])
    assert serving.address, serving.said
    url = f"{serving.address}/v1/algo/local/echo"
    for shown in (serving.key, key):
        assert requests.post(url, json=1, headers={"Authorization": shown}, timeout=20).json()["result"] == 1
    assert command_line("keys", "revoke", "own", "--data-dir", serving.data).returncode == 0
    assert serving.post("local/echo", 1).status_code == 401
    assert not (serving.data / "key").exists()
    serving.stop()
    again = serve(directory, data=serving.data)
    assert again.key != serving.key
    assert again.call("local/echo", 2)["result"] == 2
