"""The pages: all algorithms, one of them, a build with its log, a run with its profile; and the form to sign in."""

import asyncio
import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import jinja2
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from algoprof.exporters.html.shapes import flame, tree
from algoprof.server import pace
from algoprof.server.hosting.host import Host
from algoprof.server.pages import shapes, wording
from algoprof.server.pages.visitors import Visitors, comes_from_here, names_this_machine
from algoprof.server.state.store import Algorithm, Build, now_ms

_HERE = Path(__file__).parent
_KINDS = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_STATIC = {path.name: (path.read_bytes(), _KINDS[path.suffix]) for path in (_HERE / "static").iterdir()}
_OURS = {"/", "algorithms", "builds", "runs", "live", "static", "sign-in", "sign-out", "favicon.ico"}
"""What the paths of pages begin with."""
_OPEN = {"static", "sign-in", "favicon.ico"}
"""What is shown to strangers."""
_WANTED = re.compile(r"/|/(?:algorithms|builds|runs)/[\w./%-]+")
"""Where signing in may lead."""
_RUNS = 50
_BUILDS = 50
_LOG = 512 * 1024  # bytes of a log's end that are shown
_FORM = 8 * 1024
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Pages:
    """Answers what is asked for as a page, and leaves everything else to the application below.

    Args:
        host: what is shown.
        visitors: who may look.
        below: the application that answers all other paths.
    """

    def __init__(self, host: Host, visitors: Visitors, below: ASGIApp) -> None:
        self._visitors = visitors
        self._below = below
        self._pages = Starlette(
            routes=[
                Route("/", overview),
                Route("/live", live),
                Route("/algorithms/{owner}/{name}", algorithm),
                Route("/builds/{build}", build),
                Route("/runs/{run}", run),
                Route("/static/{name}", static),
                Route("/sign-in", sign_in, methods=["POST"]),
                Route("/sign-out", sign_out, methods=["POST"]),
            ],
            exception_handlers={HTTPException: _not_found, Exception: _crash},
        )
        self._pages.state.host = host
        self._pages.state.visitors = visitors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http" or _kind(scope["path"]) not in _OURS:
            await self._below(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] += [(name.lower().encode(), value.encode()) for name, value in _HEADERS.items()]
            await send(message)

        request = Request(scope, receive)
        answer = self._at_the_door(request)
        await (answer or self._pages)(scope, receive, send_guarded)

    def _at_the_door(self, request: Request) -> Response | None:
        """Return the answer to who may not look, or has just opened the link; None for who may."""
        path: str = request.scope["path"]
        if not names_this_machine(request.headers.get("host", "")):
            return _page("refused.html", status=421, reason="The pages are shown only by the address of this machine.")
        if request.method == "POST" and not comes_from_here(request):
            return _page("refused.html", status=403, reason="That form was not sent from a page of this server.")
        asks_for_root = path == "/"
        opens_link = asks_for_root and request.method == "GET"
        if opens_link and (shown := self._visitors.redeem(request.query_params.get("token", ""))):
            return _remembered(request, shown, _page("entered.html"))  # a redirect may count as the link's site's
        known = self._visitors.knows(request.cookies.get(_cookie(request), ""))
        if known or self._visitors.opens(request.headers.get("authorization", "")):
            return RedirectResponse("/", 303) if asks_for_root and "token" in request.query_params else None
        return None if _kind(path) in _OPEN else _sign_in_form(request.url.path)


async def overview(request: Request) -> Response:
    """Show every algorithm, how busy the server is, and the newest runs."""
    host = _host(request)
    rows = []
    for one in host.store.algorithms():
        versions = host.store.versions(one)
        rows.append((one, versions[0] if versions else None, next(iter(host.store.builds(one, limit=1)), None)))
    return _page("overview.html", algorithms=rows, runs=host.store.runs.newest(_RUNS), **_live(host))


async def live(request: Request) -> Response:
    """Show how busy the server is: a piece of the overview, for its script."""
    return _page("live.html", **_live(_host(request)))


async def algorithm(request: Request) -> Response:
    """Show an algorithm: versions, builds, errors and its newest runs."""
    host = _host(request)
    path = f"{request.path_params['owner']}/{request.path_params['name']}"
    one = next((known for known in host.store.algorithms() if known.path == path), None)
    if one is None:
        raise HTTPException(404)
    return _page(
        "algorithm.html",
        algorithm=one,
        versions=host.store.versions(one),
        builds=host.store.builds(one, limit=_BUILDS),
        errors=host.store.errors(one),
        runs=host.store.runs.newest(_RUNS, one.id),
        names={one.id: one.path},
    )


async def build(request: Request) -> Response:
    """Show a build with its log."""
    host = _host(request)
    one, found = _build(host, request.path_params["build"])
    log, whole = _log(host.builder.log(found))
    versions = [version.semantic for version in host.store.versions(one) if version.build_id == found.id]
    return _page("build.html", algorithm=one, build=found, log=log, whole=whole, versions=versions)


async def run(request: Request) -> Response:
    """Show a run: its duration against its timeout, and where the time went."""
    host = _host(request)
    found = host.store.runs.find(request.path_params["run"])
    if found is None:
        raise HTTPException(404)
    one = next(known for known in host.store.algorithms() if known.id == found.algorithm_id)
    profile = host.store.runs.profile(found.request_id)
    rows = tree(profile) if profile else []
    drawn = flame(rows, profile.roots) if profile else None
    return _page("run.html", algorithm=one, run=found, profile=profile, rows=rows, flame=drawn)


async def static(request: Request) -> Response:
    """Return the style sheet, the script or the icon."""
    found = _STATIC.get(request.path_params["name"])
    if found is None:
        raise HTTPException(404)
    return Response(found[0], media_type=found[1])


async def sign_in(request: Request) -> Response:
    """Take a key from the form and go to the page that was asked for."""
    content = b""
    try:
        async with asyncio.timeout(pace.GRACE):
            async for chunk in request.stream():
                content += chunk
                if len(content) > _FORM:
                    return _sign_in_form("/", wrong=True)
    except (TimeoutError, ClientDisconnect):
        return _sign_in_form("/", wrong=True)
    form = parse_qs(content.decode("ascii", "replace"))
    wanted = form.get("next", ["/"])[0]
    if not _WANTED.fullmatch(wanted):
        wanted = "/"
    visitors: Visitors = request.app.state.visitors
    shown = visitors.sign_in(form.get("key", [""])[0].strip())
    if shown is None:
        return _sign_in_form(wanted, wrong=True)
    return _remembered(request, shown, RedirectResponse(wanted, 303))


async def sign_out(request: Request) -> Response:
    """Forget a visitor."""
    visitors: Visitors = request.app.state.visitors
    visitors.sign_out(request.cookies.get(_cookie(request), ""))
    answer = RedirectResponse("/", 303)
    answer.delete_cookie(_cookie(request), httponly=True, samesite="strict")
    return answer


def _kind(path: str) -> str:
    """Return what a path begins with, see `_OURS`. `//v1` is a path of the API, misspelt."""
    return "/" if path == "/" else path.removeprefix("/").partition("/")[0]


def _live(host: Host) -> dict[str, Any]:
    known = host.store.algorithms()
    newest = [(one, build) for one in known for build in host.store.builds(one, limit=1)]
    building = [(one, build) for one, build in newest if build.status == "in-progress"]
    return {"loads": host.loads(), "building": building, "names": {one.id: one.path for one in known}}


def _build(host: Host, build_id: str) -> tuple[Algorithm, Build]:
    for one in host.store.algorithms():
        if found := host.store.build(one, build_id):
            return one, found
    raise HTTPException(404)


def _log(path: Path) -> tuple[str, bool]:
    """Return a log's end, and whether that is all of it."""
    try:
        with path.open("rb") as file:
            start = max(0, file.seek(0, 2) - _LOG)
            file.seek(start)
            return file.read(_LOG).decode("utf-8", "replace"), start == 0
    except FileNotFoundError:
        return "", True


def _host(request: Request) -> Host:
    host: Host = request.app.state.host
    return host


def _cookie(request: Request) -> str:
    """Return the name of the cookie: that of one server is sent to all on the same machine, whatever their port."""
    return f"algoprof-{request.url.port or 80}"


def _remembered(request: Request, shown: str, answer: Response) -> Response:
    answer.set_cookie(_cookie(request), shown, httponly=True, samesite="strict")
    return answer


def _sign_in_form(wanted: str, *, wrong: bool = False) -> Response:
    answer = _page("sign-in.html", status=401, wanted=wanted, wrong=wrong)
    answer.headers["WWW-Authenticate"] = 'Simple realm="algoprof"'
    return answer


async def _not_found(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101  (for the type checker)
    return _page("refused.html", status=error.status_code, reason="There is no such page here, or no longer.")


async def _crash(_: Request, _error: Exception) -> Response:
    return _page("refused.html", status=500, reason="The server failed; its stderr says why.")


def _page(template: str, *, status: int = 200, **values: Any) -> Response:
    return HTMLResponse(_TEMPLATES.get_template(template).render(now=now_ms(), **values), status)


_TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(_HERE / "templates"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.filters |= {
    "name": wording.name,
    "lines": wording.lines,
    "seconds": wording.seconds,
    "share": wording.share,
    "moment": wording.moment,
    "clock": wording.clock,
    "age": wording.age,
}
_TEMPLATES.globals["bar"] = shapes.bar
