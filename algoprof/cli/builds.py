"""`algoprof builds`: how an algorithm's builds went, and what their logs say."""

import json
import os
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

import click
import requests

from algoprof.calls.platforms import Platform, data_directory, locate
from algoprof.calls.references import Reference, parse
from algoprof.cli.printing import printable
from algoprof.errors import AlgoprofError, ConfigurationError

_TIMEOUT = (10, 60)  # seconds to connect, and between two parts of an answer
_PAGE = 50
_addressed = click.option(
    "--address", metavar="URL", help="The platform to ask; else ALGORITHMIA_API, else this machine's builds are read."
)
_kept = click.option(
    "--data", metavar="DIR", type=click.Path(file_okay=False, path_type=Path), help="What `algoprof serve` was given."
)
_as_json = click.option("--json", "as_json", is_flag=True, help="Print what the platform answers, as JSON.")


@click.group()
def command() -> None:
    """Show how an algorithm's builds went, and why one failed."""


@command.command("list")
@click.argument("algorithm", metavar="OWNER/NAME")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="How many, newest first.")
@_addressed
@_kept
@_as_json
def list_builds(algorithm: str, limit: int, address: str | None, data: Path | None, as_json: bool) -> None:
    """List builds: id, status, when it began, how long it took, the version published, the commit."""
    builds = _source(algorithm, address, data).builds(limit)
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
@_kept
@_as_json
def logs(algorithm: str, build_id: str | None, address: str | None, data: Path | None, as_json: bool) -> None:
    """Print the log of a build; of the newest one unless an id is given."""
    source = _source(algorithm, address, data)
    if build_id is None:
        newest = source.builds(1)
        if not newest:
            raise AlgoprofError(f"{algorithm} has no builds yet; `algoprof serve DIR` makes one")
        build_id = str(newest[0].get("build_id", ""))
    answer = source.log(build_id)
    if as_json:
        click.echo(json.dumps(answer, indent=2))
        return
    click.echo(printable(str(answer.get("logs", "")).rstrip("\n"), keep="\n\t"))


class _Source(Protocol):
    """Where one algorithm's builds are told."""

    def builds(self, limit: int) -> list[dict[str, Any]]:
        """Return the newest builds."""

    def log(self, build_id: str) -> dict[str, Any]:
        """Return the log of a build under `logs`."""


class _Asked:
    """A platform, which is asked."""

    def __init__(self, platform: Platform, reference: Reference) -> None:
        self._platform = platform
        self._path = f"/v1/algorithms/{quote(reference.owner)}/{quote(reference.name)}/builds"

    def builds(self, limit: int) -> list[dict[str, Any]]:
        """Return the newest builds, following pages as far as needed."""
        found: list[dict[str, Any]] = []
        marker: str | None = None
        while len(found) < limit:
            query: dict[str, str | int] = {"limit": min(_PAGE, limit - len(found))}
            if marker:
                query["marker"] = marker
            page = _get(self._platform, self._path, query)
            found += [row for row in page.get("results") or [] if isinstance(row, dict)]
            marker = page.get("marker")
            if not marker:
                break
        return found

    def log(self, build_id: str) -> dict[str, Any]:
        """Return the log of a build under `logs`."""
        return _get(self._platform, f"{self._path}/{quote(build_id, safe='')}/logs")


def _source(algorithm: str, address: str | None, data: Path | None) -> _Source:
    """Return the platform that is named, else the data directory, which tells more: it needs no server."""
    reference = parse(algorithm)
    address = address or reference.address or None
    if address is None and (data is not None or not os.environ.get("ALGORITHMIA_API")):
        records = _records(data, reference)
        if records is not None:
            return records
    return _Asked(locate(api_address=address), reference)


def _records(data: Path | None, reference: Reference) -> _Source | None:
    path = f"{reference.owner}/{reference.name}"
    try:
        directory = data or data_directory()
    except ConfigurationError:  # there is no home directory
        return None
    if not (directory / "algoprof.sqlite3").exists():
        found = None
    else:
        from algoprof.server.records import Records  # noqa: PLC0415  (needs what only a server needs)

        found = Records.find(directory, path)
    if found is None and data is not None:
        raise AlgoprofError(f"{data} knows no algorithm {path}; `algoprof serve DIR --data {data}` builds one there")
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
