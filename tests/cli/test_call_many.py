"""`algoprof call --many` as a user sees it: lines in, lines out, what failed in its place."""

import json
import signal
import subprocess
import sys
import threading

import pytest


def lines(text):
    return [json.loads(line) for line in text.splitlines()]


def test_a_line_in_is_a_line_out(algoprof, platform, tmp_path):
    (tmp_path / "in.jsonl").write_text("".join(f'{{"n": {n}}}\n' for n in range(40)) + "\n[1]\n")
    done = algoprof("call", "demo/Echo", "--many", "in.jsonl", "--concurrency", "4")
    assert done.returncode == 0, done.stderr
    assert lines(done.stdout) == [*({"n": n} for n in range(40)), [1]]
    assert done.stderr.startswith("demo/Echo: 41 calls in ")


def test_what_fails_stands_in_its_place(algoprof, platform):
    def answer(path, headers, body):
        if body == b"1":
            return 200, {"error": {"message": "no such city", "error_type": "InputError"}}
        return 200, {"result": json.loads(body), "metadata": {"content_type": "json", "duration": 0}}

    platform.answer = answer
    done = algoprof("call", "demo/Echo", "--many", "-", input="0\n1\n2\n")
    assert done.returncode == 1
    first, failed, last = lines(done.stdout)
    assert (first, last) == (0, 2)
    assert failed["error"]["outcome"] == "algorithm_error"
    assert "no such city" in failed["error"]["message"]
    assert done.stderr.endswith(", 1 failed\n")


def test_records_say_which_input_they_answer(algoprof, platform):
    done = algoprof("call", "demo/Echo", "--many", "-", "--unordered", "--json", "--stdout", input="5\n6\n7\n")
    told = {record["index"]: record for record in lines(done.stdout)}
    assert {index: record["result"] for index, record in told.items()} == {0: 5, 1: 6, 2: 7}
    assert all(record["call"]["outcome"] == "ok" for record in told.values())
    assert told[0]["metadata"]["stdout"] == "printed\n"


def test_a_line_that_is_not_json_ends_it_after_those_before(algoprof, platform):
    done = algoprof("call", "demo/Echo", "--many", "-", input="0\n1\n{\n3\n")
    assert done.returncode == 2
    assert lines(done.stdout) == [0, 1]
    assert "line 3 of stdin is not JSON" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize("options", [["--data", "1"], ["-"], ["--output", "x"], ["--profile"], ["--stdout"]])
def test_what_does_not_go_with_many_is_refused(algoprof, platform, options):
    done = algoprof("call", "demo/Echo", "--many", "in.jsonl", *options)
    assert done.returncode == 2
    assert "--many brings its inputs" in done.stderr


def test_a_file_that_is_not_there(algoprof, platform):
    done = algoprof("call", "demo/Echo", "--many", "none.jsonl")
    assert (done.returncode, done.stderr) == (1, "algoprof: error: none.jsonl: No such file or directory\n")


def test_a_result_does_not_wait_for_the_next_line_and_an_interrupt_keeps_what_is_done(platform):
    held, asked = threading.Event(), threading.Event()

    def answer(path, headers, body):
        if body == b"1":
            asked.set()
            held.wait(60)
        return 200, {"result": json.loads(body), "metadata": {"content_type": "json", "duration": 0}}

    platform.answer = answer
    with subprocess.Popen(
        [sys.executable, "-m", "algoprof", "call", "demo/Echo", "--many", "-"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1,
    ) as process:  # fmt: skip
        process.stdin.write("0\n")
        assert process.stdout.readline() == "0\n"
        process.stdin.write("1\n")
        assert asked.wait(60)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        assert process.stdout.read() == ""
        told = process.stderr.read()
        assert "Traceback" not in told
        assert "nobody waits for the calls that are under way any more" in told
    held.set()
