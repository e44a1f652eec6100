"""Totals over a flight directory: every process counts once, while it runs, when it has ended, and when folded."""

import subprocess
import sys
from pathlib import Path

import pytest

from algoprof.delivery.losses import Losses
from algoprof.delivery.totals import Totals
from algoprof.recorder import directory, directory_totals
from algoprof.recorder.directory_totals import fold

WORKER = """
import sys
from algoprof import profile, section
for line in sys.stdin:
    for _ in range(int(line)):
        with profile("work"), section("step"):
            pass
    print("done", flush=True)
"""


class Worker:
    def __init__(self):
        self.process = subprocess.Popen(
            [sys.executable, "-c", WORKER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def work(self, times):
        self.process.stdin.write(f"{times}\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "done\n"
        return self

    def end(self):
        self.process.stdin.close()
        assert self.process.wait(30) == 0

    def kill(self):
        self.process.kill()
        self.process.wait(30)


@pytest.fixture
def worker():
    started = []

    def start():
        started.append(Worker())
        return started[-1]

    yield start
    for one in started:
        one.kill()
        one.process.stdout.close()
        one.process.stdin.close()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The flight directory; whatever is closed there is folded at once when it is asked for."""
    monkeypatch.setattr(directory, "MANY_FILES", 0)
    monkeypatch.setattr(directory_totals, "FEW_FILES", 0)
    path = tmp_path / "flight"
    path.mkdir()
    return path


@pytest.fixture
def losses():
    return Losses()


@pytest.fixture
def counted(losses):
    """Ask one and the same `Totals` how often the section has ended."""
    totals = Totals(losses)

    def ask(of=totals):
        found = [profile for profile in of.batch([]).profiles if profile.name == "work"]
        runs = sum(profile.runs for profile in found)
        assert runs == sum(profile.node("work", "step").count for profile in found)
        return runs

    return ask


def test_one_that_came_and_went_between_two_looks_counts(worker, folder, counted):
    assert counted() == 0
    worker().work(3).end()
    assert counted() == 3
    assert fold(str(folder)) == 1
    assert counted() == 3
    worker().work(4).end()
    assert fold(str(folder)) == 1
    assert counted() == 7


def test_one_that_was_seen_alive_and_worked_on_before_it_was_folded_counts_once(worker, folder, counted):
    living, other = worker().work(5), worker().work(1)
    assert counted() == 6
    living.work(20).end()
    assert fold(str(folder)) == 1
    assert counted() == 26
    other.work(1)
    assert counted() == 27


def test_a_new_reader_counts_the_same(worker, folder, counted, losses):
    worker().work(2).end()
    fold(str(folder))
    worker().work(3).end()
    worker().work(4).kill()
    living = worker().work(5)
    assert counted() == counted(Totals(losses)) == 14
    living.end()
    fold(str(folder))
    assert counted() == counted(Totals(losses)) == 14


def test_more_than_the_totals_know_by_name_still_count_once(worker, folder, counted, monkeypatch):
    monkeypatch.setattr(directory_totals.at, "FOLDED_LIMIT", 2)
    living = [worker().work(1) for _ in range(5)]
    assert counted() == 5
    for one in living:
        one.end()
        fold(str(folder))
    assert counted() == 5
    worker().work(1).end()
    assert counted() == 6


def test_a_file_that_somebody_removes_keeps_counting(worker, folder, counted):
    worker().work(3).end()
    fold(str(folder))
    worker().work(4).kill()
    assert counted() == 7
    for path in directory.flight_files(folder):
        Path(path).unlink()
    assert counted() == 7
    worker().work(1).end()
    assert fold(str(folder)) == 1
    assert counted() == 8


@pytest.mark.parametrize("content", [None, b"", bytes(48 * 1024 * 1024)])
def test_totals_that_are_lost_keep_counting(worker, folder, counted, losses, content):
    worker().work(3).end()
    fold(str(folder))
    assert counted() == 3
    path = folder / directory.TOTALS_NAME
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    assert counted() == counted() == 3
    assert losses.counts()["totals", "unreadable"] == (content is not None)
    worker().work(4).end()
    assert counted() == 7
    assert fold(str(folder)) == 1
    assert counted() == counted() == 7


def test_a_file_that_is_about_to_be_removed_counts_once(worker, folder, counted):
    worker().work(3).end()
    (path,) = map(Path, directory.flight_files(folder))
    content = path.read_bytes()
    assert counted() == 3
    fold(str(folder))
    path.write_bytes(content)  # as if it had been killed before it could remove it
    path.chmod(directory.CLOSED_MODE)
    assert counted() == 3


CHURN = """
import os, sys
from algoprof.recorder import directory, directory_totals, families
import algoprof.delivery  # in each child it would take longer than all else
directory.MANY_FILES, directory_totals.FEW_FILES = 6, 3
from algoprof import profile, section
for _ in range(int(sys.argv[1])):
    child = os.fork()
    if child == 0:
        with profile("work"), section("step"):
            pass
        sys.exit()
    os.waitpid(child, 0)
"""


def test_a_reader_beside_processes_that_come_and_go_never_counts_back_or_twice(folder, counted, losses, scaled):
    several, each = 3, scaled(600)
    seen = [0]
    with_fold = [
        subprocess.Popen([sys.executable, "-c", CHURN, str(each)], stdin=subprocess.DEVNULL) for _ in range(several)
    ]
    while any(one.poll() is None for one in with_fold):
        seen.append(counted())
    assert [one.returncode for one in with_fold] == [0] * several
    assert counted() == counted(Totals(losses)) == several * each
    assert seen == sorted(seen)
    assert len(directory.flight_files(folder)) <= 6 + several
