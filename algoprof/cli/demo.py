"""`algoprof demo`: a real algorithm built, called, timed section by section, killed by its timeout, and scraped."""

import contextlib
import os
import re
import shlex
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

import click
import requests
from rich.console import Console

import algoprof
from algoprof import delivery, settings
from algoprof.calls.algorithms import Algorithm
from algoprof.calls.client import client
from algoprof.cli.demo_bars import Bars
from algoprof.cli.demo_server import DemoServer
from algoprof.cli.output import Output
from algoprof.cli.printing import examples
from algoprof.cli.telling import opened
from algoprof.errors import CallTimeout, ConfigurationError, ServerError
from algoprof.exporters.prometheus.exporter import newest
from algoprof.exporters.text import render, render_calls
from algoprof.profiles.calls import Call
from algoprof.profiles.merging import merge

ALGORITHM = "demo/Routes"
"""What the example's folder calls itself."""
CITIES = (40, 60, 90, 135, 200, 300, 450, 675, 1000)
"""The inputs, each taking three to four times as long as the one before, until one runs into the timeout."""

_BUDGET_LINES = ("algoprof_call_budget_used_ratio", "algoprof_call_timeout_seconds", "algoprof_call_timeouts_total")


@dataclass(frozen=True, slots=True)
class _Made:
    """A call that was made: its input in words, its record, and what the algorithm answered, if it did."""

    asked: str
    call: Call
    result: Any = None


@click.command(epilog=examples("algoprof demo", "algoprof demo --timeout 3 --keep"))
@click.option("--keep", is_flag=True, help="Leave the server and the metrics endpoint up until Ctrl-C.")
@click.option("--timeout", type=click.FloatRange(1, 300), default=6.0, show_default=True, help="Seconds for each call.")
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("demo.algoprof"),
    show_default=True,
    help="Where to write the profile.",
)
def command(*, keep: bool, timeout: float, output: Path) -> None:
    """Host an algorithm here, call it with growing inputs until its timeout kills it, and show where the time went.

    The algorithm plans round trips through real cities. Everything runs on this machine and is stopped at the end.
    """
    console = Console(highlight=False)
    project = _example()
    Output(output)  # tried now: a minute's work is not lost for want of a place
    settings.configure(exporters=["prometheus"], prometheus_address="127.0.0.1:0", report="never")
    try:
        with _ended_in_order():
            _step(console, f"Building {ALGORITHM} from {_near(project)} and hosting it under the platform's contract")
            with DemoServer(project, lambda line: _line(console, line)) as server:
                _show_build(console, server, project)
                made = _call(console, server, timeout)
                _show_calls(console, made)
                _show_kill(console, made)
                _show_tree(console, made, output)
                metrics = _show_metrics(console)
                if keep:
                    _stay(console, server, metrics)
    finally:
        delivery.shutdown()


def _example() -> Path:
    """Return the example's folder; it is in the repository, not in the wheel."""
    path = Path(algoprof.__file__).resolve().parents[1] / "examples" / "routes"
    if not (path / "algorithmia.conf").is_file():
        raise ConfigurationError(
            "the demo's algorithm is in the repository and not in this installation: clone it and run `make demo` there"
        )
    return path


@contextlib.contextmanager
def _ended_in_order() -> Iterator[None]:
    """Make a polite kill or a closed terminal end the demo as Ctrl-C does, so that what it started is stopped."""
    before = {number: signal.signal(number, _interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def _show_build(console: Console, server: DemoServer, project: Path) -> None:
    builds = f"/v1/algorithms/{ALGORITHM}/builds"
    newest = server.get(builds)["results"][0]
    log: list[str] = server.get(f"{builds}/{newest['build_id']}/logs")["logs"].splitlines()
    _line(
        console, f"its build has {newest['status']}: it {_installed(log, (project / 'requirements.txt').read_text())}"
    )


def _installed(log: list[str], requirements: str) -> str:
    """Return in a few words what a build installed: what was required by name, and how much came with it.

    >>> _installed(["Successfully installed idna-3.10 routes-data-1.2 six-1.17.0"], "routes-data>=1  # cities")
    'installed routes-data and 2 more'
    """
    done = next((line for line in reversed(log) if line.startswith("Successfully installed ")), "")
    names = [word.rpartition("-")[0] for word in done.split()[2:]]
    required = [name for name in names if re.search(rf"(?m)^{re.escape(name)}(?![\w.-])", requirements)]
    return f"installed {', '.join(required)} and {len(names) - len(required)} more"


def _call(console: Console, server: DemoServer, timeout: float) -> list[_Made]:
    """Call with growing inputs until one is killed, then with that input once more, told to stop in time."""
    _step(console, f"Calling it with growing inputs, {timeout:g} s for each")
    made: list[_Made] = []
    with client(server.key, server.address) as caller, Bars(console, timeout) as bars:
        algorithm = caller.algo(ALGORITHM).set_options(timeout=timeout)
        for cities in CITIES:
            made.append(_make(bars, algorithm, f"{cities} cities", {"cities": cities}))
            if made[-1].call.outcome == "timeout":
                made.append(_make(bars, algorithm, "again, in time", {"cities": cities, "mode": "anytime"}))
                return made
    raise ServerError(f"this machine plans {CITIES[-1]} cities within {timeout:g} s: choose a shorter --timeout")


def _make(bars: Bars, algorithm: Algorithm, asked: str, given: dict[str, object]) -> _Made:
    with bars.running(asked) as end:
        try:
            response = algorithm.pipe(given)
        except CallTimeout as error:
            made = _Made(asked, error.call)
        else:
            made = _Made(asked, response.call, response.result)
        end(made.call.outcome, made.call.duration or made.call.wall)
    return made


def _show_calls(console: Console, made: list[_Made]) -> None:
    _step(console, "What the calls took of their timeout")
    _block(console, render_calls(replace(one.call, algorithm=f"{ALGORITHM}, {one.asked}") for one in made))


def _show_kill(console: Console, made: list[_Made]) -> None:
    *_, killed, rescued = made
    _step(console, f"What was open when its timeout killed the call with {killed.asked}")
    if killed.call.profile is None:
        raise ServerError("the killed call brought no profile home")
    for line in opened(killed.call.profile):
        _line(console, line)
    result = rescued.result
    _line(
        console,
        f"With `budget().remaining` it stopped in time, after {result['starts']} of {result['cities']} starts:"
        f" {result['km_before']:,} km became {result['km_after']:,} km.",
    )


def _show_tree(console: Console, made: list[_Made], output: Path) -> None:
    profiles = [one.call.profile for one in made if one.call.profile]
    _step(console, f"Where the time of {len(profiles)} calls went")
    merged = merge(profiles, ALGORITHM)
    _block(console, render(merged))
    merged.save(output)
    _line(console, f"written to {output}; {_program()} report {output} shows it again")


def _show_metrics(console: Console) -> str:
    """Scrape the endpoint of this very process, as Prometheus would, and return its address."""
    delivery.flush(timeout=5)
    exporter = newest()
    if exporter is None:
        raise ServerError("the metrics endpoint is not up")
    address = f"http://{exporter.address}/metrics"
    _step(console, f"What Prometheus scrapes at {address} about the budget")
    with requests.Session() as session:
        session.trust_env = False  # a proxy for the outside is no way to this very machine
        answer = session.get(address, timeout=5)
    answer.raise_for_status()
    for line in _telling(answer.text.splitlines()):
        _line(console, line)
    return address


def _telling(lines: list[str]) -> Iterator[str]:
    """Yield the samples about the budget, without the buckets that add nothing to the one before."""
    count = "0.0"
    for line in lines:
        name, _, value = line.rpartition(" ")
        if not name.startswith(_BUDGET_LINES) or "_created" in name:
            continue
        if "_bucket" not in name:
            yield line
        elif value != count:
            count = value
            yield line


def _stay(console: Console, server: DemoServer, metrics: str) -> None:
    _step(console, "Still up, until Ctrl-C")
    _line(console, f"server:  {server.address}")
    _line(console, f"metrics: {metrics}")
    asked = f"""call {ALGORITHM} --data '{{"cities": 100}}' --timeout 60 --profile"""
    _line(console, f"try:     {_program()} {asked} --data-dir {shlex.quote(str(server.home / 'algoprof'))}")
    with contextlib.suppress(KeyboardInterrupt):
        server.wait()


def _program() -> str:
    """Return how one starts algoprof here: by the script beside this Python, where there is one."""
    script = Path(sys.executable).with_name("algoprof")
    return _near(script) if script.is_file() else f"{_near(Path(sys.executable))} -m algoprof"


def _near(path: Path) -> str:
    """Return a path as one would type it here."""
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)


def _step(console: Console, text: str) -> None:
    console.print(f"\n[bold]==> {text}[/bold]", soft_wrap=True)


def _line(console: Console, text: str) -> None:
    console.print(f"  {text}", markup=False, soft_wrap=True)


def _block(console: Console, text: str) -> None:
    for line in text.splitlines():
        _line(console, line)
