"""Builds, versions and their pages over real HTTP."""

import pytest


def test_builds_come_in_pages_newest_first(serve, project, tmp_path):
    data = tmp_path / "data"
    for served, number in enumerate((0, 1, 0)):  # what goes back to an older version is called, too
        directory = project("pages", {"main.py": f"def apply(input):\n    return {number}\n"})
        serving = serve(directory, data=data)
        assert serving.call("local/pages")["result"] == number
        if served < 2:
            serving.stop()
    assert "its files are those of version 1.0.0 again" in serving.said
    first = serving.get("/v1/algorithms/local/pages/builds", limit=2).json()
    assert [row["version_info"]["semantic_version"] for row in first["results"]] == ["1.0.2", "1.0.1"]
    rest = serving.session.get(first["next_link"], timeout=20).json()
    assert [row["version_info"]["semantic_version"] for row in rest["results"]] == ["1.0.0"]
    assert (rest["marker"], rest["next_link"]) == (None, None)
    versions = serving.get("/v1/algorithms/local/pages/versions", limit=1, marker=None).json()
    assert versions["results"][0]["version_info"]["semantic_version"] == "1.0.2"
    again = serving.get("/v1/algorithms/local/pages/versions", marker=versions["marker"]).json()
    assert len(again["results"]) == 2
    # an older version is what it was, whatever became of the folder
    assert serving.call("local/pages/1.0.1")["result"] == 1
    assert serving.call("local/pages/1.0")["result"] == 0


def test_an_unchanged_project_is_not_built_again(serve, project, tmp_path):
    directory = project("same", {"main.py": "def apply(input):\n    return input\n"})
    first = serve(directory, data=tmp_path / "data")
    builds = first.get("/v1/algorithms/local/same/builds").json()["results"]
    first.stop()
    second = serve(directory, data=tmp_path / "data")
    assert second.get("/v1/algorithms/local/same/builds").json()["results"] == builds
    assert "unchanged since version 1.0.0" in second.said
    assert second.key == first.key
    assert second.said.count(second.key) == 0  # shown once, when it was made


def test_a_build_has_its_times_and_its_version(server):
    build = server.get("/v1/algorithms/local/plain/builds").json()["results"][0]
    assert build["started_at"] <= build["finished_at"]
    assert build["started_at"].endswith("Z")
    assert len(build["commit_sha"]) == 40
    assert server.get(f"/v1/algorithms/local/plain/builds/{build['build_id']}").json() == build


def test_an_algorithm_can_be_asked_for_by_its_id(server):
    algorithm = server.get("/v1/algorithms/local/plain").json()
    assert algorithm["resource_type"] == "algorithm"
    assert algorithm["compilation"]["successful"]
    by_id = f"/v1/algorithms/{algorithm['id']}"
    assert server.get(by_id).json() == algorithm
    assert server.get(f"{by_id}/builds").json() == server.get("/v1/algorithms/local/plain/builds").json()
    assert server.get(f"{by_id}/versions/1.0.0").json()["id"] == algorithm["id"]
    assert server.get(algorithm["self_link"].removeprefix(server.address)).status_code == 200


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/v1/algorithms/local/nothing", 404, 1001),
        ("/v1/algorithms/hello/errors", 404, 1001),
        ("/v1/algorithms/local/plain/builds/none", 404, 1010),
        ("/v1/algorithms/local/plain/builds/none/logs", 404, 1010),
        ("/v1/algorithms/local/plain/versions/9.9.9", 404, 1014),
        ("/v1/algorithms/local/plain/builds?limit=0", 400, 5003),
        ("/v1/algorithms/local/plain/builds?limit=101", 400, 5003),
        ("/v1/algorithms/local/plain/builds?limit=many", 400, 5003),
        ("/v1/algorithms/local/plain/builds?marker=garbage", 400, 5002),
    ],
)
def test_what_is_not_there_is_told(server, path, status, code):
    answer = server.get(path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


def test_a_failed_build_leaves_an_algorithm_without_a_version(server):
    algorithm = server.get("/v1/algorithms/demo/Broken").json()
    assert algorithm["build"]["status"] == "failed"
    assert algorithm["compilation"] == {"successful": False}
    assert server.get("/v1/algorithms/demo/Broken/versions").json()["results"] == []
    refused = server.post("demo/Broken", 1)
    assert refused.status_code == 404
    assert "its build failed; `algoprof builds diagnose demo/Broken` says why" in refused.json()["error"]["message"]


def test_what_could_not_be_built_is_not_called_in_its_old_form_unless_asked_for(serve, project, tmp_path):
    echo = project("echo", {"main.py": "def apply(input):\n    return input\n"})
    serve(echo, data=tmp_path / "data").stop()
    project("echo", {"requirements.txt": "./none\n"})
    serving = serve(echo, project("other", {"main.py": "def apply(input): ...\n"}), data=tmp_path / "data")
    assert "its build failed" in serving.post("local/echo", 1).json()["error"]["message"]
    assert serving.call("local/echo/1.0.0", 1)["result"] == 1
