"""`/v1/data/...` and `/v1/connector/data/...`: files and folders, read and written under the platform's contract."""

import contextlib
import json
import mimetypes
import os
import re
import uuid
from typing import Any

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from algoprof.server.access import permissions
from algoprof.server.data.bodies import Body, in_thread
from algoprof.server.data.digests import Digests
from algoprof.server.data.folders import Folders, last_modified
from algoprof.server.data.paths import USER, Place, is_name, place, segments
from algoprof.server.data.uploads import Upload, too_large
from algoprof.server.envelopes import INVALID_JSON, INVALID_REQUEST, Json, Refusal
from algoprof.server.routes import inputs
from algoprof.server.state.store import Store

DEFAULT_LIMIT = 5 * 1024**3
"""Bytes that a file may have."""
DEFAULT_READ = "algo://.my/*"
"""Who may read a new collection: the algorithms of its owner."""

_READ = ("", DEFAULT_READ, "user://*")  # nobody else, the owner's algorithms, everybody
_SNIFFED = 64 * 1024
_RANGE = re.compile(r"([0-9]{1,18})-([0-9]{0,18})|-[0-9]{1,18}")
_METHODS = [
    "GET",
    "PUT",
    "POST",
    "PATCH",
    "DELETE",
    "OPTIONS",
    "TRACE",
]  # what each path takes of them, `_allowed` says


class Data:
    """What the routes work on.

    Args:
        folders: where the files are.
        store: where it is kept who may read them.
        limit: bytes that a file may have.
    """

    def __init__(self, folders: Folders, store: Store, limit: int = DEFAULT_LIMIT) -> None:
        self.folders = folders
        self.store = store
        self.limit = limit
        self.digests = Digests()

    async def end_session(self, session: str) -> None:
        """Remove the files of a call tree that has ended."""
        if self.folders.has_session(session):
            await in_thread(self.folders.end_session, session)

    def read_acl(self, where: Place) -> list[str]:
        """Return who may read a folder besides its owner."""
        kept = self.store.acl("/".join(where.folders))
        read = DEFAULT_READ if kept is None else kept
        return [read] if read else []


def routes() -> list[BaseRoute]:
    """Return the routes of the data API."""
    paths = ["/v1/data", "/v1/data/{path:path}", "/v1/connector/{path:path}"]
    return [Route("/v1/hostedData", hosted_data), *(Route(path, answer, methods=_METHODS) for path in paths)]


async def answer(request: Request) -> Response:
    """Answer a request for a file or a folder."""
    data: Data = request.app.state.data
    body = Body(request)
    try:
        permissions.require_data(request, "read" if request.method in ("GET", "HEAD") else "write")
        return await _answer(request, data, body)
    except Refusal:
        await body.discard(2 * data.limit)
        raise


async def hosted_data(request: Request) -> Response:
    """Return the caller's collections."""
    permissions.require_data(request, "read")
    data: Data = request.app.state.data
    found = []
    mine, marker = place([".my"], request.state.caller), ""
    while True:
        page = await in_thread(data.folders.page, mine, marker)
        found += [_collection(data, place([".my", name], request.state.caller)) for name in page.folders]
        if not (marker := page.marker):
            return Json({"result": found})


async def _answer(request: Request, data: Data, body: Body) -> Response:
    where = place(segments(request.scope["raw_path"]), request.state.caller)
    match request.method, where.kind:
        case "GET" | "HEAD", "file":
            return await _get_file(request, data, where)
        case "GET" | "HEAD", _:
            return await _get_folder(request, data, where)
        case "PUT", "file":
            return await _put(request, data, where, body)
        case "POST", "folders" if "POST" in _allowed(where):
            return await _make(data, where, await _object(body))
        case "PATCH", "files" if "PATCH" in _allowed(where):
            return await _set_acl(data, where, await _object(body))
        case "DELETE", "file":
            await in_thread(data.folders.delete_file, where)
            return Json({"result": {"deleted": 1}})
        case "DELETE", "files":
            return await _delete_folder(request, data, where)
    raise Refusal(405, INVALID_REQUEST, _misplaced(request.method, where), allowed=_allowed(where))


def _collection(data: Data, where: Place) -> dict[str, Any]:
    name = where.folders[-1]
    location = f"data://{USER}/{name}"
    number = str(uuid.uuid5(uuid.NAMESPACE_URL, location))
    read = data.read_acl(where)
    everybody, algorithms = read == ["user://*"], read == [DEFAULT_READ]
    return {
        "id": number,
        "object_id": number,
        "collection_name": name,
        "username": USER,
        "acl": {"read_w": everybody, "read_g": False, "read_u": True, "read_a": everybody or algorithms},
        "location": location,
    }


async def _get_file(request: Request, data: Data, where: Place) -> Response:
    file, known = await in_thread(data.folders.open, where)
    with contextlib.ExitStack() as unless_sent:
        unless_sent.callback(os.close, file)
        etag = f'"{await in_thread(data.digests.of, file, known)}"'
        headers = {"ETag": etag, "X-Data-Type": "file", "X-Content-Type-Options": "nosniff"}
        if not _is_range(request.headers.get("range", "")):
            request.scope["headers"] = [each for each in request.scope["headers"] if each[0] != b"range"]
        if _has_already(request.headers.get("if-none-match", ""), etag):
            return Response(status_code=304, headers=headers)
        content = _Content(file, known, headers, await in_thread(_media_type, where.name, file))
        unless_sent.pop_all()
        return content


def _has_already(if_none_match: str, etag: str) -> bool:
    shown = [one.strip().removeprefix("W/") for one in if_none_match.split(",")]
    return etag in shown or "*" in shown


def _is_range(header: str) -> bool:
    """Whether a `Range` header can be meant; one that cannot is passed over, as its standard wants.

    >>> _is_range("bytes=0-99, -5"), _is_range("bytes=9-5"), _is_range("lines=1-2")
    (True, False, False)
    """
    unit, _, parts = header.partition("=")
    found = [_RANGE.fullmatch(part.strip()) for part in parts.split(",")]
    return unit == "bytes" and all(one and (not one[2] or int(one[1]) <= int(one[2])) for one in found)


class _Content(FileResponse):
    """An open file as an answer, whole or in part. It is closed at the end.

    Args:
        file: its descriptor.
        known: what `os.fstat` says of it.
        headers: of the answer.
        media_type: of the content.
    """

    chunk_size = 1024 * 1024

    def __init__(self, file: int, known: os.stat_result, headers: dict[str, str], media_type: str) -> None:
        self._file = file
        path = f"/proc/self/fd/{file}"  # the file that was opened, whatever has its name by now
        super().__init__(path, headers=headers, media_type=media_type, stat_result=known)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            os.close(self._file)


async def _get_folder(request: Request, data: Data, where: Place) -> Response:
    headers = {"X-Data-Type": "directory"}
    if where.on_demand and not await in_thread(data.folders.exists, where):
        return Json({}, headers=headers)
    marker = request.query_params.get("marker", "")
    page = await in_thread(data.folders.page, where, marker)
    shown: dict[str, Any] = {}
    folders = list(page.folders)
    if where.folders == ("user",):  # the caller's own first: that is how the official client learns its name
        folders = [*([] if marker else [USER]), *(name for name in folders if name != USER)]
    if folders:
        shown["folders"] = [{"name": name} for name in folders]
    if page.files:
        shown["files"] = [
            {"filename": name, "last_modified": last_modified(known), "size": known.st_size}
            for name, known in page.files
        ]
    if page.marker:
        shown["marker"] = page.marker
    if where.kind == "files" and request.query_params.get("acl", "").lower() == "true" and not where.on_demand:
        shown["acl"] = {"read": data.read_acl(where)}
    return Json(shown, headers=headers)


async def _put(request: Request, data: Data, where: Place, body: Body) -> Response:
    if request.headers.get("content-encoding", "identity").lower() != "identity" or "content-range" in request.headers:
        message = "a file is kept as it is sent: send it whole and plain, without Content-Encoding and Content-Range"
        raise Refusal(400, INVALID_REQUEST, message)
    await in_thread(data.folders.require, where)
    if body.length is not None and body.length > data.limit:
        raise too_large(where, data.limit)
    upload = await in_thread(Upload, data.folders, where, data.limit)
    try:
        async for block in body.blocks():
            await in_thread(upload.write, block)
        data.digests.remember(*await in_thread(upload.finish))
    finally:
        await in_thread(upload.discard)
    return Json({"result": where.uri})


async def _make(data: Data, where: Place, asked: dict[str, Any]) -> Response:
    name = asked.get("name")
    if not isinstance(name, str):
        raise Refusal(400, INVALID_REQUEST, 'the folder has no name; send {"name": "COLLECTION"}')
    if not is_name(name):
        message = (
            f"{name[:40]!r} cannot be the name of a collection: it has a letter first, then letters, digits and"
            " underscores, 30 characters at most"
        )
        raise Refusal(400, INVALID_REQUEST, message)
    read = _asked_read(asked) if asked.get("acl") is not None else None
    await in_thread(data.folders.make, where, name)
    data.store.set_acl("/".join((*where.folders, name)), read)
    return Json({"result": f"{where.uri}/{name}"})


async def _set_acl(data: Data, where: Place, asked: dict[str, Any]) -> Response:
    read = _asked_read(asked)
    await in_thread(data.folders.require, where)
    data.store.set_acl("/".join(where.folders), read)
    return Response()


async def _delete_folder(request: Request, data: Data, where: Place) -> Response:
    force = request.query_params.get("force", "").lower() == "true"
    deleted = await in_thread(lambda: data.folders.delete_folder(where, force=force))
    data.store.set_acl("/".join(where.folders), None)
    return Json({"result": {"deleted": deleted}})


def _asked_read(asked: dict[str, Any]) -> str:
    """Return the one entry of an ACL that a request holds, empty for none."""
    match asked.get("acl"):
        case {"read": []}:
            return ""
        case {"read": [str(read)]} if read in _READ[1:]:
            return read
    raise Refusal(
        400,
        INVALID_REQUEST,
        f'acl is {{"read": []}} for nobody else, {{"read": ["{DEFAULT_READ}"]}} for the owner\'s algorithms,'
        ' or {"read": ["user://*"]} for everybody',
    )


async def _object(body: Body) -> dict[str, Any]:
    """Return the JSON object that is sent."""
    content = bytearray()
    async for block in body.blocks():
        content += block
        if len(content) > inputs.MAX_INPUT:
            raise Refusal(413, INVALID_REQUEST, f"the request is larger than {inputs.MAX_INPUT // 1024**2} MiB")
    try:
        asked = json.loads(content)
    except (ValueError, RecursionError):
        asked = None
    if not isinstance(asked, dict):
        raise Refusal(400, INVALID_JSON, "the request is no JSON object")
    return asked


def _allowed(where: Place) -> list[str]:
    """Return the methods that what a path names can be asked with."""
    if where.kind == "file":
        return ["GET", "HEAD", "PUT", "DELETE"]
    if where.kind == "files":
        return ["GET", "HEAD", "DELETE", *([] if where.on_demand else ["PATCH"])]
    of_user = where.folders[0] == "user" and len(where.folders) == 2
    return ["GET", "HEAD", *(["POST"] if of_user else [])]


def _misplaced(method: str, where: Place) -> str:
    """Say what a method is for, as it is not for what the path names."""
    what = "a file" if where.kind == "file" else "a folder of files" if where.kind == "files" else "a folder of folders"
    does = {
        "PUT": "PUT writes a file: data://.my/COLLECTION/FILE",
        "POST": "POST makes a collection in a user's folder, and collections hold files alone: send its name to data://.my",
        "PATCH": "PATCH sets the ACL of a user's collection: data://.my/COLLECTION",
        "DELETE": "DELETE deletes a file or a collection",
    }
    return f"{where.uri} names {what}; {does.get(method, f'{method} does nothing here')}"


def _media_type(name: str, file: int) -> str:
    """Return what a file seems to be: the official client decodes what it gets as text by that."""
    guessed, encoding = mimetypes.guess_type(name)
    if guessed and encoding is None and not guessed.startswith("text/"):
        return guessed
    head = os.pread(file, _SNIFFED, 0)
    if not _is_text(head):
        return guessed if guessed and encoding is None else "application/octet-stream"
    return f"{guessed if guessed and encoding is None else 'text/plain'}; charset=utf-8"


def _is_text(head: bytes) -> bool:
    """Whether the beginning of a file is that of text in UTF-8; a character may be cut in two at its end."""
    try:
        head.decode()
    except UnicodeDecodeError as error:
        return b"\0" not in head and len(head) == _SNIFFED and error.start > len(head) - 4
    return b"\0" not in head
