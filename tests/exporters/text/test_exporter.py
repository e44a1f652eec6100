"""Writing to stderr: whatever it is, and never for longer than allowed."""

import io
import os
import sys
import time
from contextlib import suppress

import pytest

from algoprof.exporters.text import TextExporter, write_to_stderr
from algoprof.profiles.batch import Batch
from algoprof.profiles.tree import Profile


@pytest.fixture
def pipe():
    """Return both ends of a pipe: what reads bytes, what takes text. pytest sets stderr anew after fixtures ran."""
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb") as read_end, os.fdopen(writer, "w", encoding="utf-8") as write_end:
        yield read_end, write_end


def test_runs_are_reported(capsys):
    TextExporter().export(Batch((Profile("one", ()), Profile("two", ()))))
    assert capsys.readouterr().err == "one  ok  0 s\ntwo  ok  0 s\n"


def test_what_the_program_wrote_comes_first(pipe, monkeypatch):
    read_end, write_end = pipe
    monkeypatch.setattr(sys, "stderr", write_end)
    sys.stderr.write("before ")
    write_to_stderr("after " * 200)
    assert os.read(read_end.fileno(), 10_000) == b"before " + b"after " * 200


def test_a_pipe_that_nobody_empties_holds_nobody_up(pipe, monkeypatch):
    read_end, write_end = pipe
    os.set_blocking(write_end.fileno(), False)
    with suppress(BlockingIOError):
        for _ in range(1_000_000 // 512):
            os.write(write_end.fileno(), b"x" * 512)
    os.set_blocking(write_end.fileno(), True)
    monkeypatch.setattr(sys, "stderr", write_end)
    began = time.monotonic()
    write_to_stderr("lost", timeout=0.05)
    assert time.monotonic() - began < 30
    assert b"lost" not in os.read(read_end.fileno(), 1_000_000)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_what_the_encoding_lacks_is_escaped(monkeypatch, encoding):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(raw, encoding=encoding))
    write_to_stderr("\u65e5")
    assert raw.getvalue() == b"\\u65e5"


@pytest.mark.parametrize("stderr", [None, io.StringIO()])
def test_no_stderr_is_no_error(monkeypatch, stderr):
    if stderr is not None:
        stderr.close()
    monkeypatch.setattr(sys, "stderr", stderr)
    write_to_stderr("nobody hears")
