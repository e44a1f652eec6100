"""A program that the kernel kills for want of memory, in a control group with a limit."""

import os
import subprocess

PROGRAM = """
from algoprof import section
with section("load"):
    pass
with section("fill"):
    held = [bytearray(b"x" * (10 << 20)) for _ in range(100)]
"""


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
