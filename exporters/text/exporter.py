"""The exporter named `text`: a report on stderr for every run that ends, written so that it can never block."""

import os
import select
import sys
import time
from contextlib import suppress
from typing import TextIO

from algoprof.exporters.protocol import Context
from algoprof.exporters.text.report import render
from algoprof.profiles.batch import Batch

_PIECE = 512
"""Bytes written at once; a pipe that is writable takes at least so many."""


class TextExporter:
    """Writes the text report of every run that ends to stderr.

    Args:
        context: not needed; every exporter is made from one.
    """

    def __init__(self, context: Context | None = None) -> None:
        del context

    def export(self, batch: Batch) -> None:
        """Write the reports of a batch's runs."""
        for profile in batch.profiles:
            if profile.outcome == "open":  # it is near its timeout, and a warning has said so
                continue
            write_to_stderr(render(profile))

    def shutdown(self, deadline: float) -> None:
        """Do nothing: nothing is held."""


def write_to_stderr(text: str, *, timeout: float = 0.5) -> None:
    """Write to stderr what it takes within a timeout in seconds: a pipe that nobody empties must not hold us up.

    Characters that its encoding lacks are written escaped.
    """
    stream = sys.stderr
    if stream is None or stream.closed:
        return
    data = text.encode(getattr(stream, "encoding", None) or "utf-8", "backslashreplace")
    with suppress(OSError, ValueError):
        if not _write(stream, data, time.monotonic() + timeout):
            stream.write(data.decode(getattr(stream, "encoding", None) or "utf-8"))
            stream.flush()


def _write(stream: TextIO, data: bytes, deadline: float) -> bool:
    """Write to the stream's descriptor; return whether it has one that can be waited for."""
    try:
        descriptor = stream.fileno()
        writable = bool(select.select([], [descriptor], [], max(0.0, deadline - time.monotonic()))[1])
    except (OSError, ValueError, AttributeError):
        return False
    if writable:
        stream.flush()  # what the program wrote comes first
    while data and writable:
        data = data[os.write(descriptor, data[:_PIECE]) :]
        writable = bool(select.select([], [descriptor], [], max(0.0, deadline - time.monotonic()))[1])
    return True
