"""The API key: taken from the environment, else made once and kept; compared without telling how far it matched."""

import contextlib
import hmac
import os
import secrets
import string
from pathlib import Path
from typing import Literal, NamedTuple

from algoprof.errors import ServerError

VARIABLE = "ALGORITHMIA_API_KEY"
"""The environment variable that overrides the kept key."""

_LETTERS = string.ascii_letters + string.digits
_SCHEMES = ("Simple ", "Bearer ")


class Key:
    """An API key that does not show itself.

    >>> key = Key("simSecret")
    >>> key
    Key(***)
    >>> key.opens("Simple simSecret"), key.opens("simSecret"), key.opens("Simple simOther")
    (True, True, False)
    """

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return "Key(***)"

    def opens(self, authorization: str) -> bool:
        """Whether an `Authorization` header holds this key: bare, or after `Simple` or `Bearer`."""
        return hmac.compare_digest(shown(authorization).encode(), self.text.encode())


def shown(authorization: str) -> str:
    """Return the key in an `Authorization` header: bare, or after `Simple` or `Bearer`.

    >>> shown("Simple simSecret"), shown("simSecret")
    ('simSecret', 'simSecret')
    """
    given = authorization
    for scheme in _SCHEMES:
        if authorization.startswith(scheme):
            given = authorization.removeprefix(scheme)
    return given.strip()


class KeyFound(NamedTuple):
    """A key and where it came from."""

    key: Key
    origin: Literal["environment", "kept", "made"]


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
    path = _path(data)
    try:
        kept = path.read_text(encoding="ascii", errors="replace").strip()
    except FileNotFoundError:
        return KeyFound(Key("sim" + "".join(secrets.choice(_LETTERS) for _ in range(28))), "made")
    if not kept:
        raise ServerError(f"{path} is empty: remove it, and a new key is made")
    with contextlib.suppress(PermissionError):  # another user's, who has to see to it
        path.chmod(0o600)
    return KeyFound(Key(kept), "kept")


def keep(key: Key, data: Path) -> Path:
    """Write a new key into a data directory, for this user's eyes only, and return the file."""
    path = _path(data)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
        file.write(key.text + "\n")
    return path


def _path(data: Path) -> Path:
    return data / "key"
