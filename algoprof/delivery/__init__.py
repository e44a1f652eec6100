"""Profiles and calls on their way to the exporters, in the background. Telemetry never raises into the program."""

from algoprof.delivery.process import (
    build_ended,
    call_ended,
    call_started,
    current,
    flush,
    load,
    losses,
    reconfigure,
    run_ended,
    sends_spans,
    shutdown,
    start_from_environment,
    wants_runs,
)

__all__ = [
    "build_ended",
    "call_ended",
    "call_started",
    "current",
    "flush",
    "load",
    "losses",
    "reconfigure",
    "run_ended",
    "sends_spans",
    "shutdown",
    "start_from_environment",
    "wants_runs",
]
