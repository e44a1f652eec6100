"""What is sent: an input as bytes with a content type, or a refusal that names the element at fault."""

import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

LARGEST = 10 * 1024 * 1024
"""Bytes that the platform takes at most."""

TEXT, BINARY, JSON = "text/plain", "application/octet-stream", "application/json"
UPLOAD = "pass upload=True (`algoprof call --upload`), which makes it a file of the data API and sends its data:// path"
"""What an input may need that is too large or no JSON."""
_PLAIN = "send plain dicts, lists, texts and numbers"
_DEEPEST = 2_000  # levels looked at, twice what `json` writes under Python's own limit
_LONGEST_INT = 13_300  # bits; Python refuses to print an int of over 4,300 digits
_SHOWN_STEPS = 6  # of a long path, this many at each end


@dataclass(frozen=True, slots=True)
class Body:
    """An input as it goes over the wire."""

    content_type: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Flaw:
    """What keeps an input from being sent.

    Args:
        sentence: the path of the element and what is wrong with it.
        hint: what to do instead.
    """

    sentence: str
    hint: str


def encode(value: object) -> Body | Flaw:
    """Return an input ready to be sent, or what keeps it from that. `str` is text, bytes are binary.

    Whatever else there is goes as JSON, under the rules of `json.dumps`: tuples become lists, and keys that are
    numbers become texts. Two keys that would become the same are refused.

    >>> encode("hello")
    Body(content_type='text/plain', data=b'hello')
    >>> encode({"cities": (1, 2)})
    Body(content_type='application/json', data=b'{"cities": [1, 2]}')
    >>> encode({"frames": [1, float("nan")]})
    Flaw(sentence='input["frames"][1]: nan is not JSON', hint='send a finite number or None')
    """
    body = of_any_size(value)
    if isinstance(body, Body) and len(body.data) > LARGEST:
        size = f"the input is {len(body.data):,} bytes long, and the platform takes {LARGEST:,} (10 MiB)"
        return Flaw(size, UPLOAD)
    return body


def of_any_size(value: object) -> Body | Flaw:
    """Return an input as it would be sent if the platform took any number of bytes, or what keeps it from that."""
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return Body(BINARY, bytes(value))
    return _json(value)


def _text(value: str) -> Body | Flaw:
    try:
        return Body(TEXT, value.encode())
    except UnicodeEncodeError as error:
        return Flaw(f"input[{error.start}]: half a surrogate pair is no text", "send bytes")


def _json(value: object) -> Body | Flaw:
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False)
        if _has_twins(value):
            return _first_flaw(value, ValueError())
    except (TypeError, ValueError, RuntimeError) as error:  # RuntimeError: too deep, or changed by another thread
        return _first_flaw(value, error)
    try:
        return Body(JSON, text.encode())
    except UnicodeEncodeError:  # half a surrogate pair: JSON can escape it
        return Body(JSON, json.dumps(value, allow_nan=False).encode())


@dataclass(frozen=True, slots=True)
class _Element:
    """One value within an input, and how one gets there."""

    value: object
    key: object = None
    above: "_Element | None" = None
    depth: int = 0

    def children(self) -> Iterator["_Element"]:
        pairs: Iterable[tuple[object, object]] = ()
        if isinstance(self.value, dict):
            pairs = self.value.items()
        elif isinstance(self.value, (list, tuple)):
            pairs = enumerate(self.value)
        for key, value in pairs:
            yield _Element(value, key, self, self.depth + 1)

    def ancestors(self) -> Iterator["_Element"]:
        element = self.above
        while element is not None:
            yield element
            element = element.above

    def path(self) -> str:
        """Write the Python that leads to the element, the middle of a long path left out."""
        steps = [step(element.key) for element in (self, *self.ancestors()) if element.above][::-1]
        if len(steps) > 2 * _SHOWN_STEPS:
            steps = [*steps[:_SHOWN_STEPS], "[...]", *steps[-_SHOWN_STEPS:]]
        return "input" + "".join(steps)

    def flaw(self) -> Flaw | None:
        """Say what keeps this very element, not those within it, from being sent."""
        if self.above and (wrong := _wrong_key(self.key)):
            return Flaw(f"{self.above.path()}: {wrong}", "JSON's keys are texts: make it one")
        if isinstance(self.value, (dict, list, tuple)):
            if isinstance(self.value, dict) and (twin := _twin(self.value)):
                return Flaw(f"{self.path()}: two keys become {twin} in JSON", "JSON's keys are texts: make them differ")
            same = next((element for element in self.ancestors() if element.value is self.value), None)
            return Flaw(f"{self.path()}: is {same.path()} again, without end", "break the cycle") if same else None
        wrong, hint = _wrong_leaf(self.value)
        return Flaw(f"{self.path()}: {wrong}", hint) if wrong else None


def _first_flaw(value: object, error: Exception) -> Flaw:
    """Find the first element that `json.dumps` cannot write, without recursion."""
    deepest = _Element(value)
    levels = [iter((deepest,))]
    while levels:
        element = next(levels[-1], None)
        if element is None:
            levels.pop()
        elif flaw := element.flaw():
            return flaw
        elif element.depth > _DEEPEST:
            break
        else:
            deepest = element if element.depth > deepest.depth else deepest
            levels.append(element.children())
    if isinstance(error, RecursionError):
        deep = f"nested {deepest.depth:,} levels deep or more, which JSON cannot carry"
        return Flaw(f"{deepest.path()}: {deep}", "flatten it")
    return Flaw(f"the input cannot be written as JSON ({type(error).__name__})", _PLAIN)


def _has_twins(value: object) -> bool:
    """Tell whether two keys of any dict within become one."""
    waiting = [value]
    while waiting:
        container = waiting.pop()
        if isinstance(container, dict):
            if _twin(container):
                return True
            container = container.values()
        if isinstance(container, Iterable):
            waiting += [one for one in container if isinstance(one, (dict, list, tuple))]
    return False


def _twin(keyed: dict[object, object]) -> str:
    """Return the first key, as JSON writes it, that two keys become; empty if all stay different."""
    if all(type(key) is str for key in keyed):
        return ""
    written: set[str] = set()
    for key in keyed:
        if not _wrong_key(key):
            text = key if isinstance(key, str) else json.dumps(key)
            if text in written:
                return json.dumps(text[:60], ensure_ascii=False)
            written.add(text)
    return ""


def _wrong_key(key: object) -> str:
    if isinstance(key, float) and not math.isfinite(key):
        return f"the key {float(key)} is not JSON"
    if isinstance(key, int) and key.bit_length() > _LONGEST_INT:
        return "a key of over 4,000 digits is not JSON"
    if key is None or isinstance(key, (str, int, float)):
        return ""
    return f"has a key of type {_kind(key)}"


def _wrong_leaf(value: object) -> tuple[str, str]:
    """Say what is wrong with a value that is no container, and what to do about it; two empty texts if nothing is."""
    match value:
        case float() if not math.isfinite(value):
            return f"{float(value)} is not JSON", "send a finite number or None"
        case int() if value.bit_length() > _LONGEST_INT:
            return "an integer of over 4,000 digits is not JSON", "send it as a text"
        case None | str() | int() | float():
            return "", ""
        case bytes() | bytearray() | memoryview():
            hint = f"send the bytes alone, encode them as base64, or {UPLOAD}"
        case set() | frozenset():
            hint = "make it a list"
        case _:
            hint = f"send its .tolist(), or {UPLOAD}" if hasattr(type(value), "tolist") else f"{_PLAIN}, or {UPLOAD}"
    return f"{_kind(value)} is not JSON-serializable", hint


def _kind(value: object) -> str:
    """Name a foreign value's type: its `repr` would be foreign code."""
    return type(value).__name__[:80]


def step(key: object) -> str:
    """Write the Python that leads from a container to an element of it.

    >>> step("frames") + step(3)
    '["frames"][3]'
    """
    match key:
        case str():
            shown = json.dumps(key if len(key) <= 60 else key[:60] + "...", ensure_ascii=False)
            return f"[{shown.encode(errors='backslashreplace').decode()}]"
        case int() if key.bit_length() < 64:
            return f"[{int(key)}]"
        case None | float():
            return f"[{key if key is None else float(key)}]"
    return "[...]"
