"""What the data API is asked: each operation as a plan, pure but for the files it reads and writes."""

import json
import math
from collections.abc import Mapping
from typing import Any, Literal

from algoprof._version import __version__
from algoprof.calls.access.platforms import Platform
from algoprof.calls.data import acl as acls
from algoprof.calls.data.failures import failure, flawed
from algoprof.calls.data.listings import Page, Paging, read_page
from algoprof.calls.data.receiving import Receiver
from algoprof.calls.data.sources import Opened
from algoprof.calls.data.uris import DataUri
from algoprof.calls.wire.plans import Plan, Step
from algoprof.calls.wire.protocol import Answer, NoAnswer, Request, without_key
from algoprof.calls.wire.streams import LocalProblem, Source
from algoprof.errors import DataApiError

_MOST_RESUMPTIONS = 20

Kind = Literal["file", "directory"]


class Operations:
    """What can be asked of the data API of one platform.

    Args:
        platform: the platform.
    """

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    def kind(self, uri: DataUri) -> Plan[Kind | None]:
        """Return what is there; None if nothing is.

        Raises:
            DataApiError: if the platform does not say, for example since the key may not ask.
        """
        answer = yield Step(self._request("HEAD", uri))
        if isinstance(answer, Answer) and answer.status == 404:
            return None
        checked = self._checked(answer, uri, "looked up")
        told = checked.headers.get("x-data-type", "").strip().lower()
        return "directory" if told == "directory" else "file"

    def is_folder(self, uri: DataUri) -> Plan[bool]:
        """Return whether there is a folder. Not every platform answers a HEAD for one.

        Raises:
            DataApiError: if the platform does not say.
        """
        try:
            answer = yield Step(self._request("GET", uri), sink=_NoFile())
        except _IsFileError:
            return False
        if isinstance(answer, Answer) and answer.status == 404:
            return False
        self._checked(answer, uri, "looked up")
        return True

    def put(self, uri: DataUri, content: Opened) -> Plan[None]:
        """Write a file, and replace what is there.

        Raises:
            DataApiError: if it cannot be written.
        """
        body: Source = content
        headers = {"Content-Type": "application/octet-stream"}
        request = self._request("PUT", uri, headers=headers, body=b"" if content.size == 0 else body)
        answer = self._checked((yield Step(request, longest=math.inf)), uri, "written")
        told = answer.headers.get("etag", "").strip('"').lower()
        if len(told) == 32 and not told.strip("0123456789abcdef") and told != content.md5.hexdigest():
            raise flawed(self._platform, uri, "the platform's ETag is not the MD5 of what was sent", "write it again")

    def get(self, uri: DataUri, receiver: Receiver, *, verify: bool = True) -> Plan[None]:
        """Read a file; where that breaks off, it is gone on with.

        Args:
            uri: the file.
            receiver: takes its content.
            verify: whether an ETag that looks like an MD5 is one.

        Raises:
            DataApiError: if it cannot be read, or what came is not what the platform has.
        """
        answer: Answer | NoAnswer
        for _ in range(_MOST_RESUMPTIONS):
            before = receiver.position
            request = self._request("GET", uri, headers=receiver.resuming())
            answer = yield Step(request, sink=receiver, longest=math.inf)
            broke_off = isinstance(answer, NoAnswer) and answer.outcome == "platform_error"
            if not broke_off or receiver.position <= before or not receiver.can_resume:
                break
        self._checked(answer, uri, "read")
        if receiver.refused:
            raise flawed(self._platform, uri, receiver.refused, "")
        flaw = receiver.flaw(verify=verify)
        if flaw:
            raise flawed(self._platform, uri, flaw, "read it again, or pass verify=False if the platform is known so")

    def delete(self, uri: DataUri, *, force: bool = False) -> Plan[int | None]:
        """Delete a file or a folder, and return how many files that were, where the platform tells.

        Args:
            uri: what to delete.
            force: whether a folder goes with all that is in it; else it must be empty.

        Raises:
            DataApiError: if it is not, or only in part, deleted.
        """
        query = {"force": "true"} if force else {}
        answer = self._checked((yield Step(self._request("DELETE", uri, query=query))), uri, "deleted")
        result = (self._object(answer) or {}).get("result")
        deleted = result.get("deleted") if isinstance(result, dict) else None
        return deleted if isinstance(deleted, int) and not isinstance(deleted, bool) else None

    def create(self, uri: DataUri, acl: object = None, *, exist_ok: bool = False) -> Plan[None]:
        """Make a folder.

        Args:
            uri: the folder.
            acl: who may read it; None for what the platform does by itself, which is `ReadAcl.my_algos`.
            exist_ok: whether it may be there.

        Raises:
            DataApiError: if it cannot be made.
        """
        content: dict[str, Any] = {"name": uri.name}
        if acl is not None:
            content["acl"] = acls.checked(acl)
        answer = yield Step(self._json_request("POST", uri.parent, content))
        try:
            self._checked(answer, uri, "made")
        except DataApiError as error:
            if not exist_ok or error.status is None or not 400 <= error.status < 500:
                raise
            if not (yield from self.is_folder(uri)):
                raise error from None

    def page(self, uri: DataUri, marker: str = "", *, acl: bool = False) -> Plan[Page]:
        """Read one page of a listing.

        Args:
            uri: the folder.
            marker: of that page, as the one before has it.
            acl: whether to ask who may read it.

        Raises:
            DataApiError: if it cannot be listed.
        """
        query = {"marker": marker} if marker else {}
        if acl:
            query["acl"] = "true"
        try:
            answer = yield Step(self._request("GET", uri, query=query), sink=_NoFile())
        except _IsFileError:
            raise flawed(self._platform, uri, "it is a file", "") from None
        checked = self._checked(answer, uri, "listed")
        try:
            return read_page(json.loads(checked.body))
        except (ValueError, RecursionError) as error:
            what = str(error) if not isinstance(error, (json.JSONDecodeError, RecursionError)) else "it is not JSON"
            raise flawed(self._platform, uri, f"its listing cannot be read: {what}", "") from None

    def follow(self, uri: DataUri, paging: Paging, page: Page) -> str:
        """Return the marker of the page after one; empty after the last.

        Raises:
            DataApiError: if the listing goes round in circles.
        """
        try:
            return paging.follow(page)
        except ValueError as error:
            raise flawed(self._platform, uri, f"its listing cannot be read: {error}", "") from None

    def readers(self, uri: DataUri) -> Plan[acls.Acl | None]:
        """Return who may read a folder; None for one that has no ACL, as `.session` and `.algo`.

        Raises:
            DataApiError: if the platform does not tell.
        """
        page = yield from self.page(uri, acl=True)
        try:
            return None if page.acl is None else acls.Acl.from_acl_response(page.acl)
        except ValueError as error:
            raise flawed(self._platform, uri, str(error), "") from None

    def set_readers(self, uri: DataUri, acl: object) -> Plan[None]:
        """Say who may read a folder.

        Raises:
            DataApiError: if that cannot be.
        """
        answer = yield Step(self._json_request("PATCH", uri, {"acl": acls.checked(acl)}))
        self._checked(answer, uri, "changed")

    def _request(
        self,
        method: str,
        uri: DataUri,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | Source = b"",
    ) -> Request:
        sent = {
            "Accept-Encoding": "identity",  # a size is a size, and an ETag that of the content
            "User-Agent": f"algoprof/{__version__}",
            **(headers or {}),
        }
        if self._platform.authorization:
            sent["Authorization"] = self._platform.authorization
        return Request(self._platform.address + uri.route, query or {}, sent, body, method)

    def _json_request(self, method: str, uri: DataUri, content: object) -> Request:
        headers = {"Content-Type": "application/json"}
        return self._request(method, uri, headers=headers, body=json.dumps(content).encode())

    def _checked(self, answer: Answer | NoAnswer, uri: DataUri, done: str) -> Answer:
        """Return an answer that says yes.

        Raises:
            DataApiError: for every other.
        """
        if isinstance(answer, Answer):
            answer = without_key(answer, self._platform)
        if isinstance(answer, Answer) and 200 <= answer.status < 300:
            found = self._object(answer) if b'"error"' in answer.body else None
            if found is None or found.get("error") is None:
                return answer
        raise failure(self._platform, uri, done, answer)

    @staticmethod
    def _object(answer: Answer) -> dict[str, Any] | None:
        try:
            data = json.loads(answer.body)
        except (ValueError, RecursionError):
            return None
        return data if isinstance(data, dict) else None


class _IsFileError(Exception):
    """A file is where a folder was asked for."""


class _NoFile:
    """Ends an answer that is the content of a file, of any size, where a listing was asked for."""

    def takes(self, status: int, headers: Mapping[str, str]) -> bool:
        if 200 <= status < 300 and headers.get("x-data-type", "").strip().lower() == "file":
            raise LocalProblem(_IsFileError())
        return False

    def write(self, piece: bytes) -> None:
        """Never asked: it takes nothing."""
