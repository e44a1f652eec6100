"""`/v1/algorithms/...`: an algorithm, its builds and their logs, its versions, errors, insights; compile, publish."""

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from algoprof.server.access import permissions
from algoprof.server.envelopes import (
    BUILD_NOT_FOUND,
    INVALID_JSON,
    INVALID_REQUEST,
    LOGS_NOT_FOUND,
    NOT_IMPLEMENTED,
    VERSION_NOT_FOUND,
    Json,
    Refusal,
)
from algoprof.server.hosting.host import Host
from algoprof.server.routes import inputs
from algoprof.server.routes.calling import algorithm_name
from algoprof.server.routes.resources import algorithm_resource, build_resource, error_resource, page
from algoprof.server.state.store import Algorithm, Build, Part, Version

_FILTERS = ("published", "callable")
_ERRORS_SHOWN = 200


async def algorithm(request: Request) -> Response:
    """Return the algorithm at its newest version."""
    host, found = _asked(request)
    versions = host.store.versions(found)
    version = versions[0] if versions else None
    builds = host.store.builds(found, limit=1)
    build = host.store.build(found, version.build_id) if version else builds[0] if builds else None
    return Json(algorithm_resource(found, version, build, _address(request)))


async def update(request: Request) -> Response:
    """Return the algorithm as it is: its folder says what it is, and nothing that is sent changes it."""
    await inputs.body(request)
    _managed(request)
    return await algorithm(request)


async def create(request: Request) -> Response:
    """Say where algorithms come from here."""
    await inputs.body(request)
    raise Refusal(
        400, NOT_IMPLEMENTED, "algorithms are made from folders here: `algoprof serve DIR` hosts the one in DIR"
    )


async def source_status(request: Request) -> Response:
    """Say that the algorithm's folder can be built from, as the platform says of a repository."""
    host, found = _managed(request)
    host.require_served(found)
    return Json({"scm_connection_status": "active"})


async def builds(request: Request) -> Response:
    """Return a page of builds, newest first."""
    host, found = _managed(request)
    published = _published(host, found)
    return Json(
        page(
            host.store.builds(found),
            request.query_params,
            f"{_address(request)}/v1/algorithms/{found.path}/builds",
            lambda build: build_resource(build, published.get(build.id)),
        )
    )


async def build(request: Request) -> Response:
    """Return one build."""
    host, found = _managed(request)
    one = _build(host, found, request)
    return Json(build_resource(one, _published(host, found).get(one.id)))


async def build_logs(request: Request) -> Response:
    """Return the log of a build that has ended."""
    host, found = _managed(request)
    one = _build(host, found, request)
    if one.status == "in-progress":
        raise Refusal(404, LOGS_NOT_FOUND, f"build {one.id} is in progress; its log can be read when it has ended")
    return Json({"logs": _log(host, one)})


async def versions(request: Request) -> Response:
    """Return a page of versions, newest first: those that are published and public, and the builds that are not."""
    host, found = _asked(request)
    query = request.query_params
    published = _published(host, found)
    contents = {version.content for version in published.values()}
    every = [
        build
        for build in host.store.builds(found)
        if build.id in published or (build.status == "succeeded" and build.content not in contents)
    ]
    for name in _FILTERS:  # what is published here is public
        if (wanted := query.get(name, "").lower()) in ("true", "false"):
            every = [build for build in every if (build.id in published) == (wanted == "true")]
    address = _address(request)
    return Json(
        page(
            every,
            query,
            f"{address}/v1/algorithms/{found.path}/versions",
            lambda build: algorithm_resource(found, published.get(build.id), build, address),
            _FILTERS,
        )
    )


async def version(request: Request) -> Response:
    """Return one version with its build log, by git hash or, as an extension, by semantic version."""
    host, found = _managed(request)
    wanted = request.path_params["version"]
    if wanted in ("latest", ""):
        raise Refusal(404, VERSION_NOT_FOUND, "give a git hash or a semantic version")
    one: Version | None
    try:
        one, one_build = host.version(found, wanted)
    except Refusal:
        unpublished = [build for build in host.store.builds(found) if build.commit_sha == wanted]
        if not unpublished:
            raise
        one, one_build = None, unpublished[0]
    return Json(algorithm_resource(found, one, one_build, _address(request), output=_log(host, one_build)))


async def compile_newest(request: Request) -> Response:
    """Build the folder as it is now, and return it with its log. It is published by another request."""
    host, found = _managed(request)
    await inputs.body(request)
    built = await host.compile(found)
    one = _published(host, found).get(built.id)
    return Json(algorithm_resource(found, one, built, _address(request), output=_log(host, built)))


async def publish(request: Request) -> Response:
    """Publish the newest build that succeeded. Of what is sent, `version_info.version_type` counts here."""
    host, found = _managed(request)
    part = _part(await inputs.body(request))
    one, built = host.publish(found, part)
    return Json(algorithm_resource(found, one, built, _address(request), output=_log(host, built)))


async def errors(request: Request) -> Response:
    """Return the errors of the last seven days, newest first, 200 at most."""
    host, found = _managed(request)
    return Json([error_resource(found, failure) for failure in host.store.errors(found)])


async def errors_of_owner(request: Request) -> Response:
    """Return the errors of all algorithms of a user or an organization that the caller may see, newest first."""
    host: Host = request.app.state.host
    owner = request.path_params["owner"]
    every = [one for one in host.store.algorithms() if one.owner == owner]
    if not every:
        raise Refusal(
            404, INVALID_REQUEST, f"nobody here is called {owner[:80]}: no algorithm was ever built of theirs"
        )
    rights = permissions.caller(request).rights
    if not rights.manages:
        permissions.require_management(request, every[0].path)
    rows = [(failure, one) for one in every if rights.calls(one.path) for failure in host.store.errors(one)]
    newest = sorted(rows, key=lambda row: row[0].number, reverse=True)[:_ERRORS_SHOWN]
    return Json([error_resource(one, failure) for failure, one in newest])


async def insights(request: Request) -> Response:
    """Return what the executions of the last seven days reported, newest first; `request_id` asks for one of them."""
    host, found = _managed(request)
    return Json([json.loads(row.message) for row in host.store.insights(found, request.query_params.get("request_id"))])


async def health(_: Request) -> Response:
    """Say that the server answers."""
    return Json({"status": "ok"})


def _asked(request: Request) -> tuple[Host, Algorithm]:
    """Return the algorithm that is asked about, which the caller may call."""
    host: Host = request.app.state.host
    found = host.algorithm(algorithm_name(request))
    permissions.require_call(request, found.path)
    return host, found


def _managed(request: Request) -> tuple[Host, Algorithm]:
    """Return the algorithm that is asked about, which the caller may manage."""
    host, found = _asked(request)
    permissions.require_management(request, found.path)
    return host, found


def _part(content: bytes) -> Part:
    """Return which number of the version is to grow; `revision` is another word for patch."""
    try:
        asked: Any = json.loads(content or b"{}")
        wanted = asked.get("version_info", {}).get("version_type", "patch")
    except (ValueError, RecursionError, AttributeError):
        raise Refusal(400, INVALID_JSON, "the request is no JSON object with version_info") from None
    parts: dict[object, Part] = {"major": "major", "minor": "minor", "patch": "patch", "revision": "patch"}
    if not isinstance(wanted, str) or wanted not in parts:
        raise Refusal(400, INVALID_REQUEST, f"version_type is major, minor or patch, not {str(wanted)[:40]!r}")
    return parts[wanted]


def _build(host: Host, algorithm: Algorithm, request: Request) -> Build:
    build_id = request.path_params["build"]
    found = host.store.build(algorithm, build_id)
    if found is None:
        message = f"{algorithm.path} has no build {build_id[:80]}; list its builds to see which there are"
        raise Refusal(404, BUILD_NOT_FOUND, message)
    return found


def _published(host: Host, algorithm: Algorithm) -> dict[str, Version]:
    return {version.build_id: version for version in host.store.versions(algorithm)}


def _log(host: Host, build: Build) -> str:
    path = host.builder.log(build)
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""


def _address(request: Request) -> str:
    return str(request.base_url).rstrip("/")
