"""The trace of a call: that of the run around it, below a span that the run's profile will have."""

import asyncio
import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from algoprof import delivery, profile, propagate, section
from algoprof.calls.tracing import CallTrace
from algoprof.exporters.otlp.runs import run_spans


def spans_of(run) -> dict[str, str]:
    """Return what a run's exported spans are called, by their ids."""
    return {f"{span.context.span_id:016x}": span.name for span in run_spans(run.snapshot())}


def test_outside_every_run_a_call_begins_a_trace():
    one, other = CallTrace.here(), CallTrace.here()
    assert re.fullmatch(r"(?!0+$)[0-9a-f]{32}", one.trace_id)
    assert re.fullmatch(r"(?!0+$)[0-9a-f]{16}", one.span_id)
    assert (one.parent_span_id, one.sent) == ("", one.span_id)
    assert one.trace_id != other.trace_id


def test_a_section_without_a_run_is_no_trace_since_it_lasts_as_long_as_the_program():
    with section("poll"):
        assert CallTrace.here().parent_span_id == ""


def test_in_a_run_it_is_below_the_section_that_it_is_made_in():
    with profile("job") as run:
        in_run = CallTrace.here()
        with section("outer"), section("inner"):
            in_section = CallTrace.here()
    spans = spans_of(run)
    assert in_run.trace_id == in_section.trace_id == run.snapshot().run_id
    assert in_run.span_id != in_section.span_id
    assert (spans[in_run.parent_span_id], spans[in_section.parent_span_id]) == ("job", "inner")


def test_it_is_below_a_span_that_is_kept_however_often_the_section_ran():
    found = []
    with profile("job") as run:
        for _ in range(100):
            with section("outer"), section("inner"):
                found.append(CallTrace.here().parent_span_id)
    spans = spans_of(run)
    assert [spans[parent] for parent in found] == ["inner", *["job"] * 99]


def test_a_run_in_a_run_belongs_to_the_trace_of_the_outermost():
    with profile("job") as run, section("step"), profile("part"), section("deep"):
        found = CallTrace.here()
    assert found.trace_id == run.snapshot().run_id
    assert spans_of(run)[found.parent_span_id] == "part"


def test_after_the_run_it_belongs_to_it_no_more():
    with profile("job"):
        pass
    assert CallTrace.here().parent_span_id == ""


async def test_tasks_and_work_that_is_handed_on_stand_where_they_were_asked_for():
    async def call():
        await asyncio.sleep(0)
        return CallTrace.here()

    with profile("job") as run, section("step"), ThreadPoolExecutor() as pool:
        found = await asyncio.gather(call(), call(), asyncio.to_thread(CallTrace.here))
        found += [pool.submit(propagate(CallTrace.here)).result()]
        alone = pool.submit(CallTrace.here).result()
    spans = spans_of(run)
    assert [spans[one.parent_span_id] for one in found] == ["step"] * 4
    assert alone.parent_span_id == ""


@pytest.mark.parametrize("sends", [True, False])
def test_what_goes_out_is_a_span_that_somebody_sends(monkeypatch, sends):
    monkeypatch.setattr(delivery, "sends_spans", lambda: sends)
    with profile("job"):
        found = CallTrace.here()
    assert found.sent == (found.span_id if sends else found.parent_span_id)


def test_with_recording_disabled_it_begins_a_trace(run_python):
    done = run_python(
        "from algoprof import profile\nfrom algoprof.calls.tracing import CallTrace\n"
        "with profile('job'):\n    print(repr(CallTrace.here().parent_span_id))",
        env={"ALGOPROF_DISABLED": "1"},
    )
    assert (done.stdout, done.stderr) == ("''\n", "")
