"""What a caller may ask: refusals for those who lack the right."""

from typing import Literal

from starlette.requests import Request

from algoprof.server.access.callers import Caller
from algoprof.server.access.rights import EVERY_ALGORITHM
from algoprof.server.envelopes import BAD_KEY, NOT_AUTHORIZED, Refusal


def caller(request: Request) -> Caller:
    """Return who a request comes from, as the door found out."""
    found: Caller = request.state.caller
    return found


def require_call(request: Request, algorithm: str) -> None:
    """Refuse a caller that may not call an algorithm.

    Args:
        request: what is asked.
        algorithm: `OWNER/NAME`.

    Raises:
        Refusal: if so.
    """
    if not caller(request).rights.calls(algorithm):
        raise _forbidden(f"call algo://{algorithm}", f"--algorithm algo://{algorithm}")


def require_management(request: Request, algorithm: str) -> None:
    """Refuse a caller that may not manage an algorithm: build and publish it, read its builds and its error log.

    Raises:
        Refusal: if so.
    """
    require_call(request, algorithm)
    if not caller(request).rights.manages:
        raise _forbidden("manage algorithms", "--manage")


def require_data(request: Request, access: Literal["read", "write"]) -> None:
    """Refuse a caller that may not read, or write, data.

    Raises:
        Refusal: if so.
    """
    rights = caller(request).rights
    if not (rights.writes_data() if access == "write" else rights.reads_data()):
        raise _forbidden(f"{access} data", f"--data {access}")


def require_kind(request: Request, *, administration: bool) -> None:
    """Refuse an admin key where nothing is administered, and any other where something is.

    Raises:
        Refusal: if so.
    """
    administers = caller(request).rights.administers
    if administers and not administration:
        raise Refusal(401, BAD_KEY, "this is an admin key, which administers and is refused elsewhere; use another")
    if administration and not administers:
        raise _forbidden("administer this server", "--admin")


def require_metrics(who: Caller) -> None:
    """Refuse who may not read the metrics: all but an admin key and one that may call every algorithm.

    Raises:
        Refusal: if so.
    """
    if not (who.rights.administers or EVERY_ALGORITHM in who.rights.algorithms):
        raise _forbidden("read the metrics", "--admin")


def _forbidden(what: str, option: str) -> Refusal:
    """Return a refusal whose message has the number that the official client looks for."""
    return Refusal(
        403, NOT_AUTHORIZED, f"403: this key may not {what}; `algoprof keys create {option}` makes one that may"
    )
