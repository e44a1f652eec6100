"""Settings: explicit over environment over default, and what happens to a value that cannot be meant."""

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from algoprof import delivery, settings
from algoprof.errors import ConfigurationError


@pytest.fixture(autouse=True)
def _fresh(monkeypatch):
    monkeypatch.setattr(delivery.process, "_state", delivery.process._State())
    settings.reset()
    yield
    delivery.shutdown()
    settings.reset()


def test_defaults():
    assert settings.get() == settings.Settings(
        exporters=(), report="auto", prometheus_address="127.0.0.1:9464", otlp_endpoint="", shutdown_timeout=2.0
    )


def test_explicit_wins_over_environment_and_environment_over_default(monkeypatch):
    monkeypatch.setenv("ALGOPROF_REPORT", "always")
    monkeypatch.setenv("ALGOPROF_SHUTDOWN_TIMEOUT", "0.25")
    settings.configure(report="never")
    assert (settings.get().report, settings.get().shutdown_timeout) == ("never", 0.25)
    settings.configure(shutdown_timeout=1)
    assert (settings.get().report, settings.get().shutdown_timeout) == ("never", 1.0)
    settings.reset()
    assert (settings.get().report, settings.get().shutdown_timeout) == ("always", 0.25)


def test_exporters_of_the_environment_are_a_comma_separated_list(monkeypatch):
    monkeypatch.setenv("ALGOPROF_EXPORTERS", " prometheus, otlp,,prometheus ")
    assert settings.get().exporters == ("prometheus", "otlp")
    settings.configure(exporters=[])
    assert settings.get().exporters == ()


@pytest.mark.parametrize(
    ("variables", "endpoint"),
    [
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318/"}, "http://collector:4318/v1/traces"),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://tempo/traces"}, "http://tempo/traces"),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://a", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://b/t"},
            "http://b/t",
        ),
    ],
)
def test_the_endpoint_follows_opentelemetry(monkeypatch, variables, endpoint):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert settings.get().otlp_endpoint == endpoint
    settings.configure(otlp_endpoint="http://mine:4318")
    assert settings.get().otlp_endpoint == "http://mine:4318/v1/traces"


@pytest.mark.parametrize(
    ("variable", "value", "field"),
    [
        ("ALGOPROF_REPORT", "yes", "report"),
        ("ALGOPROF_PROMETHEUS_ADDRESS", "9464", "prometheus_address"),
        ("ALGOPROF_SAMPLER", "yes", "sampler"),
        ("ALGOPROF_SAMPLE_RATE", "1.5", "sample_rate"),
        ("ALGOPROF_SHUTDOWN_TIMEOUT", "soon", "shutdown_timeout"),
        ("ALGOPROF_SHUTDOWN_TIMEOUT", "nan", "shutdown_timeout"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318", "otlp_endpoint"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "collector:4318", "otlp_endpoint"),
    ],
)
def test_a_bad_value_in_the_environment_costs_one_warning(monkeypatch, caplog, variable, value, field):
    monkeypatch.setenv(variable, value)
    with caplog.at_level(logging.WARNING, logger="algoprof"):
        found = [getattr(settings.get(), field) for _ in range(3)]
    assert found == [getattr(settings.Settings(), field)] * 3
    assert [variable in record.message for record in caplog.records] == [True]


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"report": "yes"}, "report is 'yes'"),
        ({"prometheus_address": "localhost"}, "prometheus_address is 'localhost'"),
        ({"prometheus_address": "localhost:65536"}, "HOST:PORT"),
        ({"prometheus_address": "::1:80"}, "HOST:PORT"),
        ({"otlp_endpoint": "ftp://x"}, "otlp_endpoint is 'ftp://x'"),
        ({"shutdown_timeout": -1}, "shutdown_timeout is -1"),
        ({"shutdown_timeout": float("nan")}, "shutdown_timeout is nan"),
        ({"shutdown_timeout": "many"}, "shutdown_timeout is 'many'"),
        ({"sampler": "py-spy"}, "sampler is 'py-spy'"),
        ({"sample_rate": 0}, "sample_rate is 0"),
        ({"sample_rate": 10_000_000}, "sample_rate is 10000000"),
        ({"sample_rate": True}, "sample_rate is True"),
        ({"exporters": [3]}, "exporters has 3"),
        ({"exporters": 3}, "exporters is 3"),
        ({"exporters": ["promtheus"]}, "did you mean prometheus?"),
    ],
)
def test_a_bad_explicit_value_raises_and_changes_nothing(given, named):
    settings.configure(report="never")
    before = settings.get()
    with pytest.raises(ConfigurationError) as caught:
        settings.configure(**{"shutdown_timeout": 7.0, **given})
    assert named in str(caught.value)
    assert settings.get() == before


def test_a_bad_exporter_of_the_environment_does_not_fail_configure(monkeypatch, caplog):
    monkeypatch.setenv("ALGOPROF_EXPORTERS", "nonsense")
    with caplog.at_level(logging.WARNING, logger="algoprof"):
        settings.configure(report="never")
        settings.configure(report="auto")
    assert "no exporter is called 'nonsense'" in caplog.records[0].message


@given(host=st.sampled_from(["127.0.0.1", "localhost", "[::1]"]), port=st.integers(0, 65535))
def test_addresses_are_split(host, port):
    assert settings.split_address(f"{host}:{port}") == (host.strip("[]"), port)


@given(st.text(max_size=12))
def test_no_text_makes_the_address_check_fail_otherwise(text):
    try:
        host, port = settings.split_address(text)
    except ValueError:
        return
    assert host
    assert 0 <= port <= 65535
