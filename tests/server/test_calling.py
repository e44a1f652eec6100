"""Calls over real HTTP: inputs, results, errors, output, timeouts."""

import base64
import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

PLAIN = "local/plain"


def wait_for(path):
    deadline = time.monotonic() + 20
    while not path.exists():
        assert time.monotonic() < deadline, path
        time.sleep(0.01)


def test_a_result_comes_in_the_platforms_envelope(server):
    answer = server.call(PLAIN, {"cities": [1, 2.5, None, True]})
    assert answer["result"] == {"cities": [1, 2.5, None, True]}
    assert answer["metadata"]["content_type"] == "json"
    assert "error" not in answer
    assert "stdout" not in answer["metadata"]
    assert answer["request_id"] == answer["metadata"]["request_id"]
    assert answer["request_id"].startswith("req-")


def test_the_time_is_told_by_its_parts(server):
    answer = server.call(f"{PLAIN}?timeout=20", {"do": "sleep", "seconds": 0.3})
    told = answer["metadata"]["algoprof"]
    assert told["timeout"] == 20
    assert answer["metadata"]["duration"] == told["run"]
    assert 0.3 <= told["run"] < told["total"]
    assert told["queue"] + told["load"] + told["run"] <= told["total"]
    assert "profile" not in told


@pytest.mark.parametrize(
    ("content_type", "body", "result", "kind"),
    [
        ("application/json", b' {"a":\r\n [1e400, 12345678901234567890.123]}', None, "refused"),
        ("application/json; charset=utf-8", '"ü"'.encode(), "ü", "text"),
        ("application/json", b"null", None, "json"),
        ("text/plain", "grüße\nzwei".encode(), "grüße\nzwei", "text"),
        ("application/text", b"", "", "text"),
        ("text/plain", b'{"do": "fail"}', '{"do": "fail"}', "text"),
        ("application/octet-stream", bytes(range(256)), base64.b64encode(bytes(range(256))).decode(), "binary"),
    ],
)
def test_the_content_type_says_what_the_algorithm_gets(server, content_type, body, result, kind):
    answer = server.post(PLAIN, data=body, headers={"Content-Type": content_type}).json()
    if kind == "refused":  # 1e400 is infinite, which no answer can hold
        assert 'result["a"][0]: inf is not JSON' in answer["error"]["message"]
    else:
        assert answer["result"] == result
        assert answer["metadata"]["content_type"] == kind


@pytest.mark.parametrize(
    ("headers", "body", "status", "words"),
    [
        ({"Content-Type": "application/json"}, b"{", 400, "not JSON"),
        ({"Content-Type": "application/json"}, b'{"a": NaN}', 400, "NaN"),
        ({"Content-Type": "application/json"}, b"", 400, "not JSON"),
        ({"Content-Type": "application/json"}, b"\xef\xbb\xbf1", 400, "byte order mark"),
        ({"Content-Type": "application/json"}, b"[" * 100_000, 400, "nested too deeply"),
        ({"Content-Type": "application/json"}, b'"\xff"', 400, "not UTF-8"),
        ({"Content-Type": "text/plain"}, b"\xff", 400, "not UTF-8"),
        ({"Content-Type": "application/xml"}, b"<a/>", 415, "application/xml"),
        ({"Content-Type": ""}, b"a", 415, "missing"),
        ({"Content-Type": "text/plain", "Content-Encoding": "gzip"}, b"a", 415, "gzip"),
        ({"Content-Type": "text/plain"}, b"x" * (10 * 1024 * 1024 + 1), 413, "10 MiB"),
    ],
)
def test_an_input_that_cannot_be_meant_is_refused_in_one_sentence(server, headers, body, status, words):
    answer = server.post(PLAIN, data=body, headers=headers)
    assert answer.status_code == status
    assert words in answer.json()["error"]["message"]
    assert server.call(PLAIN, "next")["result"] == "next"  # on the same connection


@pytest.mark.parametrize("timeout", ["0", "-1", "3000.1", "1e9", "nan", "inf", "ten", "", "1_000", "0x10"])
def test_a_timeout_that_cannot_be_granted_is_refused(server, timeout):
    answer = server.post(PLAIN, 1, params={"timeout": timeout})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, 6001)
    assert f"timeout={timeout}" in answer.json()["error"]["message"]


def test_ten_mebibytes_go_in_and_come_out(server):
    body = "é" * (5 * 1024 * 1024)
    answer = server.post(PLAIN, data=body.encode(), headers={"Content-Type": "text/plain"})
    assert answer.json()["result"] == body


def test_a_result_that_is_too_large_is_refused_and_the_worker_lives(server):
    pid = server.call(PLAIN, {"do": "state"})["result"]["pid"]
    for mebibytes in (16, 25):
        answer = server.call(PLAIN, {"do": "large", "mebibytes": mebibytes})
        assert answer["error"]["error_type"] == "TooLargeError"
    assert server.call(PLAIN, {"do": "state"})["result"]["pid"] == pid


def test_stdout_and_stderr_come_in_order_when_asked_for(server):
    server.call(PLAIN, 1)  # so that the load's output is gone
    answer = server.call(f"{PLAIN}?stdout=True", {"do": "say", "err": "grün"})
    assert answer["metadata"]["stdout"] == "out\ngrün\nunfinished"


def test_what_is_printed_late_goes_to_nobody(server, tmp_path):
    server.call(PLAIN, {"do": "late", "printed": str(tmp_path / "printed")})
    wait_for(tmp_path / "printed")
    assert server.call(f"{PLAIN}?stdout=true", 1)["metadata"]["stdout"] == ""


def test_a_flood_of_output_is_cut_and_the_answer_still_comes(server):
    answer = server.call(f"{PLAIN}?stdout=true", {"do": "flood", "lines": 60_000})
    assert answer["result"] == 60_000
    assert len(answer["metadata"]["stdout"]) < 5 * 1024 * 1024
    assert "bytes more were left out]" in answer["metadata"]["stdout"]


def test_an_error_carries_the_authors_own_traceback_under_both_names(server):
    answer = server.call(f"{PLAIN}?stdout=true", {"do": "fail", "message": "no photo"})
    error = answer["error"]
    assert (error["message"], error["error_type"]) == ("no photo", "AlgorithmError")
    assert error["stacktrace"] == error["stack_trace"]
    assert error["stacktrace"].endswith("ValueError: no photo\n")
    assert 'File "behaviour.py", line ' in error["stacktrace"]
    assert "bootstrap.py" not in error["stacktrace"]
    assert answer["metadata"]["duration"] >= 0


def test_the_authors_error_type_passes_through(server):
    answer = server.call(PLAIN, {"do": "fail", "error_type": "InputError"})
    assert answer["error"]["error_type"] == "InputError"


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("unserializable", 'result["frames"][3]: object is not JSON-serializable'),
        ("nan", 'result["scores"][1]: nan is not JSON'),
        ("tuple_key", 'result["a"] has a key of type tuple ((1, 2))'),
        ("circular", 'result[0]["again"] contains itself'),
    ],
)
def test_a_result_that_cannot_be_json_is_named_by_its_path(server, what, words):
    error = server.call(PLAIN, {"do": what})["error"]
    assert error["message"].startswith(words)
    assert "data://.algo/OWNER/ALGORITHM/temp" in error["message"]


def test_any_string_comes_back(server):
    assert server.call(PLAIN, {"do": "surrogate"})["result"] == "\ud800 and \U0001f600"


@pytest.mark.parametrize(("what", "words"), [("end", "code 3"), ("crash", "code -11 (SIGSEGV)")])
def test_a_worker_that_dies_is_told_and_replaced(server, what, words):
    answer = server.call(PLAIN, {"do": what})
    assert answer["error"] == {"message": f"exited with {words}", "error_type": "SystemExit"}
    assert server.call(PLAIN, {"do": "counted"})["result"] == 1


@pytest.mark.parametrize(
    ("algorithm", "asked", "words", "last"),
    [
        (PLAIN, {"do": "leave"}, "code 4", "SystemExit: 4\n"),
        (PLAIN, {"do": "leave", "code": "no photo"}, "code 1", "SystemExit: no photo\n"),
        (PLAIN, {"do": "leave_with_a_thread"}, "code 130", "KeyboardInterrupt\n"),
        ("demo/Adk", "exit", "code 6", "SystemExit: 6\n"),
    ],
)
def test_an_algorithm_that_exits_is_told_at_once_and_replaced(server, algorithm, asked, words, last):
    answer = server.call(f"{algorithm}?timeout=20", asked)
    assert (answer["error"]["message"], answer["error"]["error_type"]) == (f"exited with {words}", "SystemExit")
    assert answer["error"]["stacktrace"].endswith(last)
    assert answer["metadata"]["duration"] < 10
    assert "error" not in server.call(f"{algorithm}?timeout=20", "next")


@pytest.mark.parametrize(("end", "code"), [("return", 0), ("fail", 1), ("exit", 7)])
def test_a_forked_child_answers_nothing(server, end, code):
    answer = server.call(f"{PLAIN}?timeout=20&stdout=true", {"do": "fork", "end": end})
    assert answer["result"] == ["from the parent", code]
    assert ("ValueError: of the child" in answer["metadata"]["stdout"]) == (end == "fail")
    assert [server.call(PLAIN, number)["result"] for number in range(5)] == list(range(5))


def test_a_forked_child_answers_nothing_under_adk_either(server):
    assert server.call("demo/Adk?timeout=20", "fork")["result"] == "from the parent"
    assert [server.call("demo/Adk", number)["result"]["input"] for number in range(5)] == list(range(5))


def test_a_reply_that_is_none_is_told_and_the_worker_replaced(server):
    server.call(PLAIN, 1)
    answer = server.call(f"{PLAIN}?timeout=20", {"do": "garbage", "text": "no json"})
    assert answer["error"]["error_type"] == "SystemExit"
    assert answer["error"]["message"].startswith("JSON error - ")
    assert server.call(PLAIN, {"do": "counted"})["result"] == 1


def test_at_the_timeout_the_answer_has_what_was_printed_so_far(server):
    began = time.monotonic()
    answer = server.call(f"{PLAIN}?timeout=0.7", {"do": "hang"})
    assert 0.7 <= time.monotonic() - began < 3
    assert answer["error"]["error_type"] == "TimeoutError"
    assert "700 milliseconds" in answer["error"]["message"]
    assert answer["metadata"]["stdout"].endswith("before the hang\nhalf a line")
    told = answer["metadata"]["algoprof"]
    assert 0.5 < told["queue"] + told["load"] + told["run"] < 2
    assert server.call(PLAIN, {"do": "counted"})["result"] == 1


def test_the_timeout_takes_the_whole_process_group_stopped_ones_too(server):
    answer = server.call(f"{PLAIN}?timeout=1.5", {"do": "hang_with_children"})
    pids = [int(word) for word in answer["metadata"]["stdout"].split("pids ")[1].split()]
    assert len(pids) == 3
    deadline = time.monotonic() + 5
    while any(_runs(pid) for pid in pids):
        assert time.monotonic() < deadline, pids


def _runs(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_time_in_the_queue_counts(server, tmp_path):
    with ThreadPoolExecutor() as pool:
        begun = tmp_path / "begun"
        first = pool.submit(server.call, PLAIN, {"do": "sleep", "seconds": 1.5, "begun": str(begun)})
        wait_for(begun)
        second = server.call(f"{PLAIN}?timeout=0.5", 1)
        assert first.result()["result"] == 1.5
    assert second["error"]["error_type"] == "TimeoutError"
    assert second["metadata"]["duration"] == 0
    assert 0.45 < second["metadata"]["algoprof"]["queue"] < 1.5


def test_calls_at_once_are_answered_each_with_its_own(server, scaled):
    with ThreadPoolExecutor(16) as pool:
        numbers = range(scaled(2000))
        answers = list(pool.map(lambda number: server.call(PLAIN, number)["result"], numbers))
    assert answers == list(numbers)


def test_a_caller_that_goes_away_leaves_the_worker_usable(server):
    with pytest.raises(requests.Timeout):
        server.session.post(
            f"{server.address}/v1/algo/{PLAIN}?timeout=3", json={"do": "sleep", "seconds": 1}, timeout=0.3
        )
    assert server.call(PLAIN, "after")["result"] == "after"


def test_raw_gives_the_bare_result(server):
    text = server.post(f"{PLAIN}?output=raw", "grüße")
    assert (text.text, text.headers["content-type"]) == ("grüße", "text/plain; charset=utf-8")
    some_json = server.post(f"{PLAIN}?output=raw", {"a": [1]})
    assert (some_json.json(), some_json.headers["content-type"]) == ({"a": [1]}, "application/json")
    binary = server.post(f"{PLAIN}?output=raw", {"do": "binary"})
    assert (binary.content, binary.headers["content-type"]) == (bytes(range(256)), "application/octet-stream")
    failed = server.post(f"{PLAIN}?output=raw", {"do": "fail"})
    assert (failed.status_code, failed.json()["error"]["message"]) == (400, "it failed")


def test_void_answers_at_once_and_runs_all_the_same(server):
    before = server.call(PLAIN, {"do": "counted"})["result"]
    began = time.monotonic()
    answer = server.call(f"{PLAIN}?output=void", {"do": "sleep", "seconds": 2})
    assert time.monotonic() - began < 1.9
    assert answer["async"] is True
    assert answer["request_id"].startswith("req-")
    assert server.call(PLAIN, {"do": "counted"})["result"] == before + 2


@pytest.mark.parametrize("shown", ["Simple {}", "{}", "Bearer {}"])
def test_the_key_opens_in_each_of_its_forms(server, shown):
    url = f"{server.address}/v1/algo/{PLAIN}"
    answer = requests.post(url, json=1, headers={"Authorization": shown.format(server.key)}, timeout=20)
    assert answer.json()["result"] == 1


@pytest.mark.parametrize("shown", [None, "Simple simWrong", "", "Simple ", "simWrong"])
@pytest.mark.parametrize("size", [1, 11 * 1024 * 1024])
def test_without_the_key_nothing_is_answered(server, shown, size):
    headers = {"Authorization": shown} if shown is not None else {}
    with requests.Session() as session:
        url = f"{server.address}/v1/algo/{PLAIN}"
        answer = session.post(url, data=b"x" * size, headers=headers, timeout=20)
        assert answer.status_code == 401
        assert answer.json()["error"]["code"] == 2002
        assert server.key not in answer.text
        assert session.get(f"{server.address}/v1/algorithms/{PLAIN}", headers=headers, timeout=20).status_code == 401
        assert session.get(f"{server.address}/healthz", timeout=20).json() == {"status": "ok"}


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("local/nothing", "algorithm algo://local/nothing not found (No such algorithm)"),
        ("local/plain/9.9.9", "algo://local/plain/9.9.9 not found"),
        (
            "local/plain/latestPrivate",
            "not found (No such algorithm version): every version that this server publishes",
        ),
        (f"local/plain/{'0' * 40}", "not found"),
    ],
)
def test_an_unknown_algorithm_or_version_is_told(server, path, words):
    answer = server.post(path, 1)
    assert answer.status_code == 404
    assert words in answer.json()["error"]["message"]


@pytest.mark.parametrize("version", ["", "/", "/1.0.0", "/1.0", "/1.*", "/1.0.*", "/latest", "/1.0.0/"])
def test_a_version_is_chosen_by_its_selector(server, version):
    assert server.call(f"{PLAIN}{version}", 5)["result"] == 5


def test_a_version_is_chosen_by_its_hash_and_an_algorithm_by_its_id(server):
    algorithm = server.get(f"/v1/algorithms/{PLAIN}").json()
    assert server.call(f"{PLAIN}/{algorithm['version_info']['git_hash']}", 5)["result"] == 5
    assert server.call(algorithm["id"], 6)["result"] == 6
    assert server.call(f"{algorithm['id']}/1.0.0", 7)["result"] == 7


def test_a_route_that_is_none_is_told_as_json(server):
    answer = server.get("/v1/nothing/at/all")
    assert answer.status_code == 404
    assert "GET /v1/nothing/at/all" in answer.json()["error"]["message"]
    assert server.get(f"/v1/algo/{PLAIN}").status_code == 405


def test_a_classic_project_imports_its_neighbours(server):
    assert server.call("demo/Classic", "you")["result"] == "hello you"
    error = server.call("demo/Classic", "fail")["error"]
    assert (error["message"], error["error_type"]) == ("'no such thing'", "AlgorithmError")


def test_an_adk_project_loads_answers_and_fails_with_its_authors_words(server):
    answer = server.call("demo/Adk?stdout=true", "fail")
    assert answer["error"]["message"] == "the author's own words"
    assert "ValueError: the author's own words" in answer["error"]["stacktrace"]
    assert 'File "src/Adk.py", line ' in answer["error"]["stacktrace"]
    assert "asked for fail\n" in answer["metadata"]["stdout"]
    assert server.call("demo/Adk", {"n": 1})["result"] == {"input": {"n": 1}, "model": "v3"}
    assert base64.b64decode(server.call("demo/Adk", "bytes")["result"]) == b"\x00\xff"
    assert server.call("demo/Adk", "nan")["error"]["message"].startswith('result["score"]: nan is not JSON')


def test_the_algorithm_finds_itself_as_on_the_platform(server):
    state = server.call(PLAIN, {"do": "state"})["result"]
    assert state["argv"] == [f"{state['cwd']}/behaviour.py"]
    assert Path(state["argv"][0]).is_file()
    assert state["stdin"]
    assert state["api"].startswith(f"{server.address}/worker/")
    assert state["variables"] == [
        "ALGOPROF_CONTROL",
        "ALGOPROF_FLIGHT_DIR",
        "ALGOPROF_REPLY_FIFO",
        "ALGOPROF_REPORT",
    ]


def test_many_calls_leave_nothing_open(server, scaled):
    def opened():
        worker = server.call(PLAIN, {"do": "state"})["result"]["open"]
        return sum(1 for _ in Path(f"/proc/{server.process.pid}/fd").iterdir()), worker

    server.call(PLAIN, {"do": "end"})
    before = opened()
    for _ in range(scaled(200)):
        server.call(PLAIN, {"do": "end"})
        server.call(f"{PLAIN}?timeout=0.05", {"do": "hang"})
    of_server, of_worker = opened()
    assert of_server <= before[0], "connections of earlier tests may have been closed meanwhile, none may be added"
    assert of_worker == before[1]


def test_errors_are_kept_for_the_error_log(server):
    request_id = server.call("demo/Classic", "fail")["request_id"]
    row = server.get("/v1/algorithms/demo/Classic/errors").json()[0]
    assert row["request_id"] == request_id
    assert row["input"] == json.dumps("fail")
    assert row["error_type"] == "AlgorithmError"
    assert "KeyError" in row["error"]
    assert (row["username"], row["algoname"], row["algoversion"]) == ("demo", "Classic", "1.0.0")


def test_more_calls_at_once_than_the_platform_takes_are_refused(server):
    with ThreadPoolExecutor(90) as pool:
        held = {"do": "sleep", "seconds": 20}
        answers = list(pool.map(lambda _: server.post(f"{PLAIN}?timeout=6", held), range(90)))
    assert sum(answer.status_code == 429 for answer in answers) == 10
    assert sum(answer.status_code == 200 for answer in answers) == 80
    assert server.call(PLAIN, "after")["result"] == "after"
