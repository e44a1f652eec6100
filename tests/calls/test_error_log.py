"""The run-time error log: rows as the platform documents them, and whatever else may come."""

import json
import pickle

from hypothesis import given
from hypothesis import strategies as st

from algoprof.calls.management.error_log import parted, read_error

TRACE = (
    'Traceback (most recent call last):\n  File "/usr/local/bin/algorithmia-pipe", line 40, in get_response\n'
    "    result = call_algorithm(request, algorithm)\n"
    '  File "./src/testError.py", line 6, in apply\n    raise Exception("All I do is throw an error")\n'
    "Exception: All I do is throw an error"
)
ROW = {
    "created_at": 1627571664000,
    "request_id": "req-ce624eee-28e2-4cef-87ee-c22c797079f6",
    "username": "demo",
    "algoname": "Routes",
    "algoversion": "0.1.0",
    "input": "A payload",
    "error": f"error:\nAll I do is throw an error\nstacktrace:\nSome({TRACE})",
    "error_type": "AlgorithmError",
    "billable_to": "caller",
    "worker": "172.41.7.115",
}


def test_a_documented_row_is_read():
    error = read_error("demo/Routes", ROW)
    assert (error.message, error.stack_trace) == ("All I do is throw an error", TRACE)
    assert error.location == "./src/testError.py:6, in apply"
    assert (error.version, error.error_type, error.caller) == ("0.1.0", "AlgorithmError", "caller")
    told = json.loads(json.dumps(error.to_json()))
    assert (told["created"], told["location"], told["input"]) == (1627571664.0, error.location, "A payload")
    assert pickle.loads(pickle.dumps(error)) == error


@given(message=st.text(), trace=st.text(min_size=1))
def test_message_and_trace_come_apart_as_they_were_put_together(message, trace):
    if "\nstacktrace:\n" in f"\n{message}\n":
        return
    assert parted(f"error:\n{message}\nstacktrace:\nSome({trace})") == (message, trace)
    assert parted(f"error:\n{message}\nstacktrace:\nNone") == (message, "")


def test_a_trace_that_was_cut_off_or_names_the_log_is_read_as_far_as_it_goes():
    assert parted("error:\nno\nstacktrace:\nSome(Trace") == ("no", "Trace")
    assert parted("error:\nit said\nstacktrace:\nSome(a\nstacktrace:\nSome(b))") == (
        "it said",
        "a\nstacktrace:\nSome(b)",
    )
    assert parted("error:\nno") == ("no", "")
    assert parted("error:\nno\nstacktrace:\n") == ("no", "")
    assert parted("error:\nno\nstacktrace:\nTrace (most)") == ("no", "Trace (most)")


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30) | st.just(ROW["error"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)


@given(anything | st.fixed_dictionaries({}, optional=dict.fromkeys(ROW, anything)))
def test_whatever_comes_is_a_record_or_nothing(row):
    error = read_error("demo/Routes", row)
    assert (error is None) == (not isinstance(row, dict))
    if error is not None:
        json.dumps(error.to_json(), allow_nan=False).encode()
        assert isinstance(error.location, str)
