"""Control groups: the tightest limit counts, of either version, and nothing in their files can do harm."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from algoprof.recorder.cgroups import ControlGroups, read_memory_peak

LISTING = Path("/proc/self/cgroup")
V2_STAT = "usage_usec 900\nnr_periods 40\nnr_throttled 10\nthrottled_usec 2500\n"
FILES = ("cpu.max", "cpu.stat", "memory.max", "memory.peak")
V1_STAT = "nr_periods 40\nnr_throttled 10\nthrottled_time 2500000\n"


@pytest.fixture
def machine(tmp_path):
    """Make a machine out of files: their paths and contents."""

    def make(files):
        for name, content in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        return ControlGroups(str(tmp_path))

    return make


def test_version_2(machine):
    groups = machine(
        {
            "proc/self/cgroup": "0::/job\n",
            "sys/fs/cgroup/job/cpu.max": "150000 100000\n",
            "sys/fs/cgroup/job/cpu.stat": V2_STAT,
            "sys/fs/cgroup/job/memory.max": "1048576\n",
            "sys/fs/cgroup/job/memory.peak": "4096\n",
            "sys/fs/cgroup/job/memory.events": "low 0\nhigh 0\nmax 9\noom 3\noom_kill 2\noom_group_kill 0\n",
        }
    )
    assert groups.oom_kills() == 2
    assert (groups.cpu_quota, groups.memory_limit) == (1.5, 1048576)
    assert (groups.throttling(), groups.memory_peak()) == ((40, 10, 2_500_000), 4096)


def test_version_1(machine):
    groups = machine(
        {
            "proc/self/cgroup": "5:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n0::/\n",
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "50000\n",  # the path is the host's, and not seen here
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
            "sys/fs/cgroup/cpu,cpuacct/cpu.stat": V1_STAT,
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "2097152\n",
            "sys/fs/cgroup/memory/memory.max_usage_in_bytes": "8192\n",
            "sys/fs/cgroup/memory/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 7\n",
        }
    )
    assert groups.oom_kills() == 7
    assert (groups.cpu_quota, groups.memory_limit) == (0.5, 2097152)
    assert (groups.throttling(), groups.memory_peak()) == ((40, 10, 2_500_000), 8192)


def test_the_tightest_limit_above_counts_and_its_group_tells_what_it_did(machine):
    groups = machine(
        {
            "proc/self/cgroup": "0::/pod/container\n",
            "sys/fs/cgroup/pod/container/cpu.max": "max 100000\n",
            "sys/fs/cgroup/pod/container/cpu.stat": "nr_periods 0\nnr_throttled 0\nthrottled_usec 0\n",
            "sys/fs/cgroup/pod/cpu.max": "200000 100000\n",
            "sys/fs/cgroup/pod/cpu.stat": V2_STAT,
            "sys/fs/cgroup/pod/container/memory.max": "1000\n",
            "sys/fs/cgroup/pod/memory.max": "500\n",
        }
    )
    assert (groups.cpu_quota, groups.memory_limit) == (2.0, 500)
    assert groups.throttling() == (40, 10, 2_500_000)
    assert groups.memory_peak() is None  # an older kernel has no memory.peak


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"proc/self/cgroup": "0::/job\n"},
        {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000\n", "sys/fs/cgroup/memory.max": "max\n"},
        {
            "proc/self/cgroup": "2:cpu:/\n3:memory:/\n",
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
        },
    ],
    ids=["nothing", "no files", "no limits", "no limits in version 1"],
)
def test_without_a_limit_nothing_is_told(machine, files):
    groups = machine(files)
    assert (groups.cpu_quota, groups.memory_limit, groups.throttling(), groups.memory_peak()) == (None,) * 4


def test_a_group_outside_of_what_is_seen_is_the_mount(machine):
    groups = machine({"proc/self/cgroup": "0::/../../other\n", "sys/fs/cgroup/cpu.max": "100000 100000\n"})
    assert groups.cpu_quota == 1.0


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.binary(max_size=5000), min_size=5, max_size=5))
def test_hostile_contents_are_read_or_passed_over(tmp_path, contents):
    names = ["proc/self/cgroup", *(f"sys/fs/cgroup/{name}" for name in FILES)]
    for name, content in zip(names, contents, strict=True):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"0::/\n" + content if name == names[0] else content)
    groups = ControlGroups(str(tmp_path))
    assert groups.cpu_quota is None or 0 < groups.cpu_quota < 2**61
    assert groups.memory_limit is None or 0 < groups.memory_limit < 2**61
    groups.throttling()
    groups.memory_peak()


@pytest.mark.skipif(not LISTING.exists(), reason="this system has no control groups")
def test_this_machine_tells_the_truth_or_nothing():
    groups = ControlGroups()
    assert groups.cpu_quota is None or groups.cpu_quota > 0
    assert groups.memory_limit is None or groups.memory_limit > 2**20
    found = groups.throttling()
    assert found is None or found[1] <= found[0]


@pytest.mark.skipif(not LISTING.exists(), reason="this system has no /proc")
def test_the_memory_peak_is_the_own_one_and_not_that_of_whoever_started_it(run_python):
    held = bytearray(os.urandom(1)) * (200 * 2**20)
    done = run_python("from algoprof.recorder.cgroups import read_memory_peak; print(read_memory_peak())")
    assert len(held) < read_memory_peak()
    assert 2**20 < int(done.stdout) < 150 * 2**20
