"""Reports in plain text, for a terminal or a log: the tree of a run, and a table of calls."""

from algoprof.exporters.text.calls import render_calls
from algoprof.exporters.text.exporter import TextExporter, write_to_stderr
from algoprof.exporters.text.report import render

__all__ = ["TextExporter", "render", "render_calls", "write_to_stderr"]
