"""The platform's resources as JSON values: algorithm, build, version, error, and the page that lists them."""

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import urlencode

from algoprof.server.envelopes import INVALID_LIMIT, INVALID_MARKER, Refusal
from algoprof.server.state.store import Algorithm, Build, Failure, Version

DEFAULT_LIMIT = 50
MAX_LIMIT = 100

_Item = TypeVar("_Item", Build, Version)


def build_resource(build: Build, version: Version | None) -> dict[str, Any]:
    """Return a build; `version` is the one that it was published as, if it was."""
    shown: dict[str, Any] = {
        "build_id": build.id,
        "commit_sha": build.commit_sha,
        "started_at": _time(build.started_ms),
        "status": build.status,
        "resource_type": "algorithm_build",
    }
    if build.finished_ms is not None:
        shown["finished_at"] = _time(build.finished_ms)
    if version is not None:
        shown["version_info"] = {"semantic_version": version.semantic}
    return shown


def algorithm_resource(
    algorithm: Algorithm, version: Version | None, build: Build | None, address: str, *, output: str | None = None
) -> dict[str, Any]:
    """Return an algorithm at one version.

    Args:
        algorithm: it.
        version: one of its versions; None if it has none.
        build: the version's build, else the newest one; None if there is none.
        address: of the server, for links.
        output: the build's log, where it is wanted.
    """
    shown: dict[str, Any] = {
        "id": algorithm.id,
        "name": algorithm.name,
        "details": {"label": algorithm.name},
        "settings": {
            "algorithm_callability": "public",
            "source_visibility": "closed",
            "language": "python3",
            "environment": "cpu",
            "license": "apl",
            "network_access": "full",
            "pipeline_enabled": True,
            "insights_enabled": True,
        },
        "resource_type": "algorithm",
    }
    if build is not None:
        shown["build"] = build_resource(build, version)
        shown["compilation"] = {"successful": build.status == "succeeded"}
        if output is not None:
            shown["compilation"]["output"] = output
        shown["version_info"] = {"git_hash": build.commit_sha}
        shown["self_link"] = f"{address}/v1/algorithms/{algorithm.path}/versions/{build.commit_sha}"
    if version is not None:
        shown["version_info"]["semantic_version"] = version.semantic
    return shown


def error_resource(algorithm: Algorithm, failure: Failure) -> dict[str, Any]:
    """Return one row of the error log."""
    return {
        "created_at": failure.created_ms,
        "request_id": failure.request_id,
        "username": algorithm.owner,
        "algoname": algorithm.name,
        "algoversion": failure.version,
        "input": failure.input,
        "error": failure.error,
        "error_type": failure.error_type,
        "billable_to": algorithm.owner,
        "worker": "127.0.0.1",
    }


def page(
    items: Sequence[_Item],
    query: Mapping[str, str],
    link: str,
    show: Callable[[_Item], dict[str, Any]],
    filters: Sequence[str] = (),
) -> dict[str, Any]:
    """Return one page of items.

    Args:
        items: all of them, newest first, with falling numbers.
        query: with `limit` and `marker`, perhaps.
        link: the list's own URL, without a query.
        filters: the names of what narrows the list in the query, which the next page is asked for with as well.
        show: makes an item a JSON value.

    Raises:
        Refusal: if limit or marker cannot be meant.
    """
    given = query.get("limit", str(DEFAULT_LIMIT))
    limit = int(given) if given.isascii() and given.isdecimal() and len(given) < 9 else 0
    if not 1 <= limit <= MAX_LIMIT:
        raise Refusal(400, INVALID_LIMIT, f"limit={given[:40]} is not within 1 and {MAX_LIMIT}")
    below = _below(query["marker"]) if "marker" in query else None
    rest = [item for item in items if below is None or item.number < below]
    shown = rest[:limit]
    marker = _marker(shown[-1].number) if len(rest) > limit else None
    kept = {name: query[name] for name in filters if name in query}
    next_link = f"{link}?{urlencode({**kept, 'limit': limit, 'marker': marker})}" if marker else None
    return {"marker": marker, "next_link": next_link, "results": [show(item) for item in shown]}


def _marker(number: int) -> str:
    return base64.urlsafe_b64encode(json.dumps({"below": number}).encode()).decode()


def _below(marker: str) -> int:
    try:
        value = json.loads(base64.urlsafe_b64decode(marker))["below"]
    except (ValueError, TypeError, KeyError, RecursionError):
        value = None
    if not isinstance(value, int):
        raise Refusal(400, INVALID_MARKER, "the marker is none that this server gave; list again without it")
    return value


def _time(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
