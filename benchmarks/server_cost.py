"""What a call costs `algoprof serve`, beside a bare Starlette endpoint on uvicorn that echoes JSON.

Run it with `make bench`; `--json` prints figures instead of tables, `--data FOLDER` keeps what was built for the next
time. The client is `http_load.py`, the same for all. Throughput is that of several connections which each send their
next request once they have an answer, in turn and round by round, and beside it stands what the server's process and
its workers take of a processor for a call. Latency is that of requests that come at even distances, at half the rate
that the dearest of ours can take. The control is the bare endpoint once more.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import requests
import server_memory
from http_load import Load
from served import Served, bare, ours

AT_LEAST = {"Adk": 1 / 3, "Plain": 1 / 2}
"""Of the bare endpoint's throughput."""
AT_MOST_ADDED = 0.005
"""Seconds that the slowest hundredth of the calls takes longer."""

_BARE, _CONTROL = "a bare endpoint", "the control, the same"
_OURS = ("Plain", "Adk", "PlainTraced", "AdkTraced")
_BODY = b'{"numbers": [1, 2, 3], "text": "hello"}'


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--replicas", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--calls", type=int, default=200, help="of each, in a round")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measured(options.data or Path(folder), options)
    print(json.dumps(found, indent=1) if options.json else shown(found))


def measured(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Return all figures."""
    with bare() as peer, ours(folder, _OURS, "--replicas", str(options.replicas)) as server, ExitStack() as opened:
        servers = {_BARE: peer, _CONTROL: peer, **dict.fromkeys(_OURS, server)}
        cold = {name: cold_start(server, name) for name in _OURS}
        loads = {
            name: Load(
                of.url(name if name in _OURS else "Echo"),
                _BODY,
                of.headers,
                connections=options.connections,
                expected=b'"hello"',
            )
            for name, of in servers.items()
        }
        for load in loads.values():
            opened.callback(load.close)
        rates, processor = throughput(loads, servers, options)
        half = min(statistics.median(rates[name]) for name in AT_LEAST) / 2
        latencies = latency({name: loads[name] for name in (_BARE, _CONTROL, *AT_LEAST)}, half, options)
    return {
        "throughput": {name: _rate(values, rates[_BARE]) for name, values in rates.items()},
        "processor": {name: statistics.median(values) for name, values in processor.items()},
        "latency": {"rate": half, **latencies},
        "cold start": cold,
        "memory": server_memory.measured(folder),
    }


def throughput(
    loads: Mapping[str, Load], servers: Mapping[str, Served], options: argparse.Namespace
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Return, round by round, the calls per second of each, and the processor's seconds that its server takes."""
    rates: dict[str, list[float]] = {name: [] for name in loads}
    processor: dict[str, list[float]] = {name: [] for name in loads}
    for load in loads.values():
        load.run(options.calls)  # workers load
    for _ in range(options.rounds):
        for name, load in loads.items():
            load.run(options.calls // 10)
            before, began = servers[name].processor_seconds(), time.perf_counter()
            load.run(options.calls)
            rates[name].append(options.calls / (time.perf_counter() - began))
            processor[name].append((servers[name].processor_seconds() - before) / options.calls)
    return rates, processor


def latency(loads: Mapping[str, Load], rate: float, options: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Return median and 99th percentile of what calls take at a rate, in seconds."""
    took: dict[str, list[float]] = {name: [] for name in loads}
    for _ in range(options.rounds):
        for name, load in loads.items():
            took[name] += load.run_at(rate, options.calls)
    percents = {name: statistics.quantiles(values, n=100) for name, values in took.items()}
    return {name: {"median": values[49], "p99": values[98]} for name, values in percents.items()}


def cold_start(server: Served, name: str) -> dict[str, float]:
    """Return where the first call of an algorithm says that its load went, in seconds."""
    answer = requests.post(server.url(name), _BODY, headers=server.headers, timeout=60).json()
    parts: dict[str, float] = answer["metadata"]["algoprof"]["cold_start"]
    return parts


def _rate(values: list[float], baseline: list[float]) -> dict[str, float]:
    deciles = statistics.quantiles([mine / other for mine, other in zip(values, baseline, strict=True)], n=10)
    return {"per_second": statistics.median(values), "low": deciles[0], "ratio": deciles[4], "high": deciles[8]}


def shown(found: Mapping[str, Any]) -> str:
    """Return the figures as text."""
    lines = ["echo calls per second, their share of a bare Starlette endpoint's in the same round, and the server's"]
    lines.append("processor time for each call, its workers' included, as a multiple of the bare endpoint's")
    for name, rate in found["throughput"].items():
        limit = f"   at least {AT_LEAST[name]:.2f}" if name in AT_LEAST else ""
        times = found["processor"][name] / found["processor"][_BARE]
        spread = f"({rate['low']:.2f} to {rate['high']:.2f})"
        lines.append(f"  {name:22} {rate['per_second']:7.0f}/s  {rate['ratio']:.2f}   {spread}   {times:.1f}{limit}")
    lines.append(f"latency at {found['latency']['rate']:.0f} calls per second, half of what is possible, milliseconds")
    for name, values in found["latency"].items():
        if name != "rate":
            added = (values["p99"] - found["latency"][_BARE]["p99"]) * 1000
            limit = f"   added {added:.1f}, at most {AT_MOST_ADDED * 1000:g}" if name in AT_LEAST else ""
            lines.append(f"  {name:22} median {values['median'] * 1000:.2f}   99 % {values['p99'] * 1000:.2f}{limit}")
    lines.append("a cold start, milliseconds")
    for name, parts in found["cold start"].items():
        told = ", ".join(f"{part} {seconds * 1000:.0f}" for part, seconds in parts.items())
        lines.append(f"  {name:22} {told}")
    return "\n".join([*lines, server_memory.shown(found["memory"])])


if __name__ == "__main__":
    main()
