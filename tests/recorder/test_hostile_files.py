"""Flight files that are cut off, newer, or changed with intent: read or refused, at once and in little memory."""

import os
import resource
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from algoprof.errors import ProfileFileError
from algoprof.recorder import directory, layout, reader

USED = 16 * layout.SEGMENT_BYTES  # whatever the program below writes is in here
SECONDS, MEGABYTES = 10, 128

SCRIPT = """
import os, threading, time
from algoprof import profile, propagate, section

def work():
    with section("in a thread", who="it"):
        pass

with profile("earlier"):
    with section("x", a=1):
        pass
with profile("job", timeout=60):
    worker = threading.Thread(target=propagate(work))
    worker.start()
    worker.join()
    for n in range(40):  # more rows than a block begins with
        with section(f"load {n}"):
            pass
    with section("solve", model="v3"), section("step"):
        until = time.monotonic() + 0.3
        while time.monotonic() < until:  # so that it is sampled
            pass
        os.kill(os.getpid(), 9)
"""


@pytest.fixture(scope="module")
def dead(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dead")
    environment = os.environ | {"ALGOPROF_FLIGHT_DIR": str(folder), "ALGOPROF_SAMPLER": "on"}
    subprocess.run([sys.executable, "-c", SCRIPT], env=environment, check=False)
    (path,) = directory.flight_files(folder)
    with Path(path).open("rb") as file:
        return file.read(USED)


@pytest.fixture(scope="module")
def places(dead):
    """Where the words stand that a reader acts on: the header, the directory, and what is used of each record."""
    used = [at for at in range(0, USED, 8) if dead[at : at + 8] != bytes(8)]
    return [*range(0, 256, 8), *range(layout.DIRECTORY_AT, layout.DIRECTORY_AT + 16 * 8, 8), *used]


@pytest.fixture
def written(tmp_path):
    """Write a flight file and read it, within bounds; return its profiles, or the error, which names the file."""
    path = tmp_path / "hostile.flight"

    def write(start: bytes, size: int = layout.FILE_BYTES):
        with path.open("wb") as file:
            file.write(start[:size])
            file.truncate(size)
        return bounded(path)

    return write


def bounded(path):
    """Read a flight file in little time and memory; return its profiles, or the error, which names the file."""
    began = time.process_time()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        flight = reader.read(path)
        profiles = (*flight.runs, *flight.cumulative)
    except ProfileFileError as error:
        refused = error
    else:
        refused = None
        assert sum(1 for profile in profiles for _ in profile.paths()) <= 100_000
    assert time.process_time() - began < SECONDS
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MEGABYTES * 1024
    if refused is None:
        return profiles
    assert refused.path == path
    assert str(path) in str(refused)
    return refused


some = settings(max_examples=200, deadline=None, suppress_health_check=["function_scoped_fixture", "too_slow"])
words = st.one_of(
    st.sampled_from([0, 1, -1, 2**31, 2**32 - 1, 2**62, 2**63 - 1, -(2**63), layout.FILE_BYTES, 1 << 58]),
    st.integers(-(2**63), 2**63 - 1),
)


def test_the_file_itself_is_read(dead, written):
    job = next(profile for profile in written(dead) if profile.name == "job")
    assert job.node("job", "in a thread").count == 1
    assert job.node("job", "load 39").count == 1
    assert sum(sample.count for sample in job.samples if sample.path == ("job", "solve", "step")) > 5


@some
@given(data=st.data())
def test_words_that_were_changed_with_intent(dead, places, written, data):
    changed = bytearray(dead)
    for at, word in data.draw(st.lists(st.tuples(st.sampled_from(places), words), min_size=1, max_size=30)):
        struct.pack_into("<q", changed, at, word)
    written(bytes(changed))


@some
@given(data=st.data())
def test_words_that_were_swapped(dead, places, written, data):
    """References that lead to the wrong record, and in circles."""
    changed = bytearray(dead)
    for a, b in data.draw(st.lists(st.tuples(*[st.sampled_from(places)] * 2), min_size=1, max_size=30)):
        changed[a : a + 8], changed[b : b + 8] = changed[b : b + 8], changed[a : a + 8]
    written(bytes(changed))


@some
@given(kept=st.integers(0, USED))
def test_what_was_never_written_to_the_end(dead, written, kept):
    written(dead[:kept])


@some
@given(size=st.integers(0, USED) | st.integers(0, layout.FILE_BYTES - 1))
def test_a_file_that_is_cut_off_is_read_if_what_it_uses_is_there(dead, written, size):
    found = written(dead, size)
    used, there = struct.unpack_from("<q", dead, 8 * layout.HEADER_SEGMENTS)[0], size // layout.SEGMENT_BYTES
    if there >= used:
        assert found == written(dead)
        return
    assert isinstance(found, ProfileFileError)
    missing = f"cut off: {used - there} of the {used} segments that it uses are missing"
    assert (missing if there else "shorter than a flight file") in str(found)


@some
@given(data=st.data())
def test_words_that_were_changed_in_a_file_that_is_cut_off(dead, places, written, data):
    changed = bytearray(dead)
    for at, word in data.draw(st.lists(st.tuples(st.sampled_from(places), words), max_size=20)):
        struct.pack_into("<q", changed, at, word)
    written(bytes(changed), data.draw(st.integers(layout.SEGMENT_BYTES, USED)))


@some
@given(version=st.integers(-(2**63), 2**63 - 1).filter(lambda version: version != layout.VERSION))
def test_a_newer_or_older_one(dead, written, version):
    changed = bytearray(dead)
    struct.pack_into("<q", changed, 8 * layout.HEADER_VERSION, version)
    error = written(bytes(changed))
    assert isinstance(error, ProfileFileError)
    assert f"of layout {version}, and this algoprof reads layout {layout.VERSION}" in str(error)


@some
@given(start=st.binary(max_size=4096))
def test_something_else(written, start):
    assert isinstance(written(start), ProfileFileError)


@pytest.mark.parametrize("kind", range(10))
def test_a_directory_that_claims_every_segment(dead, written, kind):
    """The largest file there can be, all zero but for what makes it be read to its end."""
    changed = bytearray(dead)
    struct.pack_into("<q", changed, 8 * layout.HEADER_SEGMENTS, 2**62)
    for segment in range(1, layout.SEGMENT_COUNT):
        layout.DIRECTORY_ENTRY.pack_into(changed, layout.DIRECTORY_AT + 8 * segment, kind, segment, 1)
    written(bytes(changed))


def full_of_rows(dead, sequence):
    """Return a file of which the open run claims every row, each the child of the one before it."""
    *_, job = [
        at
        for at in range(layout.RUNS_AT, layout.SEGMENT_BYTES, layout.RUN_BYTES)
        if struct.unpack_from("<qq", dead, at)[0] and struct.unpack_from("<qq", dead, at)[1] == layout.OPEN
    ]
    serial = struct.unpack_from("<q", dead, job)[0]
    whole = bytearray(dead[: layout.SEGMENT_BYTES].ljust(layout.FILE_BYTES, b"\0"))
    struct.pack_into("<q", whole, 8 * layout.HEADER_SEGMENTS, layout.SEGMENT_COUNT)
    before = 0
    for segment in range(1, layout.SEGMENT_COUNT):
        layout.DIRECTORY_ENTRY.pack_into(whole, layout.DIRECTORY_AT + 8 * segment, layout.NODES, segment, 1)
        for row in range(layout.NODES_PER_SEGMENT):
            at = segment * layout.SEGMENT_BYTES + row * layout.NODE_BYTES
            struct.pack_into("<qqqqq", whole, at, sequence, serial, before | 1 << 32, 0, 1)
            before = at // layout.UNIT
    return bytes(whole)


def test_a_file_full_of_rows(dead, written):
    written(full_of_rows(dead, 0))


def test_a_live_writer_that_never_finishes_a_row(dead, tmp_path):
    path = tmp_path / "stopped.flight"
    path.write_bytes(full_of_rows(dead, 1))
    hold = "import fcntl, sys; f = open(sys.argv[1], 'r+b'); fcntl.lockf(f, fcntl.LOCK_EX); print(flush=True); input()"
    command = [sys.executable, "-c", hold, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        holder.stdout.readline()
        try:
            profiles = bounded(path)
        finally:
            holder.kill()
    assert any(profile.inexact for profile in profiles)
