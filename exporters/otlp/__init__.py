"""OpenTelemetry: runs, sections and calls as the SDK's spans, to any span exporter or an OTLP endpoint."""

from algoprof.exporters.otlp.calls import call_spans
from algoprof.exporters.otlp.exporter import OtlpExporter, SpanExporting
from algoprof.exporters.otlp.runs import run_spans

__all__ = ["OtlpExporter", "SpanExporting", "call_spans", "run_spans"]
