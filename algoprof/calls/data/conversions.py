"""What JSON cannot say, as a file or as a value that it can: a registry of types, which loads none of them."""

import io
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, TypeVar

from algoprof.calls.data.sources import Content
from algoprof.errors import ConfigurationError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class File:
    """A part of an input that becomes a file.

    Args:
        content: what the file holds.
        suffix: what its name ends with, such as `.npy`: it says what kind of file it is.
    """

    content: Content
    suffix: str = ""


@dataclass(frozen=True, slots=True)
class Value:
    """A part of an input that becomes a JSON value.

    Args:
        value: that value.
    """

    value: object


Converter = Callable[[Any], File | Value]


class Converters:
    """Knows what becomes of a value of a type, or of one below it.

    >>> converters = Converters()
    >>> converters.register(complex, lambda number: repr(number), ".txt")
    >>> converters.find(1j)(1j)
    File(content='1j', suffix='.txt')
    """

    def __init__(self) -> None:
        self._known: dict[type | str, Converter] = {}
        self._found: dict[type, Converter | None] = {}

    def register(self, kind: type[T] | str, convert: Callable[[T], Content | File | Value], suffix: str = "") -> None:
        """Say what becomes of values of a type; what was said of it before is forgotten.

        Args:
            kind: the type; or its full name, such as `numpy.ndarray`, of one that need not be there.
            convert: returns what the file is to hold: bytes, a text, a path or an open binary file.
            suffix: what the file's name ends with.

        Raises:
            ConfigurationError: if one of them cannot be meant.
        """
        if not isinstance(kind, (type, str)) or not callable(convert):
            raise ConfigurationError(
                f"a converter is registered for a type or its full name, and is callable: not {kind!r:.80}"
            )
        if not isinstance(suffix, str) or (suffix and not suffix.removeprefix(".").isalnum()):
            raise ConfigurationError(f"suffix is what a file's name ends with, such as '.npy', not {suffix!r:.80}")

        def converter(value: T) -> File | Value:
            made = convert(value)
            if isinstance(made, io.BytesIO):  # it has just been written, and stands at its end
                made = made.getvalue()
            return made if isinstance(made, (File, Value)) else File(made, suffix)

        self._known[kind] = converter
        self._found = {}

    def find(self, value: object) -> Converter | None:
        """Return what makes something else of a value; None if nothing is known of its type."""
        kind, found = type(value), self._found
        if kind not in found:
            names = (name for one in kind.__mro__ for name in (one, f"{one.__module__}.{one.__qualname__}"))
            found[kind] = next((self._known[name] for name in names if name in self._known), None)
        return found[kind]


def _array(array: Any) -> File:
    import numpy  # noqa: ICN001, PLC0415  (loaded, since there is an array)

    content = io.BytesIO()
    numpy.save(content, array, allow_pickle=False)
    return File(content.getvalue(), ".npy")


def _scalar(scalar: Any) -> Value:
    value = scalar.item()
    if isinstance(value, float) and not math.isfinite(value):
        return Value(value)  # which is refused as a float is
    if not isinstance(value, (bool, int, float, str)):
        raise TypeError(f"a {type(scalar).__name__} has no JSON value")
    return Value(value)


def _table(table: Any) -> File:
    """Return a table as CSV; its index only where it says more than the number of a row."""
    index = type(table.index).__name__ != "RangeIndex"
    return File(table.to_csv(index=index), ".csv")


def _bytes(content: bytes | bytearray | memoryview) -> File:
    return File(content, ".bin")


def _path(path: PurePath) -> File:
    return File(path, _suffix(path))


def _open_file(file: io.IOBase) -> File:
    name = getattr(file, "name", "")
    suffix = _suffix(PurePath(name)) if isinstance(name, str) else ""
    return File(file, suffix)  # type: ignore[arg-type]  # a text file is refused when it is opened


def _suffix(path: PurePath) -> str:
    return path.suffix if re.fullmatch(r"\.[A-Za-z0-9_]{1,20}", path.suffix, re.ASCII) else ""


def _with_defaults() -> Converters:
    converters = Converters()
    converters.register(bytes, _bytes)
    converters.register(bytearray, _bytes)
    converters.register(memoryview, _bytes)
    converters.register(PurePath, _path)
    converters.register("_io._IOBase", _open_file)  # what the types of open() have in common
    converters.register("tempfile._TemporaryFileWrapper", _open_file)
    converters.register("tempfile.SpooledTemporaryFile", _open_file)
    converters.register("algoprof.calls.data.objects.DataObject", lambda one: Value(one.uri))
    converters.register("algoprof.calls.data.local.LocalDataFile", lambda one: _path(PurePath(one.path)))
    converters.register("numpy.ndarray", _array)
    converters.register("numpy.generic", _scalar)
    for name in ("pandas.DataFrame", "pandas.Series", "pandas.core.frame.DataFrame", "pandas.core.series.Series"):
        converters.register(name, _table)  # the latter two are what they say of themselves before pandas 3
    return converters


CONVERTERS = _with_defaults()
"""What `pipe(..., upload=True)` knows."""


def register_converter(kind: type[T] | str, convert: Callable[[T], Content | File | Value], suffix: str = "") -> None:
    """Say how `pipe(..., upload=True)` makes a file of values of a type, and of those below it.

    Bytes, paths, open binary files, NumPy arrays (`.npy`) and pandas tables (`.csv`) are known already; NumPy's scalars
    become numbers.

    Args:
        kind: the type; or its full name, such as `PIL.Image.Image`, of one that need not be there.
        convert: returns what the file is to hold: bytes, a text, a path or an open binary file.
        suffix: what the file's name ends with, such as `.png`.

    Raises:
        ConfigurationError: if one of them cannot be meant.

    >>> import fractions
    >>> register_converter(fractions.Fraction, lambda fraction: f"{fraction}", ".txt")
    """
    CONVERTERS.register(kind, convert, suffix)
