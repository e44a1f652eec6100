"""Listings: read where they are what they should be, refused in a sentence where they are not."""

from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from algoprof.calls.data.acl import Acl, AclType, ReadAcl, checked
from algoprof.calls.data.listings import FileEntry, Page, Paging, moment, read_page
from algoprof.errors import ConfigurationError

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["files", "folders", "name", "filename", "size", "marker", "acl"]), inner)
    ),
)


@given(JSON)
def test_whatever_comes_is_a_page_or_a_value_error(data):
    with suppress(ValueError):
        assert isinstance(read_page(data), Page)


def test_a_page_as_the_platform_sends_it():
    page = read_page(
        {
            "folders": [{"name": "a"}, {"name": "b/"}],
            "files": [{"filename": "c", "last_modified": "2020-02-03T04:05:06.789Z", "size": 7}],
            "marker": "next",
            "acl": {"read": []},
        }
    )
    moment = datetime(2020, 2, 3, 4, 5, 6, 789000, tzinfo=UTC)
    assert page == Page(("a", "b"), (FileEntry("c", 7, moment),), "next", {"read": []})


@pytest.mark.parametrize(
    "data",
    [
        [], None, {"files": {}}, {"files": [1]}, {"files": [{}]}, {"files": [{"filename": 3}]},
        {"folders": [{"name": ""}]}, {"folders": [{"name": ".."}]},
        {"files": [{"filename": "../../etc/passwd"}]}, {"files": [{"filename": "a\0"}]},
        {"files": [{"filename": "/etc/passwd"}]}, {"marker": 7}, {"marker": "m" * 20_000},
    ],
)  # fmt: skip
def test_what_is_no_listing_is_refused(data):
    with pytest.raises(ValueError, match=r"it|listing"):
        read_page(data)


def test_a_size_or_a_time_that_is_none_is_not_believed():
    entries = read_page({"files": [{"filename": "a", "size": size, "last_modified": 3} for size in (-1, "7", True)]})
    assert {(entry.size, entry.last_modified) for entry in entries.files} == {(None, None)}
    assert moment("0001-01-01T00:00:00+23:00") is None
    assert moment("2020-01-01T00:00:00").tzinfo is UTC


def test_a_marker_that_comes_again_ends_the_listing():
    paging = Paging()
    assert [paging.follow(Page(("a",), marker=marker)) for marker in "xy"] == ["x", "y"]
    with pytest.raises(ValueError, match="there before"):
        paging.follow(Page(("a",), marker="x"))


def test_empty_pages_come_to_an_end():
    paging = Paging()
    for number in range(100):
        paging.follow(Page(marker=str(number)))
    with pytest.raises(ValueError, match="no end"):
        paging.follow(Page(marker="100"))


def test_an_acl_is_the_official_one():
    import Algorithmia.acl as official

    for name in ("public", "private", "my_algos"):
        ours = getattr(ReadAcl, name)
        theirs = getattr(official.ReadAcl, name)
        assert checked(ours) == checked(theirs) == theirs.to_api_param()
        assert Acl.from_acl_response(theirs.to_api_param()) == ours
    assert AclType.default is AclType.my_algos
    for wrong in ("public", None, 7, Acl):
        with pytest.raises(ConfigurationError, match="ReadAcl"):
            checked(wrong)
    for wrong in ({}, {"read": ["x"]}, {"read": ["user://*", "x"]}, []):
        with pytest.raises(ValueError, match="platform"):
            Acl.from_acl_response(wrong)
