"""Inputs that are too much for a call: what JSON cannot say, or is too large, becomes files, and their URIs are sent.

A file is named for the SHA-256 of what it holds, so the same content is sent once, whoever sends it again.
"""

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from algoprof.calls.data.conversions import Converter, Converters, File, Value
from algoprof.calls.data.operations import Operations
from algoprof.calls.data.progress import progress
from algoprof.calls.data.sources import Opened, opened
from algoprof.calls.data.uris import DataUri, parse
from algoprof.calls.wire.inputs import BINARY, JSON, LARGEST, Body, Flaw, of_any_size, step
from algoprof.calls.wire.plans import Plan
from algoprof.calls.wire.streams import LocalProblem
from algoprof.errors import ConfigurationError, DataApiError

COLLECTION = "data://.my/algoprof_uploads"
"""Where files go unless told otherwise."""
LARGEST_PART = 1024 * 1024
"""Bytes of a text within an input that are sent along at most; a longer one becomes a file."""

_PLACEHOLDER = "data://" + 100 * "x"
_NO_FOLDER = (400, 404, 409, 422)  # how a platform may say that the collection is missing
_PLAIN = (int, float, bool, type(None))
_SUFFIXES = {BINARY: ".bin", JSON: ".json"}


@dataclass(frozen=True, slots=True)
class Prepared:
    """An input as it can be sent.

    Args:
        input: the input, with URIs where files were made.
        uploads: how many files stand in it.
        upload_bytes: bytes that were sent for them; what the platform had already is not sent again.
    """

    input: object
    uploads: int = 0
    upload_bytes: int = 0


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a part of an input stands in the copy."""

    holder: Any
    key: Any
    above: "_Place | None" = None

    def path(self) -> str:
        """Write the Python that leads there."""
        steps, place = [], self
        while place.above is not None:
            steps.append(step(place.key))
            place = place.above
        return "input" + "".join(reversed(steps))


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of an input that is to become something else."""

    value: object
    converter: Converter
    place: _Place

    def put(self, value: object) -> None:
        """Let something stand where it stood."""
        self.place.holder[self.place.key] = value


def destination(upload: object) -> DataUri | None:
    """Return where files go; None if none are to be made.

    Args:
        upload: False, True, or the URI of a folder.

    Raises:
        ConfigurationError: if it is something else.

    >>> str(destination(True)), destination(False)
    ('data://.my/algoprof_uploads', None)
    """
    if upload is False or upload is None:
        return None
    if upload is not True and not isinstance(upload, str):
        raise ConfigurationError(f"upload is True, False or a folder such as {COLLECTION}, not {upload!r:.80}")
    uri = parse(COLLECTION if upload is True else upload)
    if len(uri.names) < 2:
        raise ConfigurationError(f"upload is True, False or a folder such as {COLLECTION}, not {uri}")
    return uri


def prepare(operations: Operations, value: object, where: DataUri, converters: Converters) -> Plan[Prepared]:
    """Store what cannot be sent as it is, and return an input that can.

    Args:
        operations: what the platform can be asked.
        value: the input.
        where: the folder that files go to; it is made where it is missing.
        converters: what becomes of values that are no JSON.

    Raises:
        DataApiError: if a file cannot be made of something, or cannot be stored.
    """
    sent = files = 0
    if not isinstance(value, (str, bytes, bytearray, memoryview)):  # these can be sent alone
        root, parts = _copied(value, converters)
        if isinstance(of_any_size(root[0]), Flaw):  # nothing is stored, and the call names the element
            return Prepared(root[0])
        for part in parts:
            made = _converted(part)
            if isinstance(made, Value):
                part.put(made.value)
                continue
            uri, count = yield from _stored(operations, made, where, part.place)
            part.put(str(uri))
            files, sent = files + 1, sent + count
        value = root[0]
    body = of_any_size(value)
    if isinstance(body, Body) and len(body.data) > LARGEST:
        whole = File(body.data, _SUFFIXES.get(body.content_type, ".txt"))
        uri, count = yield from _stored(operations, whole, where, _Place(None, 0))
        return Prepared(str(uri), files + 1, sent + count)
    return Prepared(value, files, sent)


def _copied(value: object, converters: Converters) -> tuple[list[Any], list[_Part]]:
    """Copy the containers of an input, cycles too, and note what is to be replaced in them.

    Returns:
        A list that holds the copy alone, and the parts.
    """
    root, parts = [value], list[_Part]()
    seen: dict[int, Any] = {}
    waiting = [(_Place(root, 0), value)]
    while waiting:
        place, one = waiting.pop()
        if isinstance(one, (dict, list, tuple)):
            fresh = seen.get(id(one))
            if fresh is None:
                fresh = seen[id(one)] = dict(one) if isinstance(one, dict) else list(one)
                pairs = fresh.items() if isinstance(fresh, dict) else enumerate(fresh)
                inner = [(_Place(fresh, key, place), below) for key, below in pairs if type(below) not in _PLAIN]
                waiting += reversed(inner)
            place.holder[place.key] = fresh
            continue
        converter = converters.find(one)
        if isinstance(one, str) and converter is None and len(one) > LARGEST_PART:
            converter = _text_file
        if converter is not None:
            parts.append(_Part(one, converter, place))
            parts[-1].put(_PLACEHOLDER)
    return root, parts


def _text_file(text: str) -> File:
    return File(text, ".txt")


def _converted(part: _Part) -> File | Value:
    try:
        return part.converter(part.value)
    except Exception as error:
        kind = type(part.value).__name__[:80]
        raise DataApiError(
            f"{part.place.path()}: no file can be made of this {kind}: {str(error)[:200] or type(error).__name__}",
            hint="algoprof.register_converter says how",
        ) from error


def _stored(operations: Operations, file: File, where: DataUri, place: _Place) -> Plan[tuple[DataUri, int]]:
    """Store a file unless it is there, and return where, and how many bytes were sent."""
    with _repeatable(file, place) as content:
        name, was = _sha256(content), content.md5.digest()
        uri = where.below(name + file.suffix)
        if (yield from operations.kind(uri)) is not None:
            return uri, 0
        try:
            yield from operations.put(uri, content)
        except DataApiError as error:
            if error.status not in _NO_FOLDER:
                raise
            yield from operations.create(where, exist_ok=True)
            yield from operations.put(uri, content)
        if content.size and content.md5.digest() != was:
            yield from operations.delete(uri)
            raise DataApiError(f"{place.path()}: it was changed while it was sent", uri=str(uri))
        return uri, content.size or 0


def _sha256(content: Opened) -> str:
    digest = hashlib.sha256()
    try:
        for piece in content:
            digest.update(piece)
    except LocalProblem as problem:
        raise problem.error from None
    return digest.hexdigest()


@contextmanager
def _repeatable(file: File, place: _Place) -> Iterator[Opened]:
    """Open a file that can be read twice: once for its name and once to be sent."""
    try:
        with progress(None, place.path()) as moving, opened(file.content, moving) as content:
            if content.is_repeatable:
                yield content
                return
            with tempfile.TemporaryFile("w+b") as kept:
                try:
                    kept.writelines(content)
                except LocalProblem as problem:
                    raise problem.error from None
                kept.seek(0)
                with opened(kept, moving) as again:
                    yield again
    except ConfigurationError as error:
        raise DataApiError(f"{place.path()}: {error}") from None
