"""What other projects publish of their formats, and a run with tasks, threads and stack samples."""

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

from algoprof.profiles.environment import Environment
from algoprof.profiles.samples import Frame, Sample
from algoprof.profiles.tree import Node, Profile, Span

PUBLISHED = Path(sys.prefix) / "share" / "formats"
RUN_ID = "0af7651916cd43dd8448eb211c80319c"
MS = 1_000_000
START = 1_700_000_000_000 * MS


def published(name: str) -> Path:
    """Return where `make test` has put a file, or skip the test."""
    if not (PUBLISHED / name).exists():
        pytest.skip(f"needs {name}, which `make test` fetches from npm or PyPI: tools/schemas.py")
    return PUBLISHED / name


@pytest.fixture(scope="session")
def speedscope_schema() -> dict:
    return json.loads(published("speedscope-1.25.0.json").read_bytes())


@pytest.fixture(scope="session")
def pprof_messages() -> ModuleType:
    spec = importlib.util.spec_from_file_location("pprof_messages", published("pprof_4_1_0_pb2.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def span(kind: str, start_ms: int, end_ms: int, span_id: int, *, parent_id: int = 1, thread: int = 7, **fields) -> Span:
    return Span(kind, START + start_ms * MS, START + end_ms * MS, span_id, parent_id, thread, **fields)


@pytest.fixture
def served() -> Profile:
    """A run of 100 ms: two tasks overlap in its thread, another thread works beside, a loop is open at the kill."""
    first = Node("task", 2, closed_ns=50 * MS, concurrent=True, spans=(
        span("first", 10, 40, 2, attributes={"city": "Zürich", "n": 3, "loss": float("nan")}),
        span("slowest", 20, 40, 3),
    ))  # fmt: skip
    thread = Node("thread", 1, closed_ns=30 * MS, concurrent=True, spans=(span("first", 50, 80, 4, thread=8),))
    inner = Node("inner", open_count=1, open_ns=5 * MS, spans=(span("open", 95, 100, 6, parent_id=5),))
    loop = Node(
        "loop",
        1000,
        closed_ns=30 * MS,
        open_count=1,
        open_ns=10 * MS,
        nested_ns=5 * MS,
        spans=(span("first", 55, 56, 7), span("open", 90, 100, 5)),
        children=(inner,),
        module="src.Routes",
        line=12,
    )
    job = Node(
        "job",
        open_count=1,
        open_ns=100 * MS,
        nested_ns=40 * MS,
        spans=(span("open", 0, 100, 1, parent_id=0),),
        children=(first, loop, thread),
    )
    solve = Frame("solve", "src/Routes.py", 20)
    return Profile(
        "job",
        (job,),
        outcome="killed",
        run_id=RUN_ID,
        started_ns=START,
        duration_ns=100 * MS,
        timeout=0.1,
        pid=123,
        program="Routes.py",
        environment=Environment(python="3.11.7", cpu_count=2),
        samples=(
            Sample(("job", "loop", "inner"), (Frame("main", "src/Routes.py", 3), solve), 4),
            Sample(("job",), (solve,), 1),
            Sample(("job", "thread"), (solve,), 3, concurrent=True),
            Sample(("job", "gone"), (solve,), 1),
        ),
        sample_interval_ns=10 * MS,
        sampler="signal",
    )
