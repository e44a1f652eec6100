"""Profiles as versioned JSON: in files, in a server's answer, in reports for scripts."""

import json
import math
import os
import tempfile
from collections.abc import Mapping
from dataclasses import MISSING, fields
from os import PathLike
from pathlib import Path
from types import UnionType
from typing import Any, Literal, get_args, get_origin

from algoprof.errors import ProfileFileError
from algoprof.profiles.buckets import BUCKET_COUNT
from algoprof.profiles.environment import Environment
from algoprof.profiles.histogram import Histogram
from algoprof.profiles.sample_tables import samples_from_json, samples_to_json
from algoprof.profiles.tree import Attribute, Node, Profile, Span

VERSION = 1
MAX_BYTES = 64 * 1024 * 1024
"""A file larger than this is refused unread."""
MAX_DEPTH = 200
"""Nodes nested deeper than this are refused; the recorder folds at 128."""
_LARGEST = 2**64
_FLOAT = "float"
_NOT_FINITE = ("nan", "inf", "-inf")


def to_json(profile: Profile) -> dict[str, Any]:
    """Return a profile as JSON values; fields at their defaults are left out.

    >>> to_json(Profile("job", (Node("job", count=1, closed_ns=5),)))
    {'algoprof': 1, 'name': 'job', 'roots': [{'name': 'job', 'count': 1, 'closed_ns': 5}]}
    """
    return {"algoprof": VERSION, **_fields_of(profile)}


def from_json(data: object) -> Profile:
    """Return the profile that `to_json` gave.

    Raises:
        ValueError: if the data is anything else; the message says where.
    """
    if not isinstance(data, dict) or "algoprof" not in data:
        raise ValueError("not a profile: it has no 'algoprof' key")
    if data["algoprof"] != VERSION:
        raise ValueError(f"made by a newer algoprof (format {data['algoprof']!r}, this one reads {VERSION})")
    return _profile({key: value for key, value in data.items() if key != "algoprof"})


def save(profile: Profile, path: str | PathLike[str]) -> None:
    """Write a profile to a file in one step, mode 0600."""
    target = Path(path)
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(to_json(profile), file, separators=(",", ":"))
        Path(temporary).replace(target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def load(path: str | PathLike[str]) -> Profile:
    """Read what `save` wrote.

    Raises:
        ProfileFileError: if it is not such a file; the message names the file and the reason.
        OSError: if it cannot be read.
    """
    file = Path(path)
    if file.stat().st_size > MAX_BYTES:
        raise ProfileFileError(path, f"larger than {MAX_BYTES} bytes, so it is not read")
    try:
        return from_json(json.loads(file.read_bytes(), parse_constant=_no_constant))
    except RecursionError:
        raise ProfileFileError(path, "nested too deeply for a profile") from None
    except ValueError as error:
        raise ProfileFileError(path, str(error)) from None


def _fields_of(record: Profile | Node | Span | Environment) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, default, required in _SHAPES[type(record)]:
        value = getattr(record, name)
        if type(value) in _PLAIN:  # most of them
            if value != default:
                values[name] = value
            continue
        if value == default:
            continue
        value = _plain_data(name, value)
        if value not in ([], {}) or required:
            values[name] = value
    return values


def _plain_data(name: str, value: Any) -> Any:
    if isinstance(value, Histogram):
        return [list(bucket) for bucket in value.buckets]
    if name == "samples":
        return samples_to_json(value) if value else {}
    if isinstance(value, tuple):
        return [_fields_of(item) for item in value]
    if isinstance(value, Environment):
        return _fields_of(value)
    if isinstance(value, Mapping):
        return {key: _plain(attribute) for key, attribute in value.items()}
    return value


_PLAIN = (int, str, float, bool, type(None))
_SHAPES = {  # of each field: its name, its default, and whether it is always there
    kind: tuple(
        (field.name, field.default, field.default is field.default_factory is MISSING) for field in fields(kind)
    )
    for kind in (Profile, Node, Span, Environment)
}


def _profile(data: dict[str, Any]) -> Profile:
    values = _checked(data, Profile, "the profile")
    return Profile(
        **{
            **values,
            "roots": tuple(_node(root, "roots", 0) for root in values.get("roots", ())),
            "samples": samples_from_json(values["samples"]) if "samples" in values else (),
            "environment": Environment(**_checked(values.get("environment", {}), Environment, "environment")),
        }
    )


def _node(data: object, where: str, depth: int) -> Node:
    if depth > MAX_DEPTH:
        raise ValueError(f"{where}: nested more than {MAX_DEPTH} levels deep")
    values = _checked(data, Node, where)
    below = f"{where}/{values['name'][:40]}"
    return Node(
        **{
            **values,
            "histogram": _histogram(values.get("histogram", []), below),
            "spans": tuple(_span(span, below) for span in values.get("spans", ())),
            "children": tuple(_node(child, below, depth + 1) for child in values.get("children", ())),
        }
    )


def _span(data: object, where: str) -> Span:
    values = _checked(data, Span, where)
    return Span(**{**values, "attributes": _attributes(values.get("attributes", {}), where)})


def _histogram(data: list[object], where: str) -> Histogram:
    buckets = []
    for pair in data:
        match pair:
            case [int(position), int(count)] if 0 <= position < BUCKET_COUNT and count > 0:
                buckets.append((position, count))
            case _:
                raise ValueError(f"{where}: {pair!r:.80} is no histogram bucket")
    return Histogram(tuple(sorted(buckets)))


def _attributes(data: dict[str, object], where: str) -> dict[str, Attribute]:
    attributes: dict[str, Attribute] = {}
    for key, value in data.items():
        if isinstance(value, (str, int, float)):
            attributes[key] = value
        elif isinstance(value, dict) and value.get(_FLOAT) in _NOT_FINITE:
            attributes[key] = float(value[_FLOAT])
        else:
            raise ValueError(f"{where}: the attribute {key!r:.40} is {type(value).__name__}")
    return attributes


def _plain(value: Attribute) -> Attribute | dict[str, str]:
    """Return an attribute as JSON has it: it knows no NaN and no infinity."""
    return {_FLOAT: str(value)} if isinstance(value, float) and not math.isfinite(value) else value


def _checked(data: object, kind: type[Profile | Node | Span | Environment], where: str) -> dict[str, Any]:
    """Return the known fields of a JSON object; unknown ones are a later minor version's and are passed over."""
    if not isinstance(data, dict):
        raise ValueError(f"{where}: an object was expected, not {type(data).__name__}")  # noqa: TRY004
    values = {}
    for field in fields(kind):
        if field.name not in data:
            if field.default is MISSING and field.default_factory is MISSING:
                raise ValueError(f"{where}: {field.name!r} is missing")
            continue
        value = data[field.name]
        if field.name != "samples" and not _fits(value, field.type):
            raise ValueError(f"{where}: {field.name!r} cannot be {value!r:.80}")
        values[field.name] = value
    return values


def _fits(value: object, kind: Any) -> bool:
    """Whether a JSON value can stand for a field of this type."""
    origin = get_origin(kind)
    if origin is Literal:
        return value in get_args(kind)
    if origin is UnionType:
        return any(_fits(value, choice) for choice in get_args(kind))
    if kind is Histogram or origin is tuple:
        return isinstance(value, list)
    if origin is Mapping or kind is Environment:
        return isinstance(value, dict)
    if kind is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool) and abs(value) < _LARGEST
    return isinstance(value, kind)


def _no_constant(text: str) -> object:
    raise ValueError(f"{text} is not JSON")
