"""What `algoprof run` tells of where a program was, with no section in it, and however it ends."""

import subprocess
import sys

import pytest


def hot(profile):
    return max(profile.samples, key=lambda sample: sample.count)


def test_a_program_with_no_section_that_is_killed_shows_where_it_was(busy, run, script, supervised):
    source = busy + "busy(0.5)\nimport os\nos.kill(os.getpid(), 9)"
    done = run(source)
    assert done.report["signal"] == "SIGKILL"
    assert hot(done.profile).stack[-1].name == "busy"
    assert [frame.name for frame in hot(done.profile).stack] == ["<module>", "busy"]
    text = subprocess.run([*supervised, script(source)], capture_output=True, text=True, check=False).stderr
    (at,) = [number for number, line in enumerate(text.splitlines()) if line.startswith("hot lines, of ")]
    assert "program.py:" in text.splitlines()[at + 1]
    assert "busy" in text.splitlines()[at + 1]


def test_a_timeout_shows_where_it_was_in_a_section(busy, run):
    done = run(busy + "from algoprof import section\nwith section('solve'): busy(60)", "--timeout", "2", "--grace", "1")
    assert done.status == 124
    assert hot(done.profile).path[-1] == "solve"


def test_recover_shows_it_too(busy, run, tmp_path):
    run(busy + "busy(0.5)\nimport os\nos.kill(os.getpid(), 9)")
    command = [sys.executable, "-m", "algoprof", "recover"]
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "hot lines, of " in found


def test_the_rate_and_none(busy, run):
    done = run(busy + "busy(0.3)", "--sample-rate", "500")
    assert done.profile.sample_interval == 0.002
    assert run(busy + "busy(0.1)", "--sampler", "off").profile.samples == ()


def test_what_the_variable_says_holds(busy, run, monkeypatch):
    monkeypatch.setenv("ALGOPROF_SAMPLER", "off")
    assert run(busy + "busy(0.1)").profile.samples == ()
    assert run(busy + "busy(0.1)", "--sampler", "internal").profile.samples != ()


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_workers_that_record_nothing_are_seen_where_they_were(busy, run, method):
    """A pool forks them, or starts them afresh: these have to import algoprof."""
    done = run(
        busy
        + f"""
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
if {method != "fork"}:
    import algoprof
if __name__ == "__main__":
    with ProcessPoolExecutor(1, mp_context=get_context({method!r})) as workers:
        workers.submit(busy, 0.3).result()
    with get_context({method!r}).Pool(1) as workers:
        workers.map(busy, [0.3])
        workers.close()
        workers.join()  # else it is killed, maybe while it counts its end
"""
    )
    assert (done.status, done.err) == (0, "")
    seen = sum(
        one.count
        for one in done.profile.samples
        if one.path == ("worker",) and any(frame.name == "busy" for frame in one.stack[-1:])
    )
    assert seen > 30, "30 of each"
    assert done.profile.node("worker").count + done.profile.node("worker").open_count == 2


@pytest.mark.parametrize("without", ["ALGOPROF_SAMPLER=off", "ALGOPROF_DISABLED=1"])
def test_workers_of_a_program_that_is_not_sampled_record_nothing_unasked(run, tmp_path, monkeypatch, without):
    monkeypatch.setenv(*without.split("="))
    source = """
        import multiprocessing, algoprof
        if __name__ == "__main__":
            for method in ("fork", "spawn"):
                with multiprocessing.get_context(method).Pool(1) as workers:
                    workers.map(abs, [1])
        """
    assert run(source).status == 0
    assert len(list((tmp_path / "flight").glob("*"))) == (without == "ALGOPROF_SAMPLER=off"), "the program's own"


@pytest.mark.parametrize("options", [("--sample-rate", "0"), ("--sampler", "nobody")])
def test_what_cannot_be_meant_is_refused(run, options):
    done = run("pass", *options)
    assert done.status == 125
    assert options[0] in done.err


def test_time_outside_every_run_is_told_where_it_is_much(busy, run, script, supervised):
    source = busy + "from algoprof import profile\nwith profile('short'): busy(0.05)\nbusy(0.5)\n"
    text = subprocess.run([*supervised, script(source)], capture_output=True, text=True, check=True).stderr
    assert "\nshort  ok" in text
    assert "\nprogram.py  ok" in text


def test_collapsed_stacks(busy, run, tmp_path, supervised, script):
    source = busy + "from algoprof import profile, section\nwith profile('job'), section('a;b'): busy(0.4)"
    line = [*supervised, "--output", tmp_path / "run.algoprof", script(source)]
    subprocess.run(line, capture_output=True, check=True)
    command = [sys.executable, "-m", "algoprof", "report", tmp_path / "run.algoprof", "--format", "collapsed"]
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    heaviest = max(found.splitlines(), key=lambda line: int(line.rpartition(" ")[2]))
    assert heaviest.startswith("job;a:b;<module> (")
    assert ";busy (" in heaviest


def test_collapsed_stacks_of_what_was_not_sampled(tmp_path):
    from algoprof.profiles.tree import Profile

    Profile("job", ()).save(tmp_path / "run.algoprof")
    command = [sys.executable, "-m", "algoprof", "report", tmp_path / "run.algoprof", "--format", "collapsed"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "has no stack samples" in done.stderr
    assert done.stdout == ""
