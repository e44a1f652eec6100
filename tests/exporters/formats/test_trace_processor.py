"""Both kinds of trace, loaded into Perfetto's own trace processor and asked in SQL."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.resources import files
from itertools import pairwise
from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from algoprof.exporters.formats.chrome import chrome
from algoprof.exporters.formats.perfetto import perfetto

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="needs node on PATH")

MS = 1_000_000
START = 1_700_000_000_000 * MS
APPEND, FINISH, QUERY = 1, 2, 3  # TraceProcessorRpc.TraceProcessorMethod
NULL, INTEGER, FLOAT, TEXT = 1, 2, 3, 4  # QueryResult.CellsBatch.CellType
Ask = Callable[..., list[list[tuple]]]


def stream() -> type:
    """Return the message of the trace processor's requests and replies."""
    pool = descriptor_pool.DescriptorPool()
    described = (files("perfetto") / "trace_processor" / "trace_processor.descriptor").read_bytes()
    for file in descriptor_pb2.FileDescriptorSet.FromString(described).file:
        pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("perfetto.protos.TraceProcessorRpcStream"))


@pytest.fixture
def ask(tmp_path) -> Ask:
    """Load a trace and return the rows that each query gives."""
    parts = [Path(sys.prefix) / "share" / "formats" / f"trace_processor-1.1.0.{kind}" for kind in ("js", "wasm")]
    if not all(part.exists() for part in parts):
        pytest.skip("needs trace_processor-1.1.0, which `make test` fetches from npm: tools/schemas.py")
    kind = stream()

    def run(trace: bytes, *queries: str) -> list[list[tuple]]:
        asked = kind()
        asked.msg.add(seq=1, request=APPEND, append_trace_data=trace)
        asked.msg.add(seq=2, request=FINISH)
        for number, query in enumerate(queries, 3):
            asked.msg.add(seq=number, request=QUERY).query_args.sql_query = query
        (tmp_path / "requests").write_bytes(asked.SerializeToString())
        command = ["node", Path(__file__).with_name("trace_processor.js"), *parts]
        subprocess.run([*command, tmp_path / "requests", tmp_path / "replies"], check=True, timeout=100)
        replies = kind.FromString((tmp_path / "replies").read_bytes()).msg
        results = [reply.query_result for reply in replies if reply.HasField("query_result")]
        assert [result.error for result in results if result.error] == []
        firsts = [number for number, result in enumerate(results) if result.column_names]
        return [rows(results[first:end]) for first, end in pairwise([*firsts, len(results)])]

    return run


def rows(results: list) -> list[tuple]:
    names = list(results[0].column_names)
    cells = []
    for batch in (batch for result in results for batch in result.batch):
        values = {
            INTEGER: iter(batch.varint_cells),
            FLOAT: iter(batch.float64_cells),
            TEXT: iter(batch.string_cells.split("\0")),
        }
        cells += [None if cell == NULL else next(values[cell]) for cell in batch.cells]
    return [tuple(cells[at : at + len(names)]) for at in range(0, len(cells), len(names))]


SLICES = """
select slice.name, (slice.ts - {start}) / 1000000, dur / 1000000, depth, category
from slice join thread_track on thread_track.id = track_id join thread using (utid)
where tid = 7 and category glob 'section*' order by slice.ts, depth, slice.id
"""
EXPECTED = [
    ("job", 0, 100, 0, "section,open"),
    ("task", 10, 30, 1, "section"),
    ("loop", 55, 1, 1, "section"),
    ("loop", 90, 10, 1, "section,open"),
    ("inner", 95, 5, 2, "section,open"),
]


COMPLAINTS = "select name, value from stats where severity != 'info' and value > 0"
ARGUMENTS = "select int_value, string_value from args where key glob '{}' order by 1"


def test_a_perfetto_trace(ask, served):
    slices, counts, cities, complaints = ask(
        perfetto(served),
        SLICES.format(start=START),
        ARGUMENTS.format("debug.count"),
        ARGUMENTS.format("debug.attributes_city"),
        COMPLAINTS,
    )
    assert sorted(slices) == sorted([*EXPECTED, ("task", 20, 20, 0, "section")])  # what overlaps is in the thread too
    assert counts == [(1, None), (1, None), (1, None), (2, None), (1001, None)]
    assert cities == [(None, "Zürich")]
    assert complaints == []


ARROWS = """
select out.name, "in".name from flow
join slice as out on slice_out = out.id join slice as "in" on slice_in = "in".id order by 2
"""
PROCESSES = "select name from process where pid is not null and pid != 0 order by pid"


def test_a_chrome_trace(ask, served):
    slices, cities, arrows, processes, complaints = ask(
        chrome(served).encode(),
        SLICES.format(start=0),
        ARGUMENTS.format("args.attributes.city"),
        ARROWS,
        PROCESSES,
        COMPLAINTS,
    )
    assert slices == EXPECTED
    assert cities == [(None, "Zürich")]
    assert arrows == [("job", "task"), ("job", "thread")]
    assert processes == [("Routes.py",), ("job: killed after 0.100 s of 0.1 s; totals, no timeline",)]
    assert complaints == []
