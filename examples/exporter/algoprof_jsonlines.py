"""An exporter of your own: a line of JSON for each run and each call that ends, for whatever collects log files.

pip install examples/exporter
ALGOPROF_EXPORTERS=jsonlines JSONLINES_FILE=runs.jsonl python train.py
"""

import json
import os
from pathlib import Path
from typing import TextIO

from algoprof.errors import AlgoprofError, ConfigurationError
from algoprof.exporters import Context
from algoprof.profiles.batch import Batch
from algoprof.profiles.calls import Call
from algoprof.profiles.tree import Profile

VARIABLE = "JSONLINES_FILE"


class JsonLinesExporter:
    """Appends to the file that `JSONLINES_FILE` names.

    algoprof makes it when `ALGOPROF_EXPORTERS` or `configure` names it, and uses it on a thread of its own: no lock is
    needed, and a slow disk delays neither the program nor another exporter.

    Args:
        context: the settings, and for exporters that are asked rather than told, `context.current`.

    Raises:
        ConfigurationError: if the file cannot be written. To the user that is one sentence, when it is configured.
    """

    def __init__(self, context: Context) -> None:
        del context
        path = os.environ.get(VARIABLE, "")
        if not path:
            raise ConfigurationError(f"exporter 'jsonlines' has nowhere to write to: set {VARIABLE}")
        try:
            self._file: TextIO = Path(path).open("a", encoding="utf-8")  # noqa: SIM115  (shutdown closes it)
        except OSError as error:
            raise ConfigurationError(f"exporter 'jsonlines' cannot write to {path}: {error.strerror}") from error

    def export(self, batch: Batch) -> None:
        """Write the records of a batch. What is raised is counted and logged once, and the batch counts as lost."""
        for profile in batch.profiles:
            if profile.outcome != "open":  # near its timeout; it comes again when it ends
                self._write(of_run(profile))
        for call in batch.calls:
            self._write(of_call(call))
        try:
            self._file.flush()
        except OSError as error:
            raise AlgoprofError(f"a line was not written: {error.strerror}") from error

    def shutdown(self, deadline: float) -> None:
        """Let go of what is held, by `deadline` on `time.monotonic`'s clock."""
        del deadline  # a file is closed at once; a connection would be given until then
        self._file.close()

    def _write(self, record: dict[str, object]) -> None:
        self._file.write(json.dumps(record) + "\n")  # ASCII with escapes: whatever a name holds, it is one line


def of_run(profile: Profile) -> dict[str, object]:
    """Return what a line says of a run; times in seconds."""
    bottleneck = profile.bottleneck
    return {
        "kind": "run",
        "name": profile.name,
        "outcome": profile.outcome,
        "trace_id": profile.run_id,
        "duration": profile.duration,
        "budget_used_ratio": profile.budget_used_ratio,
        "bottleneck": None if bottleneck is None else bottleneck.name,
        "sections": {"/".join(path): node.total_time for path, node in profile.paths()},
    }


def of_call(call: Call) -> dict[str, object]:
    """Return what a line says of a call; times in seconds."""
    return {
        "kind": "call",
        "algorithm": call.algorithm,
        "outcome": call.outcome,
        "trace_id": call.trace_id,
        "wall": call.wall,
        "budget_used_ratio": call.budget_used_ratio,
    }
