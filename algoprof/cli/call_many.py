"""`algoprof call --many`: a line of JSON in, a line of JSON out, for each of many calls."""

import base64
import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import click

from algoprof.calls.algorithms import Algorithm
from algoprof.calls.attempts import Response
from algoprof.cli.call_records import record_of
from algoprof.cli.output import Output
from algoprof.cli.printing import in_json
from algoprof.cli.telling import told_if_interrupted
from algoprof.errors import CallError

_LONGEST_LINE = 16 * 1024 * 1024  # bytes; JSON may be longer as it is written than as it is sent, 10 MiB at most


def call_many(algo: Algorithm, path: str, *, concurrency: int, ordered: bool, record: bool) -> int:
    """Call with each line of a file, print a line for each, and return 1 if one failed, else 0.

    Args:
        algo: what to call.
        path: the file; `-` is stdin.
        concurrency: how many calls at once.
        ordered: whether lines come in the order of the inputs.
        record: whether a line has all that is known of its call, rather than the bare result.
    """
    out, failed = Output(None), 0
    with contextlib.ExitStack() as stack:
        lines = stack.enter_context(_opened(path))
        told = stack.enter_context(
            algo.pipe_many(_inputs(lines, path), concurrency, on_error="return", ordered=ordered, progress=True)
        )
        try:
            with told_if_interrupted("the calls that are under way", algo.options.timeout):
                for one in told:
                    failed += isinstance(one, CallError)
                    out.write(_line(one, record=record))
        except KeyboardInterrupt:
            for one in told:
                out.write(_line(one, record=record))
            raise
    return 1 if failed else 0


def _opened(path: str) -> contextlib.AbstractContextManager[BinaryIO]:
    """Open what holds the lines. Stdin is not closed, for a thread may still wait for it when all else has ended."""
    return contextlib.nullcontext(os.fdopen(os.dup(0), "rb")) if path == "-" else Path(path).open("rb")


def _inputs(lines: BinaryIO, path: str) -> Iterator[object]:
    """Yield the value of each line; one that is blank is none."""
    name, number = "stdin" if path == "-" else path, 0
    while line := lines.readline(_LONGEST_LINE):
        number += 1
        if not line.strip():
            continue
        if len(line) == _LONGEST_LINE:
            raise click.UsageError(f"line {number} of {name} is longer than the 10 MiB that the platform takes")
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            where = f"{error.msg} at column {error.colno}" if isinstance(error, json.JSONDecodeError) else ""
            raise click.UsageError(f"line {number} of {name} is not JSON ({where or type(error).__name__})") from None
        yield value


def _line(told: Response | CallError, *, record: bool) -> str:
    if record:
        return in_json({"index": told.index, **record_of(told)}) + "\n"
    if isinstance(told, CallError):
        return in_json({"error": _brief(told)}) + "\n"
    result = told.result
    return in_json(base64.b64encode(result).decode() if isinstance(result, bytes) else result) + "\n"


def _brief(error: CallError) -> dict[str, Any]:
    return {"outcome": error.call.outcome, "message": str(error), "error_type": error.error_type, "index": error.index}
