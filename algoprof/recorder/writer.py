"""The writer that this process uses: the compiled one where it is built, else its twin in Python."""

from algoprof.recorder._python import Occurrence, Row, RunMark, SectionBase, Writer, activate

__all__ = ["Occurrence", "Row", "RunMark", "SectionBase", "Writer", "activate", "backend"]

backend = "python"
"""Which writer records: `native`, compiled, or `python`, its twin."""
