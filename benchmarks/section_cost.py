"""What one enter and exit of a section costs, beside reading the clock twice and beside the peers.

Run it with `make bench`; figures are multiples of a `perf_counter_ns()` pair measured in the same rounds.
"""

from collections.abc import Callable
from time import perf_counter_ns

from codetiming import Timer
from interleaved import Measured, ratios, table
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from prometheus_client import CollectorRegistry, Histogram

from algoprof import profile, section
from algoprof.recorder import backend


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


def _calls(function: Callable[[], object]) -> Measured:
    def body(repeats: int) -> None:
        for _ in range(repeats):
            function()

    return body


def main() -> None:
    """Measure and print."""
    held = section("held")
    timer = Timer(logger=None)
    histogram = Histogram("seconds", "Beside ours.", registry=CollectorRegistry())
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(_Nowhere()))
    tracer = provider.get_tracer("benchmark")

    @section
    def decorated() -> None:
        pass

    def bare() -> None:
        pass

    with profile("benchmark"):
        rows = ratios(
            "clock pair",
            {
                "clock pair": _clock_pair,
                "bare call": _calls(bare),
                "section, held": _with(lambda: held),
                "section, by name": _with(lambda: section("by name")),
                "section, two attributes": _with(lambda: section("attributes", a=1, b=2)),
                "@section": _calls(decorated),
                "codetiming": _with(lambda: timer),
                "prometheus Histogram.time()": _with(histogram.time),
                "OpenTelemetry span, batch": _with(lambda: tracer.start_as_current_span("span")),
            },
        )
    provider.shutdown()
    print(table(f"one enter and exit, in clock pairs (writer: {backend})", rows))
    ours = rows["section, held"][1]
    for peer in ("codetiming", "prometheus Histogram.time()", "OpenTelemetry span, batch"):
        print(f"  {peer} costs {rows[peer][1] / ours:.2f} times a held section")


if __name__ == "__main__":
    main()
