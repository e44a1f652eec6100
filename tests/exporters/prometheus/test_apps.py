"""Apps inside somebody else's web server."""

import io
import wsgiref.util
from wsgiref.validate import validator

import pytest

from algoprof import delivery, settings
from algoprof.exporters.prometheus import PrometheusExporter, asgi_app, wsgi_app
from algoprof.exporters.prometheus import exporter as module
from algoprof.profiles.batch import Batch
from algoprof.profiles.calls import Call


@pytest.fixture(autouse=True)
def _fresh(monkeypatch):
    monkeypatch.setattr(delivery.process, "_state", delivery.process._State())
    monkeypatch.setattr(module, "_alive", type(module._alive)())
    settings.reset()
    yield
    delivery.shutdown()
    settings.reset()


def ask_wsgi(app) -> tuple[str, bytes]:
    environ = {"PATH_INFO": "", "QUERY_STRING": "", "wsgi.input": io.BytesIO()}
    wsgiref.util.setup_testing_defaults(environ)
    environ["PATH_INFO"] = ""  # mounted at /metrics
    environ["SCRIPT_NAME"] = "/metrics"
    statuses = []
    answer = validator(app)(environ, lambda status, headers, *_: statuses.append(status) or (lambda data: None))
    body = b"".join(answer)
    answer.close()
    return statuses[0], body


async def ask_asgi(app, **scope) -> tuple[int, dict[bytes, bytes], bytes]:
    sent = []

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        sent.append(message)

    default = {"type": "http", "method": "GET", "path": "/metrics", "query_string": b"", "headers": []}
    await app(default | scope, receive, send)
    start, body = sent
    return start["status"], dict(start["headers"]), body["body"]


def test_without_configuration_the_app_adds_an_exporter_that_listens_nowhere():
    app = wsgi_app()
    delivery.call_ended(delivery.call_started("demo/Routes", 60.0), Call("demo/Routes", 0, 5, "ok", duration_ns=5))
    assert delivery.flush(30) == 0
    status, body = ask_wsgi(app)
    assert status == "200 OK"
    assert b'algoprof_call_duration_seconds_count{algorithm="demo/Routes",outcome="ok"} 1.0\n' in body
    assert module.newest().address == ""


def test_with_a_running_exporter_the_app_is_its_second_door(monkeypatch):
    monkeypatch.setenv("ALGOPROF_EXPORTERS", "prometheus")
    monkeypatch.setenv("ALGOPROF_PROMETHEUS_ADDRESS", "127.0.0.1:0")
    app = wsgi_app()
    assert module.newest().address.startswith("127.0.0.1:")
    assert len(module._alive) == 1
    assert ask_wsgi(app)[0] == "200 OK"


async def test_asgi():
    app = asgi_app()
    status, headers, body = await ask_asgi(app)
    assert (status, headers[b"content-type"].startswith(b"text/plain")) == (200, True)
    assert b"algoprof_build_info{" in body
    status, headers, _ = await ask_asgi(
        app, headers=[(b"Accept", b"application/openmetrics-text; version=1.0.0"), (b"accept-encoding", b"gzip")]
    )
    assert headers[b"content-type"].startswith(b"application/openmetrics-text")
    assert headers[b"content-encoding"] == b"gzip"
    assert (await ask_asgi(app, method="POST"))[0] == 405
    with pytest.raises(NotImplementedError):
        await ask_asgi(app, type="websocket")


def test_an_exporter_of_ones_own(make_exporter):
    exporter = make_exporter(endpoint=False)
    assert isinstance(exporter, PrometheusExporter)
    exporter.export(Batch(calls=(Call("own/One", 0, 5, "ok"),)))
    assert b'algorithm="own/One"' in ask_wsgi(wsgi_app(exporter))[1]
