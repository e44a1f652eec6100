"""What must hold at full speed: kills, live reads, forks, many threads, and a wall clock that jumps."""

import pytest

pytestmark = [pytest.mark.usefixtures("writer"), pytest.mark.timeout(900)]

THREADS = 3

# Two processes that record nothing each fork one that records at full speed, kill it at a random moment, and read its
# file, again and again. Each recording thread notes what it has completed in memory that both share.
KILLS = """
import mmap, os, random, signal, struct, sys, threading, time, traceback
from algoprof import profile, propagate, section
from algoprof.recorder import layout as at
from algoprof.recorder.reader import read

KILLS, THREADS = int(sys.argv[2]), 3

def work(number):
    outer, inner = section(f"outer {number}"), section("inner")
    while True:
        with outer:
            for _ in range(3):
                with inner:
                    pass
        done[number] += 1

def record():
    sys.setswitchinterval(0.0002)
    with profile("job"):
        for number in range(1, THREADS):
            threading.Thread(target=propagate(work), args=(number,), daemon=True).start()
        work(0)

def odd_rows():
    # For each block, how many of its rows were being written.
    odd = {}
    with open(PATH, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        for segment in range(1, struct.unpack_from("<q", mapped, 8 * at.HEADER_SEGMENTS)[0]):
            kind, _, owner = at.DIRECTORY_ENTRY.unpack_from(mapped, at.DIRECTORY_AT + 8 * segment)
            first, count = {at.HOME: (at.HOME_NODES_AT, at.HOME_NODES), at.NODES: (0, at.NODES_PER_SEGMENT)}.get(
                kind, (0, 0)
            )
            for row in range(count):
                sequence, serial = struct.unpack_from(
                    "<qq", mapped, segment * at.SEGMENT_BYTES + first + row * at.NODE_BYTES
                )
                if serial and sequence % 2:
                    block = owner or segment
                    odd[block] = odd.get(block, 0) + 1
    return odd

def check():
    flight = read(PATH)
    assert not flight.alive
    assert flight.errors == 0
    (run,) = flight.runs
    assert (run.name, run.outcome) == ("job", "killed")
    odd = odd_rows()
    assert all(rows == 1 for rows in odd.values()), odd
    assert len(odd) <= THREADS, odd
    assert run.inexact == bool(odd)
    nodes = {path[-1]: node for path, node in run.paths() if len(path) == 2}
    for number in range(THREADS):
        outer = nodes.get(f"outer {number}")
        if outer is None:
            assert done[number] == 0
            continue
        inner = {node.name: node for node in outer.children}["inner"].count if outer.children else 0
        assert done[number] <= outer.count <= done[number] + 1, (done[number], outer.count)
        assert 3 * outer.count <= inner <= 3 * outer.count + 3 or odd and inner == 3 * outer.count - 3, (outer, inner)
        for node in (outer, *outer.children):
            assert abs(node.histogram.count - node.count) <= len(odd)
            assert odd or node.shortest_ns * node.count <= node.closed_ns <= node.longest_ns * node.count
            assert node.open_count <= 1

def kill_one(moment):
    done[:THREADS] = memoryview(bytes(8 * THREADS)).cast("q")
    child = os.fork()
    if child == 0:
        try:
            record()
        finally:
            os._exit(1)
    while not any(done[:THREADS]):
        assert os.waitpid(child, os.WNOHANG) == (0, 0), "the writer ended by itself"
        time.sleep(0.0005)
    time.sleep(moment)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    check()
    os.unlink(PATH)

killers = []
for number in range(2):
    killers.append(os.fork())
    if killers[-1] == 0:
        try:
            PATH = os.environ["ALGOPROF_FLIGHT_FILE"] = f"{sys.argv[1]}/{number}.flight"
            done = memoryview(mmap.mmap(-1, mmap.PAGESIZE)).cast("q")
            moments = random.Random(number)
            for _ in range(KILLS // 2):
                kill_one(moments.random() * 0.008)
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
print([os.waitstatus_to_exitcode(os.waitpid(killer, 0)[1]) for killer in killers])
"""


def test_a_kill_at_any_moment_loses_no_completed_section(run_python, tmp_path, scaled):
    done = run_python(KILLS, str(tmp_path), str(scaled(2_000)), timeout=800)
    assert (done.stdout, done.stderr) == ("[0, 0]\n", "")


# Rows are checked one by one, so that a file of many rows is read fewer times.
READS = """
import subprocess, sys, time
from algoprof.recorder.reader import read

process = subprocess.Popen([sys.executable, "-c", sys.argv[2]], stdout=subprocess.PIPE)
path = process.stdout.readline().decode().strip()
last, unsure, rows, reads = {}, 0, 0, 0
try:
    while rows < int(sys.argv[1]):
        began = time.monotonic()
        flight = read(path)
        took = time.monotonic() - began
        reads += 1
        assert flight.alive
        (run,) = flight.runs
        if run.inexact:  # a writer was kept from its row, by a busy machine too, for longer than a reader waits
            unsure += 1
            assert took >= 0.2, took
            assert unsure <= 10 + reads // 10, (unsure, reads)
            continue
        for place, node in run.paths():
            if len(place) > 1:
                assert node.histogram.count == node.count >= last.get(place, 0), (place, node)
                assert node.shortest_ns * node.count <= node.closed_ns <= node.longest_ns * node.count, (place, node)
                last[place] = node.count
                rows += 1
    assert process.poll() is None
finally:
    process.kill()
    process.wait()
grew = sum(count > 1 for count in last.values())
print("no row was torn;", "all grew" if grew == len(last) else last)
"""

WRITER = """
import sys, threading
from algoprof import profile, propagate, section
from algoprof.recorder import process

def work(number):
    held = [section(f"{number} {n}") for n in range(24)]
    while True:
        for each in held:
            with each:
                pass

sys.setswitchinterval(0.0005)  # for a thread may lose its turn in the middle of a row, and a reader waits for it
with profile("job"):
    workers = [threading.Thread(target=propagate(work), args=(number,), daemon=True) for number in range(2)]
    for worker in workers:
        worker.start()
    print(process._flight.path, flush=True)
    work(2)
"""


def test_a_live_reader_sees_no_torn_row(run_python, scaled):
    done = run_python(READS, str(scaled(300_000)), WRITER, timeout=800)
    assert done.stderr == ""
    assert done.stdout == "no row was torn; all grew\n"


def test_forks_under_recording_threads_do_not_hang(run_python, scaled):
    done = run_python(
        f"""
        import os, sys, threading
        from algoprof import profile, propagate, section, snapshot

        def step():
            with section("step"), section("inner"):
                pass

        def record():
            while not over.is_set():
                step()

        over = threading.Event()
        sys.setswitchinterval(0.0005)
        with profile("job") as run:
            threads = [threading.Thread(target=propagate(record)) for _ in range({THREADS})]
            for thread in threads:
                thread.start()
            for number in range({scaled(200)}):
                child = os.fork()
                if child == 0:
                    threads = [threading.Thread(target=step) for _ in range(2)]
                    for thread in threads:
                        thread.start()
                    for thread in threads:
                        thread.join()
                    with profile("in the child") as own:
                        step()
                    os._exit(10 + own.snapshot().node("in the child", "step", "inner").count)
                assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 11, number
            over.set()
            for thread in threads:
                thread.join()
        node = run.snapshot().node("job", "step")
        print("all answered", node.children[0].count == node.count)
        """,
        timeout=300,
    )
    assert (done.stdout, done.stderr) == ("all answered True\n", "")


def test_64_threads_at_once_count_exactly(run_python, scaled):
    each = scaled(10_000)
    done = run_python(
        f"""
        import sys, threading
        from algoprof import profile, propagate, section

        @section
        def decorated():
            pass

        def work():
            together.wait()
            step = section("step")
            for _ in range({each}):
                with step:
                    decorated()

        sys.setswitchinterval(0.0005)
        together = threading.Barrier(64)
        with profile("job") as run:
            workers = [threading.Thread(target=propagate(work)) for _ in range(64)]
            for worker in workers:
                worker.start()
            for worker in workers:
                worker.join()
        taken = run.snapshot()
        step, inside = taken.node("job", "step"), taken.node("job", "step", "decorated")
        print(step.count, step.histogram.count, inside.count, inside.histogram.count)
        print(step.concurrent, inside.concurrent, taken.inexact, taken.folded)
        """,
        timeout=600,
    )
    total = 64 * each
    assert (done.stdout, done.stderr) == (f"{total} {total} {total} {total}\nTrue False False 0\n", "")


def test_a_wall_clock_that_jumps_harms_no_duration(run_python):
    done = run_python("""
        import time
        from algoprof import profile, section

        jumped = 0
        real, real_ns = time.time, time.time_ns
        time.time, time.time_ns = lambda: real() + jumped / 1e9, lambda: real_ns() + jumped
        day = 86_400 * 10**9
        outside = []
        with profile("job") as run:
            for jump in (day, -3 * day, 5 * day):
                before = time.monotonic_ns()
                with section(f"jump {jump}"):
                    began = time.monotonic_ns()
                    jumped += jump
                    taken = run.snapshot()  # moves the anchor
                    inside = time.monotonic_ns() - began
                node = run.snapshot().node("job", f"jump {jump}")
                assert inside <= node.total_ns <= time.monotonic_ns() - before, (jump, node)
        final = run.snapshot()
        assert final.duration < 60
        assert abs(final.started_ns - time.time_ns()) < 60 * 10**9, "told by the clock as it is now"
        for _, node in final.paths():
            for span in node.spans:
                assert 0 <= span.end_ns - span.start_ns <= final.duration_ns
                assert abs(span.start_ns - final.started_ns) <= final.duration_ns
        print("unharmed")
        """)
    assert (done.stdout, done.stderr) == ("unharmed\n", "")


def test_a_kill_that_lost_a_section_would_be_seen(run_python, tmp_path):
    done = run_python(KILLS.replace("done[number] += 1", "done[number] += 2"), str(tmp_path), "2")
    assert done.stdout == "[1, 1]\n"
    assert "assert done[number] <= outer.count" in done.stderr
