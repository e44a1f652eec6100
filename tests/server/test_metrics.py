"""`/metrics` of a server, as a real Prometheus reads it, beside what the server's store says of the same calls."""

import base64
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from algoprof.profiles.merging import merge
from algoprof.server.state.store import opened

PLACES = json.dumps([place for place in sys.path if place])  # where the tests find algoprof and what it needs
JOB = f"""
    import os, signal, sys, time
    sys.path += {PLACES}
    from algoprof import profile, section


    @profile
    def apply(input):
        with section("prepare"):
            time.sleep(0.002)
        for _ in range(input.get("rounds", 0)):
            with section("improve"):
                time.sleep(0.002)
        if "begun" in input:
            open(input["begun"], "w").close()
            while not os.path.exists(input["until"]):
                time.sleep(0.005)
        if input.get("fail"):
            raise ValueError("no")
        if input.get("die"):
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(input.get("sleep", 0))
        return os.getpid()
"""
ALGORITHM, RUN = "local/job", "local/job/apply"
KEY = "simOfTheEnvironment"
HERE = '{job="here"}'


def until(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def scraped(serving, **headers):
    return requests.get(f"{serving.address}/metrics", headers=headers, timeout=30)


def kept(serving):
    """Return the runs that the server's store has, and their profiles."""
    with opened(serving.data, read_only=True) as store:
        runs = store.runs.newest(1000)
        return runs, [store.runs.profile(run.request_id) for run in runs]


@pytest.fixture(scope="module")
def watched(serve_module, prometheus, tmp_path_factory):
    """A server, and a real Prometheus that has seen its series at zero; it scrapes one that is open to all, too."""
    folder = tmp_path_factory.mktemp("projects") / "job"
    folder.mkdir()
    (folder / "main.py").write_text(textwrap.dedent(JOB))
    env = {"ALGORITHMIA_API_KEY": KEY}
    here = serve_module(folder, options=["--sessions", "2"], env=env)
    beyond = serve_module(folder, options=["--host", "0.0.0.0"], env=env)
    assert beyond.address, here.said + beyond.said
    there = {"targets": ["127.0.0.1:" + beyond.address.rpartition(":")[2]]}
    server = prometheus(
        here={"targets": [here.address.removeprefix("http://")]},
        no_key=dict(there),
        basic=there | {"basic_auth": {"username": "prometheus", "password": KEY}},
        bearer=there | {"authorization": {"credentials": KEY}},
        simple=there | {"authorization": {"type": "Simple", "credentials": KEY}},
    )
    timeouts = f'algoprof_call_duration_seconds_count{{algorithm="{ALGORITHM}",outcome="timeout",job="here"}}'
    server.wait_for(f"{timeouts} == 0 and on() count(up) == 5")
    return here, server


@pytest.mark.real("prometheus")
def test_a_real_prometheus_reads_what_the_store_says(watched):
    serving, server = watched
    for rounds in range(4):
        serving.call(ALGORITHM, {"rounds": rounds})
    for asked in ({"fail": True}, {"die": True}, {}):
        serving.call(ALGORITHM, asked)
    last = serving.call(f"{ALGORITHM}?timeout=1", {"rounds": 1, "sleep": 60})["request_id"]
    until(lambda: last in [run.request_id for run in kept(serving)[0]])
    runs, profiles = kept(serving)
    assert sum(profile is not None for profile in profiles) == len(runs) >= 8
    server.wait_for(f'sum(algoprof_run_seconds_count{{job="here"}}) == {len(runs)}')

    ends = {"ok": "ok", "failed": "algorithm_error", "exited": "algorithm_error", "timeout": "timeout"}
    counts = Counter((ends[run.end],) for run in runs)
    assert len(counts) == 3
    assert server.read("algoprof_call_duration_seconds_count" + HERE, "outcome") == counts
    for outcome, ran in server.read("algoprof_call_duration_seconds_sum" + HERE, "outcome").items():
        assert ran == pytest.approx(sum(run.run for run in runs if (ends[run.end],) == outcome), abs=1e-6)
    for part in ("queue", "load"):
        total = sum(getattr(run, part) for run in runs)
        assert server.read(f"algoprof_call_{part}_seconds_sum{HERE}") == {(): pytest.approx(total, abs=1e-6)}
    used = sum(max(1.0, run.used_ratio) if run.end == "timeout" else run.used_ratio for run in runs)
    assert server.read("algoprof_call_budget_used_ratio_sum" + HERE) == {(): pytest.approx(used, abs=1e-6)}
    above = sum(run.used_ratio > 0.8 or run.end == "timeout" for run in runs)
    below = server.read('algoprof_call_budget_used_ratio_bucket{job="here",le="0.8"}')
    assert below == {(): len(runs) - above}
    overhead = server.read("algoprof_call_overhead_seconds_sum" + HERE)[()]
    assert sum(run.queue + run.load for run in runs) <= overhead <= sum(run.total - run.run for run in runs)
    assert server.read("algoprof_call_timeouts_total" + HERE, "side") == {("server",): above, ("client",): 0}
    assert server.query('increase(algoprof_call_timeouts_total{side="server"}[5m]) > 0')
    assert server.read("algoprof_build_duration_seconds_count" + HERE, "status") == {("succeeded",): 1, ("failed",): 0}

    merged = merge(filter(None, profiles), "apply")
    sections = {(RUN, "/".join(path[1:]) or "(run)"): node.count for path, node in merged.paths()}
    assert sections[RUN, "prepare"] == len(runs) > sections[RUN, "(run)"] > 0  # a run that was killed has not ended
    assert server.read("algoprof_section_seconds_count" + HERE, "run", "section") == sections
    ran = server.read("algoprof_section_seconds_sum" + HERE, "section")
    assert ran["improve",] == pytest.approx(merged.node("apply", "improve").closed_ns / 1e9)
    outcomes = Counter((profile.outcome,) for profile in profiles)
    assert server.read("algoprof_run_seconds_count" + HERE, "outcome") == outcomes
    assert set(server.read("algoprof_export_failures_total" + HERE, "exporter", "reason").values()) == {0}


@pytest.mark.real("prometheus")
def test_a_real_prometheus_sees_queue_workers_and_who_is_turned_away(watched, tmp_path):
    serving, server = watched

    def states():
        return server.read("algoprof_server_replicas" + HERE, "state")

    def ended(reason):
        return f'algoprof_server_workers_ended_total{{job="here",reason="{reason}"}}'

    before = {reason: server.query(ended(reason)).popitem()[1] for reason in ("timeout", "exited", "idle", "replaced")}
    started = server.read("algoprof_server_workers_started_total" + HERE)[()]
    refused = server.read("algoprof_server_refused_total" + HERE)[()]
    fresh = states()["ready",] == 0
    assert server.read("algoprof_algorithm_info" + HERE, "algorithm", "version") == {(ALGORITHM, "1.0.0"): 1}
    begun, go = tmp_path / "begun", tmp_path / "go"
    with ThreadPoolExecutor() as pool:
        held = pool.submit(serving.call, f"{ALGORITHM}?timeout=50", {"begun": str(begun), "until": str(go)})
        until(begun.exists)
        waiting = pool.submit(serving.call, ALGORITHM, {})
        server.wait_for("algoprof_server_queue_length == 1")
        assert serving.post(ALGORITHM, {}).status_code == 429
        server.wait_for(f'algoprof_server_refused_total{{job="here",reason="sessions"}} == {refused + 1}')
        assert server.read("algoprof_calls_in_flight" + HERE) == {(): 2}
        assert 0 < server.read("algoprof_call_inflight_budget_ratio_max" + HERE)[()] < 1
        assert states() == {("ready",): 0, ("loading",): 0, ("busy",): 1}
        assert server.read("algoprof_runs_in_flight" + HERE, "run") == {(RUN,): 1}
        assert server.read("algoprof_server_sessions" + HERE) == {(): 2}
        assert server.read("algoprof_server_sessions_limit" + HERE) == {(): 2}
        go.touch()
        pid = held.result()["result"]
        assert waiting.result()["result"] == pid
    server.wait_for('algoprof_server_replicas{job="here",state="ready"} == 1')
    runs = server.read('algoprof_section_seconds_count{job="here",section="(run)"}')
    os.kill(pid, signal.SIGKILL)  # while it has nothing to do
    server.wait_for(f"{ended('exited')} == {before['exited'] + 1}")
    assert states() == {("ready",): 0, ("loading",): 0, ("busy",): 0}
    assert server.read('algoprof_section_seconds_count{job="here",section="(run)"}') == runs  # though its file is gone
    serving.call(ALGORITHM, {"die": True})
    serving.call(f"{ALGORITHM}?timeout=1", {"sleep": 60})
    server.wait_for(f"{ended('timeout')} == {before['timeout'] + 1}")
    assert server.query(ended("exited")).popitem()[1] == before["exited"] + 2
    assert server.read(ended("idle")) == {(): before["idle"]}
    assert server.read("algoprof_server_workers_started_total" + HERE) == {(): started + 2 + fresh}


@pytest.mark.real("prometheus")
def test_beyond_this_machine_a_prometheus_needs_a_key_in_any_of_its_forms(watched):
    up = {("basic",): 1, ("bearer",): 1, ("here",): 1, ("no_key",): 0, ("simple",): 1}
    assert watched[1].read("up", "job") == up


@pytest.mark.real("promtool")
def test_promtool_has_nothing_to_say(server):
    answer = scraped(server).content
    checked = subprocess.run(["promtool", "check", "metrics"], input=answer, capture_output=True, check=False)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")


def test_on_this_machine_it_needs_no_key_but_one_that_is_shown_is_checked(server, command_line):
    assert scraped(server).status_code == 200
    for shown in (f"Simple {server.key}", server.key, f"Bearer {server.key}", basic(server.key)):
        assert scraped(server, Authorization=shown).status_code == 200
    for wrong in ("Simple simOther", basic("simOther"), "Basic %%%", "Basic " + base64.b64encode(b"\xff").decode()):
        assert scraped(server, Authorization=wrong).status_code == 401
    for option, status in (("--admin", 200), ("--manage", 200), ("--algorithm=algo://demo/*", 403)):
        made = command_line("keys", "create", option, "--data-dir", server.data).stdout.strip()
        assert scraped(server, Authorization=f"Simple {made}").status_code == status


def basic(key):
    return "Basic " + base64.b64encode(f"prometheus:{key}".encode()).decode()


@pytest.mark.parametrize("headers", [{"Host": "rebound.example"}, {"X-Forwarded-For": "192.0.2.1"}, {"Via": "1.1 p"}])
def test_what_comes_from_elsewhere_needs_a_key_though_the_peer_is_this_machine(server, headers):
    assert scraped(server, **headers).status_code == 401
    assert scraped(server, **headers, Authorization=f"Simple {server.key}").status_code == 200


def test_openmetrics_is_negotiated(server):
    answer = scraped(server, Accept="application/openmetrics-text; version=1.0.0")
    assert answer.headers["Content-Type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")
    assert requests.post(f"{server.address}/metrics", timeout=30).status_code == 405
