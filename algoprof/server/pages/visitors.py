"""Who may look at the pages: whoever has shown the server's key, or opened the link that it printed at its start."""

import ipaddress
import secrets
import socket
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection

from algoprof.server.access.callers import Caller, Callers
from algoprof.server.access.keys import digest
from algoprof.server.envelopes import Refusal

_MOST = 100  # who signed in first has to do it again


class Visitors:
    """Those who have signed in since the server was started.

    A browser shows what `sign_in` or `redeem` returned, in a cookie. Here only its hash is kept, with the key by which
    its owner came in, so that a key that opens nothing any more lets nobody look either.

    Args:
        callers: who knows the keys.

    >>> from algoprof.server.access.keyring import Keyring
    >>> from algoprof.server.access.keys import Key, KeyFound
    >>> visitors = Visitors(Callers(KeyFound(Key("simSecret"), "environment"), Keyring(":memory:")))
    >>> visitors.sign_in("simOther") is None
    True
    >>> visitors.knows(visitors.sign_in("simSecret")), visitors.knows("simSecret")
    (True, False)
    >>> token = visitors.link("http://127.0.0.1:8080").partition("token=")[2]
    >>> visitors.knows(visitors.redeem(token)), visitors.redeem(token)
    (True, None)
    """

    def __init__(self, callers: Callers) -> None:
        self._callers = callers
        self._tokens: set[str] = set()
        self._visits: dict[str, str | None] = {}  # the key; None for who came by a link

    def link(self, address: str) -> str:
        """Return the address of the page with a token that lets one browser in, once."""
        token = secrets.token_urlsafe(24)
        self._tokens.add(digest(token))
        return f"{address}/?token={token}"

    def redeem(self, token: str) -> str | None:
        """Return what a visitor shows from now on, for the token of a link; None if it was used or never given."""
        hashed = digest(token)
        if hashed not in self._tokens:
            return None
        self._tokens.discard(hashed)
        return self._visit(None)

    def sign_in(self, key: str) -> str | None:
        """Return what a visitor shows from now on, for a key; None if it is not one that may see everything."""
        return self._visit(key) if self.opens(key) else None

    def sign_out(self, shown: str) -> None:
        """Let a visitor in no longer."""
        self._visits.pop(digest(shown), None)

    def knows(self, shown: str) -> bool:
        """Whether somebody who shows this may look."""
        hashed = digest(shown)
        if hashed not in self._visits:
            return False
        key = self._visits[hashed]
        return key is None or self.opens(key)

    def opens(self, authorization: str) -> bool:
        """Whether a key, bare or as an `Authorization` header has it, may see everything."""
        if not authorization:
            return False
        try:
            return self._callers.who(authorization) == Caller()
        except Refusal:
            return False

    def _visit(self, key: str | None) -> str:
        shown = secrets.token_urlsafe(32)
        self._visits[digest(shown)] = key
        if len(self._visits) > _MOST:
            del self._visits[next(iter(self._visits))]
        return shown


def names_this_machine(host: str) -> bool:
    """Whether a `Host` header is an address, `localhost` or this machine's name.

    Any other name may be one that a stranger's page has made lead here, so that a browser takes the two for one site.

    >>> [names_this_machine(host) for host in ("127.0.0.1:8080", "[::1]", "localhost:80", "evil.example", "", "a:b:c")]
    [True, True, True, False, False, False]
    """
    try:
        name = (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return False
    if name in ("localhost", socket.gethostname().lower()):
        return bool(name)
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def comes_from_here(request: HTTPConnection) -> bool:
    """Whether a form was sent from a page of this server, as far as the browser tells."""
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == request.headers.get("host", "")
