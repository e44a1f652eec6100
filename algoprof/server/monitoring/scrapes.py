"""`GET /metrics`: who may read it, and the answer, by the exporter named `prometheus`."""

import base64
import binascii
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from algoprof.exporters.prometheus import asgi_app
from algoprof.server.access import permissions
from algoprof.server.access.callers import Callers
from algoprof.server.pages.visitors import names_this_machine

if TYPE_CHECKING:
    from algoprof.server.hosting.host import Host

PATH = "/metrics"

_FORWARDED = ("forwarded", "via", "x-forwarded-for", "x-real-ip")
_BASIC = "Basic "


class Scrapers:
    """Those who may read the metrics: with a key, and where only this machine can ask, without one.

    Args:
        callers: who knows the keys.
        local: whether the server can be reached from this machine only.
    """

    def __init__(self, callers: Callers, *, local: bool) -> None:
        self._callers = callers
        self._local = local

    def require(self, request: Request) -> None:
        """Refuse a stranger.

        A key that is shown is checked wherever it comes from. What a proxy has passed on, or a page that a browser has
        open under a name of its own, needs one on this machine too.

        Raises:
            Refusal: if it is one.
        """
        headers = request.headers
        shown = headers.get("authorization", "")
        forwarded = any(name in headers for name in _FORWARDED)
        if shown or not self._local or forwarded or not names_this_machine(headers.get("host", "")):
            permissions.require_metrics(self._callers.who(_key_of(shown)))


class Metrics:
    """The ASGI application that answers scrapes.

    Args:
        host: whose metrics.
    """

    def __init__(self, host: "Host") -> None:
        self._host = host

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        monitor = self._host.monitor
        monitor.hosting = self._host.hosting()
        app = asgi_app(monitor.prometheus)
        await app({**scope, "method": "GET"}, receive, send)  # of HEAD the web server leaves the body out


def _key_of(authorization: str) -> str:
    """Return what an `Authorization` header shows; of `Basic`, the password, whoever it is for."""
    if not authorization.startswith(_BASIC):
        return authorization
    try:
        text = base64.b64decode(authorization.removeprefix(_BASIC), validate=True).decode()
    except (binascii.Error, ValueError):
        return authorization
    return text.partition(":")[2]
