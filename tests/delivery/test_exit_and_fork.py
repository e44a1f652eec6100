"""Real processes: exit within its time, forks that deliver their own, and totals of several processes added up."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

APPEND = """
    import os, time
    from pathlib import Path
    import algoprof
    from algoprof import delivery

    class Append:
        def export(self, batch):
            for profile in batch.profiles:
                with open("records", "a") as file:
                    file.write(f"{profile.name} {profile.pid == os.getpid()}\\n")
        def shutdown(self, deadline):
            with open("records", "a") as file:
                file.write("shutdown\\n")

    @algoprof.profile
    def job(): pass
"""


def test_a_normal_exit_delivers(run_python, tmp_path):
    done = run_python(APPEND + "    algoprof.configure(exporters=[Append()])\n    job()\n    job()\n")
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "records").read_text() == "job True\njob True\nshutdown\n"


def test_exit_takes_no_longer_than_allowed(run_python):
    done = run_python(
        """
        import time, algoprof

        class Hanging:
            def export(self, batch): time.sleep(3600)
            def shutdown(self, deadline): time.sleep(3600)

        @algoprof.profile
        def job(): pass

        algoprof.configure(exporters=[Hanging()], shutdown_timeout=0.2)
        job()
        print(algoprof.flush(0.1), flush=True)
        """,
        timeout=30,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "1\n", "")


@pytest.mark.parametrize("leave", ["os._exit(0 if algoprof.flush(30) == 0 else 1)", "raise SystemExit"])
def test_a_forked_child_delivers_its_own_and_only_its_own(run_python, tmp_path, leave):
    done = run_python(
        APPEND
        + f"""
    algoprof.configure(exporters=[lambda context: Append()])
    job()
    assert algoprof.flush(30) == 0
    pid = os.fork()
    if not pid:
        job()
        {leave}
    assert os.waitpid(pid, 0)[1] == 0
    job()
    assert algoprof.flush(30) == 0
    """
    )
    assert (done.returncode, done.stderr) == (0, "")
    records = (tmp_path / "records").read_text().splitlines()
    assert [line for line in records if line != "shutdown"] == ["job True"] * 3


def test_workers_of_multiprocessing_deliver_before_they_go(run_python, tmp_path):
    done = run_python(
        APPEND
        + """
    import multiprocessing

    if __name__ == "__main__":
        algoprof.configure(exporters=[lambda context: Append()])
        workers = [multiprocessing.get_context("fork").Process(target=job) for _ in range(4)]
        for worker in workers: worker.start()
        for worker in workers: worker.join()
        assert [worker.exitcode for worker in workers] == [0] * 4
    """
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "records").read_text().count("job True\n") == 4


def test_forks_while_threads_deliver_never_hang(run_python, scaled):
    done = run_python(
        f"""
        import os, threading, warnings
        import algoprof
        from algoprof.profiles.tree import Node, Profile
        from algoprof import delivery

        warnings.simplefilter("ignore", DeprecationWarning)

        class Count:
            def export(self, batch): pass
            def shutdown(self, deadline): pass

        algoprof.configure(exporters=[lambda context: Count(), "prometheus"], prometheus_address="127.0.0.1:0")
        profile = Profile("job", (Node("job", 1, closed_ns=1),), run_id="ab" * 16)
        over = threading.Event()

        def busy():
            while not over.is_set():
                delivery.run_ended(profile, outermost=False, threshold_reached=False)
                delivery.current()

        threads = [threading.Thread(target=busy) for _ in range(3)]
        for thread in threads: thread.start()
        for _ in range({scaled(200)}):
            pid = os.fork()
            if not pid:
                delivery.run_ended(profile, outermost=False, threshold_reached=False)
                os._exit(0 if algoprof.flush(20) == 0 else 1)
            assert os.waitpid(pid, 0)[1] == 0
        over.set()
        for thread in threads: thread.join()
        print("ok")
        """,
        timeout=110,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "ok\n", "")


WORKER = """
import sys, algoprof
algoprof.configure(report="never")

@algoprof.profile
def job(times):
    for _ in range(times):
        with algoprof.section("step"):
            pass

job(int(sys.argv[1]))
print("ready", flush=True)
sys.stdin.read()
"""

READER = """
import sys, algoprof
from algoprof import delivery
algoprof.configure(exporters=["prometheus"], prometheus_address="127.0.0.1:0", report="never")
from algoprof.exporters.prometheus.exporter import newest
print(newest().address, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def start(tmp_path):
    """Start a script that says something when it is ready, and lives until its stdin is closed."""
    started = []

    def start_script(source, *arguments):
        process = subprocess.Popen(
            [sys.executable, "-c", source, *arguments],
            cwd=tmp_path,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process, process.stdout.readline().strip()

    yield start_script
    for process in started:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def scraped(address: str, name: str, *labels: str) -> dict[object, float]:
    """Return the samples of a name, by the values of some labels."""
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as answer:
        families = list(text_string_to_metric_families(answer.read().decode()))
    return {
        "/".join(sample.labels[label] for label in labels): sample.value
        for family in families
        for sample in family.samples
        if sample.name == name
    }


def steps(address: str) -> dict[object, float]:
    """Return how often each section of `job` ended."""
    return scraped(address, "algoprof_section_seconds_count", "section")


def test_one_endpoint_shows_every_process_and_forgets_none(start):
    _, address = start(READER)
    first, said = start(WORKER, "3")
    second, said_too = start(WORKER, "40")
    assert said == said_too == "ready"
    assert steps(address) == {"(run)": 2, "step": 43}
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert steps(address) == {"(run)": 2, "step": 43}
    second.stdin.close()
    assert second.wait(30) == 0  # its file is gone now
    assert steps(address) == {"(run)": 2, "step": 43}
    start(WORKER, "500")
    assert steps(address) == {"(run)": 3, "step": 543}


def test_files_that_are_none_are_passed_over(start):
    _, address = start(READER)
    start(WORKER, "3")
    directory = Path(os.environ["ALGOPROF_FLIGHT_DIR"])
    for name, content in (("1-1", b""), ("2-2", b"\0" * 4096), ("3-3", b"\xff" * 1_000_000)):
        (directory / f"{name}.flight").write_bytes(content)
    os.mkfifo(directory / "4-4.flight")
    for _ in range(2):
        assert steps(address) == {"(run)": 1, "step": 3}
    failures = scraped(address, "algoprof_export_failures_total", "exporter", "reason")
    assert failures["totals/unreadable"] == 3  # each once; what is no regular file is not even opened


def test_another_process_takes_the_port_over_when_its_holder_dies(start):
    holder, address = start(READER)
    heir_source = READER.replace('"127.0.0.1:0"', f'"{address}"')
    heir, said = start(heir_source)
    assert said == address
    start(WORKER, "7")
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    deadline = time.monotonic() + 30
    while True:
        try:
            assert steps(address) == {"(run)": 1, "step": 7}
            break
        except OSError:
            assert time.monotonic() < deadline
            heir.poll()
            assert heir.returncode is None


def test_importing_delivery_is_cheap(bare_python):
    loaded = bare_python("""
        import sys
        import algoprof.delivery
        algoprof.delivery.start_from_environment()
        assert algoprof.delivery.wants_runs(seconds=0.1, failed=False, threshold_reached=False) is False
        heavy = {"dataclasses", "inspect", "typing", "asyncio", "logging", "importlib.metadata", "json",
                 "opentelemetry", "prometheus_client", "rich", "requests"}
        print(sorted(heavy & set(sys.modules)))
        """)
    assert loaded == "[]\n"


def test_losses_are_scraped(run_python):
    done = run_python(
        """
        import json, urllib.request, algoprof
        from prometheus_client.parser import text_string_to_metric_families

        def broken(context):
            class Broken:
                def export(self, batch): raise OSError("no")
                def shutdown(self, deadline): pass
            return Broken()

        @algoprof.profile
        def job(): pass

        algoprof.configure(exporters=["prometheus", broken], prometheus_address="127.0.0.1:0")
        job(); job()
        algoprof.flush(30)
        from algoprof.exporters.prometheus.exporter import newest
        with urllib.request.urlopen(f"http://{newest().address}/metrics") as answer:
            families = list(text_string_to_metric_families(answer.read().decode()))
        print(json.dumps({"/".join(sample.labels.values()): sample.value for family in families
                          for sample in family.samples if sample.name == "algoprof_export_failures_total"}))
        """
    )
    counts = json.loads(done.stdout)
    assert {key: value for key, value in counts.items() if value} == {"broken/error": 2.0}
    assert set(counts) >= {"prometheus/error", "prometheus/queue_full", "prometheus/shutdown", "prometheus/scrape"}
    assert done.stderr.count("\n") == 1
