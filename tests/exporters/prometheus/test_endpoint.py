"""The endpoint over real HTTP: its paths, its port, and peers that misbehave."""

import gzip
import http.client
import logging
import socket
import time
import urllib.error
import urllib.request

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from algoprof.exporters.prometheus import PrometheusExporter
from algoprof.exporters.prometheus import endpoint as module
from algoprof.exporters.protocol import Context
from algoprof.profiles.batch import Batch
from algoprof.profiles.calls import Call
from algoprof.profiles.tree import Profile
from algoprof.settings import Settings


def get(address: str, path: str = "/metrics", **headers: str):
    request = urllib.request.Request(f"http://{address}{path}", headers=headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.status, answer.headers, answer.read()


def until(condition) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline


def test_a_scrape(make_exporter):
    exporter = make_exporter()
    exporter.export(Batch((Profile("job", (), duration_ns=5),)))
    status, headers, body = get(exporter.address)
    assert (status, headers["Content-Length"]) == (200, str(len(body)))
    assert headers["Content-Type"].startswith("text/plain; version=")
    assert b'algoprof_run_seconds_count{outcome="ok",run="job"} 1.0\n' in body


def test_openmetrics_and_gzip_by_negotiation(make_exporter):
    address = make_exporter().address
    status, headers, body = get(
        address, Accept="application/openmetrics-text; version=1.0.0", **{"Accept-Encoding": "gzip"}
    )
    assert (status, headers["Content-Encoding"]) == (200, "gzip")
    assert headers["Content-Type"].startswith("application/openmetrics-text")
    assert gzip.decompress(body).endswith(b"# EOF\n")


def test_other_paths_say_where_the_metrics_are(make_exporter):
    with pytest.raises(urllib.error.HTTPError) as caught:
        get(make_exporter().address, "/")
    with caught.value as answer:
        assert (answer.code, answer.read()) == (404, b"The metrics are at /metrics\n")


def test_only_loopback_by_default(make_exporter):
    assert make_exporter().address.startswith("127.0.0.1:")


def test_ipv6(make_exporter):
    try:
        exporter = make_exporter("[::1]:0")
        status, _, _ = get(exporter.address)
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    assert status == 200


def test_shutdown_gives_the_port_back(make_exporter):
    exporter = make_exporter()
    address = exporter.address
    exporter.shutdown(time.monotonic() + 30)
    with pytest.raises(OSError, match="refused"):
        get(address)
    again = make_exporter(address)
    assert get(again.address)[0] == 200


def test_a_strangers_port_costs_one_warning_and_is_taken_over(make_exporter, caplog, monkeypatch):
    monkeypatch.setattr(module, "_RETRY_SECONDS", 0.02)
    with socket.create_server(("127.0.0.1", 0)) as stranger, caplog.at_level(logging.WARNING, logger="algoprof"):
        address = "{}:{}".format(*stranger.getsockname())
        exporter = make_exporter(address)
        assert exporter.address == address
        until(lambda: caplog.records)
        peer, _ = stranger.accept()  # it was asked who it is
        peer.close()
    until(lambda: exporter._endpoint.listening)
    assert get(address)[0] == 200
    assert len(caplog.records) == 1
    assert f"not served at {address}: Address already in use" in caplog.records[0].message


def test_family_has_the_port_without_a_warning(make_exporter, caplog, monkeypatch):
    monkeypatch.setattr(module, "_RETRY_SECONDS", 0.02)
    with caplog.at_level(logging.WARNING, logger="algoprof"):
        holder = make_exporter()
        tries = []
        bind = module.Endpoint._bind
        monkeypatch.setattr(module.Endpoint, "_bind", lambda self: tries.append(1) or bind(self))
        heir = make_exporter(holder.address)
        until(lambda: len(tries) > 3)
        assert not heir._endpoint.listening
        holder.shutdown(time.monotonic() + 30)
        until(lambda: heir._endpoint.listening)
    assert get(heir.address)[0] == 200
    assert caplog.records == []


def test_another_family_is_a_stranger(make_exporter, caplog):
    with caplog.at_level(logging.WARNING, logger="algoprof"):
        holder = make_exporter(family="one")
        make_exporter(holder.address, family="two")
        until(lambda: caplog.records)


def test_an_address_that_cannot_be_had_costs_one_warning(make_exporter, caplog):
    with caplog.at_level(logging.WARNING, logger="algoprof"):
        make_exporter("192.0.2.1:9464")
        until(lambda: caplog.records)
    assert "192.0.2.1:9464" in caplog.records[0].message


def test_silent_peers_block_nobody_and_are_cut_off(make_exporter, monkeypatch, capfd):
    monkeypatch.setattr(module._Handler, "timeout", 0.3)
    address = make_exporter().address
    host, _, port = address.rpartition(":")
    peers = [socket.create_connection((host, int(port))) for _ in range(20)]
    peers[0].sendall(b"GET /metrics HTTP/1.0\r\n")  # and never the rest
    assert get(address)[0] == 200
    for peer in peers:
        peer.settimeout(30)
        assert peer.recv(10) == b""
        peer.close()
    assert capfd.readouterr().err == ""


def test_more_peers_than_allowed_are_turned_away(make_exporter, monkeypatch):
    monkeypatch.setattr(module, "_PEERS", 3)
    address = make_exporter().address
    host, _, port = address.rpartition(":")
    peers = [socket.create_connection((host, int(port)), timeout=30) for _ in range(4)]
    assert peers[3].recv(10) == b""  # in order of arrival, the fourth finds no place
    for peer in peers:
        peer.close()
    until(lambda: _answers(address))


def _answers(address: str) -> bool:
    try:
        return get(address)[0] == 200
    except OSError:
        return False


@pytest.mark.parametrize("request_line", [b"\0\xff\n\n", b"GET " + b"x" * 70_000 + b" HTTP/1.1\r\n\r\n", b"\r\n"])
def test_garbage_is_survived_in_silence(make_exporter, request_line, capfd):
    address = make_exporter().address
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=30) as peer:
        peer.sendall(request_line)
        peer.shutdown(socket.SHUT_WR)
        while peer.recv(65536):
            pass
    assert get(address)[0] == 200
    assert capfd.readouterr().err == ""


@given(st.text("application/openmetrics-text;version=escaping.,-*q 019", max_size=60))
@example("application/openmetrics-text; version==")
@example("application/openmetrics-text; version=2.x; escaping=?")
def test_whatever_a_scraper_says_that_it_accepts_it_gets_metrics(accepted):
    started = []
    exporter = PrometheusExporter(Context(Settings()), endpoint=False)
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/metrics", "QUERY_STRING": "", "HTTP_ACCEPT": accepted}
    body = b"".join(exporter.answer(environ, lambda status, *_: started.append(status) or (lambda data: None)))
    exporter.shutdown(deadline=0)
    assert (started, b"algoprof_build_info" in body) == (["200 OK"], True)


def test_other_methods_are_refused(make_exporter):
    connection = http.client.HTTPConnection(make_exporter().address, timeout=30)
    connection.request("POST", "/metrics", body=b"x")
    assert connection.getresponse().status == 405
    connection.close()


def test_scrapes_during_exports_see_every_call_in_the_end(make_exporter, scaled):
    exporter = make_exporter()
    count = scaled(2_000)
    for number in range(count):
        exporter.export(Batch(calls=(Call("demo/Routes", 0, 5, "ok", duration_ns=5),)))
        if number % (count // 10) == 0:
            assert get(exporter.address)[0] == 200
    body = get(exporter.address)[2]
    assert f'call_duration_seconds_count{{algorithm="demo/Routes",outcome="ok"}} {float(count)}\n'.encode() in body
