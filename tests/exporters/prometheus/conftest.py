"""A collector over numbers that the test sets, and its samples by name and labels."""

from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from algoprof.exporters.prometheus import PrometheusExporter
from algoprof.exporters.protocol import Context
from algoprof.profiles.batch import Batch
from algoprof.settings import Settings


class Source:
    """What `current` and `losses` answer."""

    def __init__(self) -> None:
        self.batch = Batch()
        self.failure: Exception | None = None
        self.lost: dict[tuple[str, str], int] = {}

    def current(self) -> Batch:
        if self.failure is not None:
            raise self.failure
        return self.batch


def samples_of(text: str) -> dict[tuple[str, ...], float]:
    """Return a scrape's samples by name and label values, the labels in the order of their names."""
    found: dict[tuple[str, ...], float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            key = (sample.name, *(sample.labels[label] for label in sorted(sample.labels)))
            assert key not in found, f"{key} twice"
            found[key] = sample.value
    return found


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def make_exporter(source) -> Iterator:
    made = []

    def make(address: str = "127.0.0.1:0", family: str = "one", **options):
        context = Context(Settings(prometheus_address=address), source.current, lambda: source.lost, family)
        exporter = PrometheusExporter(context, **options)
        made.append(exporter)
        return exporter

    yield make
    for exporter in made:
        exporter.shutdown(deadline=0)


@pytest.fixture
def exporter(make_exporter):
    return make_exporter(endpoint=False)


@pytest.fixture
def scrape():
    """Return the samples that a registry gives."""

    def scraped(registry: CollectorRegistry) -> dict[tuple[str, ...], float]:
        return samples_of(generate_latest(registry).decode())

    return scraped
