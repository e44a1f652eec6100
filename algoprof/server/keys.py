"""The API key: taken from the environment, else made once and kept; compared without telling how far it matched."""

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
        given = authorization
        for scheme in _SCHEMES:
            if authorization.startswith(scheme):
                given = authorization.removeprefix(scheme)
        return hmac.compare_digest(given.strip().encode(), self.text.encode())


class KeyFound(NamedTuple):
    """A key and where it came from."""

    key: Key
    origin: Literal["environment", "kept", "made"]


def find(data: Path) -> KeyFound:
    """Return the key of the environment, else the one kept in a data directory, else make and keep one.

    Args:
        data: the server's data directory; it exists.

    Raises:
        ServerError: if the kept key cannot be read, or is empty.
    """
    given = os.environ.get(VARIABLE, "").strip()
    if given:
        return KeyFound(Key(given.removeprefix("Simple ")), "environment")
    path = data / "key"
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        kept = path.read_text(encoding="ascii", errors="replace").strip()
        if not kept:
            raise ServerError(f"{path} is empty: remove it, and a new key is made") from None
        return KeyFound(Key(kept), "kept")
    made = "sim" + "".join(secrets.choice(_LETTERS) for _ in range(28))
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(made + "\n")
    return KeyFound(Key(made), "made")
