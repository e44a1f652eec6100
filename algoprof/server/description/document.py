"""The OpenAPI document: every path of the API, and the route that serves it."""

import functools
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from algoprof._version import __version__
from algoprof.server.description import data
from algoprof.server.description.operations import PARAMETERS, RESPONSES, json, operation
from algoprof.server.description.schemas import SCHEMAS, TEXT, Schema, record, reference
from algoprof.server.envelopes import Json

PATH = "/openapi.json"

_ABOUT = """\
The platform's API, on one machine. Every request shows a key, as `Authorization: Simple KEY`, as the bare key or as
`Bearer KEY`. An algorithm may be named by its id instead: `/v1/algo/{id}`, `/v1/algorithms/{id}/builds`.
A slash at the end of a path counts for nothing, and unknown parameters are passed over. A path that is asked in another
way than is told here is answered with 405 and `Allow`. The pages for people, at `/`, are not part of the API.
"""

_ANY_INPUT: dict[str, Any] = {
    "required": True,
    "description": "The input. Its type decides what the algorithm gets: any JSON value, a text, or bytes.",
    "content": {
        "application/json": {"schema": {}},
        "text/plain": {"schema": TEXT},
        "application/text": {"schema": TEXT},
        "application/octet-stream": {"schema": {}},
    },
}

_CALL = operation(
    "Call an algorithm",
    {
        200: {
            "description": "What came of it: the result, or the error of the algorithm. With `output=raw` the bare"
            " result, with `output=void` that it was accepted.",
            "content": {
                "application/json": {
                    "schema": {
                        "anyOf": [
                            reference("Result"),
                            reference("Failure"),
                            reference("Accepted"),
                            {"description": "With `output=raw`: what the algorithm returned."},
                        ]
                    }
                },
                "text/plain": {"schema": {"type": "string", "description": "With `output=raw`: a text."}},
                "application/octet-stream": {"schema": {"description": "With `output=raw`: bytes."}},
            },
        },
        400: json(
            {"anyOf": [reference("Refusal"), reference("Failure")]},
            "The request cannot be meant. With `output=raw`, or where failures are told by status, also an algorithm's"
            " error.",
        ),
        504: json(reference("Failure"), "The timeout, where failures are told by status (`--failures-by-status`)."),
    },
    "timeout",
    "stdout",
    "output",
    "profile",
    "traceparent",
    refused=(403, 404, 408, 413, 415, 429, 503),
    body=_ANY_INPUT,
)

_SECURITY: list[dict[str, list[str]]] = [{"key": []}, {"token": []}]
_MANAGED = (403, 404)
_BUILT = json(reference("Algorithm"), "The algorithm at this build, with its log.")

_ERRORS: Schema = {"type": "array", "items": reference("ErrorRow"), "maxItems": 200}
_ERRORS_OF_OWNER = operation(
    "Read the errors of all algorithms of an owner, newest first", {200: _ERRORS}, refused=_MANAGED
)

_PATHS: dict[str, Any] = {
    "/healthz": {
        "get": operation("Ask whether the server answers", {200: record({"status": {"const": "ok"}})}, known=False)
    },
    "/metrics": {
        "get": operation(
            "Read the metrics",
            {
                200: {
                    "description": "In the text format of Prometheus, or in that of OpenMetrics if it is asked for.",
                    "content": {
                        "text/plain": {"schema": TEXT},
                        "application/openmetrics-text": {"schema": TEXT},
                    },
                }
            },
            refused=(403,),
            description="On loopback it needs no key; a key may also be the password of `Authorization: Basic`.",
        )
        | {"security": [{}, *_SECURITY]}
    },
    PATH: {"get": operation("Read this description", {200: {"type": "object"}}, known=False)},
    "/v1/algo/{owner}/{name}": {"post": _CALL},
    "/v1/algo/{owner}/{name}/{version}": {"post": _CALL},
    "/v1/algorithms/{owner}/{name}": {
        "get": operation("Read an algorithm", {200: reference("Algorithm")}, refused=_MANAGED),
        "put": operation(
            "Read an algorithm, as its update",
            {200: reference("Algorithm")},
            refused=(400, 408, 413, *_MANAGED),
            description="What is sent changes nothing: the algorithm's folder says what it is.",
        ),
    },
    "/v1/algorithms/{owner}": {
        "post": operation(
            "Be told where algorithms come from here",
            {},
            refused=(400, 408, 413),
            description="Refused with code 5005: they are made from folders.",
        )
    },
    "/v1/algorithms/{owner}/{name}/scm/status": {
        "get": operation(
            "Ask whether the algorithm can be built",
            {200: record({"scm_connection_status": {"const": "active"}})},
            refused=_MANAGED,
        )
    },
    "/v1/algorithms/{owner}/{name}/builds": {
        "get": operation(
            "List builds, newest first", {200: reference("Builds")}, "limit", "marker", refused=(400, *_MANAGED)
        )
    },
    "/v1/algorithms/{owner}/{name}/builds/{build}": {
        "get": operation("Read a build", {200: reference("Build")}, refused=_MANAGED)
    },
    "/v1/algorithms/{owner}/{name}/builds/{build}/logs": {
        "get": operation("Read the log of a build that has ended", {200: reference("Logs")}, refused=_MANAGED)
    },
    "/v1/algorithms/{owner}/{name}/compile": {
        "post": operation("Build the folder as it is now", {200: _BUILT}, refused=(400, 408, 413, *_MANAGED))
    },
    "/v1/algorithms/{owner}/{name}/versions": {
        "get": operation(
            "List versions and the builds that are none, newest first",
            {200: reference("Algorithms")},
            "limit",
            "marker",
            "published",
            "callable",
            refused=(400, *_MANAGED),
        ),
        "post": operation(
            "Publish the newest build that succeeded",
            {200: _BUILT},
            body=reference("Published"),
            refused=(400, 408, 413, *_MANAGED),
            description="One that is published already is refused with code 1007.",
        ),
    },
    "/v1/algorithms/{owner}/{name}/versions/{version}": {
        "get": operation("Read a version, with the log of its build", {200: _BUILT}, refused=_MANAGED)
    },
    "/v1/algorithms/{owner}/{name}/errors": {
        "get": operation(
            "Read the errors of the last seven days, newest first",
            {200: _ERRORS},
            refused=_MANAGED,
        )
    },
    "/v1/algorithms/{owner}/{name}/insights": {
        "get": operation(
            "Read what the executions of the last seven days reported, newest first",
            {200: {"type": "array", "items": reference("Insights")}},
            "request_id",
            refused=_MANAGED,
        )
    },
    "/v1/users/{owner}/errors": {"get": _ERRORS_OF_OWNER},
    "/v1/organizations/{owner}/errors": {"get": _ERRORS_OF_OWNER},
    "/v1/insights": {
        "post": operation(
            "Report metrics of the execution that is under way",
            {200: {"type": "object"}},
            body=reference("Reported"),
            refused=(400, 408, 413),
            description="For an algorithm, below the address that its ALGORITHMIA_API is: there it needs no key.",
        )
    },
    "/v1/admin/executions": {
        "get": operation(
            "Read how busy each version is", {200: {"type": "array", "items": reference("Execution")}}, refused=(403,)
        )
    },
    "/v1/admin/reservations": {
        "get": operation(
            "Read which workers are reserved: none are", {200: {"type": "array", "maxItems": 0}}, refused=(403,)
        )
    },
}


@functools.cache
def document() -> dict[str, Any]:
    """Return the description of the API, as OpenAPI 3.1 has it.

    >>> document()["openapi"], "/v1/algo/{owner}/{name}" in document()["paths"]
    ('3.1.0', True)
    """
    named = {"{owner}": "owner", "{name}": "name", "{build}": "build"}
    paths: dict[str, Any] = {}
    for path, item in _PATHS.items():
        shared = [name for part, name in named.items() if part in path]
        if "{version}" in path:
            shared.append("version" if path.startswith("/v1/algo/") else "hash")
        parameters = [{"$ref": f"#/components/parameters/{name}"} for name in shared]
        paths[path] = {**({"parameters": parameters} if parameters else {}), **item}
    return {
        "openapi": "3.1.0",
        "info": {"title": "algoprof serve", "version": __version__, "description": _ABOUT},
        "servers": [{"url": "/"}],
        "security": _SECURITY,
        "paths": paths | data.paths(),
        "components": {
            "schemas": SCHEMAS,
            "parameters": PARAMETERS,
            "responses": RESPONSES,
            "securitySchemes": {
                "key": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "Authorization",
                    "description": "`Simple KEY`, the bare key, or `Bearer KEY`.",
                },
                "token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
            },
        },
    }


async def describe(_: Request) -> Response:
    """Return the description of the API."""
    return Json(document())
