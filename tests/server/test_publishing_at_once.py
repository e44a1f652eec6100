"""Many who build and publish at once: each version is published once, under a number of its own, and calls go on."""

import textwrap
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

CROWD = 50


@pytest.fixture(scope="module")
def serving(serve_module, tmp_path_factory):
    folder = tmp_path_factory.mktemp("projects")
    for name in ("one", "two"):
        (folder / name).mkdir()
        write(folder, name, "first")
    started = serve_module(folder / "one", folder / "two")
    assert started.address, started.said
    started.folder = folder
    return started


def write(folder, name, returned):
    unfinished = folder / f"{name}-{returned}"
    unfinished.write_text(
        textwrap.dedent(f"""
            def apply(input):
                return {returned!r}
        """)
    )
    unfinished.rename(folder / name / "main.py")


def post(serving, path, **options):
    return serving.session.post(f"{serving.address}/v1/algorithms/local/{path}", timeout=100, **options)


def versions(serving, name):
    """The numbers of all versions that are published, newest first."""
    found, marker = [], None
    while True:
        page = serving.get(f"/v1/algorithms/local/{name}/versions", published="true", limit=100, marker=marker).json()
        found += [one["version_info"]["semantic_version"] for one in page["results"]]
        if (marker := page["marker"]) is None:
            return found


def test_of_many_who_publish_one_build_one_does_and_the_others_are_told(serving):
    write(serving.folder, "one", "second")
    assert post(serving, "one/compile").json()["compilation"]["successful"]
    before = versions(serving, "one")
    with ThreadPoolExecutor(CROWD) as pool:
        answers = list(pool.map(lambda _: post(serving, "one/versions"), range(CROWD)))
    (published,) = [answer.json() for answer in answers if answer.status_code == 200]
    assert {answer.json()["error"]["code"] for answer in answers if answer.status_code == 400} == {1007}
    assert Counter(answer.status_code for answer in answers) == {200: 1, 400: CROWD - 1}
    number = published["version_info"]["semantic_version"]
    assert versions(serving, "one") == [number, *before]
    assert serving.call("local/one")["result"] == "second"
    assert serving.call("local/one/1.0.0")["result"] == "first"


def test_of_many_who_build_and_publish_at_once_each_gets_a_number_of_its_own(serving, scaled):
    before = versions(serving, "two")
    parts = ["major", "minor", "patch", "revision"]

    def publish(number):
        write(serving.folder, "two", number)
        built = post(serving, "two/compile")
        assert built.status_code == 200, built.text
        assert built.json()["compilation"]["successful"]
        called = serving.call("local/two")
        assert called["result"] in ("first", *range(crowd))
        return post(serving, "two/versions", json={"version_info": {"version_type": parts[number % 4]}})

    crowd = max(20, scaled(CROWD))
    with ThreadPoolExecutor(crowd) as pool:
        answers = list(pool.map(publish, range(crowd)))
    told = [answer.json() for answer in answers]
    numbers = [one["version_info"]["semantic_version"] for one in told if "error" not in one]
    assert {one["error"]["code"] for one in told if "error" in one} <= {1007}
    assert len(set(numbers)) == len(numbers) >= 1
    found = versions(serving, "two")
    assert sorted(found) == sorted([*before, *numbers])
    assert found == sorted(found, key=lambda text: [*map(int, text.split("."))], reverse=True)
    assert len({serving.call(f"local/two/{number}")["result"] for number in found}) == len(found)
    builds = serving.get("/v1/algorithms/local/two/builds", limit=100).json()["results"]
    assert {build["status"] for build in builds} == {"succeeded"}
    assert "Traceback" not in serving.said


def test_builds_of_two_algorithms_at_once_are_each_of_its_own(serving):
    for name in ("one", "two"):
        write(serving.folder, name, f"last of {name}")
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda number: post(serving, f"{('one', 'two')[number % 2]}/compile"), range(20)))
    for number, answer in enumerate(answers):
        told = answer.json()
        assert (told["name"], told["build"]["status"]) == (("one", "two")[number % 2], "succeeded")
    assert len({answer.json()["build"]["build_id"] for answer in answers}) == len(answers)
    for name in ("one", "two"):
        assert post(serving, f"{name}/versions").status_code == 200
        assert serving.call(f"local/{name}")["result"] == f"last of {name}"
