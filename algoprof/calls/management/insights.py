"""What an algorithm itself reports of its execution: a request, and what the answer to it means."""

import json
import math
import time
from collections.abc import Mapping
from urllib.parse import urlsplit

from algoprof._version import __version__
from algoprof.budgets import budget
from algoprof.calls.access.platforms import PUBLIC_ADDRESS, Platform
from algoprof.calls.wire.protocol import Answer, NoAnswer, Request, read, without_key
from algoprof.errors import ConfigurationError, ManagementError

USUAL = "http://localhost:9000"
"""Where an algorithm on the public platform reports to, if `ALGORITHMIA_API` says nothing else."""

TIMEOUT = 10.0
"""Seconds that it may take: an algorithm waits for it."""


def report(platform: Platform, insights: Mapping[str, str | float]) -> Request:
    """Return the request that reports metrics of the execution that this process is in.

    Args:
        platform: the platform.
        insights: texts, numbers and booleans by name.

    Raises:
        ConfigurationError: if a name or a value is none of those.

    >>> report(Platform("http://127.0.0.1:8080"), {"cats": 2}).body
    b'[{"insight_key": "cats", "insight_value": 2}]'
    """
    if not isinstance(insights, Mapping):
        raise ConfigurationError(f"insights are a dict of names and values, not {type(insights).__name__}")
    for name, value in insights.items():
        if not isinstance(name, str) or not name:
            raise ConfigurationError(f"the name of an insight is a text, not {name!r:.80}")
        if not isinstance(value, (str, int, float)) or (isinstance(value, float) and not math.isfinite(value)):
            kind = value if isinstance(value, float) else type(value).__name__
            raise ConfigurationError(f"the insight {name[:80]!r} is a text, a finite number or a boolean, not {kind}")
    told = [{"insight_key": name, "insight_value": value} for name, value in insights.items()]
    try:
        body = json.dumps(told).encode()
    except ValueError as error:  # an integer of over 4,300 digits
        raise ConfigurationError(f"these insights are no JSON: {error}") from None
    headers = {
        "Accept": "application/json",
        "Accept-Encoding": "identity",
        "Content-Type": "application/json",
        "User-Agent": f"algoprof/{__version__}",
    }
    address = _address(platform)
    if platform.authorization and address == platform.address:
        headers["Authorization"] = platform.authorization
    return Request(f"{address}/v1/insights", {}, headers, body)


def deadline() -> float:
    """Return until when it may take, as a moment of `time.monotonic`: within a run, while its budget lasts."""
    return time.monotonic() + min(TIMEOUT, budget().remaining)


def check(platform: Platform, answer: Answer | NoAnswer) -> None:
    """Return if what was reported is taken.

    Raises:
        ManagementError: if it is not.
    """
    if isinstance(answer, NoAnswer):
        raise ManagementError(
            f"insights could not be reported to {_shown(platform)}: {platform.redact(answer.reason)}",
            status=answer.status,
            hint="they are for algorithms, on a platform or under `algoprof serve`",
        )
    answer = without_key(answer, platform)
    if 200 <= answer.status < 300:
        return
    told = read(answer)
    message = platform.redact(told.message)
    raise ManagementError(
        f"insights were refused by {_shown(platform)} with HTTP {answer.status}: {message}",
        status=answer.status,
        code=told.code,
        message=message,
    )


def _address(platform: Platform) -> str:
    return USUAL if platform.address == PUBLIC_ADDRESS else platform.address


def _shown(platform: Platform) -> str:
    """Name it without its path: under `algoprof serve` that is what a worker is known by."""
    parts = urlsplit(_address(platform))
    return f"{parts.scheme}://{parts.netloc}"
