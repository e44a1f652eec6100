"""A call as JSON, for scripts: what `algoprof call --json` prints."""

import base64
from dataclasses import fields
from typing import Any

from algoprof.calls.attempts import Response
from algoprof.errors import CallError
from algoprof.profiles import codec
from algoprof.profiles.calls import Call


def record_of(told: Response | CallError) -> dict[str, Any]:
    """Return all that is known about a call, for scripts; times in seconds."""
    call = told.call
    record: dict[str, Any] = {"call": _call(call)}
    if isinstance(told, CallError):
        names = ("message", "error_type", "code", "stack_trace", "stdout", "hint")
        return {"error": {name: getattr(told, name) for name in names}, **record}
    result, metadata = told.result, told.metadata
    if isinstance(result, bytes):
        result = base64.b64encode(result).decode()
    shown = {name: getattr(metadata, name) for name in ("content_type", "duration", "stdout")}
    return {"result": result, "metadata": shown, **record}


def _call(call: Call) -> dict[str, Any]:
    plain = {
        field.name: getattr(call, field.name)
        for field in fields(call)
        if field.name != "profile" and not field.name.endswith("_ns")
    }
    names = ("wall", "duration", "overhead", "queue", "load", "interpreter", "imports", "network")
    times = {name: getattr(call, name) for name in names}
    ratio = {"budget_used_ratio": call.budget_used_ratio, "budget_source": call.budget_source}
    profile = {"profile": codec.to_json(call.profile)} if call.profile else {}
    return {**plain, "started": call.started_ns / 1e9, **times, **ratio, **profile}
