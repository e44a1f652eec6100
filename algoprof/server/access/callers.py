"""Who asks: somebody with a key or a token, or an algorithm, by a key that the worker which runs it has of its own."""

import hmac
import re
import secrets
from typing import TYPE_CHECKING, NamedTuple

from algoprof.server.access import keys
from algoprof.server.access.keyring import OWN, Keyring
from algoprof.server.access.keys import KeyFound
from algoprof.server.access.rights import ALGORITHM, OWNER, Rights
from algoprof.server.envelopes import BAD_KEY, Refusal

if TYPE_CHECKING:
    from algoprof.server.access.tokens import Issuer
    from algoprof.server.routes.insights import Insights

_WORKERS = "/worker/"
_TOKEN = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")


class Caller(NamedTuple):
    """On whose behalf a request is answered.

    Args:
        algorithm: `OWNER/NAME` of the algorithm that asks; empty for whoever asks from outside.
        session: that of the call which the algorithm serves; empty if there is none.
        rights: what it may do.
        traceparent: the W3C trace context that the call has which the algorithm serves; empty without one.
    """

    algorithm: str = ""
    session: str = ""
    rights: Rights = OWNER
    traceparent: str = ""


class Callers:
    """Everybody who is let in.

    Args:
        own: the server's own key. One of the environment counts instead of the one that is kept.
        ring: the other keys.
        issuer: whose tokens are taken; None to take none.

    >>> callers = Callers(KeyFound(keys.Key("simSecret"), "environment"), Keyring(":memory:"))
    >>> callers.who("Simple simSecret") == Caller(rights=OWNER)
    True
    >>> admitted = callers.admit()
    >>> admitted.serve("demo/Routes", "rses-1")
    >>> callers.who(admitted.key.text) == Caller("demo/Routes", "rses-1", ALGORITHM)
    True
    >>> callers.below(f"{admitted.path}/v1/insights") is admitted
    True
    >>> admitted.end()
    >>> callers.below(admitted.path) is None
    True
    >>> callers.who(admitted.key.text)
    Traceback (most recent call last):
    algoprof.server.envelopes.Refusal: the API key is not this server's; ...
    """

    def __init__(self, own: KeyFound, ring: Keyring, issuer: "Issuer | None" = None) -> None:
        self._own = own
        self._ring = ring
        self._issuer = issuer
        self._admitted: dict[str, Admitted] = {}  # by the hash of the worker's key
        self._by_path: dict[str, Admitted] = {}  # by that of its path

    def who(self, authorization: str) -> Caller:
        """Return who shows an `Authorization` header.

        Raises:
            Refusal: if it is a stranger.
        """
        text = keys.shown(authorization)
        if not text:
            message = "the request has no Authorization header; send 'Authorization: Simple API_KEY'"
            raise Refusal(401, BAD_KEY, message)
        digest = keys.digest(text)
        from_environment = self._own.origin == "environment"
        if from_environment and hmac.compare_digest(digest, self._own.key.digest):
            return Caller()
        if digest in self._admitted:
            return self._admitted[digest].caller
        record = self._ring.find(digest)
        if record is not None and not (from_environment and record.id == OWN):
            return Caller(rights=record.rights)
        if not _TOKEN.fullmatch(text):
            message = "the API key is not this server's; see what it printed at its first start, or ALGORITHMIA_API_KEY"
            raise Refusal(401, BAD_KEY, message)
        if self._issuer is None:
            raise Refusal(401, BAD_KEY, "this server takes no tokens; start it with --jwt-key, or send an API key")
        self._issuer.check(text)
        return Caller()

    def admit(self) -> "Admitted":
        """Let a worker in, by a key that nobody else has."""
        admitted = Admitted(self)
        self._admitted[admitted.key.digest] = admitted
        self._by_path[keys.digest(admitted.path)] = admitted
        return admitted

    def below(self, path: str) -> "Admitted | None":
        """Return the worker whose path another one begins with; None for any other path."""
        if not path.startswith(_WORKERS):
            return None
        return self._by_path.get(keys.digest("/".join(path.split("/", 3)[:3])))

    def dismiss(self, admitted: "Admitted") -> None:
        """Let a worker in no longer."""
        self._admitted.pop(admitted.key.digest, None)
        self._by_path.pop(keys.digest(admitted.path), None)


class Admitted:
    """A worker as one who asks: as long as it lives, and always on behalf of the call that it serves.

    Args:
        callers: who has let it in.
    """

    def __init__(self, callers: Callers) -> None:
        self._callers = callers
        self.key = keys.make()
        """What it shows."""
        self.path = f"{_WORKERS}{secrets.token_urlsafe(16)}"
        """Begins the paths that its algorithm asks for: the official client reports insights without a key."""
        self.caller = Caller(rights=ALGORITHM)
        """Who it is."""
        self.insights: Insights | None = None
        """What is reported of the call that it serves; None between calls."""

    def serve(
        self, algorithm: str, session: str = "", insights: "Insights | None" = None, traceparent: str = ""
    ) -> None:
        """Say which algorithm it runs, and for which session and in which trace; empty while it has nothing to do."""
        self.caller, self.insights = Caller(algorithm, session, ALGORITHM, traceparent), insights

    def end(self) -> None:
        """The worker has ended."""
        self._callers.dismiss(self)
