"""What a path of the data API means, and that none leads out of the data."""

import re
from pathlib import PurePosixPath
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from algoprof.server.access.callers import Caller
from algoprof.server.data.paths import place, segments
from algoprof.server.envelopes import Refusal

CALLER = Caller("demo/Routes", "rses-1")


def leads_to(path: str, caller: Caller = CALLER) -> str:
    where = place(segments(f"/v1/data/{path}".encode()), caller)
    return "/".join([*where.folders, *([where.name] if where.name else [])])


@pytest.mark.parametrize(
    ("path", "there"),
    [
        ("", "user"),
        (".my", "user/local"),
        ("demo", "user/demo"),
        (".my/photos", "user/local/photos"),
        (".my/photos/", "user/local/photos"),
        ("local/photos/cat.png", "user/local/photos/cat.png"),
        ("data://.my/photos/cat.png", "user/local/photos/cat.png"),
        (".my/photos/gr%C3%BC%C3%9Fe%20%231.txt", "user/local/photos/grüße #1.txt"),
        (".my/photos/%252e%252e", "user/local/photos/%2e%2e"),  # decoded once, and then a name as any other
        (".my/photos/...", "user/local/photos/..."),
        (".session", "session/rses-1"),
        (".session/part", "session/rses-1/part"),
        (".algo/demo/Other", "algo/demo/Other"),
        (".algo/demo/Other/perm/model", "algo/demo/Other/perm/model"),
        (".algo/perm", "algo/demo/Routes/perm"),
        (".algo/temp/x", "algo/demo/Routes/temp/x"),
        (".algo/temp/x/perm/y", "algo/temp/x/perm/y"),
    ],
)
def test_what_leads_where(path, there):
    assert leads_to(path) == there


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("../../etc/passwd", "there is no data://.."),
        (".my/../demo", "cannot be the name of a collection"),
        (".my/photos/..", "cannot be a file's name"),
        (".my/photos/%2e%2e", "cannot be a file's name"),
        (".my/photos/.", "cannot be a file's name"),
        (".my/photos/a%2Fb", "cannot be a file's name"),
        (".my/photos/a%5Cb", "cannot be a file's name"),
        (".my/photos/a%00b", "cannot be a file's name"),
        (".my/photos/a%0d%0ab", "cannot be a file's name"),
        (".my/photos/" + "x" * 256, "1 to 255 bytes"),
        (".my/photos/" + "%C3%BC" * 128, "1 to 255 bytes"),
        (".my/photos/%FF", "not UTF-8"),
        (".my/photos/deep/er", "one level deep"),
        (".my//photos", "a part without a name"),
        ("/etc/passwd", "a part without a name"),
        (".my/1photos", "cannot be the name of a collection"),
        (".my/" + "x" * 31, "30 characters at most"),
        (".my/.ssh", "cannot be the name of a collection"),
        (".other/x", "there are .my, .session and .algo"),
        (".algo", "name an algorithm"),
        (".algo/demo", "name an algorithm"),
        (".algo/demo/../x", "cannot be the name"),
        (".algo/demo/Routes/other", "has the folders temp and perm"),
        (".algo/demo/Routes/temp/a/b", "one level deep"),
        ("s3://bucket/file", "the connector 's3' is not offered by this server"),
        ("dropbox+lbl://d/file", "the connector 'dropbox+lbl' is not offered"),
        ("file:///etc/passwd", "the connector 'file' is not offered"),
    ],
)
def test_what_is_refused(path, told):
    with pytest.raises(Refusal, match=re.escape(told)) as refused:
        leads_to(path)
    assert refused.value.status == 400


def test_the_connector_route_has_data_alone():
    assert place(segments(b"/v1/connector/data/.my/photos"), CALLER).uri == "data://.my/photos"
    for path in (b"/v1/connector/s3/bucket/file", b"/v1/connector", b"/v1%2Fdata/x/y", b"/v1/connector/%2e%2e/x"):
        with pytest.raises(Refusal):
            segments(path)


def test_who_serves_no_call_has_no_session_and_no_short_form():
    for path in (".session/x", ".algo/temp/x"):
        with pytest.raises(Refusal):
            leads_to(path, Caller())


PARTS = st.sampled_from(
    [".my", "..", ".", "", ".algo", ".session", "temp", "perm", "demo", "s3:", "data:", "a\0", "%2e%2e", "a\\b", "\n"]
)


@given(st.lists(PARTS | st.text(max_size=300), max_size=7), st.booleans())
@example(["..", "..", "etc"], False)
def test_no_path_leads_out(parts, encoded):
    path = "/".join(quote(part, safe="") if encoded else quote(part, safe="/%") for part in parts)
    try:
        there = PurePosixPath(leads_to(path))
    except Refusal as refused:
        assert 0 < len(refused.message) < 400  # noqa: PT017  (either is right)
        return
    assert there.parts[0] in ("user", "algo", "session")
    assert not {"", ".", ".."} & set(there.parts)
    assert not there.is_absolute()
    assert "\0" not in str(there)


@given(st.text(st.characters(codec="utf-8", exclude_characters="/\\", exclude_categories=("Cc",)), min_size=1))
def test_a_name_comes_back_as_it_was_sent(name):
    if name not in (".", "..") and len(name.encode()) <= 255:
        assert leads_to(f".my/photos/{quote(name, safe='')}") == f"user/local/photos/{name}"
