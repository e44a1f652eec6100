"""What one enter and exit of a section costs, beside reading the clock twice and beside the peers.

Run it with `make bench`; figures are multiples of a `perf_counter_ns()` pair measured in the same rounds.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from time import perf_counter_ns

from codetiming import Timer
from interleaved import Measured, ratios, table
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from prometheus_client import CollectorRegistry, Histogram

from algoprof import profile, section
from algoprof.recorder import backend

AT_MOST = {  # clock pairs
    "native": {"section, held": 1.8, "section, by name": 2.3, "section, two attributes": 4.0, "@section": 2.8},
    "python": {"section, held": 16.0, "section, by name": 17.0},
}
AT_MOST_DISABLED = {"native": {"section, by name": 1.0, "@section": 0.0}, "python": {"section, by name": 2.0}}
PEERS = {"codetiming": 3, "prometheus Histogram.time()": 6, "OpenTelemetry span, batch": 60}
"""How many times as dear as a held section each peer is to be, at least, beside the compiled writer."""

OURS = (
    "clock pair",
    "section, held",
    "section, by name",
    "section, two attributes",
    "two sections, nested",
    "@section",
)


class _Nowhere(SpanExporter):
    """Takes spans and forgets them, so that only making them is measured."""

    def export(self, spans: object) -> SpanExportResult:  # noqa: ARG002  (the interface's)
        return SpanExportResult.SUCCESS


def _clock_pair(repeats: int) -> None:
    for _ in range(repeats):
        perf_counter_ns()
        perf_counter_ns()


def _with(make: Callable[[], object]) -> Measured:
    def body(repeats: int) -> None:
        for _ in range(repeats):
            with make():  # type: ignore[attr-defined]  # a context manager
                pass

    return body


def _held(manager: object) -> Measured:
    def body(repeats: int) -> None:
        for _ in range(repeats):
            with manager:  # type: ignore[attr-defined]  # a context manager
                pass

    return body


def _by_name(repeats: int) -> None:
    for _ in range(repeats):
        with section("by name"):
            pass


def _with_attributes(repeats: int) -> None:
    for _ in range(repeats):
        with section("attributes", a=1, b=2):
            pass


def _nested(repeats: int) -> None:
    outer, inner = section("outer"), section("inner")
    for _ in range(repeats):
        with outer, inner:
            pass


def _calls(function: Callable[[], object]) -> Measured:
    def body(repeats: int) -> None:
        for _ in range(repeats):
            function()

    return body


def measured(provider: TracerProvider) -> dict[str, Measured]:
    """Return what is measured, by name."""
    histogram = Histogram("seconds", "Beside ours.", registry=CollectorRegistry())
    tracer = provider.get_tracer("benchmark")

    @section
    def decorated() -> None:
        pass

    def bare() -> None:
        pass

    return {
        "clock pair": _clock_pair,
        "bare call": _calls(bare),
        "section, held": _held(section("held")),
        "section, by name": _by_name,
        "section, two attributes": _with_attributes,
        "two sections, nested": _nested,
        "@section": _calls(decorated),
        "codetiming": _held(Timer("codetiming", logger=None)),  # without a name it keeps nothing
        "prometheus Histogram.time()": _with(histogram.time),
        "OpenTelemetry span, batch": _with(lambda: tracer.start_as_current_span("span")),
    }


def main() -> None:
    """Measure and print, in this process and then with the other writer and with recording disabled."""
    disabled = os.environ.get("ALGOPROF_DISABLED") == "1"
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(_Nowhere()))
    things = measured(provider)
    if "--ours" in sys.argv:
        things = {name: thing for name, thing in things.items() if name in (*OURS, "bare call")}

    def rest() -> None:
        provider.force_flush()
        Timer.timers.clear()  # a list that grows for ever

    with profile("benchmark"):
        rows = ratios("clock pair", things, between=rest)
    bare = rows.pop("bare call")[1]
    low, middle, high = rows["@section"]
    rows["@section"] = (low - bare, middle - bare, high - bare)
    what = "recording disabled" if disabled else f"writer: {backend}"
    limits = (AT_MOST_DISABLED if disabled else AT_MOST)[backend]
    print(table(f"one enter and exit, in clock pairs ({what}); @section above the bare call", rows, limits))
    for peer, times in PEERS.items():
        if peer in rows and backend == "native":
            print(
                f"  {peer} costs {rows[peer][1] / rows['section, held'][1]:.1f} times a held section (at least {times})"
            )
    print()
    if "--ours" not in sys.argv:
        for variables in ({"ALGOPROF_WRITER": "python"}, {"ALGOPROF_DISABLED": "1"}, _DISABLED_TWIN):
            subprocess.run([sys.executable, __file__, "--ours"], check=True, env=os.environ | variables)


_DISABLED_TWIN = {"ALGOPROF_DISABLED": "1", "ALGOPROF_WRITER": "python"}

if __name__ == "__main__":
    main()
