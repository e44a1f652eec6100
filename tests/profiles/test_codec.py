"""Profiles as JSON: what goes in comes out, and whatever else comes in is refused with its place."""

import json
import math
import pickle
import stat
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from algoprof import Profile
from algoprof.errors import ProfileFileError
from algoprof.profiles import codec
from algoprof.profiles.environment import Environment
from algoprof.profiles.histogram import Histogram
from algoprof.profiles.samples import Frame, Sample
from algoprof.profiles.tree import Node, Span

times = st.integers(0, 2**62)
texts = st.text(max_size=30)
attributes = st.dictionaries(
    texts, st.one_of(texts, st.integers(-(2**62), 2**62), st.booleans(), st.floats(allow_nan=False))
)
spans = st.builds(
    Span,
    kind=st.sampled_from(["first", "slowest", "failed", "open"]),
    start_ns=times,
    end_ns=times,
    span_id=st.integers(0, 2**64 - 1),
    parent_id=st.integers(0, 2**64 - 1),
    error=st.none() | texts,
    attributes=attributes,
)
histograms = st.dictionaries(st.integers(0, 311), st.integers(1, 2**60), max_size=5).map(
    lambda counts: Histogram(tuple(sorted(counts.items())))
)
nodes = st.recursive(
    st.builds(
        Node,
        name=texts,
        count=times,
        closed_ns=times,
        histogram=histograms,
        active_ns=st.none() | times,
        cpu_ns=st.none() | times,
        device_ns=st.none() | times,
    ),
    lambda below: st.builds(
        Node, name=texts, spans=st.lists(spans, max_size=3).map(tuple), children=st.lists(below, max_size=3).map(tuple)
    ),
    max_leaves=8,
)
environments = st.builds(
    Environment,
    python=texts,
    cpu_count=st.none() | times,
    cpu_quota=st.none() | st.floats(0.001, 1000),
    memory_limit=st.none() | times,
    throttled_ns=st.none() | times,
    gc_pauses=st.none() | times,
)
frames = st.builds(Frame, name=texts, file=texts, line=st.integers(0, 2**31))
samples = st.builds(
    Sample,
    path=st.lists(texts, max_size=3).map(tuple),
    stack=st.lists(frames, max_size=4).map(tuple),
    count=st.integers(1, 2**40),
    concurrent=st.booleans(),
)
profiles = st.builds(
    Profile,
    name=texts,
    roots=st.lists(nodes, max_size=2).map(tuple),
    outcome=st.sampled_from(["ok", "error", "open", "killed", "merged"]),
    timeout=st.none() | st.floats(0.001, 3000),
    parent_span_id=st.integers(0, 2**64 - 1),
    inexact=st.booleans(),
    allocation_peak=st.none() | times,
    environment=environments,
    samples=st.lists(samples, max_size=4).map(tuple),
    sample_interval_ns=times,
    sampler=texts,
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda below: st.lists(below, max_size=4) | st.dictionaries(texts, below, max_size=4),
    max_leaves=20,
)


TABLES = {"frames": [["f", "f.py", 1]], "paths": [["job"]], "counts": [[1, 0, 0]], "stacks": [[0]]}
SPAN = {"kind": "first", "start_ns": 0, "end_ns": 1, "span_id": 1}


@given(profiles)
def test_what_goes_in_comes_out(profile):
    assert codec.from_json(json.loads(json.dumps(codec.to_json(profile)))) == profile
    assert pickle.loads(pickle.dumps(profile)) == profile


@given(json_values)
def test_anything_else_is_refused_in_words(value):
    with pytest.raises(ValueError, match=r"\S"):
        codec.from_json(value)


@given(profiles, st.data())
def test_a_changed_field_is_read_or_refused_in_words(profile, data):
    document = codec.to_json(profile)
    key = data.draw(st.sampled_from(sorted(document)))
    document[key] = data.draw(json_values)
    try:
        assert isinstance(codec.from_json(document), Profile)
    except ValueError as error:
        assert str(error)  # noqa: PT017  (some changes are harmless)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"algoprof": 2}, "made by a newer algoprof"),
        ({"timeout": float("nan")}, "'timeout' cannot be nan"),
        ({"timeout": True}, "'timeout' cannot be True"),
        ({"roots": [{"count": 1}]}, "roots: 'name' is missing"),
        ({"roots": [{"name": "a", "children": [{"name": "b", "count": -0.5}]}]}, "roots/a: 'count' cannot be -0.5"),
        ({"roots": [{"name": "a", "histogram": [[400, 1]]}]}, r"roots/a: \[400, 1\] is no histogram bucket"),
        ({"outcome": "fine"}, "'outcome' cannot be 'fine'"),
        ({"samples": []}, "samples: an object was expected, not list"),
        ({"samples": {"frames": []}}, "samples: 'paths' is no list"),
        ({"samples": TABLES | {"frames": [["f", "f.py"]]}}, "is no frame"),
        ({"samples": TABLES | {"frames": [["f" * 5000, "f.py", 1]]}}, "is no frame"),
        ({"samples": TABLES | {"paths": [[1]]}}, "is no path"),
        ({"samples": TABLES | {"counts": [[1, 1, 0]]}}, "is no count"),
        ({"samples": TABLES | {"counts": [[0, 0, 0]]}}, "is no count"),
        ({"samples": TABLES | {"stacks": [[-1]]}}, "is no frame's number"),
        ({"samples": TABLES | {"stacks": [[0] * 1000]}}, "is no stack"),
        ({"samples": TABLES | {"stacks": []}}, "1 counts and 0 stacks"),
        ({"samples": TABLES | {"counts": [[1, 0, 0]] * 30_000, "stacks": [[0]] * 30_000}}, "30000 counts"),
        ({"environment": {"cpu_count": "two"}}, "environment: 'cpu_count' cannot be 'two'"),
        ({"roots": [{"name": "a", "spans": [SPAN | {"attributes": {"n": None}}]}]}, "the attribute 'n' is NoneType"),
    ],
)
def test_the_reason_names_the_place(change, reason):
    with pytest.raises(ValueError, match=reason):
        codec.from_json({"algoprof": 1, "name": "job", "roots": []} | change)


def test_a_tree_nested_without_end_is_refused():
    node: dict = {"name": "a"}
    for _ in range(codec.MAX_DEPTH + 2):
        node = {"name": "a", "children": [node]}
    with pytest.raises(ValueError, match="nested more than 200 levels deep"):
        codec.from_json({"algoprof": 1, "name": "job", "roots": [node]})


def test_an_unknown_field_of_a_later_version_is_passed_over():
    assert codec.from_json({"algoprof": 1, "name": "job", "roots": [], "later": 1}) == Profile("job", ())


def test_a_file_is_written_in_one_step_for_its_owner(tmp_path):
    path = tmp_path / "run.algoprof"
    profile = Profile("job", (Node("job"),))
    profile.save(path)
    assert Profile.load(path) == profile
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [file.name for file in tmp_path.iterdir() if file.suffix == ".algoprof"] == ["run.algoprof"]


@pytest.mark.parametrize("content", ["", "{", "[]", "NaN", "[" * 100_000, '"' + string.printable, "\x00\xff"])
def test_a_file_that_is_none_is_named(tmp_path, content):
    path = tmp_path / "broken.algoprof"
    path.write_text(content, encoding="latin-1")
    with pytest.raises(ProfileFileError, match=r"broken\.algoprof: "):
        Profile.load(path)


def test_a_file_too_large_is_not_read(tmp_path):
    path = tmp_path / "large.algoprof"
    with path.open("wb") as file:
        file.truncate(codec.MAX_BYTES + 1)
    with pytest.raises(ProfileFileError, match="larger than"):
        Profile.load(path)


def test_an_attribute_that_json_has_no_number_for_is_kept(tmp_path):
    span = Span("first", 0, 1, span_id=1, attributes={"loss": float("nan"), "best": float("-inf")})
    Profile("job", (Node("job", spans=(span,)),)).save(tmp_path / "run.algoprof")
    (found,) = Profile.load(tmp_path / "run.algoprof").node("job").spans
    assert math.isnan(found.attributes["loss"])
    assert found.attributes["best"] == float("-inf")
