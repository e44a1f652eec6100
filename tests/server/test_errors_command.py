"""The error log of a real server: by the client, by the command, and without a server from its files."""

import json

import pytest

from algoprof.calls.client import client

FAILING = {
    "main.py": "def apply(input):\n    if input == 'slow':\n        while True: pass\n    raise KeyError(input)\n",
    "algorithmia.conf": '{"username": "demo", "algoname": "Failing"}',
}


@pytest.fixture
def errors(command_line):
    return lambda *arguments, **env: command_line("errors", *arguments, env=env)


def test_the_error_log_is_read_and_outlives_its_server(errors, serve, project, tmp_path):
    serving = serve(project("failing", FAILING), data=tmp_path / "kept")
    where = ("--data-dir", tmp_path / "kept")
    quiet = errors("demo/Failing", *where)
    assert (quiet.returncode, quiet.stdout) == (0, "")
    assert "no calls failed" in quiet.stderr
    request = serving.call("demo/Failing", "Zürich")["request_id"]
    serving.call("demo/Failing", "slow", params={"timeout": 0.5})

    with client(serving.key, serving.address) as caller:
        algo = caller.algo("demo/Failing/1.0.0")
        late, failed = algo.errors()
        assert (failed.message, failed.error_type, failed.request_id) == ("'Zürich'", "AlgorithmError", request)
        assert failed.location.endswith("main.py:4, in apply")
        assert failed.stack_trace.splitlines()[0] == "Traceback (most recent call last):"
        assert json.loads(failed.input) == "Zürich"
        assert (late.error_type, late.stack_trace, late.location) == ("TimeoutError", "", "")
        assert late.created_ns >= failed.created_ns
        rows = caller.get_algorithm_errors(algo.get_algorithm_id())
        assert [row["request_id"] for row in rows] == [late.request_id, request], "by the official name, too"
        assert "of the 2 errors in its log, 1 ran out of time" in algo.examine()["timeout"].sentence

    assert serving.stop() == 0
    told = errors("demo/Failing", *where)
    assert told.returncode == 0, told.stderr
    first, second = told.stdout.splitlines()
    assert "  1.0.0  TimeoutError  Operation timed out after 500 milliseconds" in first
    assert "  1.0.0  AlgorithmError  'Zürich'  (" in second
    assert "2 failed in the last seven days: 1 TimeoutError, 1 AlgorithmError" in told.stderr
    traces = errors("demo/Failing", *where, "--traces", "--type", "AlgorithmError").stdout
    assert f"request {request}" in traces
    assert "raise KeyError(input)" in traces
    (record,) = json.loads(errors("demo/Failing", *where, "--json", "--limit", "1").stdout)
    assert record["error_type"] == "TimeoutError"


def test_what_cannot_be_read_is_one_sentence(errors, server):
    told = {"ALGORITHMIA_API": server.address, "ALGORITHMIA_API_KEY": server.key}
    unknown = errors("demo/Nothing", **told)
    assert unknown.returncode == 1
    assert "algo://demo/Nothing not found" in unknown.stderr
    refused = errors("demo/Adk", **told | {"ALGORITHMIA_API_KEY": "simWrong"})
    assert (refused.returncode, "401" in refused.stderr) == (1, True)
