"""Profiles and calls out of the program: to people, Prometheus and OpenTelemetry; others add theirs by entry point."""

from algoprof.exporters.discovery import known_exporters, make_exporter
from algoprof.exporters.protocol import Context, Exporter, ExporterFactory

__all__ = ["Context", "Exporter", "ExporterFactory", "known_exporters", "make_exporter"]
