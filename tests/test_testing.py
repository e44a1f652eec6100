"""The check that authors of exporters use: ours pass it, and it names what another does wrong."""

import os
import threading
import time

import pytest

from algoprof.errors import AlgoprofError
from algoprof.exporters.discovery import load_exporter
from algoprof.settings import Settings
from algoprof.testing import check_exporter, example_batch


@pytest.mark.parametrize(
    "name",
    [
        *("chrome", "collapsed", "csv", "insights", "json", "markdown", "perfetto", "pprof", "prometheus"),
        *("speedscope", "text"),
    ],
)
def test_ours_pass(name, tmp_path):
    settings = Settings(profile_dir=str(tmp_path), prometheus_address="127.0.0.1:0")
    check_exporter(load_exporter(name), settings=settings)


class Fine:
    """Does nothing, and nothing wrong; the others do one thing wrong."""

    def __init__(self, context):
        pass

    def export(self, batch):
        pass

    def shutdown(self, deadline):
        pass


class SaysWhy(Fine):
    def export(self, batch):
        raise AlgoprofError("nobody listens")


class Raises(Fine):
    def export(self, batch):
        for profile in batch.profiles:
            profile.name.encode()


class Hangs(Fine):
    def export(self, batch):
        time.sleep(60)


class Late(Fine):
    def shutdown(self, deadline):
        time.sleep(max(0.0, deadline - time.monotonic()) + 0.02)


class Prints(Fine):
    def export(self, batch):
        print(len(batch.profiles))


class Changes(Fine):
    def export(self, batch):
        for profile in batch.profiles:
            for node in profile.roots:
                node.spans[0].attributes["seen"] = True


class Moves(Fine):
    def shutdown(self, deadline):
        os.chdir("/")


class LeavesThread(Fine):
    going = threading.Event()

    def __init__(self, context):
        threading.Thread(target=self.going.wait, name="mine", daemon=False).start()


class HalfDone:
    def __init__(self, context):
        pass

    def export(self, batch):
        pass


def test_what_does_nothing_wrong_passes():
    check_exporter(Fine)
    check_exporter(SaysWhy)


@pytest.mark.parametrize(
    ("factory", "patience", "said"),
    [
        (Raises, 30.0, "it raised UnicodeEncodeError: "),
        (Hangs, 0.1, r"export\(\) did not return within 0.1 s"),
        (Late, 0.2, r"shutdown\(\) (returned .* s after its deadline|did not return)"),
        (Prints, 30.0, "it printed to stdout"),
        (Changes, 30.0, "it changed the batch"),
        (Moves, 30.0, "it changed the working directory"),
        (LeavesThread, 30.0, "it left threads that keep a program from ending: mine"),
        (HalfDone, 30.0, r"it made a HalfDone, which has no export\(\) and shutdown\(\)"),
        (lambda context: 1 / 0, 30.0, "it raised ZeroDivisionError: "),
    ],
)
def test_what_is_wrong_is_named(factory, patience, said, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    LeavesThread.going.clear()
    try:
        with pytest.raises(AssertionError, match=said):
            check_exporter(factory, patience=patience)
    finally:
        LeavesThread.going.set()


def test_the_example_batch_is_the_same_each_time():
    assert example_batch() == example_batch()
