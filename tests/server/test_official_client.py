"""The official client, unmodified, against this server."""

import Algorithmia
import pytest
from Algorithmia.algorithm import OutputType
from Algorithmia.errors import AlgorithmException


@pytest.fixture
def client(server):
    made = server.client()
    yield made
    made.requestSession.close()


def test_texts_json_and_bytes_go_there_and_back(client):
    algo = client.algo("local/plain")
    assert algo.pipe("grüße").result == "grüße"
    assert algo.pipe({"a": [1, None]}).result == {"a": [1, None]}
    assert algo.pipe(None).result is None
    assert algo.pipe(b"\x00\xff").result == b"\x00\xff"
    assert algo.pipe(bytearray(b"\x01")).metadata.content_type == "binary"


def test_metadata_has_duration_and_stdout(client):
    response = client.algo("demo/Adk/1.0.0").set_options(timeout=60, stdout=True).pipe("hello")
    assert response.result == {"input": "hello", "model": "v3"}
    assert 0 <= response.metadata.duration < 60
    assert response.metadata.stdout.endswith("asked for hello\n")
    assert response.metadata.full_metadata["algoprof"]["timeout"] == 60


def test_without_options_there_is_no_stdout(client):
    assert client.algo("local/plain").pipe({"do": "say"}).metadata.stdout is None


def test_an_error_is_the_clients_own_exception_with_the_stack_trace(client):
    with pytest.raises(AlgorithmException) as raised:
        client.algo("local/plain").pipe({"do": "fail", "message": "no photo", "error_type": "InputError"})
    assert raised.value.message == "no photo"
    assert raised.value.error_type == "InputError"
    assert "behaviour.py" in raised.value.stack_trace


def test_a_timeout_is_an_exception_that_says_so(client):
    with pytest.raises(AlgorithmException) as raised:
        client.algo("local/plain").set_options(timeout=0.5).pipe({"do": "hang"})
    assert raised.value.error_type == "TimeoutError"
    assert "500 milliseconds" in raised.value.message


def test_raw_and_void(client):
    assert client.algo("local/plain").set_options(output=OutputType.raw).pipe("bare") == "bare"
    answer = client.algo("local/plain").set_options(output=OutputType.void).pipe("later")
    assert answer.request_id.startswith("req-")
    assert answer.async_protocol is True


def test_exists_tells_yes_from_no(client):
    assert client.algo("local/plain").exists() is True
    assert client.algo("local/nothing").exists() is False


def test_builds_and_logs_can_be_read(client):
    algo = client.algo("demo/Adk")
    build = algo.get_builds()["results"][0]
    assert build["status"] == "succeeded"
    assert algo.get_build(build["build_id"]) == build
    assert "Successfully installed" in algo.get_build_logs(build["build_id"])["logs"]


def test_the_log_of_a_failed_build_says_why(client):
    algo = client.algo("demo/Broken")
    build = algo.get_builds()["results"][0]
    assert build["status"] == "failed"
    assert "no-such-package" in algo.get_build_logs(build["build_id"])["logs"]
    with pytest.raises(Exception, match="Non-Algorithm related Failure"):
        algo.pipe(1)


def test_versions_and_info_can_be_read(client):
    algo = client.algo("demo/Adk")
    version = algo.versions(limit=1, published=True, callable=True)["results"][0]
    assert version["version_info"]["semantic_version"] == "1.0.0"
    info = algo.info(version["version_info"]["git_hash"])
    assert info["compilation"]["successful"] is True
    assert "Successfully installed" in info["compilation"]["output"]


def test_a_build_is_compiled_and_published(serve, project):
    directory = project("official", {"main.py": "def apply(input):\n    return 1\n"})
    serving = serve(directory)
    algo = serving.client().algo("local/official")
    (directory / "main.py").write_text("def apply(input):\n    return 2\n")
    assert algo.compile()["compilation"]["successful"] is True
    assert algo.versions(published=False)["results"] == algo.versions()["results"]  # it sends no parameter for False
    published = algo.publish(version_info={"version_type": "revision"})
    assert published["version_info"]["semantic_version"] == "1.0.1"
    assert algo.pipe(0).result == 2
    with pytest.raises(Exception, match=r"Non-Algorithm related Failure: <Response \[400\]>"):
        algo.publish()
    serving.official.close()


def test_the_error_log_can_be_read(client, server, capsys):
    request = server.call("demo/Adk", "fail")["request_id"]
    errors = client.get_algorithm_errors(client.algo("demo/Adk").get_algorithm_id())
    assert errors[0]["request_id"] == request
    capsys.readouterr()  # the client prints its URL


def test_a_wrong_key_is_refused(server):
    stranger = Algorithmia.client("simWrong", server.address)
    try:
        with pytest.raises(Exception, match="401"):
            stranger.algo("local/plain").pipe(1)
    finally:
        stranger.requestSession.close()


def test_the_algorithm_itself_may_call_another(server):
    assert server.call("local/caller", 20)["result"] == 21
