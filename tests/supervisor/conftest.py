"""A supervised program: run to its end, with its report."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from algoprof.profiles.codec import from_json
from algoprof.profiles.tree import Profile

MEMORY_LIMIT = 80 << 20


class Done(NamedTuple):
    """What `algoprof run --json` left."""

    status: int
    out: str
    err: str
    report: dict[str, Any]

    @property
    def profile(self) -> Profile:
        """The profile of the first process."""
        return from_json(self.report["profiles"][0])


@pytest.fixture
def script(tmp_path):
    """Write a script and return its path."""

    def written(source: str) -> Path:
        path = tmp_path / "program.py"
        path.write_text(textwrap.dedent(source))
        return path

    return written


@pytest.fixture
def run(script, supervised):
    """Run a script's source, or a command, under `algoprof run --json`."""

    def ran(program: str | list[str], *options: str, **popen: Any) -> Done:
        line = [str(script(program))] if isinstance(program, str) else ["--", *program]
        done = subprocess.run(
            [*supervised, "--json", *options, *line], capture_output=True, text=True, timeout=60, check=False, **popen
        )
        begin = done.stderr.find('{\n  "command"')
        report = json.loads(done.stderr[begin:]) if begin >= 0 else {}
        return Done(done.returncode, done.stdout, done.stderr[:begin] if begin >= 0 else done.stderr, report)

    return ran


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture
def lives():
    """Whether a process is there, and not just its exit status."""
    return _lives


@pytest.fixture
def supervised():
    """Return the command line of `algoprof run`."""
    return [sys.executable, "-m", "algoprof", "run"]


@pytest.fixture(autouse=True)
def _no_process_left(tmp_path, monkeypatch):
    """See that of the processes that leave a file named for their pid in the folder `PIDS` none is left."""
    (tmp_path / "pids").mkdir()
    monkeypatch.setenv("PIDS", str(tmp_path / "pids"))
    yield
    assert [path.name for path in (tmp_path / "pids").iterdir() if _lives(int(path.name))] == []


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
            (made / limit).write_text(str(MEMORY_LIMIT))
            yield made
        except OSError:
            continue
        finally:
            made.rmdir()
        return
    pytest.skip("no control group with a memory limit can be made here")
