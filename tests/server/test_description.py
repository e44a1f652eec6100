"""What the server says of itself in OpenAPI is true: each route is described, and each description holds."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from starlette.routing import Match, Route

from algoprof.server.app import OPEN, application
from algoprof.server.description.document import document
from algoprof.server.monitoring import scrapes

NOT_CHECKED = (
    "negative_data_rejection",  # a parameter that is unknown or cannot be meant is passed over, as on the platform
    "positive_data_acceptance",  # what is well formed may still be refused: there is no such build, it is published
    "missing_required_header",  # no header is required but the key, and that is looked at
)


def routes() -> list[Route]:
    """The routes of the API. The pages for people are none of them."""
    nothing: Any = None
    pages: Any = application(nothing, nothing, nothing, nothing, nothing)
    return [route for route in pages._below.routes if isinstance(route, Route)]


def described() -> list[tuple[str, str]]:
    """Each method that is described, with a path that it is asked with."""
    return [
        (method.upper(), re.sub(r"{\w+}", "x", path.replace("{folder}", "temp")))
        for path, item in document()["paths"].items()
        for method in item
        if method != "parameters"
    ]


def takes(route: Route, method: str, path: str) -> bool:
    return route.matches({"type": "http", "method": method, "path": path})[0] is Match.FULL


def references(value: Any) -> list[str]:
    if isinstance(value, list):
        return [found for item in value for found in references(item)]
    if isinstance(value, dict):
        return [value["$ref"]] if "$ref" in value else references(list(value.values()))
    return []


def test_whatever_is_described_is_there():
    every = routes()
    assert [asked for asked in described() if not any(takes(route, *asked) for route in every)] == []


def test_whatever_is_there_is_described():
    every = described()
    left_out = [
        (route.path, method)
        for route in routes()
        if "{id:uuid}" not in route.path  # another name for what {owner}/{name} names, as the description says
        for method in (route.methods or set()) - {"HEAD", "OPTIONS", "TRACE"}
        if route.path != "/v1/data" or method == "GET"  # its other methods are those of what lies below
        if not any(takes(route, method, path) for one, path in every if one == method)
    ]
    assert left_out == []


def test_every_reference_leads_somewhere_and_nothing_is_described_that_nobody_meets():
    whole = document()
    met = set(references(whole))
    for kind in ("schemas", "parameters", "responses"):
        there = {f"#/components/{kind}/{name}" for name in whole["components"][kind]}
        used = {name for name in met if name.startswith(f"#/components/{kind}/")}
        assert used == there, kind


def test_anybody_may_read_it(server):
    answer = requests.get(f"{server.address}/openapi.json", timeout=20)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/json")
    assert answer.json() == document()


def test_who_shows_no_key_and_who_asks_in_another_way_is_refused_wherever_that_is(server):
    paths: dict[str, set[str]] = {}
    for method, path in described():
        if not path.startswith("/v1/admin") and ".session" not in path:
            paths.setdefault(path, set()).add(method)
    for path, methods in paths.items():
        for method in (
            methods if path not in {*OPEN, scrapes.PATH} else ()
        ):  # who may read the metrics has its own tests
            answer = requests.request(method, server.address + path, timeout=20)
            assert answer.status_code == 401, (method, path)
        for method in {"GET", "PUT", "POST", "PATCH", "DELETE", "OPTIONS", "TRACE", "QUERY"} - methods:
            answer = server.session.request(method, server.address + path, timeout=20)
            assert answer.status_code == 405, (method, path)
            if method != "QUERY" or "/data" not in path:  # the Allow of what nobody knows is that of the route
                assert {*answer.headers["Allow"].split(", ")} - {"HEAD"} == methods - {"HEAD"}, (method, path)


@pytest.fixture
def narrow(server, tmp_path) -> Iterator[Path]:
    """The description as the server gives it, with paths that lead to what is there, mostly."""
    whole = server.get("/openapi.json").json()
    build = server.get("/v1/algorithms/local/plain/builds").json()["results"][0]
    there = {
        "owner": ["local"],
        "name": ["plain", "nothing"],
        "version": ["1.0.0", "latest", "nothing"],
        "hash": [build["commit_sha"], "1.0.0", "nothing"],
        "build": [build["build_id"], "nothing"],
        "user": [".my"],
        "collection": ["described"],
        "file": ["a.txt", "grüße"],
    }
    for name, values in there.items():
        whole["components"]["parameters"][name]["schema"] = {"enum": values}
    whole["components"]["schemas"]["Folder"]["properties"]["name"] = {"enum": there["collection"]}
    path = tmp_path / "openapi.json"
    path.write_text(json.dumps(whole))
    yield path
    server.session.delete(f"{server.address}/v1/data/.my/described?force=true", timeout=20)


def attack(server: Any, description: Path, key: str, *options: str) -> None:
    """Let schemathesis attack what is described; it must find nothing."""
    program = Path(sys.executable).with_name("schemathesis")
    command = [program, "run", description, "--url", server.address, "--header", f"Authorization: {key}", "--seed=1"]
    checks = ["--exclude-checks", ",".join(NOT_CHECKED), "--warnings=off", "--continue-on-failure", "--no-color"]
    ended = subprocess.run(
        [*command, *checks, *options], cwd=description.parent, stdout=subprocess.PIPE, text=True, check=False
    )
    assert ended.returncode == 0, ended.stdout[-8000:]


@pytest.mark.timeout(1200)  # at full counts
def test_schemathesis_finds_no_answer_that_is_not_described(server, narrow, command_line, scaled):
    """No failure of the server, no status, header or body that is not described, no method or stranger let through."""
    full = scaled(20) == 20
    phases = "--phases=coverage,fuzzing" if full else "--phases=fuzzing"
    left_out = rf"/v1/admin|/\.session{'' if full else '|/v1/connector'}"
    attack(server, narrow, server.key, phases, f"--max-examples={scaled(40)}", f"--exclude-path-regex={left_out}")
    if full:
        admin = command_line("keys", "create", "--admin", "--data-dir", server.data).stdout.strip()
        attack(server, narrow, admin, phases, "--include-path-regex=/v1/admin")
