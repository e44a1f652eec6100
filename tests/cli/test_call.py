"""`algoprof call` as a user sees it: stdout, stderr and exit status of a real process."""

import base64
import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from algoprof.profiles import codec
from algoprof.profiles.tree import Node, Profile

OPEN = Profile(
    "apply",
    (
        Node(
            "apply", open_count=1, open_ns=9 * 10**9, nested_ns=8 * 10**9,
            children=(Node("two-opt", open_count=1, open_ns=8 * 10**9),),
        ),
    ),
    "killed",
)  # fmt: skip


def result(value, content_type="json", **metadata):
    return 200, {"result": value, "metadata": {"content_type": content_type, "duration": 1.5, **metadata}}


def failed(done):
    """Return the one sentence of a failed command."""
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert "simVerySecretKey" not in done.stderr + done.stdout
    line = done.stderr.splitlines()[-1]
    assert line.startswith("algoprof: error: ")
    return line.removeprefix("algoprof: error: ")


def test_the_result_goes_to_stdout_and_what_it_took_to_stderr(algoprof, platform):
    done = algoprof("call", "demo/Routes/1.0.0", "--data", '{"cities": ["Zürich"]}', "--timeout", "10")
    assert done.returncode == 0
    assert done.stdout == '{"cities": ["Zürich"]}\n'
    assert done.stderr.startswith("demo/Routes/1.0.0: ok, ran 0.250 s, 2 % of its 10 s; ")
    assert done.stderr.count("\n") == 1, "what the algorithm printed was not asked for"


def test_what_is_sent(algoprof, platform):
    seen = []

    def answer(path, headers, body):
        seen.append((path, headers["content-type"], headers["authorization"], body))
        return result(None)

    platform.answer = answer
    assert algoprof("call", "demo/Routes", "--text", "hi", "--timeout", "2.5", "--stdout").returncode == 0
    path = "/v1/algo/demo/Routes?timeout=2.5&stdout=true"
    assert seen == [(path, "text/plain", "Simple simVerySecretKey", b"hi")]


@pytest.mark.parametrize(
    ("name", "content", "options", "sent"),
    [
        ("in.json", b"[1]", [], "application/json"),
        ("in.txt", b"[1]", [], "text/plain"),
        ("in.png", b"\xff", [], "application/octet-stream"),
        ("in", b"[1]", ["--type", "json"], "application/json"),
        ("in.json", b"[1]", ["--type", "binary"], "application/octet-stream"),
    ],
)
def test_a_file_is_what_its_name_or_type_says(request, name, content, options, sent):
    algoprof, platform, tmp_path = map(request.getfixturevalue, ("algoprof", "platform", "tmp_path"))
    (tmp_path / name).write_bytes(content)
    platform.answer = lambda path, headers, body: result(headers["content-type"], "text")
    done = algoprof("call", "demo/Routes", "--file", name, *options)
    assert (done.stdout, done.returncode) == (sent + "\n", 0)


@pytest.mark.parametrize("way", [["-"], ["--file", "-"]])
def test_stdin(algoprof, platform, way):
    assert algoprof("call", "demo/Routes", *way, input='{"a": 1}').stdout == '{"a": 1}\n'


def test_a_closed_stdin_is_one_sentence(algoprof, platform):
    for command in (["call", "demo/Routes", "-"], ["builds", "diagnose", "-"]):
        assert failed(algoprof(*command, preexec_fn=partial(os.close, 0))).startswith("stdin is closed")


def test_binary_goes_out_as_it_is(algoprof, platform, tmp_path):
    data = bytes(range(256))
    platform.answer = lambda *_: result(base64.b64encode(data).decode(), "binary")
    assert algoprof("call", "demo/Photo", "--data", "1", text=False).stdout == data
    assert algoprof("call", "demo/Photo", "--data", "1", "--output", "photo").stdout == ""
    assert (tmp_path / "photo").read_bytes() == data


def test_a_place_that_cannot_be_written_is_refused_before_the_call(algoprof, platform, tmp_path):
    asked = []
    platform.answer = lambda path, *_: asked.append(path) or result(1)
    (tmp_path / "locked").write_text("old")
    (tmp_path / "locked").chmod(0o400)
    places = ["missing/x", "locked/x", *([] if os.geteuid() == 0 else ["locked"])]
    for place in places:
        said = failed(algoprof("call", "demo/Routes", "--data", "1", "--output", place))
        assert said.startswith(f"--output {place} cannot be written (")
    assert asked == []


def test_a_closed_stdout_is_refused_before_the_call(algoprof, platform):
    asked = []
    platform.answer = lambda path, *_: asked.append(path) or result(1)
    closed = partial(os.close, 1)
    assert "stdout is closed" in failed(algoprof("call", "demo/Routes", "--data", "1", preexec_fn=closed))
    assert asked == []
    assert algoprof("call", "demo/Routes", "--data", "1", "--output", "x", preexec_fn=closed).returncode == 0


def refusing_constants(name):
    raise AssertionError(f"{name} is not JSON")


def test_what_is_printed_is_json_whatever_numbers_and_characters_come(algoprof, platform):
    platform.answer = lambda *_: result(["Infinity", float("inf"), -float("inf"), "\ud800", "ü\x9b\u202e"])
    platform.written = lambda body: body.replace(b"Infinity,", b"1e400,")  # JSON, unlike what Python writes
    for options, encoding in (([], "ascii"), (["--json"], "utf-8")):
        done = algoprof("call", "demo/Routes", "--data", "1", *options, env={"PYTHONIOENCODING": encoding})
        assert done.returncode == 0, done.stderr
        assert not set(done.stdout) & {"\x9b", "\u202e"}, "nor does it steer a terminal"
        read = json.loads(done.stdout, parse_constant=refusing_constants)
        read = read["result"] if options else read
        assert read == ["Infinity", float("inf"), -float("inf"), "\ud800", "ü\x9b\u202e"]


def test_a_stderr_that_takes_nothing_is_no_failure(algoprof, platform):
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "algoprof", "call", "demo/Routes", "--data", "1"]
        done = subprocess.run(command, check=False, stdout=subprocess.PIPE, stderr=full, timeout=60)
    assert (done.stdout, done.returncode) == (b"1\n", 0)


def test_an_output_is_replaced_when_the_result_is_there_and_not_before(algoprof, platform, tmp_path):
    (tmp_path / "out").write_text("old")
    (tmp_path / "out").chmod(0o640)
    seen = []

    def answer(*_):
        seen.append((tmp_path / "out").read_text())
        return (500, {"error": {"message": "down"}}) if len(seen) == 1 else result(2)

    platform.answer = answer
    assert algoprof("call", "demo/Routes", "--data", "1", "--output", "out").returncode == 1
    assert (tmp_path / "out").read_text() == "old"
    assert algoprof("call", "demo/Routes", "--data", "1", "--output", "out").returncode == 0
    assert seen == ["old", "old"]
    assert ((tmp_path / "out").read_text(), (tmp_path / "out").stat().st_mode & 0o777) == ("2\n", 0o640)
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["out"], "nothing is left beside it"


def test_an_output_that_is_no_file_is_written_in_place(algoprof, platform):
    assert algoprof("call", "demo/Routes", "--data", "1", "--output", "/dev/stderr").stderr.startswith("1\n")
    assert failed(algoprof("call", "demo/Routes", "--data", "1", "--output", "/dev/full")) == (
        "the result could not be written to /dev/full (No space left on device)"
    )


def test_binary_is_not_lost_on_a_terminal(platform, tmp_path):
    platform.answer = lambda *_: result(base64.b64encode(b"\0\1").decode(), "binary")
    controller, terminal = os.openpty()
    done = subprocess.run(
        [sys.executable, "-m", "algoprof", "call", "demo/Photo", "--data", "1"],
        cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=terminal, stderr=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    os.close(terminal)
    os.close(controller)
    assert done.returncode == 0
    (kept,) = tmp_path.glob("Photo-*.bin")
    assert kept.read_bytes() == b"\0\1"
    assert f"the result, 2 bytes of binary data, is in {kept}\n" in done.stderr


def test_the_full_record(algoprof, platform):
    ours = {"queue": 0.5, "load": 1, "profile": codec.to_json(OPEN)}
    platform.answer = lambda *_: result([1], algoprof=ours, stdout="printed")
    record = json.loads(algoprof("call", "demo/Routes", "--data", "1", "--json", "--timeout", "6").stdout)
    assert record["result"] == [1]
    assert record["metadata"] == {"content_type": "json", "duration": 1.5, "stdout": "printed"}
    call = record["call"]
    assert (call["outcome"], call["queue"], call["load"], call["duration"]) == ("ok", 0.5, 1, 1.5)
    assert (call["budget_used_ratio"], call["budget_source"]) == (0.5, "split")
    assert codec.from_json(call["profile"]) == OPEN


def test_stdout_and_profile_are_shown_on_demand(algoprof, platform):
    platform.answer = lambda *_: result(1, stdout="step 1\n", algoprof={"profile": codec.to_json(OPEN)})
    done = algoprof("call", "demo/Routes", "--data", "1", "--stdout", "--profile")
    assert done.stdout == "1\n"
    assert done.stderr.startswith("step 1\n")
    assert "two-opt" in done.stderr


def test_without_a_profile_it_says_so(algoprof, platform):
    assert "no profile came home" in algoprof("call", "demo/Routes", "--data", "1", "--profile").stderr


def test_a_timeout_shows_what_was_open(algoprof, platform):
    error = {"message": "Operation timed out after 9000 millis", "error_type": "TimeoutError"}
    metadata = {"duration": 9.0, "stdout": "so far\n", "algoprof": {"profile": codec.to_json(OPEN)}}
    platform.answer = lambda *_: (200, {"error": error, "metadata": metadata})
    done = algoprof("call", "demo/Routes", "--data", "1", "--timeout", "9", "--json")
    assert "stopped by its timeout of 9 s, in apply/two-opt" in failed(done)
    assert done.returncode == 124
    assert "so far\n" in done.stderr
    assert "open when it was stopped: apply/two-opt, for 8.000 s\n" in done.stderr
    assert json.loads(done.stdout)["error"]["error_type"] == "TimeoutError"


def test_an_algorithm_that_raised_shows_its_stack_trace(algoprof, platform):
    error = {"message": "boom\nagain", "error_type": "AlgorithmError", "stacktrace": "File x\n  raise\x1b[2J\n"}
    platform.answer = lambda *_: (200, {"error": error, "metadata": {"duration": 0.1}})
    done = algoprof("call", "demo/Routes", "--data", "1")
    assert failed(done) == "demo/Routes failed with AlgorithmError: boom again"
    assert "the algorithm's stack trace:\nFile x\n  raise?[2J\n" in done.stderr
    assert done.returncode == 1


@pytest.mark.parametrize(
    ("status", "message", "says"),
    [
        (401, "the key is wrong: set ALGORITHMIA_API_KEY", "the key is wrong"),
        (401, "bad key", "the key is not that platform's: set ALGORITHMIA_API_KEY"),
        (404, "algorithm algo://demo/Nope not found", "check owner, name and version"),
        (500, "down", "try again later"),
    ],
)
def test_failures_are_one_sentence(algoprof, platform, status, message, says):
    platform.answer = lambda *_: (status, {"error": {"message": message}})
    sentence = failed(algoprof("call", "demo/Routes", "--data", "1"))
    assert message in sentence
    assert says in sentence
    assert sentence.count("ALGORITHMIA_API_KEY") == (status == 401)


def test_the_timeout_is_told_only_where_it_mattered(algoprof, platform):
    platform.answer = lambda *_: (404, {"error": {"message": "none"}})
    assert "300 s" not in algoprof("call", "demo/Routes", "--data", "1").stderr
    assert "300 s" not in algoprof("call", "demo/Routes", "--data", "NaN").stderr


def test_huge_texts_are_shortened_and_the_record_has_all(algoprof, platform):
    message, trace = "m" * 1_000_000, "t" * 2_000_000
    error = {"message": message, "error_type": "AlgorithmError", "stacktrace": trace}
    platform.answer = lambda *_: (200, {"error": error, "metadata": {"duration": 0.1}})
    done = algoprof("call", "demo/Routes", "--data", "1", "--json")
    assert len(done.stderr) < 10_000
    assert "(999,500 characters left out)" in done.stderr
    assert "(1,996,000 characters left out; --json has all)" in done.stderr
    record = json.loads(done.stdout)
    assert (record["error"]["message"], record["error"]["stack_trace"]) == (message, trace)
    assert len(record["call"]["message"]) == 4_000


def test_the_server_of_a_data_folder(algoprof, platform, tmp_path):
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "address").write_text(platform.address)
    (tmp_path / "kept" / "key").write_text("simKept")
    platform.answer = lambda path, headers, body: result(headers["authorization"])
    environment = {"ALGORITHMIA_API": "http://127.0.0.1:1"}
    done = algoprof("call", "demo/Routes", "--data", "1", "--data-dir", "kept", env=environment)
    assert (done.stdout, done.returncode) == ('"Simple simKept"\n', 0)
    said = failed(algoprof("call", "demo/Routes", "--data", "1", "--data-dir", "other"))
    assert said.startswith("'other' does not say where a server serves")


def test_an_unreachable_server_names_its_address(algoprof):
    sentence = failed(algoprof("call", "demo/Routes", "--data", "1", "--address", "http://127.0.0.1:1"))
    assert sentence.startswith("nothing answers at http://127.0.0.1:1 (as given): Connection refused; start one with")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["demo/Routes"], "give one input"),
        (["demo/Routes", "--data", "1", "--text", "x"], "give one input"),
        (["demo/Routes", "--data", "{oops"], "--data is not JSON"),
        (["demo/Routes", "--data", "[" * 100_000], "--data is not JSON"),
        (["demo/Routes", "--data", "1", "--type", "json"], "--type says what a file holds"),
        (["demo/Routes", "--file", "missing.json"], "missing.json"),
        (["demo/Routes", "--file", "."], "."),
        (["demo/Routes", "--file", "latin.txt"], "latin.txt is not UTF-8"),
        (["demo/Routes", "--file", "huge.txt"], "larger than the 10 MiB"),
        (["demo/Routes", "--file", "huge.bin"], "10 MiB"),
        (["demo/Routes", "--data", "NaN"], "nan is not JSON"),
        (["Routes", "--data", "1"], "names no algorithm"),
        (["demo/Routes", "--data", "1", "--timeout", "3001"], "at most 3000 seconds"),
        (["demo/Routes", "--data", "1", "--timeout", "nan"], "at most 3000 seconds"),
        (["demo/Routes", "--data", "1", "--timeout", "soon"], "soon"),
        (["demo/Routes", "--data", "1", "--address", "nowhere"], "is not that of a platform"),
        (["demo/Routes", "--data", "1", "--output", "no/such/folder"], "no/such/folder"),
    ],
)
def test_wrong_uses_are_one_sentence(algoprof, platform, tmp_path, arguments, says):
    (tmp_path / "latin.txt").write_bytes(b"\xe9")
    for name in ("huge.txt", "huge.bin"):
        with (tmp_path / name).open("wb") as file:
            file.truncate(12 * 1024 * 1024)
    assert says in failed(algoprof("call", *arguments))
