"""What every exporter has to do, and what this one writes: `pytest examples/exporter`."""

import json

import pytest
from algoprof_jsonlines import VARIABLE, JsonLinesExporter

from algoprof.exporters import Context
from algoprof.settings import Settings
from algoprof.testing import check_exporter, example_batch


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "runs.jsonl"))
    return tmp_path / "runs.jsonl"


@pytest.mark.usefixtures("file")
def test_it_does_what_every_exporter_has_to():
    check_exporter(JsonLinesExporter)


def test_each_record_is_a_line(file):
    exporter = JsonLinesExporter(Context(Settings()))
    batch = example_batch()
    exporter.export(batch)
    exporter.shutdown(0)
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    ended = [profile for profile in batch.profiles if profile.outcome != "open"]
    assert len(lines) == len(ended) + len(batch.calls)
    assert lines[0]["sections"] == {"routes": 3.0, "routes/routes": 2.0}
