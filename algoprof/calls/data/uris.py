"""Which file or folder is meant: `data://OWNER/COLLECTION/FILE`, or the same of another connector."""

import re
from dataclasses import dataclass
from typing import Self
from urllib.parse import quote

from algoprof.errors import ConfigurationError

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+._-]*)://(.*)", re.DOTALL)
_CONNECTOR = re.compile(r"[a-z][a-z0-9]{0,29}(\+[A-Za-z0-9_.-]{1,100})?", re.ASCII)
_NO_CONNECTORS = ("algo", "file", "http", "https")
_FORM = "it looks like data://.my/COLLECTION/FILE"
_LONGEST = 4_000


@dataclass(frozen=True, slots=True)
class DataUri:
    """A file or a folder on the platform.

    Args:
        connector: where the data is: `data` is the platform itself, `s3` or `dropbox+label` elsewhere.
        names: the names that lead there, the collection's owner first; none is the root.

    >>> str(DataUri("data", (".my", "photos", "cat.jpg")))
    'data://.my/photos/cat.jpg'
    """

    connector: str
    names: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.connector}://{'/'.join(self.names)}"

    @property
    def path(self) -> str:
        """It, as the official client has it: without `data://`."""
        path = "/".join(self.names)
        return path if self.connector == "data" else f"{self.connector}://{path}"

    @property
    def route(self) -> str:
        """The path of its URL.

        >>> parse("data://.my/photos/a cat.jpg").route
        '/v1/connector/data/.my/photos/a%20cat.jpg'
        """
        return "/".join(("/v1/connector", *(quote(name, safe="") for name in (self.connector, *self.names))))

    @property
    def name(self) -> str:
        """The last name; empty of the root."""
        return self.names[-1] if self.names else ""

    @property
    def parent(self) -> Self:
        """The folder it is in.

        Raises:
            ConfigurationError: if it is the root.
        """
        if not self.names:
            raise ConfigurationError(f"{self} is in no folder")
        return type(self)(self.connector, self.names[:-1])

    def below(self, name: str) -> Self:
        """Return what is in it under a name, or under several with a slash between.

        Raises:
            ConfigurationError: if that cannot be a name.

        >>> str(parse("data://.my").below("photos/cat.jpg"))
        'data://.my/photos/cat.jpg'
        """
        return type(self)(self.connector, (*self.names, *_names(name, f"{self}/{name}")))


def parse(text: str) -> DataUri:
    """Return the file or folder that a text names.

    Raises:
        ConfigurationError: if it names none; the message repeats the text and says how it looks.

    >>> parse("data://.my/photos")
    DataUri(connector='data', names=('.my', 'photos'))
    >>> parse("s3://bucket/key").connector, parse(".my/photos/cat.jpg").path
    ('s3', '.my/photos/cat.jpg')
    >>> parse("data://.my/../other")
    Traceback (most recent call last):
        ...
    algoprof.errors.ConfigurationError: 'data://.my/../other' has '..' in it, which names nothing: it looks like data://.my/COLLECTION/FILE
    """
    if not isinstance(text, str):
        raise ConfigurationError(f"a file or folder is named by a text, not by {type(text).__name__}: {_FORM}")
    if len(text) > _LONGEST:
        raise ConfigurationError(f"{text[:60]!r}... is too long for the name of a file or folder: {_FORM}")
    match = _SCHEME.fullmatch(text)
    connector, rest = (match[1], match[2]) if match else ("data", text)
    if not _CONNECTOR.fullmatch(connector) or connector in _NO_CONNECTORS:
        raise ConfigurationError(f"{text[:200]!r} is no file or folder of the data API: {_FORM}")
    return DataUri(connector, _names(rest.removeprefix("/"), text))


def is_name(name: str) -> bool:
    """Return whether a file or a folder can have a name: one step, that leads nowhere else.

    >>> [is_name(name) for name in ("cat.jpg", "..", "a/b", "")]
    [True, False, False, False]
    """
    if name in ("", ".", "..") or "/" in name or any(ord(character) < 32 or character == "\x7f" for character in name):
        return False
    return not any(0xD800 <= ord(character) < 0xE000 for character in name)  # half a pair has no UTF-8


def _names(path: str, text: str) -> tuple[str, ...]:
    names = tuple(path.removesuffix("/").split("/")) if path.removesuffix("/") else ()
    for name in names:
        if not is_name(name):
            raise ConfigurationError(f"{text[:200]!r} has {name[:60]!r} in it, which names nothing: {_FORM}")
    return names
