"""Reading flight files: a live one undisturbed, a broken one refused with its name and the reason."""

import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from algoprof.errors import ProfileFileError
from algoprof.recorder import directory, layout, reader

SCRIPT = """
import os, sys, time
from algoprof import profile, section
with profile("earlier"):
    with section("x", a=1):
        pass
with profile("job", timeout=60):
    with section("load"):
        pass
    with section("solve", model="v3"):
        {rest}
"""


@pytest.fixture(scope="module")
def dead(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dead")
    environment = os.environ | {"ALGOPROF_FLIGHT_DIR": str(folder)}
    script = SCRIPT.format(rest="os.kill(os.getpid(), 9)")
    subprocess.run([sys.executable, "-c", script], env=environment, check=False)
    (path,) = directory.flight_files(folder)
    return Path(path)


def test_a_dead_file(dead):
    flight = reader.read(dead)
    assert (flight.alive, flight.program, flight.errors) == (False, "-c", 0)
    assert [(run.name, run.outcome) for run in flight.runs] == [("earlier", "ok"), ("job", "killed")]
    assert [run.name for run in flight.cumulative] == ["earlier"]
    assert flight.cumulative[0].node("earlier", "x").count == 1


def test_what_was_open_tells_its_thread(tmp_path, monkeypatch):
    path = tmp_path / "killed.flight"
    monkeypatch.setenv("ALGOPROF_FLIGHT_FILE", str(path))
    script = """
    import os, threading, algoprof
    from algoprof import profile, section
    from contextlib import ExitStack

    def work():
        with ExitStack() as stack:  # more than a block's own segment has entries for
            for number in range(125):
                stack.enter_context(section(f"deep {number}"))
            print(threading.get_native_id(), flush=True)
            os.kill(os.getpid(), 9)

    with profile("job"):
        thread = threading.Thread(target=algoprof.propagate(work))
        thread.start()
        thread.join()
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=False, capture_output=True, text=True)
    flight = reader.read(path)
    spans = {node.name: node.spans[0] for node in flight.runs[-1].roots[0].walk()}
    assert (spans["job"].thread, spans["deep 0"].thread) == (flight.pid, int(done.stdout))
    assert spans["deep 124"].thread == int(done.stdout)


def test_the_moment_of_death_can_be_told(dead):
    started = reader.read(dead).runs[-1]
    later = reader.read(dead, at_ns=2**62).runs[-1]
    assert later.duration > started.duration


def test_a_live_file_is_read_while_it_is_written_and_no_row_is_torn(tmp_path, scaled):
    script = """
import sys
from algoprof import profile, section
s = section("tight")
with profile("job"):
    with s:
        pass
    print("ready", flush=True)
    while True:
        with s:
            pass
"""
    environment = os.environ | {"ALGOPROF_FLIGHT_DIR": str(tmp_path)}
    with subprocess.Popen([sys.executable, "-c", script], env=environment, stdout=subprocess.PIPE) as process:
        try:
            process.stdout.readline()
            (path,) = directory.flight_files(tmp_path)
            last = unsure = 0
            for reads in range(1, scaled(20_000) + 1):
                flight = reader.read(path)
                assert flight.alive
                (run,) = flight.runs
                if run.inexact:  # the writer was kept from its row for longer than a reader waits
                    unsure += 1
                    assert unsure <= 1 + reads // 1_000
                    continue
                node = run.node("job", "tight")
                assert node.histogram.count == node.count >= last
                assert node.shortest_ns * node.count <= node.closed_ns <= node.longest_ns * node.count
                last = node.count
        finally:
            process.kill()


def test_a_short_file(tmp_path):
    path = tmp_path / "cut.flight"
    path.write_bytes(b"ALGOPROF" * 100)
    with pytest.raises(ProfileFileError, match=r"cut\.flight: shorter than a flight file"):
        reader.read(path)


def test_no_flight_file(tmp_path):
    path = tmp_path / "other.flight"
    with path.open("wb") as file:
        file.truncate(layout.FILE_BYTES)
    with pytest.raises(ProfileFileError, match="not a flight file"):
        reader.read(path)


def test_a_newer_one(tmp_path, dead):
    path = tmp_path / "newer.flight"
    shutil.copy(dead, path)
    with path.open("r+b") as file:
        file.seek(8 * layout.HEADER_VERSION)
        file.write(b"\x02")
    with pytest.raises(ProfileFileError, match="of layout 2, and this algoprof reads layout 1"):
        reader.read(path)


@settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    changes=st.lists(
        st.tuples(st.integers(16, 6 * layout.SEGMENT_BYTES - 8), st.binary(min_size=1, max_size=8)), max_size=40
    )
)
def test_a_hostile_file_is_read_or_refused_and_never_crashes(dead, tmp_path_factory, changes):
    path = tmp_path_factory.getbasetemp() / "hostile.flight"
    if not path.exists():
        with path.open("wb") as file:
            file.truncate(layout.FILE_BYTES)
    with dead.open("rb") as source, path.open("r+b") as file:
        file.write(source.read(6 * layout.SEGMENT_BYTES))
        for offset, data in changes:
            file.seek(offset)
            file.write(data)
    try:
        flight = reader.read(path)
    except ProfileFileError as error:
        assert error.path == path  # noqa: PT017  (most files are read)
    else:
        for run in (*flight.runs, *flight.cumulative):
            assert len(list(run.paths())) <= 100_000
