"""The worker's own files, where no process is needed."""

import ast
import json
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from algoprof.server.hosting import bootstrap, keeper


@pytest.mark.parametrize("file", [keeper.__file__, bootstrap.__file__])
def test_what_runs_in_the_algorithms_environment_needs_nothing_but_the_standard_library(file):
    tree = ast.parse(Path(file).read_text())
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in imported} <= set(sys.stdlib_module_names)


@pytest.mark.parametrize(
    ("result", "reply"),
    [
        ("text", ("text", "text")),
        (b"\0\xff", ("binary", "AP8=")),
        (bytearray(b"a"), ("binary", "YQ==")),
        (None, ("json", None)),
        ((1, 2), ("json", [1, 2])),
        ({1: True, None: 2.5}, ("json", {"1": True, "null": 2.5})),
        ("\ud800", ("text", "\ud800")),
    ],
)
def test_a_result_says_its_own_content_type(result, reply):
    encoded = bootstrap.encode(result)
    encoded.encode()  # it can be written
    value = json.loads(encoded)
    assert (value["metadata"]["content_type"], value["result"]) == reply


@pytest.mark.parametrize(
    ("result", "words"),
    [
        ({"frames": [0, {1}]}, 'result["frames"][1]: set is not JSON-serializable; return plain'),
        ([[float("inf")]], "result[0][0]: inf is not JSON; "),
        ({"it's": b""}, 'result["it\'s"]: bytes is not JSON-serializable; '),
        ([{"at": (0, datetime(2026, 1, 1, tzinfo=UTC))}], 'result[0]["at"][1]: datetime is not JSON-serializable; '),
        ({"a": {"b": [np.zeros(3)]}}, 'result["a"]["b"][0]: ndarray is not JSON-serializable; '),
        ([np.float64("nan")], "result[0]: nan is not JSON; "),
        ({"n": np.int64(3)}, 'result["n"]: int64 is not JSON-serializable; '),
        ({1, 2}, "result: set is not JSON-serializable; "),
        ({b"k": 1}, "result has a key of type bytes (b'k'), and JSON keys are strings; "),
    ],
)
def test_what_cannot_be_json_is_named_by_its_path(result, words):
    with pytest.raises(TypeError) as raised:
        bootstrap.encode(result)
    assert str(raised.value).startswith(words)
    assert "client.file('data://.algo/OWNER/ALGORITHM/temp/NAME').putFile(PATH) and return its URI" in str(raised.value)


def test_a_result_nested_too_deeply_is_told():
    value = []
    for _ in range(100_000):
        value = [value]
    with pytest.raises(TypeError, match="is nested too deeply for JSON"):
        bootstrap.encode(value)


def test_an_error_that_cannot_be_printed_is_still_told():
    class BrokenError(Exception):
        error_type = None

        def __str__(self):
            raise RuntimeError

    reply = json.loads(bootstrap.failure(BrokenError(), "AlgorithmError"))
    assert reply["error"]["message"] == "BrokenError"
    assert reply["error"]["error_type"] == "AlgorithmError"
