"""The tree of stack samples: bounded, added up when runs are forgotten, and read as it was written."""

from types import SimpleNamespace

import pytest

from algoprof.recorder import layout as at
from algoprof.recorder.flight import FlightFile, OutOfSpace
from algoprof.recorder.reader import read_view
from algoprof.recorder.run_table import RunFacts, RunTable
from algoprof.recorder.sample_tree import Busy, SampleTree


@pytest.fixture
def recorder():
    flight = FlightFile(None)
    table = RunTable(flight)
    yield SimpleNamespace(flight=flight, table=table, stacks=SampleTree(flight, 10_000_000))
    table.environments.abandon()  # the compiled writer goes on timing collections in it, so it is not released


def function(name: str):
    names: dict = {}
    exec(compile(f"def {name}():\n    return 1\n", f"/somewhere/{name}.py", "exec"), names)
    return names[name].__code__


def run(recorder, name: str):
    return recorder.table.open(RunFacts(name))


def profile(recorder, name: str):
    flight = read_view(recorder.flight.bytes, alive=True)
    return next(one for one in (*flight.cumulative, *flight.runs) if one.name == name)


def counted(found) -> int:
    return sum(sample.count for sample in found.samples)


def test_what_is_counted_is_read(recorder):
    job = run(recorder, "job")
    place = recorder.stacks.place_of([job.root.row.offset])
    recorder.stacks.count(place, [(function("inner"), 0), (function("outer"), 0)], 3)
    recorder.stacks.count(place, [(function("other"), 0)], 1, beside=True)
    found = profile(recorder, "job").samples
    assert [(one.path, one.count, one.concurrent) for one in found] == [(("job",), 3, False), (("job",), 1, True)]
    assert [str(frame) for frame in found[0].stack] == [
        "outer (/somewhere/outer.py:1)",
        "inner (/somewhere/inner.py:1)",
    ]


def test_too_many_functions_count_where_there_was_room(recorder):
    job = run(recorder, "job")
    place = recorder.stacks.place_of([job.root.row.offset])
    outer = function("outer")
    for n in range(at.CODE_LIMIT + 50):
        recorder.stacks.count(place, [(function(f"f{n}"), 0), (outer, 0)], 1)
    found = profile(recorder, "job")
    assert counted(found) == at.CODE_LIMIT + 50
    assert found.samples_folded == 51
    assert next(one.count for one in found.samples if len(one.stack) == 1) == 51


def test_too_many_nodes_count_where_there_was_room(recorder):
    job = run(recorder, "job")
    place = recorder.stacks.place_of([job.root.row.offset])
    one, two = function("one"), function("two")
    most = at.STACKS_PER_SEGMENT * at.STACK_SEGMENTS
    for n in range(most // 16):
        stack = [(one if n >> bit & 1 else two, 0) for bit in range(16)]
        recorder.stacks.count(place, stack, 1)
    assert recorder.flight.words[recorder.stacks.header + at.STACKS_NODES] <= most
    found = profile(recorder, "job")
    assert counted(found) + found.samples_left_out == most // 16


def test_deep_stacks_keep_their_innermost_frames(recorder):
    job = run(recorder, "job")
    place = recorder.stacks.place_of([job.root.row.offset])
    recorder.stacks.count(place, [(function(f"f{n}"), 0) for n in range(at.STACK_DEPTH)], 1)
    (sample,) = profile(recorder, "job").samples
    assert (len(sample.stack), sample.stack[-1].name) == (at.STACK_DEPTH, "f0")


def test_runs_that_are_forgotten_add_up_and_give_their_room_back(recorder):
    used = []
    code = function("work")
    outer = run(recorder, "outer")
    for _ in range(30):
        job = run(recorder, "job")
        place = recorder.stacks.place_of([job.root.row.offset, outer.root.row.offset])
        recorder.stacks.count(place, [(code, 0)], 2)
        recorder.table.end(job)
        recorder.table.release(job)
        recorder.stacks.settle()
        used.append(recorder.flight.words[recorder.stacks.header + at.STACKS_NODES])
    assert used[10] == used[-1]
    assert counted(profile(recorder, "job")) == 60
    assert counted(profile(recorder, "outer")) == 60
    recorder.table.end(outer)
    recorder.table.release(outer)
    for _ in range(10):
        other = run(recorder, "other")
        recorder.table.end(other)
        recorder.table.release(other)
    recorder.stacks.settle()
    assert (counted(profile(recorder, "job")), counted(profile(recorder, "outer"))) == (60, 60)
    assert recorder.stacks.runs == {}


def test_a_run_that_outlives_the_one_around_it_is_waited_for(recorder):
    code = function("work")
    outer, inner = run(recorder, "outer"), run(recorder, "inner")
    place = recorder.stacks.place_of([inner.root.row.offset, outer.root.row.offset])
    recorder.stacks.count(place, [(code, 0)], 5)
    recorder.table.end(outer)
    recorder.table.release(outer)
    recorder.table.forget_ended()
    recorder.stacks.settle()
    recorder.stacks.count(place, [(code, 0)], 5)
    recorder.table.end(inner)
    recorder.table.release(inner)
    recorder.table.forget_ended()
    recorder.stacks.settle()
    recorder.stacks.settle()
    assert (counted(profile(recorder, "inner")), counted(profile(recorder, "outer"))) == (10, 10)


def test_our_own_frames_are_left_out(recorder):
    job = run(recorder, "job")
    place = recorder.stacks.place_of([job.root.row.offset])
    recorder.stacks.count(place, [(function("work"), 0), (RunTable.open.__code__, 0)], 1)
    (sample,) = profile(recorder, "job").samples
    assert [frame.name for frame in sample.stack] == ["work"]


def test_a_full_file_takes_no_tree_and_one_that_gets_full_folds(recorder):
    words = recorder.flight.words
    job = run(recorder, "job")
    place = recorder.stacks.place_of([job.root.row.offset])
    words[at.HEADER_SEGMENTS] = at.SEGMENT_COUNT - 1
    with pytest.raises(OutOfSpace):
        SampleTree(recorder.flight, 10_000_000)
    for n in range(400):
        recorder.stacks.count(place, [(function(f"f{n}"), 0)], 1)
    assert counted(profile(recorder, "job")) == 400


def test_in_the_middle_of_a_segments_taking_nothing_is_taken(recorder):
    job = run(recorder, "job")
    place = recorder.stacks.place_of([job.root.row.offset])
    codes = [function(f"f{n}") for n in range(at.CODES_PER_SEGMENT + 1)]
    for code in codes[:-1]:
        recorder.stacks.count(place, [(code, 0)], 1)
    with recorder.flight._lock, pytest.raises(Busy):
        recorder.stacks.count(place, [(codes[-1], 0)], 1)
    recorder.stacks.count(place, [(codes[-1], 0)], 1)
    assert counted(profile(recorder, "job")) == len(codes)


def test_long_names_and_files_are_cut_where_it_hurts_least(recorder):
    job = run(recorder, "job")
    names: dict = {}
    exec(compile("def " + "f" * 300 + "(): pass", "/a" * 200 + "/end.py", "exec"), names)
    code = names["f" * 300].__code__
    recorder.stacks.count(recorder.stacks.place_of([job.root.row.offset]), [(code, 0)], 1)
    (sample,) = profile(recorder, "job").samples
    assert sample.stack[0].name.startswith("ffff")
    assert sample.stack[0].file.startswith("...")
    assert sample.stack[0].file.endswith("/end.py")


def test_what_it_holds_of_the_program_is_bounded(recorder):
    job = run(recorder, "job")
    place = recorder.stacks.place_of([job.root.row.offset])
    code = function("again")
    for n in range(20_000):
        recorder.stacks.count(place, [(code.replace(co_firstlineno=1), 0)], 1)
        assert n < 9000 or len(recorder.stacks._held) <= 8193
    assert counted(profile(recorder, "job")) == 20_000
