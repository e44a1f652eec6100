"""What an owner asks about an algorithm: requests for JSON, their answers, and one sentence for what failed."""

import json
from collections.abc import Mapping
from typing import Any, NoReturn
from urllib.parse import quote

from algoprof._version import __version__
from algoprof.calls.access.platforms import Platform
from algoprof.calls.references import Reference
from algoprof.calls.wire.plans import Plan, Step
from algoprof.calls.wire.protocol import Answer, NoAnswer, Request, read, without_key
from algoprof.errors import ManagementError

TIMEOUT = 60.0
"""Seconds that an answer may take, unless more is asked for."""

_HINTS = {
    401: "set ALGORITHMIA_API_KEY to a key of that platform, or pass api_key",
    403: "builds, versions and errors are for the owner and the organization: use a key that may manage algorithms",
    404: "check owner and name, and that this is the platform that has it",
    429: "ask less often",
}


class Questions:
    """What is asked about one algorithm, as plans: whatever carries them.

    Args:
        platform: the platform.
        reference: the algorithm.
    """

    def __init__(self, platform: Platform, reference: Reference) -> None:
        self.platform = platform
        self.algorithm = reference.algorithm

    def get(self, *path: str, query: Mapping[str, str] | None = None) -> Plan[Any]:
        """Return the JSON value below the algorithm's own path.

        Raises:
            ManagementError: if there is none; it carries the HTTP status and the platform's code.
        """
        return self._ask("GET", path, query or {}, b"", TIMEOUT)

    def elsewhere(self, *path: str) -> Plan[Any]:
        """Return the JSON value of a path that is not the algorithm's, such as `data`.

        Raises:
            ManagementError: as above.
        """
        return self._ask("GET", path, {}, b"", TIMEOUT, below="/v1")

    def post(self, *path: str, content: Mapping[str, Any], timeout: float = TIMEOUT) -> Plan[Any]:
        """Send a JSON object and return the JSON value that comes back.

        Args:
            path: below the algorithm's own.
            content: what to send.
            timeout: seconds that the answer may take.

        Raises:
            ManagementError: as above.
        """
        return self._ask("POST", path, {}, json.dumps(content).encode(), timeout)

    def page(self, *path: str, query: Mapping[str, str]) -> Plan[dict[str, Any]]:
        """Return one page of a list.

        Raises:
            ManagementError: as above, or if the answer is no page.
        """
        page = yield from self.get(*path, query=query)
        if not isinstance(page, dict):
            self._fail(f"answered with {type(page).__name__} where a page was asked for")
        if not isinstance(page.get("results"), list):
            self._fail(
                "answered with a page without `results`, which cannot be read: check that the address is a platform's"
            )
        return page

    def _ask(
        self,
        method: str,
        path: tuple[str, ...],
        query: Mapping[str, str],
        body: bytes,
        timeout: float,
        *,
        below: str = "",
    ) -> Plan[Any]:
        headers = {
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "User-Agent": f"algoprof/{__version__}",
        }
        if body:
            headers["Content-Type"] = "application/json"
        if self.platform.authorization:
            headers["Authorization"] = self.platform.authorization
        where = "/".join((below or f"/v1/algorithms/{self.algorithm}", *(quote(part, safe="") for part in path)))
        request = Request(self.platform.address + where, query, headers, body, method)
        answer = yield Step(request, longest=timeout)
        if isinstance(answer, NoAnswer):
            if answer.lost:
                self._fail(f"broke off the connection: {answer.reason}", status=answer.status, hint="ask again")
            hint = "is the server running? `algoprof serve DIR` starts one" if self.platform.is_loopback else ""
            self._fail(f"cannot be reached: {answer.reason}", status=answer.status, hint=hint)
        return self._value(answer)

    def _value(self, answer: Answer) -> Any:
        answer = without_key(answer, self.platform)
        try:
            value = json.loads(answer.body)
        except (ValueError, RecursionError):
            value = None
        failed = not 200 <= answer.status < 300
        if failed or value is None or (isinstance(value, dict) and value.get("error") is not None):
            reply = read(answer)
            self._fail(
                f"answered {answer.status}: {reply.message}",
                status=answer.status,
                code=reply.code,
                message=reply.message,
                hint=_HINTS.get(answer.status, ""),
            )
        return value

    def _fail(
        self, what: str, *, status: int | None = None, code: int | None = None, message: str = "", hint: str = ""
    ) -> NoReturn:
        what, message = self.platform.redact(what), self.platform.redact(message)
        raise ManagementError(
            f"{self.platform.address} {what}",
            algorithm=self.algorithm,
            status=status,
            code=code,
            message=message,
            hint=hint,
        )
