"""Samples of several profiles together: equal stacks add up, and there are never too many."""

import json
from dataclasses import replace

from algoprof.exporters.formats.collapsed import collapsed
from algoprof.exporters.text import render
from algoprof.profiles import codec
from algoprof.profiles.merging import merge
from algoprof.profiles.samples import SAMPLE_LIMIT, Frame, Sample, hot_lines
from algoprof.profiles.tree import Profile

LOAD, SOLVE = Frame("load", "plan.py", 3), Frame("solve", "plan.py", 7)


def sampled(*samples: Sample, interval_ns: int = 10_000_000, **more) -> Profile:
    return Profile("job", (), samples=samples, sample_interval_ns=interval_ns, sampler="signal", **more)


def test_equal_stacks_add_up():
    one = sampled(Sample(("job",), (LOAD,), 3), Sample(("job",), (LOAD,), 1, concurrent=True))
    two = sampled(Sample(("job",), (LOAD, SOLVE), 2), Sample(("job",), (LOAD,), 4), samples_left_out=5)
    whole = merge([one, two, Profile("job", ())])
    assert whole.samples == (
        Sample(("job",), (LOAD,), 7),
        Sample(("job",), (LOAD, SOLVE), 2),
        Sample(("job",), (LOAD,), 1, concurrent=True),
    )
    assert (whole.samples_left_out, whole.sampler, whole.sample_interval) == (5, "signal", 0.01)


def test_other_intervals_count_as_much_time():
    slow, fast = sampled(Sample(("job",), (LOAD,), 3)), sampled(Sample(("job",), (LOAD,), 10), interval_ns=1_000_000)
    whole = merge([slow, fast])
    assert (whole.samples[0].count, whole.sample_interval) == (40, 0.001)


def test_the_heaviest_are_kept_and_the_others_counted():
    many = [Sample(("job",), (Frame(f"f{n}"),), 1 + (n < SAMPLE_LIMIT)) for n in range(SAMPLE_LIMIT + 100)]
    whole = merge([sampled(*many[::2]), sampled(*many[1::2])])
    assert (len(whole.samples), whole.samples_left_out) == (SAMPLE_LIMIT, 100)
    assert {sample.count for sample in whole.samples} == {2}


def test_the_largest_profile_there_is_can_be_saved_and_read():
    frames = [Frame(f"function_{n}", f"/usr/lib/python3/site-packages/package/module_{n}.py", n) for n in range(128)]
    many = [Sample(("job", "a"), (*frames[:127], Frame(f"leaf{n}", "x", n)), 1) for n in range(SAMPLE_LIMIT)]
    text = json.dumps(codec.to_json(sampled(*many)))
    assert len(text) < codec.MAX_BYTES / 4
    assert len(codec.from_json(json.loads(text)).samples) == SAMPLE_LIMIT


def test_hot_lines_name_the_sections_they_ran_in_most():
    found = hot_lines(
        [Sample(("job", "a"), (SOLVE,), 2), Sample(("job", "b"), (LOAD, SOLVE), 3), Sample(("job",), (), 1)]
    )
    assert [(hot.frame, hot.count, hot.path) for hot in found] == [(SOLVE, 5, ("job", "b"))]


def test_the_report_tells_of_other_threads_apart():
    text = render(sampled(Sample(("job", "a"), (SOLVE,), 30), Sample(("job",), (LOAD,), 10, concurrent=True)))
    assert text.splitlines()[1:] == [
        "hot lines, of 40 samples, one each 10.0 ms:",
        "  100 %   300 ms  plan.py:7  solve  in a",
        "  100 %   100 ms  plan.py:3  load  in another thread",
    ]


def test_the_report_says_what_is_missing():
    text = render(sampled(Sample(("job",), (SOLVE,), 30), samples_left_out=2, samples_folded=3))
    assert "of 30 samples, one each 10.0 ms, 2 more left out, 3 with shortened stacks:" in text


def test_the_report_says_what_nothing_saw_before_the_kill():
    seen = replace(sampled(Sample(("job",), (SOLVE,), 30)), outcome="killed", duration_ns=3_000_000_000)
    assert render(seen).splitlines()[-2:] == [
        "   10 %   300 ms  plan.py:7  solve",
        "   90 %   2.70 s  not seen: C code let nothing look until the end, or no sampler was there yet",
    ]
    assert "not seen" not in render(replace(seen, outcome="ok"))


def test_what_a_function_is_called_cannot_break_a_line():
    evil = Frame("a;b\nc 7", "x\x1b[2J.py", 1)
    assert collapsed([sampled(Sample(("job;1",), (evil,), 2))]) == r"job:1;a:b\nc 7 (x\x1b[2J.py:1) 2" + "\n"
    assert "\x1b" not in render(sampled(Sample(("job",), (evil,), 2)))
