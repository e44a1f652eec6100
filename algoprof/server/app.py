"""The routes assembled, behind one door that asks for the key."""

import contextlib
from collections.abc import Sequence
from http import HTTPStatus

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from algoprof.server import envelopes
from algoprof.server.access import permissions
from algoprof.server.access.callers import Callers
from algoprof.server.data import routes as data_routes
from algoprof.server.data.routes import Data
from algoprof.server.description import document
from algoprof.server.envelopes import Refusal, refused
from algoprof.server.hosting.host import Host
from algoprof.server.monitoring import scrapes
from algoprof.server.monitoring.scrapes import Metrics, Scrapers
from algoprof.server.pages.routes import Pages
from algoprof.server.pages.visitors import Visitors
from algoprof.server.routes import administration, calling, inputs, insights, management

HEALTH = "/healthz"
OPEN = {HEALTH, document.PATH}
"""What is answered to strangers too."""
_ADMINISTRATION = "/v1/admin/"


def application(host: Host, data: Data, callers: Callers, visitors: Visitors, scrapers: Scrapers) -> ASGIApp:
    """Return the ASGI application of a server.

    Args:
        host: what it hosts.
        data: the files that it keeps.
        callers: who is let in; a request to what is in `OPEN` always is, and a worker's that reports insights.
        visitors: who may look at the pages.
        scrapers: who may read the metrics.
    """
    algorithms = ("{id:uuid}", "{owner}/{name}")  # the id first: it would also match as an owner
    calls = [
        Route(f"/v1/algo/{algorithm}{version}", calling.call, methods=["POST"])
        for algorithm in algorithms
        for version in ("", "/{version}")
    ]
    routes: list[BaseRoute] = [
        *calls,
        Route(HEALTH, management.health),
        Route(document.PATH, document.describe),
        Route(scrapes.PATH, Metrics(host), methods=["GET"]),
        Route(insights.PATH, insights.report, methods=["POST"]),
        Route(f"{_ADMINISTRATION}executions", administration.executions),
        Route(f"{_ADMINISTRATION}reservations", administration.reservations),
        *data_routes.routes(),
    ]
    for algorithm in algorithms:
        routes += [
            Route(f"/v1/algorithms/{algorithm}", management.algorithm),
            Route(f"/v1/algorithms/{algorithm}", management.update, methods=["PUT"]),
            Route(f"/v1/algorithms/{algorithm}/scm/status", management.source_status),
            Route(f"/v1/algorithms/{algorithm}/builds", management.builds),
            Route(f"/v1/algorithms/{algorithm}/builds/{{build}}", management.build),
            Route(f"/v1/algorithms/{algorithm}/builds/{{build}}/logs", management.build_logs),
            Route(f"/v1/algorithms/{algorithm}/compile", management.compile_newest, methods=["POST"]),
            Route(f"/v1/algorithms/{algorithm}/versions", management.publish, methods=["POST"]),
            Route(f"/v1/algorithms/{algorithm}/versions", management.versions),
            Route(f"/v1/algorithms/{algorithm}/versions/{{version}}", management.version),
            Route(f"/v1/algorithms/{algorithm}/errors", management.errors),
            Route(f"/v1/algorithms/{algorithm}/insights", management.insights),
        ]
    routes += [
        Route("/v1/algorithms/{owner}", management.create, methods=["POST"]),
        Route("/v1/users/{owner}/errors", management.errors_of_owner),
        Route("/v1/organizations/{owner}/errors", management.errors_of_owner),
    ]
    handlers = {Refusal: _refusal, HTTPException: _no_route, Exception: _crash}
    doors = [Middleware(_Door, callers=callers, scrapers=scrapers, calls=calls)]
    made = Starlette(routes=routes, exception_handlers=handlers, middleware=doors)
    made.router.redirect_slashes = False  # a redirected POST becomes a GET
    made.state.host = host
    made.state.data = data
    return Pages(host, visitors, made)


class _Door:
    """Lets requests in whose caller is known. A slash at the end of a path counts for nothing.

    Calls, which are many, are answered here: what is behind would look for their route only.
    The path of a worker, which stands before those that its algorithm asks for, is taken off, and the worker noted.
    """

    def __init__(self, app: ASGIApp, callers: Callers, scrapers: Scrapers, calls: Sequence[Route]) -> None:
        self._app = app
        self._callers = callers
        self._scrapers = scrapers
        self._calls = calls

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            reporter = self._callers.below(scope["path"])
            if reporter is not None:
                scope["path"] = scope["path"].removeprefix(reporter.path)
                scope["raw_path"] = scope["raw_path"].removeprefix(reporter.path.encode())
            scope["path"] = path = scope["path"].rstrip("/") or "/"
            request = Request(scope, receive)
            request.state.reporter = reporter
            try:
                if path == scrapes.PATH:
                    self._scrapers.require(request)
                elif path not in OPEN and not (reporter is not None and path == insights.PATH):
                    request.state.caller = self._callers.who(request.headers.get("authorization", ""))
                    permissions.require_kind(request, administration=path.startswith(_ADMINISTRATION))
            except Refusal as refusal:
                with contextlib.suppress(Refusal):  # too large as well
                    await inputs.body(request)
                await refused(refusal)(scope, receive, send)
                return
            for route in self._calls:
                match, named = route.matches(scope)
                if match is Match.FULL:
                    scope.update(named)
                    await (await _answered(request))(scope, receive, send)
                    return
        await self._app(scope, receive, send)


async def _answered(request: Request) -> Response:
    try:
        return await calling.call(request)
    except Refusal as refusal:
        return refused(refusal)


async def _refusal(_: Request, refusal: Exception) -> Response:
    assert isinstance(refusal, Refusal)  # noqa: S101  (for the type checker)
    return refused(refusal)


async def _no_route(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101  (for the type checker)
    with contextlib.suppress(Refusal):  # too large as well
        await inputs.body(request)
    message = f"{request.method[:20]} {request.url.path[:200]}: {error.detail}"
    allowed = _methods(request) if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED else ()
    return refused(Refusal(error.status_code, envelopes.INVALID_REQUEST, message, allowed=allowed))


def _methods(request: Request) -> set[str]:
    """Return the methods in which a path may be asked: each may have a route of its own."""
    found: set[str] = set()
    for route in request.app.routes:
        if isinstance(route, Route) and route.matches(request.scope)[0] is not Match.NONE:
            found |= route.methods or set()
    return found


async def _crash(_: Request, _error: Exception) -> Response:
    return refused(Refusal(500, envelopes.INTERNAL, "the server failed; its stderr says why"))
