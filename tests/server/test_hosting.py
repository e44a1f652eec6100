"""What algorithms do that a host has to bear, row by row of the runner protocol: ADK's ways, streams, processes."""

import base64
import threading

import pytest

PLAIN, SECOND, BARE = "local/plain", "local/second", "demo/Bare"


def test_an_adk_without_load_serves_all_content_types_both_ways(server):
    binary = {"data": b"\x00\xff", "headers": {"Content-Type": "application/octet-stream"}}
    assert server.call(BARE, {"a": [1]})["result"] == {"a": [1]}
    text = server.call(f"{BARE}?stdout=true", "grün")
    assert (text["result"], text["metadata"]["content_type"]) == ("grün", "text")
    assert text["metadata"]["stdout"] == "half a line"
    answer = server.call(BARE, **binary)
    assert (base64.b64decode(answer["result"]), answer["metadata"]["content_type"]) == (b"\x00\xff", "binary")
    nothing = server.call(BARE, None)
    assert (nothing["result"], nothing["metadata"]["content_type"]) == (None, "json")


def test_under_adk_each_call_has_what_it_printed_and_no_more(server, scaled):
    server.call("demo/Adk", 0)
    for number in range(scaled(600)):  # ADK replies before it flushes
        printed = server.call("demo/Adk?stdout=true", number)["metadata"]["stdout"]
        assert printed == f"asked for {number}\n"


def test_an_error_that_adk_cannot_tell_is_told(server):
    error = server.call(BARE, "odd")["error"]
    assert (error["message"], error["error_type"]) == ("an error with a type that is no text", "AlgorithmError")
    ended = server.call(BARE, "exit")["error"]
    assert (ended["message"], ended["error_type"]) == ("exited with code 1", "SystemExit")
    assert ended["stacktrace"].endswith("SystemExit: no more\n")
    assert server.call(BARE, "next")["result"] == "next"


@pytest.mark.parametrize(
    ("asked", "message"), [("die", "exited with code 5"), ("crash", "exited with code -11 (SIGSEGV)")]
)
def test_a_process_that_dies_under_adk_is_told_and_replaced(server, asked, message):
    error = server.call(BARE, asked)["error"]
    assert (error["message"], error["error_type"]) == (message, "SystemExit")
    assert server.call(BARE, "next")["result"] == "next"


@pytest.mark.parametrize(
    ("asked", "words", "last"),
    [
        ("recurse", "maximum recursion depth exceeded", "RecursionError: "),
        ("unserializable", 'result["rows"][0]: set is not JSON-serializable; return plain', "TypeError: "),
    ],
)
def test_errors_of_the_interpreter_come_through_under_adk(server, asked, words, last):
    error = server.call(BARE, asked)["error"]
    assert error["message"].startswith(words)
    assert error["error_type"] == "AlgorithmError"
    assert error["stacktrace"].splitlines()[-1].startswith(last)


def test_what_is_larger_than_a_pipe_goes_through_adk_both_ways(server):
    text = "grün " * 500_000
    assert server.call(BARE, text)["result"] == text


def test_an_algorithm_that_prints_the_platforms_own_word_is_loaded_all_the_same(server):
    server.call(PLAIN, {"do": "end"})
    assert server.call(PLAIN, {"do": "say", "out": "PIPE_INIT_COMPLETE"})["result"] == "said"
    answer = server.call(f"{PLAIN}?stdout=true", {"do": "say", "out": "PIPE_INIT_COMPLETE"})
    assert answer["metadata"]["stdout"] == "PIPE_INIT_COMPLETE\nerr\nunfinished"


def test_a_load_that_fails_under_adk_is_told_to_each_call_in_its_authors_words(server):
    for _ in range(2):
        answer = server.call("demo/Unloadable?stdout=true", 1)
        error = answer["error"]
        assert (error["message"], error["error_type"]) == ("there is no model v3", "LoadingError")
        assert answer["metadata"]["stdout"] == "looking for the model\n"
        named = [line.strip() for line in error["stacktrace"].splitlines() if 'File "' in line]
        assert [line.rpartition(", in ")[2] for line in named] == ["load", "open_model"]
        assert all(line.startswith('File "src/Unloadable.py", line ') for line in named)


def test_an_import_that_fails_under_adk_is_told_in_its_authors_words(server):
    error = server.call("demo/Unimportable", 1)["error"]
    assert error["error_type"] == "LoadingError"
    assert "(helper.py, line 1)" in error["message"]
    assert 'File "src/Unimportable.py", line ' in error["stacktrace"]
    assert 'File "helper.py", line 1' in error["stacktrace"]
    assert "importlib" not in error["stacktrace"]


def test_two_algorithms_at_once_do_not_meet(server):
    assert server.call(PLAIN, {"do": "wander"})["result"] == "/"
    folder, wandered, fifo = server.call(SECOND, {"do": "where"})["result"]
    assert len(folder) == 40, "each runs in its own copy of its files"
    assert wandered is None
    assert server.call(PLAIN, {"do": "where"})["result"][2] != fifo
    server.call(PLAIN, {"do": "end"})  # the next one starts where it should
    assert server.call(PLAIN, {"do": "where"})["result"][:2] == [folder, None]


def test_replies_of_two_algorithms_at_once_are_each_ones_own(server, scaled):
    answers = {PLAIN: [], SECOND: []}

    def ask(algorithm):
        for number in range(scaled(400)):
            answers[algorithm].append(server.call(algorithm, f"{algorithm} {number}" * 5000)["result"])

    threads = [threading.Thread(target=ask, args=[algorithm]) for algorithm in answers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for algorithm, results in answers.items():
        assert results == [f"{algorithm} {number}" * 5000 for number in range(scaled(400))]


def test_the_platforms_pipe_is_a_file_like_any_other(server):
    assert server.call(PLAIN, {"do": "write_algoout", "text": '{"result": "forged"}\n'})["result"] == "answered"
    assert server.call(PLAIN, "next")["result"] == "next"


def test_stdin_is_empty(server):
    assert server.call(PLAIN, {"do": "read_stdin"})["result"] == ""
    assert server.call(PLAIN, "next")["result"] == "next"


def test_an_algorithm_that_closes_its_output_answers_all_the_same(server):
    answer = server.call(f"{PLAIN}?stdout=true", {"do": "close_stdout"})
    assert answer["result"] == "answered"
    assert answer["metadata"]["stdout"].endswith("before it is closed\n")
    assert server.call(f"{PLAIN}?stdout=true", 5)["result"] == 5
    assert server.call(PLAIN, {"do": "end"})["error"]["message"] == "exited with code 3"


@pytest.mark.parametrize("how", ["print_from_c", "buffer_stdout"])
def test_what_is_printed_through_a_buffer_belongs_to_its_own_call(server, how):
    server.call(PLAIN, {"do": "end"})
    server.call(PLAIN, 1)
    text = "half a line"
    assert server.call(f"{PLAIN}?stdout=true", {"do": how, "text": text})["metadata"]["stdout"] == text
    assert server.call(f"{PLAIN}?stdout=true", 1)["metadata"]["stdout"] == ""
    server.call(PLAIN, {"do": "end"})


def test_what_threads_of_an_earlier_call_print_goes_to_the_call_that_runs(server, tmp_path):
    server.call(PLAIN, 1)
    first = server.call(f"{PLAIN}?stdout=true", {"do": "linger", "folder": str(tmp_path)})
    assert first["metadata"]["stdout"] == "said by the call\n"
    (tmp_path / "go").touch()
    second = server.call(f"{PLAIN}?stdout=true", {"do": "wait_for", "path": str(tmp_path / "gone")})
    assert second["result"] == "answered"
    lines = second["metadata"]["stdout"].splitlines()
    assert [line for line in lines if line != "from a thread of an earlier call"] == ["waiting", "waited"]


def test_an_algorithm_that_ignores_signals_ends_all_the_same(server):
    pid = server.call(PLAIN, {"do": "ignore_signals"})["result"]
    answer = server.call(f"{PLAIN}?timeout=0.5", {"do": "hang"})
    assert answer["error"]["error_type"] == "TimeoutError"
    assert server.call(PLAIN, {"do": "state"})["result"]["pid"] != pid


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_process_pools_work_and_print_into_their_call(server, method):
    server.call(PLAIN, 1)
    answer = server.call(f"{PLAIN}?stdout=true", {"do": "pool", "method": method})
    assert answer["result"] == [1, 4, 9]
    printed = answer["metadata"]["stdout"]
    assert printed.count("in the parent\n") == 1
    assert printed.count("in a child") == 3, "one may be in the middle of another"
    assert server.call(PLAIN, "next")["result"] == "next"


def test_asyncio_runs_in_an_algorithm(server):
    assert server.call(PLAIN, {"do": "run_asyncio"})["result"] == [1, 2]


@pytest.mark.parametrize(
    ("what", "words"),
    [
        (
            "coroutine",
            "result: coroutine is not JSON-serializable, and nobody awaits it: return asyncio.run(...) of it",
        ),
        ("generator", "result: generator is not JSON-serializable: return list(...) of it"),
        ("async_generator", "result: async_generator is not JSON-serializable, and nobody iterates over it: "),
        ("within", 'result["rows"][1]: generator is not JSON-serializable: return list(...) of it'),
    ],
)
def test_what_still_has_to_be_run_is_no_result(server, what, words):
    server.call(PLAIN, 1)
    answer = server.call(f"{PLAIN}?stdout=true", {"do": what})
    assert answer["error"]["message"].startswith(words)
    assert answer["metadata"]["stdout"] == "", "no warning of a coroutine that was never awaited"


def test_endless_recursion_is_the_authors_error(server):
    error = server.call(PLAIN, {"do": "recurse"})["error"]
    assert error["message"].startswith("maximum recursion depth exceeded")
    assert error["stacktrace"].splitlines()[-1].startswith("RecursionError: ")
    assert len(error["stacktrace"]) < 10_000
    assert server.call(PLAIN, "next")["result"] == "next"
