"""Flight files that are read as copies: as the mapped ones are, and nothing that their writer does ends the reader."""

import os
import subprocess
import sys
from contextlib import contextmanager

import pytest

from algoprof.errors import ProfileFileError
from algoprof.recorder import directory, reader

WRITER = """
import os, sys
from algoprof import profile, section
with profile("job"):
    for n in range(40):
        with section(f"load {n}", n=n):
            pass
    with section("solve"):
        print("ready", flush=True)
        if sys.argv[1] == "dies":
            os.kill(os.getpid(), 9)
        while sys.argv[1] == "works":
            with section("step"):
                pass
        input()
"""
READER = """
import sys
from algoprof.errors import ProfileFileError
from algoprof.recorder.reader import read
refused = 0
for _ in range(int(sys.argv[2])):
    try:
        read(sys.argv[1], copied=True)
    except ProfileFileError:
        refused += 1
print(refused)
"""
CUTTER = """
import os, sys
path, size = sys.argv[1], os.path.getsize(sys.argv[1])
with open(path, "rb") as file:
    whole = file.read(1 << 20)
print("ready", flush=True)
while True:
    os.truncate(path, 0)
    with open(path, "r+b") as file:
        file.write(whole)
    os.truncate(path, size)
"""


@contextmanager
def writing(tmp_path, how):
    """A process that writes a flight file, and has begun to; and that file."""
    environment = os.environ | {"ALGOPROF_FLIGHT_DIR": str(tmp_path / "flights")}
    command = [sys.executable, "-c", WRITER, how]
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout.readline() == b"ready\n"
            if how == "dies":
                process.wait()
            (path,) = directory.flight_files(tmp_path / "flights")
            yield path
        finally:
            process.kill()


def test_a_copy_of_a_dead_file_says_the_same(tmp_path):
    with writing(tmp_path, "dies") as path:
        assert reader.read(path, copied=True) == reader.read(path)


def test_a_copy_of_a_live_file_says_the_same(tmp_path):
    with writing(tmp_path, "waits") as path:
        copied, mapped = reader.read(path, copied=True), reader.read(path)
    assert copied.alive
    (one,), (other,) = copied.runs, mapped.runs
    told = [
        [(place, node.count, node.open_count, node.closed_ns) for place, node in run.paths()] for run in (one, other)
    ]
    assert told[0] == told[1]
    assert len(told[0]) == 42
    assert not one.inexact


def test_a_row_that_changes_between_two_copies_is_not_trusted(tmp_path, scaled):
    with writing(tmp_path, "works") as path:
        for _ in range(scaled(600)):
            (run,) = reader.read(path, copied=True).runs
            for place, node in run.paths():
                if place[-1].startswith("load"):
                    assert (node.count, node.histogram.count) == (1, 1)
                elif place[-1] == "step" and not run.inexact:
                    assert node.histogram.count == node.count


def test_a_file_that_is_cut_off_while_it_is_read_costs_the_reader_nothing(tmp_path, scaled):
    with writing(tmp_path, "waits") as path:
        with subprocess.Popen([sys.executable, "-c", CUTTER, path], stdout=subprocess.PIPE) as cutter:
            try:
                assert cutter.stdout.readline() == b"ready\n"
                command = [sys.executable, "-c", READER, path, str(scaled(8000))]
                ended = subprocess.run(command, stdout=subprocess.PIPE, timeout=100, check=False)
            finally:
                cutter.kill()
        assert ended.returncode == 0  # and not -7, SIGBUS


def test_a_pipe_keeps_nobody_waiting(tmp_path):
    os.mkfifo(tmp_path / "1-1.flight")
    with pytest.raises(ProfileFileError, match="shorter than a flight file"):
        reader.read(tmp_path / "1-1.flight")
