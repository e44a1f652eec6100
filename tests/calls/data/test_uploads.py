"""Inputs that are too much for a call: what becomes a file, what is sent along, and that nothing is sent twice."""

import datetime as dt
import fractions
import hashlib
import io
import json
import os
import tempfile
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from algoprof.calls.access.platforms import Platform
from algoprof.calls.data.conversions import CONVERTERS, Converters, Value
from algoprof.calls.data.operations import Operations
from algoprof.calls.data.plans import run
from algoprof.calls.data.uploads import COLLECTION, LARGEST_PART, destination, prepare
from algoprof.calls.wire.inputs import LARGEST
from algoprof.calls.wire.protocol import Answer
from algoprof.errors import ConfigurationError, DataApiError, InputRefused


class Store:
    """Keeps files in memory, as a transport; a folder must be made before a file is put in it."""

    def __init__(self):
        self.files = {}
        self.folders = set()
        self.sent = []

    def send(self, request, deadline, *, sink=None, idle=0):
        path = request.url.partition("/data/")[2]
        self.sent.append(request.method)
        body = request.body if isinstance(request.body, bytes) else b"".join(request.body)
        if request.method == "HEAD":
            return Answer(200 if path in self.files else 404, {}, b"")
        if request.method == "POST":
            self.folders.add(f"{path}/{json.loads(body)['name']}")
            return Answer(200, {}, b"")
        if request.method == "DELETE":
            return Answer(200 if self.files.pop(path, None) is not None else 404, {}, b"{}")
        if path.rpartition("/")[0] not in self.folders:
            return Answer(404, {}, b'{"error": {"message": "no such folder"}}')
        self.files[path] = body
        return Answer(200, {"etag": hashlib.md5(body).hexdigest()}, b"")

    def prepare(self, value, converters=CONVERTERS, upload=True):
        operations = Operations(Platform("http://127.0.0.1:1"))
        return run(prepare(operations, value, destination(upload), converters), self)

    def __getitem__(self, uri):
        return self.files[uri.removeprefix("data://")]


@pytest.fixture
def store():
    return Store()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


@given(JSON)
def test_what_is_json_is_sent_as_it_is(value):
    store = Store()
    prepared = store.prepare(value)
    assert (prepared.input, prepared.uploads, store.sent) == (value, 0, [])


@given(st.lists(st.binary(max_size=3), max_size=4), JSON)
def test_bytes_become_uris_of_what_they_hold(contents, beside):
    store, value = Store(), {"beside": beside, "deep": [{"x": None}]}
    value["deep"][0]["x"] = tuple(contents)
    prepared = store.prepare(value)
    assert prepared.input["beside"] == beside
    assert [store[uri] for uri in prepared.input["deep"][0]["x"]] == contents
    assert store.sent.count("PUT") <= len(set(contents)) + 1  # the first one finds no folder
    assert value["deep"][0]["x"] == tuple(contents), "the caller's own input is as it was"


def test_the_collection_is_made_on_demand_and_content_is_sent_once(store):
    first = store.prepare([b"content"])
    name = hashlib.sha256(b"content").hexdigest()
    assert first.input == [f"{COLLECTION}/{name}.bin"]
    assert (first.uploads, first.upload_bytes, store.sent) == (1, 7, ["HEAD", "PUT", "POST", "PUT"])
    again = store.prepare({"other": b"content"})
    assert (again.uploads, again.upload_bytes, store.sent[4:]) == (1, 0, ["HEAD"])
    assert store.prepare([b"content"], upload="data://.my/mine").input == [f"data://.my/mine/{name}.bin"]


def test_bytes_and_texts_alone_are_sent_as_they_are_up_to_the_limit(store):
    for value in (b"x" * LARGEST, "x" * LARGEST, bytearray(b"x")):
        assert store.prepare(value).input is value
    assert store.sent == []
    for value, suffix in ((b"x" * (LARGEST + 1), ".bin"), ("x" * (LARGEST + 1), ".txt")):
        uri = store.prepare(value).input
        assert (uri[-4:], len(store[uri])) == (suffix, LARGEST + 1)


def test_what_is_too_large_becomes_files(store):
    prepared = store.prepare({"text": "x" * (LARGEST_PART + 1), "short": "x" * LARGEST_PART})
    assert store[prepared.input["text"]] == b"x" * (LARGEST_PART + 1)
    assert prepared.input["short"] == "x" * LARGEST_PART
    value = {"numbers": [10**19] * 500_000, "file": b"abc"}
    prepared = store.prepare(value)
    assert prepared.uploads == 2
    whole = json.loads(store[prepared.input])
    assert whole["numbers"] == value["numbers"]
    assert store[whole["file"]] == b"abc"


def test_files_of_this_machine_become_files_of_the_platform(store, tmp_path):
    (tmp_path / "photo.jpg").write_bytes(b"jpg")
    (tmp_path / "no suffix!").write_bytes(b"none")
    read, write = os.pipe()
    os.write(write, b"piped")
    os.close(write)
    with (
        (tmp_path / "photo.jpg").open("rb") as opened,
        os.fdopen(read, "rb") as pipe,
        tempfile.NamedTemporaryFile() as kept,
    ):
        kept.write(b"kept")
        kept.seek(0)
        opened.seek(1)
        given = [tmp_path / "photo.jpg", tmp_path / "no suffix!", opened, io.BytesIO(b"memory"), pipe, kept]
        uris = store.prepare(given).input
    assert [store[uri] for uri in uris] == [b"jpg", b"none", b"pg", b"memory", b"piped", b"kept"]
    assert [Path(uri).suffix for uri in uris] == [".jpg", "", ".jpg", "", "", ""]


def test_what_cannot_become_a_file_is_named(store, tmp_path):
    with (
        (tmp_path / "x").open("w+") as text,
        pytest.raises(DataApiError, match=r'^input\["a"\]\[0\]: .*opened as text'),
    ):
        store.prepare({"a": [text]})
    for unusable, words in ((text, "opened as text|closed"), (io.BytesIO(b"x"), "closed")):
        unusable.close()
        with pytest.raises(DataApiError, match=rf"^input\[0\]: .*({words})"):
            store.prepare([unusable])
    with pytest.raises(DataApiError, match=r'^input\["a"\]: .*surrogate'):
        store.prepare({"a": "\ud800" * (LARGEST_PART + 1)})
    with pytest.raises(FileNotFoundError):
        store.prepare([tmp_path / "missing"])
    converters = Converters()
    converters.register(fractions.Fraction, lambda fraction: 1 / (fraction - fraction))
    with pytest.raises(DataApiError, match=r"^input\[1\]: no file can be made of this Fraction: .*register_converter"):
        store.prepare([0, fractions.Fraction(1, 2)], converters)


def written(number):
    file = io.BytesIO()
    file.write(str(number).encode())
    return file


def test_a_converter_is_found_for_a_type_its_name_and_those_below(store):
    converters = Converters()
    converters.register("datetime.date", lambda day: Value(day.isoformat()))
    converters.register(fractions.Fraction, str, ".txt")
    converters.register("decimal.Decimal", written)
    assert store[store.prepare([Decimal(7)], converters).input[0]] == b"7"
    prepared = store.prepare([dt.datetime(2020, 1, 2, tzinfo=dt.UTC), fractions.Fraction(1, 3)], converters)
    assert prepared.input[0] == "2020-01-02T00:00:00+00:00"
    assert store[prepared.input[1]] == b"1/3"
    for kind, convert, suffix in ((7, str, ""), (int, "str", ""), (int, str, "../x"), (int, str, 7)):
        with pytest.raises(ConfigurationError):
            converters.register(kind, convert, suffix)


def test_an_input_that_no_file_helps_is_refused_before_anything_is_stored(files, client):
    algo = client.algo("demo/Routes")
    for value, says in (
        ({"file": b"x", "set": {1}}, r'input\["set"\]: set'),
        ({"file": b"x", "date": dt.date(2020, 1, 1)}, r'input\["date"\]: date .*register_converter'),
        ([b"x", float("nan")], r"input\[1\]: nan"),
    ):
        with pytest.raises(InputRefused, match=says):
            algo.pipe(value, upload=True)
    circle: list[object] = [b"x"]
    circle.append(circle)
    with pytest.raises(InputRefused, match=r"input\[1\]: is input again"):
        algo.pipe(circle, upload=True)
    deep: object = b"x"
    for _ in range(5_000):
        deep = [deep]
    with pytest.raises(InputRefused, match="deep"):
        algo.pipe(deep, upload=True)
    assert files.asked == []
    with pytest.raises(InputRefused, match=r'input\["a"\]\[0\]: bytes .*upload=True'):
        algo.pipe({"a": [b"x"]})


def test_a_file_of_the_platform_becomes_its_uri(store, client):
    prepared = store.prepare([client.file("data://.my/a/b"), client.dir("data://.my/a")])
    assert (prepared.input, prepared.uploads) == (["data://.my/a/b", "data://.my/a"], 0)


def test_a_file_of_this_machine_that_the_client_names_becomes_one_of_the_platform(store, client, tmp_path):
    (tmp_path / "cat.jpg").write_bytes(b"jpg")
    (uri,) = store.prepare([client.file(f"file://{tmp_path}/cat.jpg")]).input
    assert (store[uri], Path(uri).suffix) == (b"jpg", ".jpg")


def test_where_files_go_is_a_folder(client):
    for wrong in (7, "data://", "data://.my", "http://x/y", None.__class__):
        with pytest.raises(ConfigurationError):
            client.algo("demo/Routes").pipe([b"x"], upload=wrong)


def test_numpy_and_pandas_are_known_where_they_are(store):
    array = np.arange(6).reshape(2, 3)
    given = {
        "array": array,
        "scalar": np.float32(0.5),
        "flag": np.bool_(True),
        "table": pd.DataFrame({"a": [1]}),
    }
    told = store.prepare(given).input
    assert (told["scalar"], told["flag"]) == (0.5, True)
    assert (np.load(io.BytesIO(store[told["array"]])) == array).all()
    assert store[told["table"]] == b"a\n1\n"
    with pytest.raises(DataApiError, match="no file can be made of this ndarray"):
        store.prepare([np.array([object()])])
