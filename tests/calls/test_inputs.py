import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from algoprof.calls.wire.inputs import LARGEST, Body, Flaw, encode


class ndarray:  # noqa: N801  (named as numpy names it)
    def tolist(self):
        return []


class Hostile:
    def __repr__(self):
        raise RuntimeError("nobody may ask")


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
flaws = st.sampled_from(
    [math.nan, math.inf, b"x", {1}, object(), Hostile(), {(1,): 2}, {10**5000: 1, 1: 2}, 10**5000, ndarray()]
)


@given(values.filter(lambda value: not isinstance(value, str)))
def test_json_comes_out_as_it_went_in(value):
    body = encode(value)
    assert isinstance(body, Body)
    assert (body.content_type, json.loads(body.data)) == ("application/json", value)


@given(st.lists(st.text(max_size=8) | st.integers(0, 3), max_size=8), flaws, values)
def test_the_path_leads_to_the_flaw(path, flaw, beside):
    value, shown = flaw, ""
    for step in reversed(path):
        if isinstance(step, str):
            value = {"": beside, step: value}
            shown = f"[{json.dumps(step, ensure_ascii=False)}]{shown}"
        else:
            value = [*[beside] * step, value]
            shown = f"[{step}]{shown}"
    found = encode({"all": value})
    assert isinstance(found, Flaw)
    assert found.sentence.startswith(f'input["all"]{shown}: ')


@given(st.text())
def test_a_str_is_text(text):
    assert encode(text) == Body("text/plain", text.encode())


@given(st.binary())
def test_bytes_are_binary(data):
    assert encode(data) == encode(bytearray(data)) == encode(memoryview(data)) == Body("application/octet-stream", data)


def test_an_array_is_named_with_its_way_out():
    flaw = encode({"frames": [0, 1, 2, ndarray()]})
    assert flaw.sentence == 'input["frames"][3]: ndarray is not JSON-serializable'
    assert "tolist()" in flaw.hint
    assert "data API" in flaw.hint


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (math.nan, "input: nan is not JSON"),
        ([{"a": -math.inf}], 'input[0]["a"]: -inf is not JSON'),
        ({"a": {(1, 2): 3}}, 'input["a"]: has a key of type tuple'),
        ([{math.nan: 3}], "input[0]: the key nan is not JSON"),
        ({"i": b"x"}, 'input["i"]: bytes is not JSON-serializable'),
        ({3: [Hostile()]}, "input[3][0]: Hostile is not JSON-serializable"),
        ({None: {True: {2.5: {1}}}}, "input[None][1][2.5]: set is not JSON-serializable"),
        ([10**5000], "input[0]: an integer of over 4,000 digits is not JSON"),
        ("a\ud800", "input[1]: half a surrogate pair is no text"),
        ({"k" * 100: {1}}, f'input["{"k" * 60}..."]: set is not JSON-serializable'),
    ],
)
def test_what_cannot_be_sent_is_named(value, sentence):
    assert encode(value).sentence == sentence


def test_a_cycle_is_found():
    value = {"list": [1]}
    value["list"].append(value)
    assert encode(value).sentence == 'input["list"][1]: is input again, without end'
    assert isinstance(encode([[1], [1]]), Body), "the same value twice is no cycle"


@pytest.mark.parametrize("depth", [1_500, 100_000])
def test_deep_nesting_is_told_not_crashed_on(depth):
    value = []
    for _ in range(depth):
        value = [value]
    flaw = encode(value)
    assert "levels deep" in flaw.sentence
    assert len(flaw.sentence) < 200
    while value:
        value = value[0]  # freed level by level: the interpreter's own recursion is not what is examined


def test_ten_mebibytes_are_the_limit():
    assert isinstance(encode(b"x" * LARGEST), Body)
    assert "10,485,761 bytes" in encode(b"x" * (LARGEST + 1)).sentence
    assert "data API" in encode("é" * (LARGEST // 2 + 1)).hint


def test_half_a_surrogate_pair_within_json_is_escaped():
    assert json.loads(encode(["\ud800"]).data) == ["\ud800"]


@pytest.mark.parametrize(
    ("keyed", "twin"),
    [
        ({1: 2, "1": 3}, "1"),
        ({"null": 1, None: 2}, "null"),
        ({True: 1, "true": 2}, "true"),
        ({1.5: 1, "1.5": 2}, "1.5"),
    ],
)
def test_keys_that_json_makes_one_are_refused_by_path(keyed, twin):
    found = encode({"a": [0, (keyed,)], 7: {}})
    assert isinstance(found, Flaw)
    assert found.sentence == f'input["a"][1][0]: two keys become "{twin}" in JSON'
    assert "differ" in found.hint


@given(
    st.dictionaries(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False), st.none()
    )
)
def test_keys_that_stay_different_go_out(keyed):
    found = encode(keyed)
    assert isinstance(found, Body)
    assert len(json.loads(found.data)) == len(keyed)
