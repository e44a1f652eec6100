"""Apps that answer scrapes inside a web server that is there already: no port of their own."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, TypeAlias
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from algoprof import settings
from algoprof.exporters.prometheus.exporter import PrometheusExporter, newest
from algoprof.exporters.protocol import Context

_Message: TypeAlias = MutableMapping[str, Any]
ASGIApplication: TypeAlias = Callable[
    [_Message, Callable[[], Awaitable[_Message]], Callable[[_Message], Awaitable[None]]], Awaitable[None]
]


def wsgi_app(exporter: PrometheusExporter | None = None) -> WSGIApplication:
    """Return a WSGI app that answers every path with the metrics; mount it at `/metrics`.

    Args:
        exporter: whose metrics; by default those of the running `prometheus` exporter. If none is running, one
            without an endpoint is added to the configured exporters.

    Raises:
        ConfigurationError: if the configured exporters cannot be made.
    """
    found = exporter or _running()

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        # A forked worker's delivery makes its own exporter, so the one of now is looked up at every scrape.
        answering = found if exporter else newest() or found
        return answering.answer(environ, start_response)

    return app


def asgi_app(exporter: PrometheusExporter | None = None) -> ASGIApplication:
    """Return an ASGI app that answers every path with the metrics, off the event loop; mount it at `/metrics`.

    Args:
        exporter: as for `wsgi_app`.

    Raises:
        ConfigurationError: if the configured exporters cannot be made.
    """
    answer = wsgi_app(exporter)

    async def app(
        scope: _Message, receive: Callable[[], Awaitable[_Message]], send: Callable[[_Message], Awaitable[None]]
    ) -> None:
        if scope["type"] != "http":
            raise NotImplementedError(f"only HTTP is answered, not {scope['type']}")
        await receive()
        status, headers, body = await asyncio.to_thread(_answered, answer, scope)
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return app


def without_endpoint(context: Context) -> PrometheusExporter:
    """Make a `prometheus` exporter that listens nowhere: an exporter factory."""
    return PrometheusExporter(context, endpoint=False)


def _running() -> PrometheusExporter:
    if newest() is None:
        settings.configure()  # what the environment asks for may not be running yet
    if newest() is None:
        settings.configure(exporters=(*settings.get().exporters, without_endpoint))
    found = newest()
    assert found is not None  # noqa: S101  (configure has made one, or raised)
    return found


def _answered(app: WSGIApplication, scope: _Message) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    started: list[tuple[int, list[tuple[bytes, bytes]]]] = []

    def start_response(status: str, headers: list[tuple[str, str]], *_: object) -> Callable[[bytes], object]:
        encoded = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        started.append((int(status[:3]), encoded))
        return lambda _: None

    sent = [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in scope["headers"]]
    body = b"".join(
        app(
            {
                "REQUEST_METHOD": scope["method"],
                "PATH_INFO": scope["path"],
                "QUERY_STRING": scope.get("query_string", b"").decode("latin-1"),
                "HTTP_ACCEPT": ",".join(value for name, value in sent if name == "accept"),
                "HTTP_ACCEPT_ENCODING": ",".join(value for name, value in sent if name == "accept-encoding"),
            },
            start_response,
        )
    )
    return *started[0], body
