"""`GET /v1/algorithms/...`: an algorithm, its builds and their logs, its versions, its recent errors."""

from starlette.requests import Request
from starlette.responses import Response

from algoprof.server.calling import algorithm_name
from algoprof.server.envelopes import BUILD_NOT_FOUND, LOGS_NOT_FOUND, VERSION_NOT_FOUND, Json, Refusal
from algoprof.server.hosting import Host
from algoprof.server.resources import algorithm_resource, build_resource, error_resource, page
from algoprof.server.store import Algorithm, Build, Version


async def algorithm(request: Request) -> Response:
    """Return the algorithm at its newest version."""
    host, found = _asked(request)
    versions = host.store.versions(found)
    version = versions[0] if versions else None
    builds = host.store.builds(found, limit=1)
    build = host.store.build(found, version.build_id) if version else builds[0] if builds else None
    return Json(algorithm_resource(found, version, build, _address(request)))


async def builds(request: Request) -> Response:
    """Return a page of builds, newest first."""
    host, found = _asked(request)
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
    host, found = _asked(request)
    one = _build(host, found, request)
    return Json(build_resource(one, _published(host, found).get(one.id)))


async def build_logs(request: Request) -> Response:
    """Return the log of a build that has ended."""
    host, found = _asked(request)
    one = _build(host, found, request)
    if one.status == "in-progress":
        raise Refusal(404, LOGS_NOT_FOUND, f"build {one.id} is in progress; its log can be read when it has ended")
    return Json({"logs": _log(host, one)})


async def versions(request: Request) -> Response:
    """Return a page of versions, newest first. All are published and public."""
    host, found = _asked(request)
    query = request.query_params
    every = host.store.versions(found)
    if "false" in (query.get("callable", "").lower(), query.get("published", "").lower()):
        every = []
    address = _address(request)
    return Json(
        page(
            every,
            query,
            f"{address}/v1/algorithms/{found.path}/versions",
            lambda version: algorithm_resource(found, version, host.store.build(found, version.build_id), address),
        )
    )


async def version(request: Request) -> Response:
    """Return one version with its build log, by git hash or, as an extension, by semantic version."""
    host, found = _asked(request)
    wanted = request.path_params["version"]
    if wanted in ("latest", ""):
        raise Refusal(404, VERSION_NOT_FOUND, "give a git hash or a semantic version")
    one, one_build = host.version(found, wanted)
    return Json(algorithm_resource(found, one, one_build, _address(request), output=_log(host, one_build)))


async def errors(request: Request) -> Response:
    """Return the errors of the last seven days, newest first, 200 at most."""
    host, found = _asked(request)
    return Json([error_resource(found, failure) for failure in host.store.errors(found)])


async def health(_: Request) -> Response:
    """Say that the server answers."""
    return Json({"status": "ok"})


def _asked(request: Request) -> tuple[Host, Algorithm]:
    host: Host = request.app.state.host
    return host, host.algorithm(algorithm_name(request))


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
