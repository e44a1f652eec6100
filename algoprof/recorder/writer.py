"""The writer that this process uses: the compiled one where it is built, else its twin in Python."""

import os

from algoprof.recorder._python import NoSectionBase, Occurrence, Row, RunMark, SectionBase, Writer, activate, quickened

__all__ = ["NoSectionBase", "Occurrence", "Row", "RunMark", "SectionBase", "Writer", "activate", "backend", "quickened"]

backend = "python"
"""Which writer records: `native`, compiled, or `python`, its twin. `ALGOPROF_WRITER` asks for one by name."""

TYPE_CHECKING = False
if not TYPE_CHECKING and os.environ.get("ALGOPROF_WRITER") != "python":
    try:
        from algoprof.recorder._native import (
            NoSectionBase,
            Occurrence,
            Row,
            RunMark,
            SectionBase,
            Writer,
            activate,
            quickened,
        )

        backend = "native"
    except ImportError:
        if os.environ.get("ALGOPROF_WRITER") == "native":
            raise
