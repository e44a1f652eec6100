"""`algoprof builds`: how an algorithm's builds went, and what their logs say."""

import json
import re
from datetime import datetime
from typing import Any
from urllib.parse import quote

import click
import requests

from algoprof.calls.platforms import Platform, locate
from algoprof.cli.printing import printable
from algoprof.errors import AlgoprofError

_TIMEOUT = (10, 60)  # seconds to connect, and between two parts of an answer
_PAGE = 50
_addressed = click.option(
    "--address", metavar="URL", help="The platform; else ALGORITHMIA_API, else the server on this machine."
)
_as_json = click.option("--json", "as_json", is_flag=True, help="Print what the platform answers, as JSON.")


@click.group()
def command() -> None:
    """Show how an algorithm's builds went, and why one failed."""


@command.command("list")
@click.argument("algorithm", metavar="OWNER/NAME")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="How many, newest first.")
@_addressed
@_as_json
def list_builds(algorithm: str, limit: int, address: str | None, as_json: bool) -> None:
    """List builds: id, status, when it began, how long it took, the version published, the commit."""
    builds = _builds(locate(api_address=address), _path(algorithm), limit)
    if as_json:
        click.echo(json.dumps(builds, indent=2))
        return
    if not builds:
        click.echo(f"{algorithm} has no builds yet", err=True)
    for build in builds:
        version = (build.get("version_info") or {}).get("semantic_version") or "-"
        columns = (
            build.get("build_id", "-"),
            f"{build.get('status', '-'):11}",
            build.get("started_at", "-"),
            f"{_took(build):>8}",
            f"{version:8}",
            str(build.get("commit_sha", "-"))[:10],
        )
        click.echo(printable("  ".join(map(str, columns))))


@command.command()
@click.argument("algorithm", metavar="OWNER/NAME")
@click.argument("build_id", metavar="[BUILD_ID]", required=False)
@_addressed
@_as_json
def logs(algorithm: str, build_id: str | None, address: str | None, as_json: bool) -> None:
    """Print the log of a build; of the newest one unless an id is given."""
    platform, path = locate(api_address=address), _path(algorithm)
    if build_id is None:
        newest = _builds(platform, path, 1)
        if not newest:
            raise AlgoprofError(f"{algorithm} has no builds yet; `algoprof serve DIR` makes one")
        build_id = str(newest[0].get("build_id", ""))
    answer = _get(platform, f"{path}/builds/{quote(build_id, safe='')}/logs")
    if as_json:
        click.echo(json.dumps(answer, indent=2))
        return
    click.echo(printable(str(answer.get("logs", "")).rstrip("\n"), keep="\n\t"))


def _path(algorithm: str) -> str:
    named = re.fullmatch(r"(?:algo://)?(\w+)/(\w+)/?", algorithm)
    if named is None:
        raise click.UsageError(f"{algorithm[:80]!r} is no algorithm; it looks like demo/Routes")
    return f"/v1/algorithms/{quote(named[1])}/{quote(named[2])}"


def _builds(platform: Platform, path: str, limit: int) -> list[dict[str, Any]]:
    """Return the newest builds, following pages as far as needed."""
    found: list[dict[str, Any]] = []
    marker: str | None = None
    while len(found) < limit:
        query: dict[str, str | int] = {"limit": min(_PAGE, limit - len(found))}
        if marker:
            query["marker"] = marker
        page = _get(platform, f"{path}/builds", query)
        found += [row for row in page.get("results") or [] if isinstance(row, dict)]
        marker = page.get("marker")
        if not marker:
            break
    return found


def _get(platform: Platform, path: str, query: dict[str, str | int] | None = None) -> dict[str, Any]:
    headers = {"Authorization": platform.authorization} if platform.authorization else {}
    try:
        answer = requests.get(platform.address + path, params=query, headers=headers, timeout=_TIMEOUT)
    except (requests.RequestException, OSError) as failed:
        reason = "no connection" if isinstance(failed, requests.ConnectionError) else type(failed).__name__
        raise AlgoprofError(
            f"{platform.address} cannot be reached ({reason}); is the server running? `algoprof serve DIR` starts one"
        ) from None
    try:
        value = answer.json()
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise AlgoprofError(f"{platform.address} answered {answer.status_code} without a JSON object")
    if "error" in value:
        error = value["error"]
        message = error.get("message") if isinstance(error, dict) else error
        raise AlgoprofError(platform.redact(f"{platform.address} answered {answer.status_code}: {message}"))
    return value


def _took(build: dict[str, Any]) -> str:
    try:
        begun, ended = (datetime.fromisoformat(str(build[key])) for key in ("started_at", "finished_at"))
        return f"{(ended - begun).total_seconds():.1f} s"
    except (KeyError, ValueError, TypeError):
        return "-"
