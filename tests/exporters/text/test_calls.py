"""The table of calls."""

from algoprof.exporters.text import render_calls
from algoprof.profiles.calls import Call

SECOND = 1_000_000_000


def test_exactly():
    calls = [
        Call("demo/Routes", 0, 4 * SECOND, "ok", 3 * SECOND, SECOND // 2, SECOND // 4, timeout=60),
        Call("demo/Routes/1.0.0", 0, 6 * SECOND, "timeout", timeout=5),
        Call("demo/Cities", 0, SECOND // 10, "unreachable", timeout=300),
    ]
    assert render_calls(calls) == (
        "algorithm              outcome  timeout  duration  budget    wall  overhead   queue    load\n"
        "demo/Routes                 ok     60 s    3.00 s     6 %  4.00 s    1.00 s  500 ms  250 ms\n"
        "demo/Routes/1.0.0      timeout      5 s             100 %  6.00 s\n"
        "demo/Cities        unreachable    300 s                    100 ms\n"
    )


def test_those_nearest_to_their_timeout_are_kept_in_order():
    calls = [Call("a/b", 0, 10, "ok", duration_ns=share * SECOND, timeout=100) for share in (5, 90, 1, 80)]
    lines = render_calls(calls, rows=2).splitlines()
    assert [line.split("%")[0].split()[-1] for line in lines[1:3]] == ["90", "80"]
    assert lines[3] == "(2 calls further from their timeout are left out)"


def test_no_calls_is_a_heading():
    assert render_calls([]) == "algorithm  outcome\n"


def test_hostile_names_stay_on_their_line(hostile):
    text = render_calls([Call(hostile, 0, 5, "ok")])
    assert len(text.splitlines()) == 2
    assert "\x1b" not in text
