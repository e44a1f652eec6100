"""Insights: a few numbers of each execution, to the platform that ran it, before the algorithm's answer leaves."""

from algoprof.exporters.insights.exporter import InsightsExporter
from algoprof.exporters.insights.selection import Selection

__all__ = ["InsightsExporter", "Selection"]
