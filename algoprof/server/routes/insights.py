"""`/v1/insights`: what algorithms report of the execution that they are in, within the platform's limits."""

import json
import math
from datetime import UTC, datetime
from typing import Any, NoReturn

from starlette.requests import Request
from starlette.responses import Response

from algoprof.server.envelopes import INVALID_INPUT, INVALID_JSON, INVALID_REQUEST, Json, Refusal
from algoprof.server.routes import inputs

PATH = "/v1/insights"
MAX_METRICS = 25
"""Metrics of one execution that are accepted."""
MAX_BYTES = 25 * 1024
"""Bytes of their keys and values together, the values as JSON."""
RESERVED = frozenset(
    ("request_id", "timestamp", "duration_milliseconds", "algorithm_owner", "algorithm_name", "algorithm_version")
)
"""Names that the platform gives metrics of its own."""

Value = str | int | float | bool


class Insights:
    """What one execution has reported so far. A metric that is reported again has its last value.

    Args:
        request_id: of the execution, for messages.

    >>> insights = Insights()
    >>> insights.add({"cats": 2})
    >>> insights.add({"cats": 3, "dogs": 0.5})
    >>> insights.values
    {'cats': 3, 'dogs': 0.5}
    """

    def __init__(self, request_id: str = "") -> None:
        self.request_id = request_id
        self.values: dict[str, Value] = {}

    def add(self, reported: dict[str, Value]) -> None:
        """Take all that is reported at once, or nothing.

        Raises:
            Refusal: if it would be too much, or a name is reserved.
        """
        reserved = sorted(RESERVED.intersection(reported))
        if reserved:
            raise Refusal(400, INVALID_INPUT, f"the platform reports {reserved[0]} itself: use another name")
        merged = self.values | reported
        if len(merged) > MAX_METRICS:
            message = f"{len(merged)} metrics are too many: an execution reports {MAX_METRICS} at most; leave some out"
            raise Refusal(400, INVALID_INPUT, message)
        size = sum(_size(name) + _size(json.dumps(value, ensure_ascii=False)) for name, value in merged.items())
        if size > MAX_BYTES:
            limit = f"an execution reports {MAX_BYTES // 1024} KB of keys and values at most"
            raise Refusal(413, INVALID_INPUT, f"{size} bytes are too many: {limit}; shorten them")
        self.values = merged


def parse(content: bytes) -> dict[str, Value]:
    """Return the metrics that a request's body holds.

    Raises:
        Refusal: if it is not a list of metrics as the official client sends it.

    >>> parse(b'[{"insight_key": "cats", "insight_value": 2}]')
    {'cats': 2}
    """
    try:
        given: Any = json.loads(content, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise Refusal(400, INVALID_JSON, f"the insights are not JSON: {str(error)[:200]}") from None
    if not isinstance(given, list):
        raise Refusal(400, INVALID_JSON, 'insights are a list of {"insight_key": NAME, "insight_value": VALUE}')
    found: dict[str, Value] = {}
    for position, item in enumerate(given):
        match item:
            case {"insight_key": str(name), "insight_value": str() | bool() | int() | float() as value} if name:
                if isinstance(value, float) and not math.isfinite(value):  # 1e999
                    raise Refusal(400, INVALID_INPUT, f"the value of {name[:80]!r} is no finite number")
                found[name] = value
            case _:
                form = "an insight_key that is a text, and an insight_value that is a text, a number or a boolean"
                raise Refusal(400, INVALID_INPUT, f"insight {position} is not an object with {form}")
    return found


def message(values: dict[str, Value], about: dict[str, Value]) -> dict[str, Value]:
    """Return what is emitted of an execution: the metrics and what the platform adds, in one flat object.

    Args:
        values: the metrics.
        about: the algorithm, the request and its duration, by the platform's names.
    """
    now = datetime.now(UTC).replace(tzinfo=None).isoformat(timespec="microseconds")
    return {**values, **about, "time": now}


async def report(request: Request) -> Response:
    """Take metrics of the execution that a worker is in. An algorithm's own client ignores a refusal: the log tells."""
    content = await inputs.body(request)
    reporter = request.state.reporter
    insights: Insights | None = reporter and reporter.insights
    if insights is None:
        raise Refusal(
            400,
            INVALID_REQUEST,
            "no call is under way there: insights are reported by an algorithm, before it has returned,"
            " to the ALGORITHMIA_API that it is given",
        )
    try:
        insights.add(parse(content))
    except Refusal as refusal:
        request.app.state.host.say(f"insights of {insights.request_id} refused: {refusal.message}")
        raise
    return Json({})


def _size(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")
