"""Delivery as in a fresh process, and exporters that misbehave on command."""

import threading
from collections.abc import Iterator

import pytest

from algoprof import delivery, settings
from algoprof.profiles.batch import Batch
from algoprof.profiles.tree import Node, Profile


class Recording:
    """An exporter that keeps what it gets, blocks while `gate` is closed, and raises if told to."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()
        self.failure: BaseException | None = None
        self.deadlines: list[float] = []

    def export(self, batch: Batch) -> None:
        self.entered.set()
        assert self.gate.wait(60)
        if self.failure is not None:
            raise self.failure
        self.batches.append(batch)

    def shutdown(self, deadline: float) -> None:
        self.deadlines.append(deadline)

    @property
    def names(self) -> list[str]:
        return [profile.name for batch in self.batches for profile in batch.profiles]


@pytest.fixture
def recording() -> Iterator[type[Recording]]:
    """The class; whatever still blocks when the test ends is let go."""
    made: list[Recording] = []

    class Tracked(Recording):
        def __init__(self) -> None:
            super().__init__()
            made.append(self)

    yield Tracked
    for exporter in made:
        exporter.gate.set()


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(delivery.process, "_state", delivery.process._State())
    settings.reset()
    yield
    settings.configure(shutdown_timeout=0.1)
    delivery.shutdown()
    settings.reset()


@pytest.fixture
def a_run():
    def make(name: str = "job", **fields: object) -> Profile:
        return Profile(name, (Node(name, 1, closed_ns=10),), run_id="ab" * 16, duration_ns=10, **fields)

    return make
