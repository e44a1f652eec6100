"""The writer that this process uses: the compiled one where it is built, else its twin in Python."""

import os

__all__ = [
    "CollectionTimer", "NoSectionBase", "Occurrence", "Row", "RunMark", "SectionBase", "Writer", "activate", "backend",
    "quickened",
]  # fmt: skip

backend = "python"
"""Which writer records: `native`, compiled, or `python`, its twin. `ALGOPROF_WRITER` asks for one by name."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from algoprof.recorder._python import (
        CollectionTimer,
        NoSectionBase,
        Occurrence,
        Row,
        RunMark,
        SectionBase,
        Writer,
        activate,
        quickened,
    )
else:
    _wanted = os.environ.get("ALGOPROF_WRITER")
    if _wanted != "python":
        try:
            from algoprof.recorder import _native as _writer

            backend = "native"
        except ImportError:
            if _wanted == "native":
                raise
    if backend == "python":
        from algoprof.recorder import _python as _writer

    NoSectionBase, SectionBase, quickened = _writer.NoSectionBase, _writer.SectionBase, _writer.quickened
    Occurrence, Row, RunMark = _writer.Occurrence, _writer.Row, _writer.RunMark
    CollectionTimer = _writer.CollectionTimer
    Writer, activate = _writer.Writer, _writer.activate
