"""What operations are made of: parameters, bodies, and answers, those above all that refuse."""

from collections.abc import Mapping
from typing import Any

from algoprof.server.description.schemas import TEXT, UUID, Schema, reference
from algoprof.server.routes.inputs import DEFAULT_TIMEOUT, MAX_TIMEOUT
from algoprof.server.routes.resources import DEFAULT_LIMIT, MAX_LIMIT

Operation = dict[str, Any]
Parameter = dict[str, Any]

_REFUSED = {
    400: "The request cannot be meant; the message says what can.",
    401: "No key was sent, or none that this server knows (code 2002).",
    403: "The key may not do that (code 2001); the message begins with 403 and says which option allows it.",
    404: "There is no such thing.",
    408: "What was to be sent came too slowly, or not at all.",
    413: "What was sent is too large.",
    415: "What was sent is of a type that is not understood.",
    429: "Too many calls are under way; `Retry-After` says when to call again.",
    500: "The server has failed; its stderr says why.",
    503: "The server is stopping.",
    507: "The server's disk is full, and nothing was changed.",
}

_HEADERS: dict[int, dict[str, Any]] = {
    429: {"Retry-After": {"required": True, "schema": {"type": "integer", "minimum": 1}}},
}


def parameter(name: str, place: str, schema: Schema, description: str = "", **more: Any) -> Parameter:
    """Return a parameter; one of the path is required."""
    told = {"description": description} if description else {}
    required = {"required": True} if place == "path" else {}
    return {"name": name, "in": place, **required, "schema": schema, **told, **more}


_NAME: Schema = {"type": "string", "pattern": "^[a-zA-Z][a-zA-Z0-9_]{0,29}$"}

PARAMETERS: dict[str, Parameter] = {
    "owner": parameter("owner", "path", _NAME, "Of the algorithm."),
    "name": parameter("name", "path", _NAME, "The algorithm's own."),
    "version": parameter(
        "version",
        "path",
        {"type": "string", "minLength": 1},
        "`1.2.3`, `1.2`, `1.2.*`, `1.*`, `latest`, or the git hash of a build.",
    ),
    "hash": parameter("version", "path", {"type": "string", "minLength": 1}, "A git hash or a semantic version."),
    "build": parameter("build", "path", UUID),
    "timeout": parameter(
        "timeout",
        "query",
        {"type": "number", "exclusiveMinimum": 0, "maximum": MAX_TIMEOUT, "default": DEFAULT_TIMEOUT},
        "Seconds for queue, load and run together.",
    ),
    "stdout": parameter(
        "stdout", "query", {"type": "boolean", "default": False}, "Whether the answer shows what was printed."
    ),
    "output": parameter(
        "output",
        "query",
        {"enum": ["raw", "void"]},
        "`raw`: the bare result instead of the envelope. `void`: an answer at once, and no result.",
    ),
    "profile": parameter("X-Algoprof-Profile", "header", {"enum": ["1"]}, "Asks for the profile of the call."),
    "traceparent": parameter("traceparent", "header", TEXT, "W3C Trace Context; one that cannot be meant is ignored."),
    "limit": parameter(
        "limit", "query", {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT}
    ),
    "marker": parameter("marker", "query", TEXT, "That of the page before; none for the first."),
    "published": parameter("published", "query", {"type": "boolean"}, "Only those that are, or that are not."),
    "callable": parameter("callable", "query", {"type": "boolean"}, "The same: what is published here is public."),
    "request_id": parameter("request_id", "query", TEXT, "Only what this execution reported."),
    "user": parameter(
        "user",
        "path",
        {"type": "string", "pattern": r"^(\.my|[a-zA-Z][a-zA-Z0-9_]{0,29})$"},
        "`.my` is the folder of whoever has the server's key.",
    ),
    "collection": parameter("collection", "path", _NAME),
    "file": parameter(
        "file", "path", {"type": "string", "minLength": 1, "maxLength": 255}, "255 bytes of UTF-8, no slash."
    ),
    "folder": parameter("folder", "path", {"enum": ["temp", "perm"]}),
    "acl": parameter("acl", "query", {"type": "boolean"}, "Whether the answer says who may read it."),
    "force": parameter("force", "query", {"type": "boolean"}, "Whether a folder that is not empty is deleted too."),
    "range": parameter("Range", "header", TEXT, "The part of the file that is wanted: `bytes=0-99`."),
    "known": parameter("If-None-Match", "header", TEXT, "The ETag of a content that is known."),
}
"""By the name that operations ask for them by, which is that of the parameter but where two would share it."""

RESPONSES: dict[str, Any] = {
    f"Refused{status}": {
        "description": told,
        "headers": {"X-Error-Message": {"schema": TEXT}, **_HEADERS.get(status, {})},
        "content": {"application/json": {"schema": reference("Refusal")}},
    }
    for status, told in _REFUSED.items()
}
"""The answers that refuse, each of which every operation may share."""


def operation(
    summary: str,
    answers: Mapping[int, Any],
    *asked: str,
    refused: tuple[int, ...] = (),
    body: Any = None,
    description: str = "",
    known: bool = True,
) -> Operation:
    """Return an operation.

    Args:
        summary: what it does, in a few words.
        answers: by status, those of its own: a schema for JSON, else the response.
        asked: the names of its parameters in `PARAMETERS`.
        refused: statuses of the refusals that it may meet, apart from 401 and 500.
        body: the request body, if it takes one: a schema for JSON, else what OpenAPI calls `requestBody`.
        description: what else is to be known.
        known: whether it is answered only to those who show a key.
    """
    every = sorted({*refused, 500, *([401] if known else [])} - set(answers))
    made: Operation = {"summary": summary}
    if description:
        made["description"] = description
    if not known:
        made["security"] = []
    if asked:
        made["parameters"] = [{"$ref": f"#/components/parameters/{name}"} for name in asked]
    if body is not None:
        made["requestBody"] = body if "content" in body else {"content": {"application/json": {"schema": body}}}
    told = {str(status): answer if "description" in answer else json(answer) for status, answer in answers.items()}
    refusals = {str(status): {"$ref": f"#/components/responses/Refused{status}"} for status in every}
    made["responses"] = dict(sorted((told | refusals).items()))
    return made


def json(schema: Schema, description: str = "Done.", **more: Any) -> dict[str, Any]:
    """Return an answer that is JSON."""
    return {"description": description, "content": {"application/json": {"schema": schema}}, **more}
