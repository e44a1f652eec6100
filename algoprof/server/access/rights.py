"""What a caller may do: which algorithms it may call, what it may do with data, whether it manages or administers."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Kind = Literal["standard", "admin"]
DataAccess = Literal["none", "read", "write"]
"""What a key may do with data; `write` includes reading."""

EVERY_ALGORITHM = "algo://*"

_NAME = r"[A-Za-z0-9_][A-Za-z0-9_.-]*"
_SCOPE = re.compile(rf"algo://(?:\*|({_NAME})/(?:\*|({_NAME})(?:/\*)?))")


@dataclass(frozen=True, slots=True)
class Rights:
    """What one key or token allows.

    Args:
        kind: an `admin` key administers the server and may do nothing else, a `standard` one all but that.
        algorithms: which algorithms it may call, see `scope`.
        data: what it may do with data.
        manages: whether it may build and publish, and read builds and the error log.
    """

    kind: Kind = "standard"
    algorithms: tuple[str, ...] = (EVERY_ALGORITHM,)
    data: DataAccess = "none"
    manages: bool = False

    @property
    def administers(self) -> bool:
        """Whether it is an admin key's."""
        return self.kind == "admin"

    def calls(self, algorithm: str) -> bool:
        """Whether an algorithm may be called.

        Args:
            algorithm: `OWNER/NAME`.

        >>> Rights(algorithms=("algo://demo/*", "algo://local/plain/*")).calls("demo/Routes")
        True
        >>> Rights(algorithms=("algo://demo/*", "algo://local/plain/*")).calls("local/other")
        False
        """
        owner = algorithm.partition("/")[0]
        allowed = {EVERY_ALGORITHM, f"algo://{owner}/*", f"algo://{algorithm}/*"}
        return not self.administers and not allowed.isdisjoint(self.algorithms)

    def reads_data(self) -> bool:
        """Whether data may be read."""
        return not self.administers and self.data != "none"

    def writes_data(self) -> bool:
        """Whether data may be written."""
        return not self.administers and self.data == "write"


OWNER = Rights(data="write", manages=True)
"""What the server's own key and a token allow: everything that a standard key may."""

ALGORITHM = Rights(data="write")
"""What an algorithm may do that runs here: call others, and read and write data."""


def scope(text: str) -> str:
    """Return a scope in its one form: `algo://*`, `algo://OWNER/*` or `algo://OWNER/NAME/*`.

    Args:
        text: one of these, or `algo://OWNER/NAME`, which means the last.

    Raises:
        ValueError: if it is none.

    >>> scope("algo://demo/Routes")
    'algo://demo/Routes/*'
    """
    found = _SCOPE.fullmatch(text)
    if found is None:
        raise ValueError(f"{text[:80]!r} is no scope: write algo://*, algo://OWNER/* or algo://OWNER/NAME/*")
    return f"{text}/*" if found[2] and not text.endswith("/*") else text


def scopes(texts: Iterable[str]) -> tuple[str, ...]:
    """Return scopes in their one form, each once; without any, every algorithm.

    Raises:
        ValueError: if one is none.
    """
    return tuple(dict.fromkeys(scope(text) for text in texts)) or (EVERY_ALGORITHM,)
