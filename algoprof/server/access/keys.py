"""API keys: how one is made, hidden and recognised, and the server's own, taken from the environment or kept.

Keys that this server makes are 256 random bits. What is stored of them is their SHA-256: nobody can go through 2^256
keys, so the slow hashes that protect passwords, which people choose, would add nothing but time to each request. What
is looked up is the hash, and who does not know the key cannot steer that, so how long a comparison takes tells nothing.
"""

import contextlib
import hashlib
import os
import secrets
import string
from pathlib import Path
from typing import Literal, NamedTuple

from algoprof.errors import ServerError

VARIABLE = "ALGORITHMIA_API_KEY"
"""The environment variable that overrides the kept key."""

UNFINISHED = ".new"
"""The suffix of a file in a data directory that is being written."""

_LETTERS = string.ascii_letters + string.digits
_LENGTH = 43  # of 62 letters: 256 bits
_SCHEMES = ("Simple ", "Bearer ")


class Key:
    """An API key that does not show itself.

    >>> key = Key("simSecret")
    >>> key
    Key(***)
    >>> key.digest == digest(shown("Simple simSecret"))
    True
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.digest = digest(text)
        """Its hash, which is what is compared and stored."""

    def __repr__(self) -> str:
        return "Key(***)"


class KeyFound(NamedTuple):
    """The server's own key and where it came from."""

    key: Key
    origin: Literal["environment", "kept", "made"]


def make() -> Key:
    """Return a new key: 256 random bits, behind the `sim` that keys begin with."""
    return Key("sim" + "".join(secrets.choice(_LETTERS) for _ in range(_LENGTH)))


def digest(text: str) -> str:
    """Return the hash of a key, as hexadecimal digits."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def shown(authorization: str) -> str:
    """Return the key or token of an `Authorization` header: bare, or after `Simple` or `Bearer`.

    >>> shown("Simple simSecret"), shown("simSecret"), shown("Bearer e30.e30.x"), shown("Simple ")
    ('simSecret', 'simSecret', 'e30.e30.x', '')
    """
    text = authorization.strip()
    for scheme in _SCHEMES:
        if f"{text} ".startswith(scheme):
            return text.removeprefix(scheme.strip()).strip()
    return text


def find(data: Path) -> KeyFound:
    """Return the key of the environment, else the one kept in a data directory, else a new one, for `keep` to keep.

    Args:
        data: the server's data directory; it exists.

    Raises:
        ServerError: if the kept key cannot be read, or is empty.
    """
    given = os.environ.get(VARIABLE, "").strip()
    if given:
        return KeyFound(Key(given.removeprefix("Simple ")), "environment")
    path = file(data)
    try:
        kept = path.read_text(encoding="ascii", errors="replace").strip()
    except FileNotFoundError:
        return KeyFound(make(), "made")
    if not kept:
        raise ServerError(f"{path} is empty: remove it, and a new key is made")
    with contextlib.suppress(PermissionError):  # another user's, who has to see to it
        path.chmod(0o600)
    return KeyFound(Key(kept), "kept")


def keep(key: Key, data: Path) -> Path:
    """Write a new key into a data directory, for this user's eyes only, whole or not at all, and return the file."""
    path = file(data)
    unfinished = path.with_suffix(UNFINISHED)
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as kept:
        kept.write(key.text + "\n")
    unfinished.replace(path)
    return path


def file(data: Path) -> Path:
    """Return where a data directory keeps the server's own key, and where `algoprof call` finds it."""
    return data / "key"
