"""`AsyncClient`: what `client` does, awaited; many calls as tasks; and nothing of httpx where it is not used."""

import asyncio
import gc
import itertools
import json
import subprocess
import sys

import pytest

import algoprof
from algoprof.errors import CallOutOfBudget, CallRefused, ConfigurationError, InputRefused, NotOffered

AT_ONCE = {"Retry-After": "0"}


@pytest.fixture
async def algo(platform):
    async with algoprof.AsyncClient("simKey", platform.address) as client:
        yield client.algo("demo/Routes").set_options(timeout=60)


@pytest.fixture
def echo(platform):
    platform.answering = lambda asked: json.dumps(
        {"result": json.loads(asked.body), "metadata": {"content_type": "json", "duration": 0}}
    ).encode()


@pytest.fixture
def silent(raw_server):
    """Serve what answers the first request with `1` and no other one, each on a connection of its own."""
    answered = itertools.count()

    def script(connection, stop):
        read_request(connection)
        if next(answered):
            connection.recv(1)
        else:
            connection.sendall(b'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{"result": 1}')

    return raw_server(script)


def read_request(connection):
    """Read a request with its body: to close before all is read may lose the answer."""
    received = b""
    while not received.partition(b"\r\n\r\n")[2]:
        chunk = connection.recv(65536)
        if not chunk:
            raise OSError("closed")
        received += chunk


async def tasks_end():
    others = asyncio.all_tasks() - {asyncio.current_task()}
    if others:
        _, running = await asyncio.wait(others, timeout=60)
        assert not running


async def test_what_goes_out_and_what_comes_back(platform, algo, recorded):
    response = await algo.pipe({"cities": 20})
    assert (response.result, response.call.outcome, response.call.duration) == ("hi", "ok", 0.25)
    asked = platform.asked[0]
    assert (asked.path, asked.query["timeout"]) == ("/v1/algo/demo/Routes", ["60"])
    assert (asked.headers["authorization"], asked.body) == ("Simple simKey", b'{"cities": 20}')
    assert asked.headers["accept-encoding"] == "identity"
    assert asked.headers["traceparent"].split("-")[1] == response.call.trace_id
    assert recorded[-1] is response.call


async def test_it_fails_as_the_other_does(platform, algo):
    platform.answers({"error": {"message": "no", "code": 2001}}, 403)
    with pytest.raises(CallRefused, match="callability"):
        await algo.pipe(None)
    with pytest.raises(InputRefused):
        await algo.pipe(object())
    with pytest.raises(ConfigurationError, match="api_address"):
        algoprof.AsyncClient("simKey", platform.address).algo("http://h/v1/algo/a/b")
    with algoprof.profile("job", timeout=1e-9), pytest.raises(CallOutOfBudget):
        await algo.pipe(None)


async def test_what_only_the_other_client_does_says_how_a_thread_does_it(platform, algo):
    client = algoprof.AsyncClient("simKey", platform.address)
    thread = "await asyncio.to_thread(algoprof.client(...).algo('demo/Routes').examine, ...)"
    for refused, words in (
        (algo.examine, f"examine for asyncio: write `{thread}`"),
        (algo.set_secret, "Algorithmia.client(...).algo('demo/Routes').set_secret(...)"),
        (client.create_user, "Algorithmia.client(...).create_user(...)"),
    ):
        with pytest.raises(NotOffered) as raised:
            refused("b1")
        assert words in str(raised.value)
    for one in (client, algo):
        with pytest.raises(AttributeError):
            one.no_such_method  # noqa: B018


async def test_it_tries_again_where_that_is_safe(platform):
    platform.first = [(429, AT_ONCE)]
    async with algoprof.AsyncClient("simKey", platform.address, retries=1) as client:
        with algoprof.capture_calls() as calls:
            assert (await client.algo("demo/Routes").pipe(None)).result == "hi"
    assert [(call.attempt, call.outcome) for call in calls] == [(1, "refused"), (2, "ok")]


async def test_nobody_listens():
    async with algoprof.AsyncClient("simKey", "http://127.0.0.1:1") as client:
        with pytest.raises(ConnectionError, match="refused; start one") as raised:
            await client.algo("demo/Routes").pipe(None)
    assert raised.value.retry_after == 0.0


@pytest.mark.real("openssl")
async def test_tls_is_verified(raw_server, certificate):
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)

    def script(connection, stop):
        with context.wrap_socket(connection, server_side=True) as secure:
            read_request(secure)
            secure.sendall(b'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{"result": 1}')

    address = raw_server(script).replace("http:", "https:")
    async with algoprof.AsyncClient("simKey", address) as client:
        with pytest.raises(ConnectionError, match=r"TLS failed.*pass ca_cert"):
            await client.algo("demo/Routes").pipe(None)
    async with algoprof.AsyncClient("simKey", address, str(certificate[0])) as client:
        assert (await client.algo("demo/Routes").pipe(None)).result == 1


async def test_neither_cookies_nor_a_proxy(platform, algo, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    platform.headers["Set-Cookie"] = "track=me"
    await algo.pipe(None)
    await algo.pipe(None)
    assert "cookie" not in platform.asked[1].headers


def test_each_event_loop_has_connections_of_its_own(platform):
    client = algoprof.AsyncClient("simKey", platform.address)

    async def call():
        result = (await client.algo("demo/Routes").pipe(None)).result
        await client.close()
        return result

    assert [asyncio.run(call()) for _ in range(2)] == ["hi", "hi"]


async def test_a_call_that_is_cancelled_is_recorded(silent):
    async with algoprof.AsyncClient("simKey", silent) as client:
        algo = client.algo("demo/Routes")
        await algo.pipe(None)
        with algoprof.capture_calls() as calls, pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await algo.pipe(None)
        assert [call.outcome for call in calls] == ["cancelled"]


@pytest.mark.parametrize("ordered", [True, False])
async def test_many(algo, echo, ordered):
    responses = algo.pipe_many(range(50), 8, ordered=ordered)
    told = {response.index: response.result async for response in responses}
    assert told == {number: number for number in range(50)}
    assert not ordered or list(told) == [*range(50)]
    await tasks_end()


async def test_many_from_an_asynchronous_iterator_without_an_end(algo, echo):
    taken = []

    async def inputs():
        for number in itertools.count():
            taken.append(number)
            yield number
            await asyncio.sleep(0)

    async with algo.pipe_many(inputs(), 3) as responses:
        async for response in responses:
            assert len(taken) <= response.index + 1 + 6
            if response.index == 20:
                break
    kept = [response.index async for response in responses]
    assert kept == sorted(kept)
    await tasks_end()


async def test_failures_of_many(algo, echo):
    inputs = [0, object(), 2]
    first, failed, last = [one async for one in algo.pipe_many(inputs, on_error="return")]
    assert (first.result, failed.index, last.result) == (0, 1, 2)
    assert [one async for one in algo.pipe_many([object()], on_error=lambda error: error.index)] == [0]
    responses = algo.pipe_many(inputs)
    assert (await anext(responses)).result == 0
    with pytest.raises(InputRefused):
        await anext(responses)
    await tasks_end()


async def test_what_the_inputs_raise_comes_after_what_they_gave(algo, echo):
    def inputs():
        yield 0
        raise LookupError("the file is torn")

    responses = algo.pipe_many(inputs())
    assert (await anext(responses)).result == 0
    with pytest.raises(LookupError, match="torn"):
        await anext(responses)
    assert [one async for one in responses] == []


async def test_many_that_are_put_off_come_again(platform, algo, echo):
    platform.first = [(429, AT_ONCE)] * 3 + [(503, AT_ONCE)]
    with algoprof.capture_calls() as calls:
        assert [response.index async for response in algo.pipe_many(range(10), 4)] == [*range(10)]
    assert sorted(call.outcome for call in calls) == ["ok"] * 10 + ["platform_error"] + ["refused"] * 3
    platform.first = [(429, {"Retry-After": "3600"})]
    (failed,) = [one async for one in algo.pipe_many([1], on_error="return")]
    assert failed.retry_after == 3600.0


async def test_who_waits_is_cancelled_and_so_are_the_calls(silent):
    async with algoprof.AsyncClient("simKey", silent) as client:
        with algoprof.capture_calls() as calls:
            responses = client.algo("demo/Routes").pipe_many(itertools.count(), 2, ordered=False)
            assert (await anext(responses)).result == 1
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await anext(responses)
        assert {call.outcome for call in calls} == {"ok", "cancelled"}
        await tasks_end()


async def test_one_that_is_dropped_ends_too(silent):
    async with algoprof.AsyncClient("simKey", silent) as client:
        responses = client.algo("demo/Routes").pipe_many(itertools.count(), 2, ordered=False)
        await anext(responses)
        del responses
        gc.collect()
        await tasks_end()


async def test_the_context_goes_along(algo, echo):
    with algoprof.profile("job", timeout=50):
        responses = [response async for response in algo.pipe_many(range(3))]
    assert all(response.call.cut and response.call.timeout < 50 for response in responses)


BASE = """
import sys, algoprof
algoprof.client
algoprof.AsyncClient
assert "httpx" not in sys.modules
sys.modules["httpx"] = None
try:
    algoprof.AsyncClient("simKey", "http://127.0.0.1:1")
except ValueError as error:
    print(error)
"""


def test_without_httpx_it_says_what_to_install():
    done = subprocess.run([sys.executable, "-c", BASE], check=False, capture_output=True, text=True)
    assert done.stdout == "AsyncClient needs httpx: pip install 'algoprof[async]'\n", done.stderr
