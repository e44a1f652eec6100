"""The directory's totals: every ended process counted once, whatever happens in the middle, and nothing piles up."""

import os
import signal
import stat
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from algoprof.errors import ProfileFileError
from algoprof.profiles.merging import merge
from algoprof.recorder import directory, directory_totals
from algoprof.recorder.directory_totals import fold, read_totals
from algoprof.recorder.reader import read

# Children by fork: hundreds of processes that start and end in seconds.
MANY = """
import os, sys
import algoprof.delivery, algoprof.recorder.families  # in each child it would take longer than all else
from algoprof import profile, section

def job(fail):
    with profile("job", timeout=60), section("outer", tag="x"):
        for _ in range(3):
            with section("inner"):
                pass
        if fail:
            raise LookupError

for number in range(int(sys.argv[1])):
    child = os.fork()
    if child == 0:
        try:
            job(number % 2)
        except LookupError:
            pass
        sys.exit()
    os.waitpid(child, 0)
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    path = tmp_path / "flight"
    path.mkdir(mode=0o700)
    monkeypatch.setattr(directory_totals, "PATIENCE_SECONDS", 60)
    return str(path)


@pytest.fixture
def keep(monkeypatch):
    """Let no more than so many closed files lie in the directory before they are folded."""

    def set_limits(many, few):
        monkeypatch.setattr(directory, "MANY_FILES", many)
        monkeypatch.setattr(directory_totals, "FEW_FILES", few)

    return set_limits


@pytest.fixture
def ended(run_python):
    def run(count):
        done = run_python(MANY, str(count), env={"ALGOPROF_REPORT": "never"})
        assert (done.returncode, done.stderr) == (0, "")

    return run


def everything(folder):
    """Return what the directory's totals and the files beside them count, by run name."""
    flights = [read(path) for path in directory.flight_files(folder)]
    with suppress(FileNotFoundError):
        flights.append(read_totals(folder)[1])
    found = merge([whole for flight in flights for whole in flight.cumulative])
    job = found.node("job")
    nodes = (job, found.node("job", "outer"), found.node("job", "outer", "inner"))
    return found.runs, found.failed_runs, *((node.count, node.errors, node.histogram.count) for node in nodes)


def expected(count):
    failed = count // 2
    return count, failed, (count, failed, count), (count, failed, count), (3 * count, 0, 3 * count)


def test_files_are_folded_when_they_pile_up_and_none_is_lost(ended, folder):
    count = directory.MANY_FILES + 12
    ended(count)
    assert len(directory.flight_files(folder)) <= directory.MANY_FILES
    ledger, totals = read_totals(folder)
    assert 0 < ledger.count < count
    assert ledger.count == len(ledger.processes) == sum(whole.runs for whole in totals.cumulative)
    assert everything(folder) == expected(count)


def test_folding_is_the_same_as_merging_profiles(ended, folder, keep):
    ended(10)
    before = merge(whole for path in directory.flight_files(folder) for whole in read(path).cumulative)
    keep(0, 0)
    assert fold(folder) == 10
    assert directory.flight_files(folder) == []
    (after,) = read_totals(folder)[1].cumulative
    assert (after.runs, after.failed_runs, after.cpu_ns) == (before.runs, before.failed_runs, before.cpu_ns)
    assert after.duration_ns == before.duration_ns
    assert abs(after.started_ns - before.started_ns) < 1_000_000_000
    facts = ("count", "closed_ns", "nested_ns", "shortest_ns", "longest_ns", "errors", "histogram", "module", "line")
    assert [(path, [getattr(node, fact) for fact in facts]) for path, node in after.paths()] == [
        (path, [getattr(node, fact) for fact in facts]) for path, node in before.paths()
    ]


def test_totals_grow_fold_by_fold_and_keep_their_identity(ended, folder, keep):
    births = set()
    for turn in range(1, 4):
        ended(6)
        keep(0, 0)
        fold(folder)
        births.add(read_totals(folder)[0].birth)
        assert everything(folder) == expected(6 * turn)
    assert len(births) == 1
    assert stat.S_IMODE((Path(folder) / directory.TOTALS_NAME).stat().st_mode) == 0o600
    assert sorted(path.name for path in Path(folder).iterdir()) == ["totals.flight", "totals.lock"]


def test_a_fold_that_is_killed_before_it_removes_the_files_counts_nothing_twice(ended, folder, keep, monkeypatch):
    ended(8)
    keep(0, 0)
    kept = {path: Path(path).read_bytes() for path in directory.flight_files(folder)}
    fold(folder)
    for path, content in kept.items():
        Path(path).write_bytes(content)
        Path(path).chmod(directory.CLOSED_MODE)
    assert fold(folder) == 8
    assert directory.flight_files(folder) == []
    assert everything(folder) == expected(8)


def test_a_fold_that_is_killed_before_it_is_done_changes_nothing(ended, folder, keep, monkeypatch):
    ended(8)
    keep(0, 0)
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", lambda *_: os.kill(os.getpid(), signal.SIGKILL))
        child = os.fork()
        if child == 0:
            fold(folder)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert len(directory.flight_files(folder)) == 8
    assert fold(folder) == 8
    assert everything(folder) == expected(8)


@pytest.mark.parametrize("content", [b"", b"not one" * 1000, bytes(48 * 1024 * 1024)])
def test_damaged_totals_are_replaced_and_counted(ended, folder, keep, content):
    ended(4)
    keep(0, 0)
    path = Path(folder) / directory.TOTALS_NAME
    path.write_bytes(content)
    with pytest.raises(ProfileFileError, match=r"totals\.flight"):
        read_totals(folder)
    assert fold(folder) == 4
    assert everything(folder) == expected(4)
    assert read_totals(folder)[1].errors == 1


def test_who_finds_another_at_it_does_not_wait(ended, folder, keep):
    ended(4)
    keep(0, 0)
    holder = f"""
import os, sys
from algoprof.recorder import directory
handle = os.open({f"{folder}/totals.lock"!r}, os.O_RDWR | os.O_CREAT)
directory.hold_lock(handle)
print("held", flush=True)
sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", holder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "held\n"
        assert fold(folder) == 0
        process.kill()
    assert fold(folder) == 4


WORKS = """
import sys
from algoprof import profile, section
with profile("job"), section("outer"), section("inner"):
    print("open", flush=True)
    sys.stdin.read()
"""


def test_only_closed_files_of_dead_processes_are_folded(ended, folder, keep):
    ended(4)
    keep(0, 0)
    with subprocess.Popen(
        [sys.executable, "-c", WORKS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as living:
        living.stdout.readline()
        (path,) = Path(folder).glob(f"{living.pid}-*.flight")
        assert fold(folder) == 4
        path.chmod(directory.CLOSED_MODE)  # as if it were ending
        assert fold(folder) == 0
        living.kill()
    assert fold(folder) == 0, "it was killed, so its file stays"
    assert path.exists()


def test_what_was_open_at_a_clean_exit_counts_as_a_reader_of_its_file_saw_it(run_python, folder, keep):
    run_python("""
        import threading, time
        from algoprof import profile, section
        open_now = threading.Event()
        def forever():
            with profile("job"):
                with section("done"):
                    time.sleep(0.01)
                with section("outer"):
                    time.sleep(0.01)
                    with section("inner"):
                        open_now.set()
                        time.sleep(3600)
        threading.Thread(target=forever, daemon=True).start()
        open_now.wait()
        """)
    (path,) = directory.flight_files(folder)
    (seen,) = read(path).runs
    assert seen.open_sections()
    keep(0, 0)
    assert fold(folder) == 1
    (whole,) = read_totals(folder)[1].cumulative
    assert (whole.runs, whole.duration_ns) == (1, seen.duration_ns)
    for path, node in seen.paths():
        counted = whole.node(*path)
        assert (counted.count, counted.closed_ns, counted.self_ns) == (node.count, node.closed_ns, node.self_ns)


def test_names_without_end_are_bounded_and_counted(run_python, folder, keep):
    script = """
        import sys
        from algoprof import profile, section
        for run in range(40):
            with profile(f"{sys.argv[1]} {run}"):
                for number in range(12):
                    with section(f"{sys.argv[1]} {run} {number}"):
                        pass
        """
    keep(0, 0)
    for turn in range(8):
        assert run_python(script, str(turn)).stderr == ""
        assert fold(folder) == 1
    whole = merge(read_totals(folder)[1].cumulative)
    assert whole.runs == 8 * 40
    assert sum(node.count for _, node in whole.paths()) + whole.folded == 8 * 40 * 13
    assert whole.folded > 0
    size = (Path(folder) / directory.TOTALS_NAME).stat().st_blocks * 512
    assert size < 12 * 1024 * 1024


def test_a_file_that_a_user_named_stays(run_python, folder, keep):
    keep(0, 0)
    named = Path(folder) / "mine.flight"
    run_python("from algoprof import section\nwith section('x'): pass", env={"ALGOPROF_FLIGHT_FILE": str(named)})
    assert fold(folder) == 0
    assert read(named).closed


def test_old_closed_files_are_folded_and_not_removed(ended, folder):
    ended(3)
    for path in directory.flight_files(folder):
        os.utime(path, (0, 0))
    directory.tidy(folder)
    assert len(directory.flight_files(folder)) == 3
    assert fold(folder) == 3
    assert everything(folder) == expected(3)


def test_a_workers_file_waits_for_its_parent(run_python, folder, keep):
    keep(0, 0)
    script = """
        import os, sys
        from algoprof import profile, section
        from algoprof.recorder import directory, directory_totals
        directory.MANY_FILES = directory_totals.FEW_FILES = 0
        with profile("job") as run:
            child = os.fork()
            if child == 0:
                with section("step"):
                    pass
                sys.exit()
            os.waitpid(child, 0)
            print(directory_totals.fold(os.environ["ALGOPROF_FLIGHT_DIR"]), run.snapshot().node("worker", "step").count)
            sys.stdout.flush()
            os.kill(os.getpid(), 9)
        """
    assert run_python(script).stdout == "0 1\n"
    assert fold(folder) == 1
