"""Who asks: whoever has the server's key, or an algorithm, by a key that the worker which runs it has of its own."""

import hashlib
import secrets
import string
from dataclasses import dataclass
from typing import TYPE_CHECKING

from algoprof.server.keys import Key, shown

if TYPE_CHECKING:
    from algoprof.server.insights import Insights

_LETTERS = string.ascii_letters + string.digits


@dataclass(frozen=True, slots=True)
class Caller:
    """On whose behalf a request is answered.

    Args:
        algorithm: `OWNER/NAME` of the algorithm that asks; empty for whoever has the server's key.
        session: that of the call which the algorithm serves; empty if there is none.
    """

    algorithm: str = ""
    session: str = ""


class Callers:
    """Everybody who is let in.

    Args:
        key: the server's.

    >>> callers = Callers(Key("simSecret"))
    >>> callers.who("Simple simSecret")
    Caller(algorithm='', session='')
    >>> admitted = callers.admit()
    >>> admitted.caller = Caller("demo/Routes", "rses-1")
    >>> callers.who(admitted.key)
    Caller(algorithm='demo/Routes', session='rses-1')
    >>> callers.below(f"{admitted.path}/v1/insights") is admitted
    True
    >>> admitted.end()
    >>> callers.who(admitted.key) is callers.below(admitted.path) is None
    True
    """

    def __init__(self, key: Key) -> None:
        self._key = key
        self._admitted: dict[bytes, Admitted] = {}
        self._by_path: dict[bytes, Admitted] = {}

    def who(self, authorization: str) -> Caller | None:
        """Return who shows an `Authorization` header; None for a stranger."""
        if self._key.opens(authorization):
            return Caller()
        admitted = self._admitted.get(_digest(shown(authorization)))
        return admitted.caller if admitted else None

    def admit(self) -> "Admitted":
        """Let a worker in, by a key that nobody else has."""
        admitted = Admitted(self, "sim" + "".join(secrets.choice(_LETTERS) for _ in range(28)))
        self._admitted[_digest(admitted.key)] = self._by_path[_digest(admitted.path)] = admitted
        return admitted

    def below(self, path: str) -> "Admitted | None":
        """Return the worker whose path another one begins with; None for any other path."""
        return self._by_path.get(_digest("/".join(path.split("/", 3)[:3])))

    def dismiss(self, admitted: "Admitted") -> None:
        """Let a worker in no longer."""
        self._admitted.pop(_digest(admitted.key), None)
        self._by_path.pop(_digest(admitted.path), None)


class Admitted:
    """A worker as one who asks: as long as it lives, and always on behalf of the call that it serves.

    Args:
        callers: who has let it in.
        key: what it shows.
    """

    def __init__(self, callers: Callers, key: str) -> None:
        self._callers = callers
        self.key = key
        self.path = f"/worker/{secrets.token_urlsafe(16)}"
        """Begins the paths that its algorithm asks for: the official client reports insights without a key."""
        self.caller = Caller()
        self.insights: Insights | None = None
        """What is reported of the call that it serves; None between calls."""

    def end(self) -> None:
        """The worker has ended."""
        self._callers.dismiss(self)


def _digest(key: str) -> bytes:
    """Return what a key is found by: how long that takes tells nothing of the key."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
