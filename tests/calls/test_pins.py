"""Pins: what was installed, written into requirements that keep all else as it was."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from algoprof.calls.diagnosis import pinned
from algoprof.calls.diagnosis.requirements import parse

INSTALLED = {"Flask": "2.3.1", "six": "1.16.0", "zope.interface": "6.0"}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("flask", "flask==2.3.1"),
        ("flask >=2,<3", "flask==2.3.1"),
        ("Flask[async]>=2  # the web", "Flask[async]==2.3.1  # the web"),
        ("flask>=2 ; python_version > '3'", "flask==2.3.1 ; python_version > '3'"),
        ("flask==2.0.0", "flask==2.0.0"),
        ("flask @ https://packages.example.org/flask.whl", "flask @ https://packages.example.org/flask.whl"),
        ("zope-interface", "zope-interface==6.0"),
        ("not-installed>1", "not-installed>1"),
        ("-r more.txt", "-r more.txt"),
        ("# flask", "# flask"),
        ("./vendor/flask", "./vendor/flask"),
        ("", ""),
    ],
)
def test_a_line_gets_its_pin_and_keeps_the_rest(line, expected):
    assert pinned(INSTALLED, f"{line}\nsix\n").split("\n")[:2] == [expected, "six==1.16.0"]


def test_what_was_brought_along_follows():
    assert pinned(INSTALLED, "six\n").split("\n") == [
        "six==1.16.0",
        "# wanted by the above",
        "Flask==2.3.1",
        "zope.interface==6.0",
        "",
    ]


def test_without_requirements_all_is_listed():
    assert pinned(INSTALLED).split("\n")[1:] == ["Flask==2.3.1", "six==1.16.0", "zope.interface==6.0", ""]


NAMES = st.from_regex(r"[a-zA-Z][a-zA-Z0-9._-]{0,6}[a-z0-9]", fullmatch=True)
VERSIONS = st.from_regex(r"[0-9]{1,2}(\.[0-9]{1,2}){0,2}", fullmatch=True)


@given(st.dictionaries(NAMES, VERSIONS, max_size=5), st.text(max_size=80))
def test_any_requirements_are_pinned_once_and_for_all(installed, requirements):
    once = pinned(installed, requirements)
    assert pinned(installed, once) == once


@given(NAMES, VERSIONS)
def test_a_pin_is_read_back(name, version):
    read = parse(pinned({name: version}).splitlines()[1])
    assert (read.name, read.version, read.pinned) == (name, version, True)


@given(st.text())
def test_any_text_is_a_requirement_or_none(text):
    read = parse(text)
    assert read is None or read.name
