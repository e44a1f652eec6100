"""The operations of the data API: on files, and on the folders that they lie in."""

from typing import Any

from algoprof.server.description.operations import json, operation
from algoprof.server.description.schemas import TEXT, reference

_TYPE = {"X-Data-Type": {"required": True, "schema": {"enum": ["file", "directory"]}}}
_OF_FILE = {**_TYPE, "ETag": {"required": True, "schema": TEXT}, "Accept-Ranges": {"schema": TEXT}}
_BYTES = {"*/*": {"schema": {"description": "The file's bytes."}}}
_MISPLACED = (400, 403, 404)

_NO_PART = {
    "description": "The file has no such part.",
    "headers": {"Content-Range": {"required": True, "schema": TEXT}},
    "content": {"text/plain": {"schema": {"type": "string", "maxLength": 0}}},
}

_LISTED = operation(
    "List a folder",
    {200: json(reference("Listing"), "A page of it.", headers=_TYPE)},
    "marker",
    "acl",
    refused=_MISPLACED,
)
_FOLDER_THERE = operation(
    "Ask whether a folder is there",
    {200: {"description": "It is.", "headers": _TYPE}},
    "marker",
    "acl",
    refused=_MISPLACED,
)
_FILE = {
    "get": operation(
        "Read a file",
        {
            200: {"description": "The file.", "headers": _OF_FILE, "content": _BYTES},
            206: {"description": "The part of it that was asked for.", "headers": _OF_FILE, "content": _BYTES},
            304: {"description": "The content is the one that is known.", "headers": _OF_FILE},
            416: _NO_PART,
        },
        "range",
        "known",
        refused=_MISPLACED,
    ),
    "head": operation(
        "Ask whether a file is there",
        {
            200: {"description": "It is.", "headers": _OF_FILE},
            206: {"description": "It is.", "headers": _OF_FILE},
            304: {"description": "It is, with the content that is known.", "headers": _OF_FILE},
            416: _NO_PART,
        },
        "range",
        "known",
        refused=_MISPLACED,
    ),
    "put": operation(
        "Write a file",
        {200: json(reference("Written"), "It is written, whole, instead of one that was there.")},
        body={"required": True, "content": _BYTES},
        refused=(*_MISPLACED, 408, 413, 507),
    ),
    "delete": operation("Delete a file", {200: reference("Deleted")}, refused=_MISPLACED),
}
_READABLE = {"get": _LISTED, "head": _FOLDER_THERE}
_DELETED = operation("Delete a folder", {200: reference("Deleted")}, "force", refused=_MISPLACED)
_COLLECTION = {
    **_READABLE,
    "patch": operation(
        "Set who may read a collection",
        {200: {"description": "It is set."}},
        body=reference("Permissions"),
        refused=(*_MISPLACED, 408, 413),
    ),
    "delete": _DELETED,
}
_USER = {
    **_READABLE,
    "post": operation(
        "Make a collection",
        {200: json(reference("Written"), "It is made.")},
        body=reference("Folder"),
        refused=(*_MISPLACED, 408, 413),
    ),
}
_TREE: dict[tuple[str, ...], dict[str, Any]] = {
    (): _READABLE,
    ("{user}",): _USER,
    ("{user}", "{collection}"): _COLLECTION,
    ("{user}", "{collection}", "{file}"): _FILE,
    (".session",): {**_READABLE, "delete": _DELETED},
    (".session", "{file}"): _FILE,
    (".algo", "{owner}", "{name}"): _READABLE,
    (".algo", "{owner}", "{name}", "{folder}"): {**_READABLE, "delete": _DELETED},
    (".algo", "{owner}", "{name}", "{folder}", "{file}"): _FILE,
}


def paths() -> dict[str, Any]:
    """Return what is asked for by the path of a file or a folder, under each of the two routes."""
    found: dict[str, Any] = {
        "/v1/hostedData": {
            "get": operation("List the caller's collections", {200: reference("Collections")}, refused=(403,))
        }
    }
    for route in ("/v1/data", "/v1/connector/data"):
        for parts, item in _TREE.items():
            named = [part[1:-1] for part in parts if part.startswith("{")]
            shared = [{"$ref": f"#/components/parameters/{name}"} for name in named]
            found["/".join((route, *parts))] = {**({"parameters": shared} if shared else {}), **item}
    return found
