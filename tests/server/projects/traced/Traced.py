# ruff: noqa: A002  (`input` is what the platform calls it)
"""An algorithm that records itself."""

import multiprocessing
import time

import algoprof
from algoprof import budget, configure, profile, section
from algoprof.exporters.insights import InsightsExporter


@profile
def apply(input):
    if input.get("insights"):
        configure(exporters=[InsightsExporter.with_options(timeout=30)])
    if "report" in input:
        algoprof.client().report_insights(input["report"])
    with section(input.get("name", "load")):
        time.sleep(0.02)
    for _ in range(input.get("rounds", 3)):
        with section("improve"):
            time.sleep(input.get("nap", 0.01))
    if input.get("fail"):
        raise ValueError("no way")
    if input.get("child"):
        child = multiprocessing.get_context("fork").Process(target=work)
        child.start()
        child.join()
    now = budget()
    return {"timeout": now.timeout, "remaining": now.remaining, "source": now.source}


def work():
    with section("work"):
        time.sleep(0.02)
