import math
from enum import Enum
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from algoprof.calls.options import Options, OutputType, checked, from_query
from algoprof.errors import ConfigurationError


@pytest.mark.parametrize(
    "timeout",
    [0, -1, 3000.001, 3001, math.nan, math.inf, -math.inf, True, False, None, "60", "abc", [60], 10**400, 1j],
)
def test_a_timeout_that_cannot_be_meant_is_refused(timeout):
    with pytest.raises(ConfigurationError, match="a timeout is"):
        checked(Options(), timeout=timeout)


@given(st.floats(min_value=0, max_value=3000, exclude_min=True))
def test_a_timeout_goes_out_as_a_plain_decimal_of_the_same_value(timeout):
    text = checked(Options(), timeout=timeout).parameters()["timeout"]
    assert float(text) == timeout
    assert set(text) <= set("0123456789.")


@pytest.mark.parametrize(("given_", "sent"), [(300, "300"), (2.5, "2.5"), (Fraction(1, 2), "0.5"), (1e-5, "0.00001")])
def test_how_timeouts_are_written(given_, sent):
    assert checked(Options(), timeout=given_).parameters()["timeout"] == sent


@pytest.mark.parametrize("stdout", [1, 0, "true", None])
def test_stdout_is_a_boolean(stdout):
    with pytest.raises(ConfigurationError, match="stdout is True or False"):
        checked(Options(), stdout=stdout)


def test_an_output_may_be_the_official_clients():
    official = Enum("OutputType", "default raw void")
    assert checked(Options(), output=official.raw).output is OutputType.raw
    assert checked(Options(), output="void").parameters()["output"] == "void"
    assert "output" not in Options().parameters()
    with pytest.raises(ConfigurationError, match="default, raw, void"):
        checked(Options(), output="json")


def test_other_parameters_are_texts():
    assert checked(Options(), query={"sudo": True, "n": 3}).parameters()["sudo"] == "true"
    with pytest.raises(ConfigurationError, match="'deep' is a text"):
        checked(Options(), query={"deep": {}})


@given(st.dictionaries(st.sampled_from(["timeout", "stdout", "output", "x"]), st.text()))
def test_any_query_is_options_or_one_sentence(query):
    try:
        found = from_query(query)
    except ConfigurationError as error:
        assert str(error)  # noqa: PT017  (either way out is right)
    else:
        assert 0 < found.timeout <= 3000


def test_a_query_of_a_reference():
    assert from_query({"timeout": "9.5", "stdout": "True", "output": "raw"}) == Options(9.5, True, OutputType.raw)
