"""The line of the report that says what was around the run: what matters, and nothing else."""

from algoprof.exporters.text import render
from algoprof.exporters.text.environment import environment_line
from algoprof.profiles.environment import Environment
from algoprof.profiles.tree import Node, Profile

SECOND = 10**9


def line(**facts):
    return environment_line(Profile("job", (), duration_ns=10 * SECOND, environment=Environment("3.13.1", **facts)))


def test_an_ordinary_environment_is_not_told():
    quiet = line(cpu_count=4, load_average=0.5, memory_peak=10**8, gc_pauses=9, gc_paused_ns=SECOND // 1000)
    assert quiet == ""
    assert "environment" not in render(Profile("job", (Node("job", 1, closed_ns=5),), duration_ns=5))


def test_what_held_the_run_back_is_told():
    assert line(cpu_count=1, cpu_quota=1.0) == "environment: quota of 1 CPU (1 to run on)"
    assert line(cpu_count=1, load_average=3.25) == "environment: load 3.2 on 1 CPU"
    assert line(memory_peak=900 * 2**20, memory_limit=2**30) == "environment: peak memory 900 MiB, 88 % of the limit"
    assert line(memory_peak=2**20, memory_limit=2**30) == ""
    paused = line(gc_pauses=12, gc_paused_ns=2 * SECOND, gc_longest_ns=SECOND)
    assert paused == "environment: GC 2.00 s in 12 pauses, 1.00 s the longest"
    throttled = line(cpu_quota=0.5, periods=100, throttled_periods=25, throttled_ns=3 * SECOND)
    assert throttled.endswith("quota of 0.5 CPUs, throttled in 25 % of the run (3.00 s of CPU time withheld)")


def test_the_line_stands_in_the_report():
    profile = Profile("job", (Node("job", 1, closed_ns=5),), duration_ns=5, allocation_peak=3 * 2**20)
    assert "\nenvironment: 3.00 MiB allocated at the peak\n" in render(profile)
