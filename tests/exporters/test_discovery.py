"""Exporters by name, by factory, or as they are."""

import pytest

from algoprof.errors import ConfigurationError
from algoprof.exporters import Context, Exporter, discovery, known_exporters, make_exporter
from algoprof.exporters.text import TextExporter
from algoprof.settings import Settings

CONTEXT = Context(Settings())


class Nothing:
    def export(self, batch):
        pass

    def shutdown(self, deadline):
        pass


def test_ours_are_known():
    assert {"otlp", "prometheus", "text"} <= set(known_exporters())


def test_by_name():
    assert isinstance(make_exporter("text", CONTEXT), TextExporter)


def test_by_factory_and_by_class():
    made = Nothing()
    assert make_exporter(lambda context: made, CONTEXT) is made
    assert isinstance(make_exporter(TextExporter, CONTEXT), TextExporter)


def test_as_it_is():
    exporter = Nothing()
    assert isinstance(exporter, Exporter)
    assert make_exporter(exporter, CONTEXT) is exporter


def test_an_unknown_name_lists_the_known():
    with pytest.raises(ConfigurationError) as caught:
        make_exporter("grafana\n", CONTEXT)
    for known in ("'grafana\\n'", "otlp", "prometheus", "text"):
        assert known in str(caught.value)


def test_what_is_no_exporter_is_named():
    with pytest.raises(ConfigurationError, match="without export"):
        make_exporter(lambda context: object(), CONTEXT)


def test_a_factory_that_fails_is_named():
    def broken(context):
        raise RuntimeError("no battery")

    with pytest.raises(ConfigurationError, match="exporter 'broken' cannot be made: no battery"):
        make_exporter(broken, CONTEXT)


def test_a_plugin_is_found_by_its_entry_point(tmp_path, monkeypatch):
    (tmp_path / "thirdparty.py").write_text("from algoprof.exporters.text import TextExporter as Theirs\n")
    info = tmp_path / "thirdparty-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: thirdparty\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[algoprof.exporters]\ntheirs = thirdparty:Theirs\nbroken = not_installed_at_all:Exporter\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    assert "theirs" in known_exporters()
    assert isinstance(make_exporter("theirs", CONTEXT), TextExporter)
    with pytest.raises(ConfigurationError, match="'broken' cannot be imported: No module named 'not_installed_at_all'"):
        make_exporter("broken", CONTEXT)


@pytest.mark.parametrize(
    ("wanted", "name"), [("otlp", "otlp"), (Nothing(), "Nothing"), (Nothing, "Nothing"), (len, "len")]
)
def test_names_in_counters(wanted, name):
    assert discovery.name_of(wanted) == name
