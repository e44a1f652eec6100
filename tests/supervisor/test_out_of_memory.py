"""A program that the kernel kills for want of memory, in a control group with a limit."""

import os
import subprocess
from pathlib import Path

import pytest

LIMIT = 80 << 20
PROGRAM = """
from algoprof import section
with section("load"):
    pass
with section("fill"):
    held = [bytearray(b"x" * (10 << 20)) for _ in range(100)]
"""


@pytest.fixture
def group():
    """A control group of 80 MiB, of version 1 or 2, as only root may make one, and not in every container."""
    for parent, limit in (("memory", "memory.limit_in_bytes"), ("", "memory.max")):
        made = Path("/sys/fs/cgroup", parent, f"algoprof-test-{os.getpid()}")
        try:
            made.mkdir()
        except OSError:
            continue
        try:
            (made / limit).write_text(str(LIMIT))
            yield made
        except OSError:
            continue
        finally:
            made.rmdir()
        return
    pytest.skip("no control group with a memory limit can be made here")


def test_the_kernel_is_named_as_who_killed_it(group, script, supervised):
    path = script(PROGRAM)
    done = subprocess.run(
        [*supervised, path],
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        preexec_fn=lambda: (group / "cgroup.procs").write_text(str(os.getpid())),
    )
    assert done.returncode == -9
    assert "the kernel ran out of memory for it" in done.stderr
    assert "open when killed: fill" in done.stderr
