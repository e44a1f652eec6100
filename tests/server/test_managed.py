"""Builds and versions through the client, against the real server."""

import pytest

from algoprof.calls.client import client
from algoprof.errors import BuildTimeout, ManagementError

PLAIN = {"main.py": "def apply(input):\n    return 1\n"}


@pytest.fixture
def algo(server):
    made = []

    def reach(name, serving=server):
        made.append(client(serving.key, serving.address))
        return made[-1].algo(name)

    yield reach
    for one in made:
        one.close()


def test_builds_are_listed_and_read(algo):
    adk = algo("demo/Adk")
    (build,) = adk.builds(limit=1)
    assert (build.algorithm, build.status, build.semantic_version) == ("demo/Adk", "succeeded", "1.0.0")
    assert 0 <= build.duration < 600
    assert adk.build(build.id) == build
    assert adk.get_build(build.id) == adk.get_builds()["results"][0] == build.resource
    assert build["commit_sha"] == build.commit
    assert "Successfully installed" in adk.build_logs(build.id)
    assert adk.get_build_logs(build.id)["logs"] == adk.build_logs(build.id)
    assert adk.newest_build(build.commit[:7]) == build
    assert adk.newest_build("no such commit") is None


def test_the_log_of_a_version_is_there_by_hash_and_by_number(algo):
    adk = algo("demo/Adk")
    (version,) = adk.versions()
    assert (version.semantic_version, version.successful, version.log) == ("1.0.0", True, None)
    assert adk.versions(limit=1, published=True, callable=True)["results"] == [version.resource]
    assert list(adk.versions(published=False)) == []
    for selector in ("1.0.0", "v1.0.0", version.git_hash, version.git_hash[:8]):
        assert "Successfully installed" in adk.version_logs(selector)
    assert adk.info(version.git_hash)["compilation"]["successful"] is True
    assert adk.info()["results"][0] == version.resource
    with pytest.raises(ManagementError, match=r"has no version 9\.9\.9"):
        adk.version_logs("9.9.9")


def test_a_failed_build_is_diagnosed(algo):
    found = algo("demo/Broken").diagnose()
    assert (found.outcome, found.reason) == ("failed", "file_missing")
    assert "no-such-package" in found.sentence
    assert "pip" in found.step.instruction
    assert algo("demo/Adk").diagnose().outcome == "succeeded"


def test_what_is_compiled_is_published_once_with_the_number_that_was_asked_for(algo, serve, project):
    directory = project("growing", PLAIN)
    serving = serve(directory)
    growing = algo("local/growing", serving)
    assert growing.compile().semantic_version == "1.0.0"  # unchanged, so that nothing is built
    assert "unchanged since version 1.0.0" in serving.said
    with pytest.raises(ManagementError, match=r"published already, as version 1\.0\.0") as refused:
        growing.publish()
    assert (refused.value.code, refused.value.status) == (1007, 400)

    (directory / "main.py").write_text("def apply(input):\n    return 2\n")
    compiled = growing.compile()
    assert (compiled.successful, compiled.semantic_version, compiled.build.status) == (True, "", "succeeded")
    assert growing.wait(compiled.build.id) == growing.build(compiled.build.id)
    assert [version.semantic_version for version in growing.versions()] == ["", "1.0.0"]
    assert [version.git_hash for version in growing.versions(published=False)] == [compiled.git_hash]
    assert growing.version_logs(compiled.git_hash) == compiled.log
    assert growing.pipe(0).result == 1
    assert growing.publish(version_type="minor", release_notes="more").semantic_version == "1.1.0"
    assert growing.pipe(0).result == 2
    with pytest.raises(ManagementError, match="version_type is major, minor or patch"):
        growing.publish(version_type="huge")


def test_a_compilation_that_fails_is_an_answer_and_changes_nothing(algo, serve, project):
    directory = project("failing", PLAIN)
    failing = algo("local/failing", serve(directory))
    (directory / "requirements.txt").write_text("./none\n")
    compiled = failing.compile()
    assert (compiled.successful, compiled.build.status) == (False, "failed")
    assert "./none" in compiled.log
    assert failing.version_logs(compiled.git_hash) == compiled.log
    assert failing.pipe(0).result == 1
    (directory / "main.py").write_text("def apply(input:\n")
    with pytest.raises(ManagementError, match="line 1"):
        failing.compile()
    assert len(list(failing.builds())) == 2


def test_what_cannot_be_waited_for_is_told(algo):
    with pytest.raises(BuildTimeout, match="no build of commit abc is listed after 0 s") as raised:
        algo("demo/Adk").wait(commit="abc", timeout=0)
    assert raised.value.commit == "abc"
    with pytest.raises(ManagementError, match="404"):
        algo("demo/Nothing").wait()
