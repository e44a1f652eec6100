"""How far a large file is: a bar on a terminal, lines where they are asked for, and nothing else."""

import io
import sys

import pytest

from algoprof.calls.data.progress import progress

LARGE = 20 * 1024 * 1024


class Terminal(io.StringIO):
    def isatty(self):
        return True


def moved(shown):
    with shown:
        shown.expect(LARGE)
        for _ in range(4):
            shown.moved(LARGE // 4)


def test_lines_are_for_who_asks(capsys):
    moved(progress(None, "cat.jpg"))
    moved(progress(False, "cat.jpg"))
    assert capsys.readouterr().err == ""
    moved(progress(True, "cat.jpg"))
    assert capsys.readouterr().err.startswith("cat.jpg: 20.0 MiB of 20.0 MiB in ")


@pytest.mark.parametrize("wanted", [None, True])
def test_a_bar_is_for_a_terminal(monkeypatch, wanted):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    moved(progress(wanted, "[cat].jpg"))
    assert "[cat].jpg" in terminal.getvalue()
    assert "20.0/20.0 MiB" in terminal.getvalue()


def test_a_small_file_shows_no_bar(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with progress(None, "small") as shown:
        shown.expect(1000)
        shown.moved(1000)
    assert terminal.getvalue() == ""


def test_bars_at_once_are_no_failure(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    with progress(None, "first") as first:
        first.expect(LARGE)
        first.moved(LARGE)
        moved(progress(None, "second"))


def test_a_stderr_that_is_gone_is_no_failure(monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    moved(progress(None, "x"))
    closed = io.StringIO()
    closed.close()
    shown = progress(True, "x")
    monkeypatch.setattr(sys, "stderr", closed)
    moved(shown)
