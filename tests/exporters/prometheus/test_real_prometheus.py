"""Debian's own programs: promtool reads what we serve, and a real Prometheus scrapes it back equal to the truth."""

import subprocess
import urllib.request

import pytest

from algoprof.profiles.batch import Batch, CallInFlight
from algoprof.profiles.buckets import bucket_of
from algoprof.profiles.calls import Call
from algoprof.profiles.histogram import Histogram
from algoprof.profiles.tree import Node, Profile

SECOND = 1_000_000_000
HOSTILE = 'quote " backslash \\ two\nlines </script>'


def node(name: str, *durations_ns: int, errors: int = 0, nested_ns: int = 0, children: tuple[Node, ...] = ()) -> Node:
    histogram = sum((Histogram(((bucket_of(duration), 1),)) for duration in durations_ns), Histogram())
    return Node(
        name,
        len(durations_ns),
        closed_ns=sum(durations_ns),
        nested_ns=nested_ns,
        errors=errors,
        histogram=histogram,
        children=children,
    )


@pytest.fixture
def serving(make_exporter, source):
    """An endpoint over known numbers."""
    load = node("load", SECOND // 2, 3 * SECOND, errors=1)
    weird = node(HOSTILE, SECOND)
    job = node("job", 2 * SECOND, 4 * SECOND, nested_ns=9 * SECOND // 2, children=(load, weird))
    source.batch = Batch(
        (Profile("job", (job,), outcome="merged", runs=2, dropped=3),),
        open_runs=(Profile("job", (), outcome="open"),),
        calls_in_flight=(CallInFlight("demo/Routes", 45 * SECOND, 60.0),),
    )
    source.lost = {("otlp", "error"): 2}
    exporter = make_exporter()
    exporter.export(
        Batch(
            (Profile("job", (), duration_ns=2 * SECOND, timeout=4.0),),
            (
                Call("demo/Routes", 0, 5 * SECOND, "ok", 3 * SECOND, SECOND, SECOND // 2, timeout=60.0),
                Call("demo/Routes", 0, 61 * SECOND, "timeout", timeout=60.0),
            ),
        )
    )
    return exporter


@pytest.mark.real("promtool")
def test_promtool_has_nothing_to_say(serving):
    with urllib.request.urlopen(f"http://{serving.address}/metrics", timeout=30) as answer:
        scraped = answer.read()
    checked = subprocess.run(["promtool", "check", "metrics"], input=scraped, capture_output=True, check=False)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")


@pytest.mark.real("prometheus")
def test_a_real_prometheus_reads_the_truth(prometheus, serving, source):
    server = prometheus(algoprof={"targets": [serving.address]})
    server.wait_for('up{job="algoprof"} == 1 and on() algoprof_build_info')

    def read(expression: str, *by: str) -> dict[tuple[str, ...], float]:
        return server.query(f"sum by ({', '.join(by)}) ({expression})")

    sections = ("run", "section")
    assert read("algoprof_section_seconds_count", *sections) == {
        ("job", "(run)"): 2,
        ("job", "load"): 2,
        ("job", HOSTILE): 1,
    }
    assert read("algoprof_section_seconds_sum", *sections) == {
        ("job", "(run)"): 6.0,
        ("job", "load"): 3.5,
        ("job", HOSTILE): 1.0,
    }
    assert read("algoprof_section_self_seconds_total", *sections) == {
        ("job", "(run)"): 1.5,
        ("job", "load"): 3.5,
        ("job", HOSTILE): 1.0,
    }
    assert read("algoprof_section_errors_total", "section")["load",] == 1
    below = read('algoprof_section_seconds_bucket{section="load"}', "le")
    assert (below["0.25",], below["0.5",], below["2.0",], below["4.0",], below["+Inf",]) == (0, 1, 1, 2, 2)
    assert read("algoprof_run_seconds_sum", "outcome", "run") == {("ok", "job"): 2.0}
    assert read('algoprof_run_budget_used_ratio_bucket{le="0.5"}') == {(): 1}
    assert read("algoprof_runs_in_flight", "run") == {("job",): 1}
    assert read("algoprof_call_duration_seconds_sum", "algorithm", "outcome") == {("demo/Routes", "ok"): 3.0}
    assert read("algoprof_call_budget_used_ratio_sum") == {(): 1 + 4.5 / 60}
    near = 'algoprof_call_budget_used_ratio_bucket{le="0.8"} / ignoring(le) algoprof_call_budget_used_ratio_count'
    assert read(f"1 - {near}", "algorithm") == {("demo/Routes",): 0.5}
    assert read("algoprof_call_timeouts_total", "algorithm", "side") == {
        ("demo/Routes", "server"): 1,
        ("demo/Routes", "client"): 0,
    }
    assert read("algoprof_call_inflight_budget_ratio_max") == {(): 0.75}
    assert read("algoprof_export_failures_total", "exporter", "reason")["otlp", "error"] == 2
    assert read("algoprof_spans_dropped_total") == {(): 3}

    serving.export(Batch(calls=(Call("demo/Routes", 0, 61 * SECOND, "timeout", timeout=60.0),)))
    server.wait_for('algoprof_call_timeouts_total{side="server"} == 2')
    source.batch = Batch()
    server.wait_for("algoprof_calls_in_flight == 0")
