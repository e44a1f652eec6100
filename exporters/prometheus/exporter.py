"""The exporter named `prometheus`: counts what is pushed, and answers scrapes."""

import os
from collections.abc import Iterable
from itertools import count
from weakref import WeakSet
from wsgiref.types import StartResponse, WSGIEnvironment

from prometheus_client import CollectorRegistry, make_wsgi_app

from algoprof.exporters.prometheus.collector import AlgoprofCollector
from algoprof.exporters.prometheus.endpoint import Endpoint
from algoprof.exporters.protocol import Context
from algoprof.profiles.batch import Batch
from algoprof.settings import split_address

_alive: "WeakSet[PrometheusExporter]" = WeakSet()
_numbers = count()


class PrometheusExporter:
    """Serves Prometheus' text formats at `http://ADDRESS/metrics`, `127.0.0.1:9464` unless told otherwise.

    Args:
        context: where the numbers come from; its settings name the address.
        endpoint: whether to listen at all; an app of `wsgi_app` or `asgi_app` needs no port of its own.
        registry: where to register the collector; a registry of its own unless told otherwise, never the global one.

    >>> from algoprof.settings import Settings
    >>> exporter = PrometheusExporter(Context(Settings(prometheus_address="127.0.0.1:0")))
    >>> exporter.address.startswith("127.0.0.1:")
    True
    >>> exporter.shutdown(deadline=0)
    """

    def __init__(self, context: Context, *, endpoint: bool = True, registry: CollectorRegistry | None = None) -> None:
        self.collector = AlgoprofCollector(context)
        self.registry = registry or CollectorRegistry(support_collectors_without_names=True)
        self.registry.register(self.collector)
        self._endpoint: Endpoint | None = None
        if endpoint:
            host, port = split_address(context.settings.prometheus_address)
            self._endpoint = Endpoint(host, port, self.answer, context.family)
        self._number = next(_numbers)
        _alive.add(self)

    @property
    def address(self) -> str:
        """`HOST:PORT` of the endpoint; empty if it has none."""
        return self._endpoint.address if self._endpoint else ""

    def answer(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a scrape: a WSGI application."""
        app = make_wsgi_app(self.registry)
        answer: Iterable[bytes]
        try:
            answer = app(environ, start_response)
        except (TypeError, ValueError):  # prometheus-client's, of an Accept header that cannot be meant
            answer = app({**environ, "HTTP_ACCEPT": ""}, start_response)
        return answer

    def export(self, batch: Batch) -> None:
        """Count the runs, the calls and the builds of a batch."""
        self.collector.add(batch)

    def shutdown(self, deadline: float) -> None:
        """Stop listening by `deadline` on the monotonic clock, in seconds."""
        _alive.discard(self)
        if self._endpoint:
            self._endpoint.stop(deadline)

    def forked(self) -> None:
        """Leave the port and the lock to the parent, in a forked child."""
        self.collector.replace_lock()
        if self._endpoint:
            self._endpoint.close_socket()


def newest() -> PrometheusExporter | None:
    """Return the exporter of this process that was made last, or None if none is running."""
    return max(_alive, key=lambda exporter: exporter._number, default=None)  # noqa: SLF001  (of this module)


def _after_fork_in_child() -> None:
    for exporter in list(_alive):
        exporter.forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
