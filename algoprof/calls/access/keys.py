"""What shows a platform on whose behalf it is asked: kept out of sight, and told apart by its form."""

import base64
import json
import re
from dataclasses import dataclass
from typing import Literal

_TOKEN = re.compile(r"[A-Za-z0-9_=-]+\.([A-Za-z0-9_=-]+)\.[A-Za-z0-9_=+/-]*")
_FARTHEST = 253_402_300_800  # seconds; the year 10000, which no clock shows


class Secret(str):
    """A text that is sent and never shown: no `repr` has it, nor a traceback that shows variables.

    >>> Secret("simSecret"), {"Authorization": Secret("Simple simSecret")}
    ('***', {'Authorization': '***'})
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


@dataclass(frozen=True, slots=True)
class Form:
    """What a key or a token looks like, which says nothing of whether it is accepted.

    Args:
        kind: `none`, an API `key`, or a bearer `token` (a JWT).
        usual: whether it looks as its kind does: API keys begin with `sim`.
        expires: when a token ends by what it says itself, in seconds since the Unix epoch; None if it does not.
    """

    kind: Literal["none", "key", "token"]
    usual: bool = True
    expires: float | None = None


NO_KEY = Form("none")
"""What is sent where there is neither key nor token."""


def form(authorization: str) -> Form:
    """Return what an `Authorization` header holds, without asking anybody.

    >>> form("Simple simSecret"), form("")
    (Form(kind='key', usual=True, expires=None), Form(kind='none', usual=True, expires=None))
    >>> form("Bearer e30.eyJleHAiOiAxNjAwMDAwMDAwfQ.x").expires
    1600000000.0
    """
    scheme, _, text = authorization.strip().rpartition(" ")
    if not text:
        return NO_KEY
    claims = _TOKEN.fullmatch(text)
    if claims is None and scheme != "Bearer":
        return Form("key", usual=text.startswith("sim"))
    return Form("token", usual=claims is not None, expires=_expiry(claims[1]) if claims else None)


def _expiry(claims: str) -> float | None:
    try:
        content = json.loads(base64.urlsafe_b64decode(claims.rstrip("=") + "=" * (-len(claims.rstrip("=")) % 4)))
    except (ValueError, RecursionError):
        return None
    moment = content.get("exp") if isinstance(content, dict) else None
    if isinstance(moment, bool) or not isinstance(moment, (int, float)) or not 0 <= moment < _FARTHEST:
        return None
    return float(moment)
