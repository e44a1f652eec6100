"""What recording may take at the most: 2 MiB a thread, 48 MiB a process, and no more the longer it lasts."""

import pytest

pytestmark = [pytest.mark.usefixtures("writer"), pytest.mark.timeout(600)]

# What each script begins with. Sizes are in KiB; `growth` does a thing until it has settled, then again and again.
TOOLS = """
import os, sys, threading
from contextvars import copy_context
from algoprof import profile, propagate, section, snapshot
from algoprof.recorder import directory

def backed():
    (path,) = directory.flight_files(os.environ["ALGOPROF_FLIGHT_DIR"])
    return os.stat(path).st_blocks // 2

def resident():
    # Without the pages of the flight file, which `backed` counts.
    fields = dict(line.split(":") for line in open("/proc/self/status") if line.startswith("Rss"))
    return int(fields["RssAnon"].split()[0])

def growth(work, first=1, again=3):
    for _ in range(first):
        work()
    before = backed(), resident()
    for _ in range(again):
        work()
    return backed() - before[0], resident() - before[1]

def in_threads(number, work):
    threads = [threading.Thread(target=propagate(work)) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
"""


@pytest.fixture
def sizes(run_python):
    """Run a script that prints numbers, and return them."""

    def run(script, **options):
        done = run_python(TOOLS + script, timeout=500, **options)
        assert done.stderr == ""
        return [int(word) for word in done.stdout.split()]

    return run


def test_a_long_loop_takes_no_more(sizes, scaled):
    file, memory = sizes(f"""
def work():
    held = section("held")
    for number in range({scaled(400_000)}):
        with held:
            with section("by name", number=number) as s:
                s.set(more="x")
with profile("job"):
    print(*growth(work))
""")
    assert file < 64, "no segment more; the file system may note something of its own"
    assert memory < 512


def test_attributes_set_in_a_loop_take_no_more(sizes):
    file, memory = sizes("""
def work():
    held = section("held")
    for number in range(300):
        with held as s:
            s.set(number=number)
with profile("job"):
    print(*growth(work))
""")
    assert file < 64
    assert memory < 512


def test_one_thread_takes_2_mib_at_the_most(sizes):
    """Names without end, as deep as they go, and many open at once: beyond the start, what one thread adds."""
    (added,) = sizes("""
def descend(number, depth):
    if depth:
        with section(f"{number} {depth}", attribute="x" * 90):
            descend(number, depth - 1)

def work():
    for number in range(100):
        descend(number, 200)
    contexts = [copy_context() for _ in range(3_000)]
    for number, context in enumerate(contexts):
        context.run(section("open at once", number=number).__enter__)

with profile("job"):
    for number in range(5_000):  # names are the process's, not the thread's
        with section(f"name {number}"):
            pass
    before = backed()
    in_threads(1, work)
    print(backed() - before)
""")
    assert 512 < added <= 2048


def test_a_process_takes_48_mib_at_the_most(sizes):
    used, count, right = sizes("""
def work():
    together.wait()
    for number in range(600):
        with section(f"name {number}", attribute="x" * 90):
            pass
    together.wait()

number = 64
together = threading.Barrier(number)
with profile("job") as run:
    in_threads(number, work)
taken = run.snapshot()
count = sum(node.count for node in taken.node("job").walk()) - 1
print(backed(), count, number * 600)
""")
    assert 24 * 1024 < used <= 48 * 1024 + 64, "but for what the file system notes of it"
    assert count == right, "what finds no row is counted in another"


def test_many_threads_one_after_another_take_no_more(sizes, scaled):
    file, memory = sizes(f"""
from threading import Barrier
all_at_once = Barrier(8)

def step():
    with section("step"):
        all_at_once.wait()

def work():
    for _ in range({scaled(100)}):
        in_threads(8, step)

with profile("job"):
    print(*growth(work, first=2))
""")
    assert file < 64, "no segment more; the file system may note something of its own"
    assert memory < 1024


def test_many_names_take_no_more(sizes, scaled):
    file, memory = sizes(f"""
from itertools import count
numbers = count()

def work():
    for _ in range({scaled(40_000)} + 5_000):
        with section(f"name {{next(numbers)}}"):
            pass

with profile("job"):
    print(*growth(work))
""")
    assert file < 64, "no segment more; the file system may note something of its own"
    assert memory < 1024


def test_many_runs_of_many_names_take_no_more(sizes, scaled):
    file, memory = sizes(f"""
from itertools import count
numbers = count()

def work():
    for _ in range(max(5_000 - next(numbers), {scaled(10_000)})):  # at first, more names than a file has
        with profile(f"run {{next(numbers) % 5_000}}"):
            for name in ("a", "b"):
                with section(name):
                    pass

print(*growth(work))
""")
    assert file < 64, "no segment more; the file system may note something of its own"
    assert memory < 1024


def test_fifty_runs_at_once_keep_apart_and_take_no_more(sizes, scaled):
    rounds = scaled(100)
    first = max(9, rounds // 3)  # some eighty rounds fill what the allocator keeps for fifty threads
    *wrong, totals, file, memory = sizes(f"""
wrong = 0

def work():
    def one(n):
        global wrong
        with profile(f"job {{n}}", timeout=60 + n) as run:
            together.wait()
            for _ in range(n + 1):
                with section("step"), section(f"inner {{n}}"):
                    pass
            together.wait()
            taken = run.snapshot()
            wrong += taken.node(f"job {{n}}", "step", f"inner {{n}}").count != n + 1
            wrong += taken.node(f"job {{n}}").open_count != 1 or taken.timeout != 60 + n
            wrong += [child.name for child in taken.node(f"job {{n}}", "step").children] != [f"inner {{n}}"]
            together.wait()
        wrong += run.snapshot().outcome != "ok"

    together = threading.Barrier(50)
    threads = [threading.Thread(target=one, args=(n,)) for n in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

file, memory = growth(work, first={first}, again={rounds})
taken = snapshot()
totals = sum(taken.node(f"job {{n}}", "step", f"inner {{n}}").count for n in range(50))
print(wrong, totals, file, memory)
""")
    assert wrong == [0]
    assert totals == (rounds + first) * sum(range(51))
    assert file < 64, "no segment more; the file system may note something of its own"
    assert memory < 4096, "a third of what it settles at is still to come; a KiB kept of each run would be 5 MiB"
