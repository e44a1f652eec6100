"""What is told afterwards of programs that nobody watched: real ones, really killed, and what the kernel knows."""

import json
import os
import subprocess
import sys
import time

import pytest
from click.testing import CliRunner

from algoprof.cli.recover import command
from algoprof.recorder import layout as at
from algoprof.recorder.reader import read
from algoprof.supervisor import fate
from algoprof.supervisor.fate import Fates


@pytest.fixture
def left(tmp_path, run_python):
    """Run a program and return the flight file that it left, which is its only one."""

    def run(source, **options):
        run_python(source, **options)
        (path,) = (tmp_path / "flight").glob("*.flight")
        return path

    return run


@pytest.fixture
def recover():
    """What `algoprof recover` says: its text, and the ending of its JSON."""

    def say(*arguments):
        told = [CliRunner().invoke(command, [*arguments, *how]).stdout for how in ([], ["--json"])]
        return told[0], json.loads(told[1])["ending"]

    return say


def fate_of(path):
    return Fates().of(path, read(path))


KILLED = """
import os
from algoprof import section
with section("work"):
    os.kill(os.getpid(), 9)
"""


def test_a_kill_that_nobody_tells_of_may_have_been_anything(left, recover):
    left(KILLED)
    text, ending = recover()
    assert "killed, or left by os._exit; last seen" in text
    assert "ending: nobody tells what ended it: SIGKILL, a signal that it did not handle" in text
    assert (ending["how"], ending["certain"], ending["supervisor"]) == ("unknown", True, None)


def test_who_came_to_its_end_by_itself_exited(left, recover):
    left("from algoprof import section\nwith section('work'): pass")
    text, ending = recover()
    assert "ending: it came to its end by itself" in text
    assert ending["how"] == "exited"


def test_who_had_nearly_used_its_timeout_most_likely_died_of_it(left, recover):
    left("""
        import os, time
        from algoprof import budget, profile, section
        with profile("job", timeout=1), section("solve"):
            while budget().used_ratio < 0.97:
                time.sleep(0.01)
            os.kill(os.getpid(), 9)
        """)
    text, ending = recover()
    assert "killed, most likely by its timeout; last seen" in text
    assert "of its timeout of 1 s was used at its last sign of life; whoever set the timeout stopped it" in text
    assert (ending["how"], ending["certain"]) == ("timeout", False)


FILL = """
import os, sys
from algoprof import profile, section
from algoprof.recorder import process
with profile("job", timeout=60), section("fill"):
    held = []
    while len(held) < {mebibytes}:
        held.append(bytearray(b"x" * (1 << 20)))
    process.beat()  # as the watcher does every second
    os.kill(os.getpid(), 9)
"""


def within(group):
    return lambda: (group / "cgroup.procs").write_text(str(os.getpid()))


def test_whom_the_kernel_killed_for_want_of_memory(group, left, recover):
    left(FILL.format(mebibytes=1000), preexec_fn=within(group))
    text, ending = recover()
    assert "killed by the kernel for want of memory; last seen" in text
    assert "its memory ran out, and not its time" in text
    assert (ending["how"], ending["certain"]) == ("out_of_memory", True)


def test_without_its_log_the_kernel_still_counts_whom_it_killed_in_the_group(group, left, monkeypatch):
    monkeypatch.setattr(fate, "_KERNEL_LOG", os.devnull)
    path = left(FILL.format(mebibytes=1000), preexec_fn=within(group))
    found = fate_of(path)
    assert (found.how, found.certain) == ("out_of_memory", True)
    assert "the kernel has killed a process of its control group for want of memory since" in found.evidence


def test_when_only_the_file_is_left_it_tells_how_near_to_its_memory_limit_it_was(group, left, monkeypatch):
    monkeypatch.setattr(fate, "_KERNEL_LOG", os.devnull)
    path = left(FILL.format(mebibytes=62), preexec_fn=within(group))
    found = fate_of(path)
    assert (found.how, found.certain) == ("out_of_memory", False)
    assert "% of its memory limit" in found.evidence


def test_another_groups_count_is_none_of_its_own(group, left, monkeypatch):
    monkeypatch.setattr(fate, "_KERNEL_LOG", os.devnull)
    path = left(KILLED, preexec_fn=within(group))
    patch(path, at.HEADER_OOM_KILLS, -1)
    assert fate_of(path).how == "out_of_memory", "the count has gone up"
    patch(path, at.HEADER_MEMORY_GROUP, 1 << 40)
    assert fate_of(path).how == "unknown"


def test_a_crash_that_the_kernel_logs(left, recover):
    path = left("""
        import ctypes
        from algoprof import section
        with section("work"):
            ctypes.string_at(0)
        """)
    if fate._read_log().get(read(path).pid, ("", 0))[0] != "crashed":
        pytest.skip("the kernel's log may not be read here, or does not tell of crashes")
    text, ending = recover()
    assert "crashed in C code; last seen" in text
    assert "python -X faulthandler" in text
    assert ending["how"] == "crashed"


@pytest.fixture
def living(tmp_path):
    """Start a program that goes on after its section, and wait until it says so."""
    started = []

    def begin(source):
        path = tmp_path / "living.py"
        path.write_text("from algoprof import section\nwith section('work'): pass\n" + source)
        process = subprocess.Popen([sys.executable, path], stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout.readline() == "ready\n"
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def test_one_that_became_another_program(living, recover):
    process = living("import os\nos.execlp('sh', 'sh', '-c', 'echo ready; exec sleep 60')")
    text, ending = recover()
    assert "became another program, by exec; last seen" in text
    assert ending["how"] == "replaced"
    assert ending["evidence"] == f"process {process.pid} is still there, as another program"


def test_one_that_closed_the_descriptors_of_others_still_runs(living, recover):
    process = living("import os, time\nos.closerange(3, 4096)\nprint('ready', flush=True)\ntime.sleep(60)")
    text, ending = recover()
    assert f"process {process.pid}: still running" in text
    assert ending["how"] == "running"
    assert "shows it as it is then" in ending["meaning"]


def patch(path, word, value):
    with path.open("r+b") as file:
        file.seek(word * 8)
        file.write(value.to_bytes(8, "little", signed=True))


def test_another_process_of_its_pid_is_another_process(left):
    path = left(KILLED)
    patch(path, at.HEADER_PID, os.getpid())
    assert fate_of(path).how == "unknown"


def test_after_another_boot_nothing_is_asked_of_this_one(left, recover):
    path = left(KILLED)
    patch(path, at.HEADER_BOOT_ID, 1)
    text, ending = recover()
    assert "ended with the machine, or before that was started anew; last seen" in text
    assert ending["how"] == "restarted"


def test_whatever_stands_in_a_header_is_an_answer(tmp_path, left):
    path = left(KILLED)
    for word in (at.HEADER_PID, at.HEADER_START_TIME, at.HEADER_MEMORY_GROUP, at.HEADER_SUPERVISIONS):
        for value in (-1, 0, 2**62, 2**63 - 1):
            patch(path, word, value)
            assert fate_of(path).how in ("unknown", "replaced", "running")


def test_under_a_supervisor_that_was_killed_too(script, supervised, recover):
    path = script("from algoprof import section\nimport time\nwith section('work'):\n    print('ready', flush=True)\n"
                  "    time.sleep(60)")  # fmt: skip
    with subprocess.Popen([*supervised, path], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        text, ending = recover()
        assert f"`algoprof run`, process {process.pid}, watches over it and will report" in text
        assert (ending["how"], ending["supervisor"], ending["is_supervised"]) == ("running", process.pid, True)
        process.kill()
    until = time.monotonic() + 20
    while ending["how"] == "running" and time.monotonic() < until:  # its last thread holds its file's lock
        text, ending = recover()
    text, ending = recover()
    assert f"it ran under `algoprof run`, process {process.pid}, whose report says how it ended" in text
    assert (ending["how"], ending["is_supervised"]) == ("unknown", False)
