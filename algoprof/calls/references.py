"""Which algorithm is meant: `OWNER/NAME[/VERSION]` or `ID[/VERSION]`, with or without `algo://`, or as a full URL."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlsplit

from algoprof.errors import ConfigurationError

_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,99}", re.ASCII)
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.*+-]{0,99}", re.ASCII)
_ID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", re.ASCII)
_ROUTE = "/v1/algo/"
_FORM = "write OWNER/NAME or OWNER/NAME/VERSION, such as demo/Routes/1.0.0"
_LONGEST = 2000


@dataclass(frozen=True, slots=True)
class Reference:
    """An algorithm on a platform.

    Args:
        owner: the user or organization it belongs to; or the algorithm's id.
        name: its name; empty if it is named by its id.
        version: a version, `latest`, `latestPrivate`, a partial one such as `1.2.*`, or a hash; empty for the newest.
        query: options written behind a question mark, such as `timeout=9`, as text.
        address: the platform's address if the reference was a full URL; else empty.

    >>> str(Reference("demo", "Routes", "1.0.0"))
    'demo/Routes/1.0.0'
    """

    owner: str
    name: str
    version: str = ""
    query: Mapping[str, str] = field(default_factory=dict)
    address: str = ""

    def __str__(self) -> str:
        return "/".join(part for part in (self.owner, self.name, self.version) if part)

    @property
    def algorithm(self) -> str:
        """`OWNER/NAME`, or the id, without a version."""
        return f"{self.owner}/{self.name}" if self.name else self.owner


def parse(text: str) -> Reference:
    """Return the algorithm that a text names.

    Raises:
        ConfigurationError: if it names none; the message repeats the text and says which forms there are.

    >>> parse("algo://demo/Routes/1.0.0?timeout=9")
    Reference(owner='demo', name='Routes', version='1.0.0', query={'timeout': '9'}, address='')
    >>> parse("https://api.example.com/v1/algo/demo/Routes").address
    'https://api.example.com'
    >>> parse("01234567-89ab-cdef-0123-456789abcdef/1.0.0").version
    '1.0.0'
    """
    if not isinstance(text, str):
        raise ConfigurationError(f"an algorithm is named by a text, not by {type(text).__name__}: {_FORM}")
    if len(text) > _LONGEST:
        raise ConfigurationError(f"{text[:60]!r}... is too long for the name of an algorithm: {_FORM}")
    rest, address = _without_address(text.strip(), text)
    path, _, query = rest.partition("?")
    owner, name, version, *more = (*path.strip("/").split("/"), "", "")
    if _ID.fullmatch(owner) and not version:
        name, version = "", name
    elif any(more) or not _PART.fullmatch(owner) or not _PART.fullmatch(name):
        raise ConfigurationError(f"{text[:200]!r} names no algorithm: {_FORM}")
    if version and not _VERSION.fullmatch(version):
        raise ConfigurationError(f"{version[:200]!r} is no version: {_FORM}")
    return Reference(owner, name, version, _options(query, text), address)


def _without_address(text: str, original: str) -> tuple[str, str]:
    """Split a full URL into what follows its route and its address."""
    if text.startswith("algo://"):
        return text.removeprefix("algo://"), ""
    if not text.startswith(("http://", "https://")):
        return text, ""
    try:
        parts = urlsplit(text)
    except ValueError:
        parts = urlsplit("")
    before, route, path = parts.path.partition(_ROUTE)
    if not parts.netloc or "@" in parts.netloc or not route:
        raise ConfigurationError(
            f"{original[:200]!r} is not the URL of an algorithm: it looks like https://api.algorithmia.com/v1/algo/OWNER/NAME"
        )
    return f"{path}?{parts.query}", f"{parts.scheme}://{parts.netloc}{before}"


def _options(query: str, original: str) -> dict[str, str]:
    if "#" in query:
        raise ConfigurationError(f"{original[:200]!r} has a '#' in it, which no option can: {_FORM}")
    return dict(parse_qsl(query, keep_blank_values=True))
