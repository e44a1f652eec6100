"""Many calls at once: bounded, in order or not, stopped cleanly, and put off together."""

import gc
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
import weakref

import pytest

import algoprof
from algoprof.calls.many.throttle import Throttle
from algoprof.errors import CallError, CallOutOfBudget, CallRefused, ConfigurationError, InputRefused
from algoprof.profiles.calls import Call

AT_ONCE = {"Retry-After": "0"}


@pytest.fixture
def algo(platform, make_client):
    return make_client("simKey", platform.address).algo("demo/Routes").set_options(timeout=60)


@pytest.fixture
def held(platform):
    """Let the platform echo, and hold answers back: a request whose body is in it waits for the event there."""
    events = {}
    platform.answering = lambda asked: echo(events, asked)
    yield events
    for event in events.values():
        event.set()


def echo(events, asked):
    event = events.get(asked.body)
    if event is not None:
        assert event.wait(60)
    return json.dumps({"result": json.loads(asked.body), "metadata": {"content_type": "json", "duration": 0}}).encode()


def eventually(condition):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        threading.Event().wait(0.005)


def threads():
    return {thread for thread in threading.enumerate() if thread.name.startswith(("algoprof-call-", "algoprof-inputs"))}


@pytest.mark.parametrize("concurrency", [1, 3, 16])
def test_responses_come_in_the_order_of_the_inputs(algo, held, concurrency):
    held[b"0"] = threading.Event()
    with algoprof.capture_calls() as done:
        others = concurrency - 1
        releasing = threading.Thread(target=lambda: eventually(lambda: len(done) >= others) or held[b"0"].set())
        releasing.start()
        responses = list(algo.pipe_many(range(20), concurrency))
    releasing.join()
    assert [response.result for response in responses] == [response.index for response in responses] == [*range(20)]
    assert {id(call) for call in done} == {id(response.call) for response in responses}
    eventually(lambda: not threads())


def test_or_as_they_are_there(algo, held):
    held[b"0"] = threading.Event()
    responses = algo.pipe_many(range(6), 2, ordered=False)
    first = [next(responses).index for _ in range(3)]
    assert 0 not in first
    held[b"0"].set()
    assert {*first, *(response.index for response in responses)} == {*range(6)}


def test_in_a_fork_they_are_refused_at_once(algo, held):
    held[b"1"] = threading.Event()
    responses = algo.pipe_many(range(3), 3)
    assert next(responses).result == 0
    read, write = os.pipe()
    child = os.fork()
    if not child:
        try:
            next(responses)
        except ConfigurationError as error:
            os.write(write, str(error).encode())
            responses.close()
            weakref.finalize._exitfunc()  # what runs at the exit of a child that has one
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as said:
        assert "belong to the process that called pipe_many" in said.read()
    assert os.waitpid(child, 0)[1] == 0
    held[b"1"].set()
    assert [response.result for response in responses] == [1, 2]


@pytest.mark.parametrize("ordered", [True, False])
def test_no_more_is_taken_than_there_is_room_for(algo, held, ordered):
    taken = []
    responses = algo.pipe_many((taken.append(n) or n for n in itertools.count()), 3, ordered=ordered)
    assert taken == [], "nothing is sent before the first is asked for"
    for handed in range(1, 30):
        next(responses)
        eventually(lambda handed=handed: len(taken) >= handed)
        assert len(taken) <= handed + 6
    responses.close()
    eventually(lambda: not threads())


def test_never_more_at_once_than_asked_for(algo, held, platform):
    for number in range(12):
        held[b"%d" % number] = threading.Event()
    responses = algo.pipe_many(range(12), 4, ordered=False)
    waiting = threading.Thread(target=lambda: list(responses))
    waiting.start()
    for number in range(12):
        eventually(lambda number=number: len(platform.asked) == min(number + 4, 12))
        held[platform.asked[number].body].set()
    waiting.join()


def test_the_first_failure_is_raised_in_its_place(platform, algo, held):
    held[b"0"] = threading.Event()
    taken = []

    def inputs():
        for number in itertools.count():
            taken.append(number)
            yield object() if number == 1 else number

    threading.Thread(target=lambda: eventually(lambda: len(taken) > 1) or held[b"0"].set()).start()
    responses = algo.pipe_many(inputs(), 2)
    assert next(responses).result == 0
    with pytest.raises(InputRefused) as raised:
        next(responses)
    assert raised.value.index == 1
    assert len(taken) <= 5, "four, and one since a response was handed out"
    assert all(response.index > 1 for response in responses), "what was done is still there"
    eventually(lambda: not threads())


def test_failures_are_returned_or_replaced(algo, held):
    inputs = [0, object(), 2]
    first, failed, last = algo.pipe_many(inputs, on_error="return")
    assert (first.result, last.result) == (0, 2)
    assert isinstance(failed, InputRefused)
    assert failed.index == 1
    replaced = list(algo.pipe_many(inputs, on_error=lambda error: (error.index, error.call.outcome)))
    assert replaced[1] == (1, "not_sent")


def test_what_the_inputs_raise_comes_after_what_they_gave(algo, held):
    def inputs():
        yield from range(3)
        raise LookupError("the file is torn")

    responses = algo.pipe_many(inputs())
    assert [next(responses).result for _ in range(3)] == [0, 1, 2]
    with pytest.raises(LookupError, match="torn"):
        next(responses)
    assert list(responses) == []


def test_what_on_error_raises_ends_it(algo, held):
    def refuse(error):
        raise LookupError(error.index)

    responses = algo.pipe_many([object(), *range(100)], 2, on_error=refuse)
    with pytest.raises(LookupError):
        next(responses)
    eventually(lambda: not threads())


@pytest.mark.parametrize("ordered", [True, False])
def test_closing_gives_up_what_is_on_its_way_and_keeps_what_is_done(algo, held, platform, ordered):
    for number in (1, 3):
        held[b"%d" % number] = threading.Event()
    with algoprof.capture_calls() as calls:
        responses = algo.pipe_many(itertools.count(), 4, ordered=ordered)
        assert next(responses).result in (0, 2)
        eventually(lambda: {b"1", b"3"} <= {asked.body for asked in platform.asked} and len(calls) > 3)
        began = time.monotonic()
        responses.close()
    assert time.monotonic() - began < 30
    kept = [response.result for response in responses]
    assert kept
    assert not {1, 3} & {*kept}
    assert not ordered or kept == sorted(kept)
    eventually(lambda: sum(call.outcome == "cancelled" for call in calls) >= 2)
    eventually(lambda: not threads())
    assert len(platform.asked) <= len(calls) + 1
    assert algo.pipe(7).result == 7, "the client goes on"


def test_one_that_is_dropped_ends_too(algo, held, platform):
    held[b"1"] = threading.Event()
    responses = algo.pipe_many(itertools.count(), 2)
    next(responses)
    eventually(lambda: any(asked.body == b"1" for asked in platform.asked))
    del responses
    gc.collect()
    eventually(lambda: not threads())


def test_inputs_that_never_come_do_not_hold_it(algo, held):
    never = threading.Event()

    def inputs():
        yield 0
        never.wait(60)

    with algo.pipe_many(inputs()) as responses:
        assert next(responses).result == 0, "a response does not wait for the next input"
    assert list(responses) == []
    never.set()
    eventually(lambda: not threads())


INTERRUPTED = """
import itertools, sys, algoprof
algo = algoprof.client("simKey", sys.argv[1]).algo("demo/Routes")
responses = algo.pipe_many(itertools.count(), 3)
kept = []
try:
    for response in responses:
        kept.append(response.result)
        print(kept[-1], flush=True)
except KeyboardInterrupt:
    kept += [response.result for response in responses]
    print("kept", *kept, flush=True)
    raise
"""


def test_an_interrupt_stops_it_with_what_is_done_kept(held, platform):
    for number in range(5, 8):
        held[b"%d" % number] = threading.Event()
    with subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, platform.address], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        lines = [process.stdout.readline().strip() for _ in range(5)]
        eventually(lambda: len(platform.asked) >= 8)
        process.send_signal(signal.SIGINT)
        told, complaint = process.communicate(timeout=60)
    assert lines == ["0", "1", "2", "3", "4"]
    assert told.split() == ["kept", "0", "1", "2", "3", "4"]
    assert process.returncode in (-signal.SIGINT, 130)
    assert complaint.splitlines()[-1] == "KeyboardInterrupt"


def test_calls_that_are_put_off_come_again(platform, algo):
    platform.first = [(429, AT_ONCE)] * 3 + [(503, AT_ONCE)]
    with algoprof.capture_calls() as calls:
        responses = list(algo.pipe_many(range(10), 4))
    assert [response.index for response in responses] == [*range(10)]
    assert sorted(call.outcome for call in calls) == ["ok"] * 10 + ["platform_error"] + ["refused"] * 3
    assert max(call.attempt for call in calls) >= 2
    assert max(call.timeout for call in calls if call.attempt > 1) < 60


def test_all_wait_when_one_is_put_off(platform, algo):
    platform.first = [(429, {"Retry-After": "1"})]
    with algoprof.capture_calls() as calls:
        list(algo.pipe_many(range(6), 1))
    refused, *others = calls
    assert all(call.started_ns >= refused.started_ns + 10**9 for call in others)


def test_one_that_is_put_off_beyond_its_time_has_failed(platform, algo):
    platform.first = [(429, {"Retry-After": "3600"})]
    (failed,) = algo.pipe_many([1], on_error="return")
    assert isinstance(failed, CallRefused)
    assert failed.retry_after == 3600.0
    assert len(platform.asked) == 1


def test_other_failures_come_again_only_where_the_client_says_so(platform, make_client):
    platform.first = [(500, AT_ONCE)]
    algo = make_client("simKey", platform.address, retries=2).algo("demo/Routes")
    (failed,) = algo.pipe_many([1], on_error="return")
    assert isinstance(failed, CallError)
    (unreachable,) = make_client("simKey", "http://127.0.0.1:1").algo("a/b").pipe_many([1], on_error="return")
    assert unreachable.call.attempt == 1


def test_the_context_goes_along(algo, held):
    seen = []

    def inputs():
        for number in range(3):
            with algoprof.section("made"):
                seen.append(algoprof.budget().remaining)
                yield number

    with algoprof.profile("job", timeout=50) as run, algoprof.section("batch"):
        responses = list(algo.pipe_many(inputs()))
    assert all(response.call.cut and response.call.timeout < 50 for response in responses)
    assert all(remaining < 50 for remaining in seen)
    assert run.snapshot().node("job", "batch", "made").count == 3


def test_without_budget_nothing_is_sent(platform, algo):
    with algoprof.profile("job", timeout=1e-9):
        (failed,) = algo.pipe_many([1], on_error="return")
    assert isinstance(failed, CallOutOfBudget)
    assert platform.asked == []


@pytest.mark.parametrize(
    ("inputs", "options", "says"),
    [
        ("text", {}, r"pass \[it\]"),
        ({"a": 1}, {}, r"one dict"),
        (3, {}, "iterate"),
        ([1], {"concurrency": 0}, "from 1 to 80"),
        ([1], {"concurrency": 81}, "from 1 to 80"),
        ([1], {"concurrency": True}, "from 1 to 80"),
        ([1], {"on_error": "ignore"}, "on_error"),
    ],
)
def test_what_cannot_be_meant_is_refused_at_once(platform, algo, inputs, options, says):
    with pytest.raises(ConfigurationError, match=says):
        algo.pipe_many(inputs, **options)
    assert platform.asked == []


def test_lines_where_there_is_no_terminal(algo, held, capsys, monkeypatch):
    list(algo.pipe_many(range(3)))
    assert capsys.readouterr().err == ""
    monkeypatch.setattr("algoprof.calls.many.progress._EVERY", 0.0)
    list(algo.pipe_many([0, object()], on_error="return", progress=True))
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1].startswith("demo/Routes: 2 of 2 calls in ")
    assert lines[-1].endswith(" per second, 1 failed")


BAR = """
import sys, algoprof
list(algoprof.client("simKey", sys.argv[1]).algo("demo/Routes").pipe_many([0, 1, object()], on_error="return"))
"""


def test_a_bar_on_a_terminal(held, platform):
    controller, terminal = os.openpty()
    with subprocess.Popen([sys.executable, "-c", BAR, platform.address], stderr=terminal) as process:
        os.close(terminal)
        shown = b""
        while b"3/3" not in shown or b"1 failed" not in shown:
            shown += os.read(controller, 65536)
        assert process.wait(60) == 0
    os.close(controller)


def test_a_throttle_narrows_once_for_calls_that_were_refused_together():
    throttle = Throttle(8)
    for _ in range(8):
        assert throttle.delay(0.0) == 0
        throttle.begin()
    assert throttle.delay(0.0) == float("inf")
    for _ in range(4):
        throttle.end(1.0, 0.5, pause=2.0)
    assert throttle.limits
    assert throttle.delay(1.0) == 2.0
    assert throttle.delay(3.0) == float("inf"), "four are on their way still, and four are the limit"
    for _ in range(4):
        throttle.end(3.0, 0.5)
    for _ in range(4):
        assert throttle.delay(3.0) == 0
        throttle.begin()
    assert throttle.delay(3.0) == float("inf")
    for _ in range(60):
        throttle.end(4.0, 3.0)
        throttle.begin()
    assert not throttle.limits


def test_every_call_is_recorded(algo, held, recorded):
    list(algo.pipe_many([0, object(), 2], on_error="return"))
    assert sum(isinstance(one, Call) for one in recorded) == 3
