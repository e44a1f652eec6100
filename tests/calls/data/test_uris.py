"""Names of files and folders: what comes in goes out again, and nothing leads elsewhere."""

from contextlib import suppress
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from algoprof.calls.data.uris import is_name, parse
from algoprof.errors import ConfigurationError

NAMES = st.text(min_size=1, max_size=20).filter(is_name)


@given(st.lists(NAMES, min_size=1, max_size=5))
def test_names_come_back_from_the_uri_and_from_the_route(names):
    uri = parse("data://" + "/".join(names))
    assert uri.names == tuple(names)
    assert parse(str(uri)) == uri
    assert [unquote(part) for part in uri.route.split("/")] == ["", "v1", "connector", "data", *names]
    assert uri.route.isascii()
    assert not any(part in (".", "..", "") for part in uri.route.split("/")[1:])
    assert uri.parent.below(uri.name) == uri


@given(st.text(max_size=60))
def test_any_text_names_something_or_is_refused(text):
    with suppress(ConfigurationError):
        assert all(map(is_name, parse(text).names))


@pytest.mark.parametrize(
    ("text", "connector", "names"),
    [
        ("data://.my/photos/cat.jpg", "data", (".my", "photos", "cat.jpg")),
        ("data:///.my/photos/", "data", (".my", "photos")),
        ("/.my/photos", "data", (".my", "photos")),
        (".session/x", "data", (".session", "x")),
        ("data://", "data", ()),
        ("", "data", ()),
        ("s3://bucket/a/b", "s3", ("bucket", "a", "b")),
        ("dropbox+my_label://d/f", "dropbox+my_label", ("d", "f")),
    ],
)
def test_the_forms_that_are_taken(text, connector, names):
    assert (parse(text).connector, parse(text).names) == (connector, names)


@pytest.mark.parametrize(
    "text",
    [
        "data://a//b", "data://a/../b", "data://a/./b", "..", "data://a/b\0c", "data://a/b\r\nX: y", "https://h/v1/data/a",
        "algo://demo/Routes", "file:///tmp/x", "DATA://a", "data://a/\ud800", "x" * 5000, 7, None, b"data://a",
    ],
)  # fmt: skip
def test_what_names_nothing_is_refused_with_the_form(text):
    with pytest.raises(ConfigurationError, match="it looks like data://"):
        parse(text)


def test_the_path_is_that_of_the_official_client():
    assert parse("data://.my/photos/cat.jpg").path == ".my/photos/cat.jpg"
    assert parse("s3://bucket/key").path == "s3://bucket/key"
