"""What a call costs the server, beside a bare endpoint: that no change makes it several times as dear unnoticed.

The limits are twice what `benchmarks/server_cost.py` finds on a busy machine, which also says what it is to be.
"""

import statistics
from contextlib import ExitStack
from pathlib import Path

import pytest
import requests

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
AT_MOST = {"local/plain": 8, "demo/Adk": 9}
BODY = b'{"text": "hello"}'
pytestmark = pytest.mark.alone


@pytest.fixture
def served(server, monkeypatch):
    """The shared server as the benchmarks see one."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from served import Served

    return Served(server.process.pid, server.address, server.key)


def test_an_echo_takes_few_times_the_processor_time_of_a_bare_endpoint(served):
    from http_load import Load
    from served import bare

    with bare() as peer, ExitStack() as opened:
        servers = {"bare": peer, **dict.fromkeys(AT_MOST, served)}
        loads = {
            name: Load(
                f"{of.address}/v1/algo/{'demo/Echo' if of is peer else name}", BODY, of.headers, expected=b"hello"
            )
            for name, of in servers.items()
        }
        for load in loads.values():
            opened.callback(load.close)
        spent = {name: [] for name in loads}
        for _ in range(6):  # the first one has workers load
            for name, load in loads.items():
                before = servers[name].processor_seconds()
                load.run(60)
                spent[name].append(servers[name].processor_seconds() - before)
    middle = {name: statistics.median(values[1:]) for name, values in spent.items()}
    for name, times in AT_MOST.items():
        assert middle[name] < times * middle["bare"], name


def test_a_large_call_needs_a_few_times_its_size(served):
    from server_memory import AT_MOST, INPUTS, above

    for content_type, content in INPUTS.values():
        assert above(served, f"{served.address}/v1/algo/local/plain", content_type, content) < AT_MOST * len(content)


def test_a_large_result_arrives_whole(served):
    content = bytes(range(256)) * 40_000
    headers = served.headers | {"Content-Type": "application/octet-stream"}
    url = f"{served.address}/v1/algo/local/plain"
    assert requests.post(url, content, params={"output": "raw"}, headers=headers, timeout=60).content == content
    text = '"\u20ac\\' + "\n" * 500_000
    answer = requests.post(url, text.encode(), headers=headers | {"Content-Type": "text/plain"}, timeout=60)
    assert answer.json()["result"] == text
