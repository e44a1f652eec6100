"""`POST /v1/algo/...`: one call, from the request to the platform's envelope."""

import asyncio
import base64
import contextlib
import sqlite3
import time
import uuid
from collections.abc import Coroutine
from datetime import datetime
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response

from algoprof.errors import ServerError
from algoprof.profiles.codec import to_json
from algoprof.server import envelopes
from algoprof.server.access import permissions
from algoprof.server.envelopes import Json, Refusal
from algoprof.server.hosting.host import Host
from algoprof.server.hosting.replicas import Job, Outcome
from algoprof.server.hosting.replies import Reply
from algoprof.server.monitoring.calls import Asked, answered, unanswered
from algoprof.server.monitoring.tracing import Trace
from algoprof.server.routes import inputs, insights
from algoprof.server.state.run_log import Run, RunEnd
from algoprof.server.state.store import Algorithm, Build, now_ms

if TYPE_CHECKING:
    from algoprof.server.data.routes import Data

PROFILE_HEADER = "x-algoprof-profile"
"""Set to 1 by a caller that wants the profile of its call; the answer to a timeout always carries it."""

_ENDS: dict[str, RunEnd] = {"timeout": "timeout", "exited": "exited", "stopped": "lost"}
_SHOWN = 2000  # bytes of an input


async def call(request: Request) -> Response:
    """Answer one call."""
    host: Host = request.app.state.host
    data: Data = request.app.state.data
    content = await inputs.body(request)
    received = time.monotonic()
    selector = request.path_params.get("version", "")
    algorithm = host.callable(algorithm_name(request), selector)
    permissions.require_call(request, algorithm.path)
    options = _options(request.scope["query_string"])
    headers = request.headers
    line = inputs.line(headers.get("content-type", ""), headers.get("content-encoding", ""), content)
    size, content = len(content), content[:_SHOWN]  # the rest may be many megabytes
    version, build = host.called(algorithm, selector)
    if host.stopping:
        raise Refusal(503, envelopes.INTERNAL, "the server is stopping; call again when it is back")
    caller = permissions.caller(request)
    run = _begun(algorithm, version, content, received, options.timeout)
    trace = Trace.joining(inputs.traceparent(headers.getlist("traceparent")) or caller.traceparent)
    asked = Asked(run.request_id, algorithm.path, received, options.timeout, size, trace)
    try:
        session = host.sessions.enter(caller.session)
    except Refusal as refusal:
        host.monitor.call_refused(unanswered(asked, refusal), "calls" if caller.session else "sessions")
        raise
    job = Job(
        request_id=run.request_id,
        algorithm=algorithm.path,
        session=session,
        outside=not caller.session,
        line=line,
        received=received,
        timeout=options.timeout,
        record=host.runs.begin(run, round(received * 1e9)),
        trace=trace,
        profile=headers.get(PROFILE_HEADER) == "1",
    )
    performing = _perform(host, data, _Begun(asked, algorithm, build, job, run, content, options))
    if options.output == "void":
        task = asyncio.create_task(_unwatched(performing))
        host.background.add(task)
        task.add_done_callback(host.background.discard)
        return Json({"async": True, "request_id": job.request_id})
    outcome, error = await performing
    return _answer(job, outcome, error, options, by_status=host.failures_by_status)


@lru_cache(maxsize=64)
def _options(query: bytes) -> inputs.Options:
    return inputs.options(QueryParams(query))


def algorithm_name(request: Request) -> str:
    """Return `OWNER/NAME`, or the id, that a request's path names."""
    path = request.path_params
    return str(path["id"]) if "id" in path else f"{path['owner']}/{path['name']}"


class _Begun(NamedTuple):
    """A call that was let in."""

    asked: Asked
    algorithm: Algorithm
    build: Build
    job: Job
    run: Run
    content: bytes
    options: inputs.Options


async def _perform(host: Host, data: "Data", begun: _Begun) -> tuple[Outcome, dict[str, str] | None]:
    """Run a job and return its outcome with the error to be told, if there is one, which is also logged."""
    asked, algorithm, job, run = begun.asked, begun.algorithm, begun.job, begun.run
    token = host.monitor.call_started(algorithm.path, job.received, job.timeout)
    outcome, failure = None, Refusal(500, envelopes.INTERNAL, "the server failed; its stderr says why")
    try:
        outcome = await host.run(begun.build, job)
    except ServerError as failed:
        job.record.forget()
        failure = Refusal(500, envelopes.INTERNAL, str(failed))
        raise failure from failed
    finally:
        if outcome is None:
            host.monitor.call_ended(token, unanswered(asked, failure))
        if host.sessions.leave(job.session):
            await data.end_session(job.session)
    host.say(_line(algorithm, run.version, job, outcome))
    if outcome.end == "stopped":
        stopped = "the server was stopped before the algorithm had finished"
        failure = Refusal(503, envelopes.INTERNAL, stopped)
        host.monitor.call_ended(token, unanswered(asked, failure))
        host.runs.keep(job.record, _ended(run, job, outcome, {"message": stopped}), outcome.packed)
        raise failure
    error = _error(job, outcome)
    try:
        if error is not None:
            host.store.record_error(
                algorithm,
                request_id=job.request_id,
                version=run.version,
                given=begun.content[:512].decode("utf-8", "replace"),
                error=error,
            )
        if outcome.insights.values:
            host.store.record_insights(algorithm, job.request_id, _insights(algorithm, run.version, job, outcome))
    except sqlite3.Error as failed:  # a full disk
        host.say(f"errors and insights are not kept ({failed}); calls are answered all the same")
    call = answered(
        asked, outcome, error, status=_status(outcome, error, begun.options, by_status=host.failures_by_status)
    )
    recorded = host.monitor.call_ended(token, call, outcome.recorded)
    ended = _ended(run, job, outcome, error)
    if outcome.packed is not None and recorded is not None:
        recorded()  # it was read already, and is only told
    if not host.runs.keep(job.record, ended, outcome.packed, recorded, quick=outcome.quick):
        host.monitor.profile_unread(token, call)
    return outcome, error


def _begun(algorithm: Algorithm, version: str, content: bytes, received: float, timeout: float) -> Run:
    """Return a call that begins as it is kept, were the server to be killed now."""
    return Run(
        algorithm_id=algorithm.id,
        version=version,
        request_id=f"req-{uuid.uuid4()}",
        received_ms=now_ms() - round((time.monotonic() - received) * 1000),
        end="lost",
        error="",
        queue=0.0,
        load=0.0,
        run=0.0,
        total=0.0,
        timeout=timeout,
        input=content[:2000].decode("utf-8", "replace"),
        stdout="",
    )


def _ended(run: Run, job: Job, outcome: Outcome, error: dict[str, str] | None) -> Run:
    """Return a call that has ended as it is kept."""
    told = [error["message"], error.get("stacktrace", "")] if error else []
    return run._replace(
        end=("failed" if error else "ok") if outcome.end == "reply" else _ENDS[outcome.end],
        error="\n".join(filter(None, told)),
        queue=outcome.queue,
        load=outcome.load,
        run=outcome.run,
        total=time.monotonic() - job.received,
        stdout=outcome.stdout,
    )


def _insights(algorithm: Algorithm, version: str, job: Job, outcome: Outcome) -> dict[str, insights.Value]:
    about: dict[str, insights.Value] = {
        "duration_milliseconds": round(outcome.run * 1000),
        "algorithm_owner": algorithm.owner,
        "algorithm_name": algorithm.name,
        "algorithm_version": version,
        "request_id": job.request_id,
        "session_id": job.session,
    }
    return insights.message(outcome.insights.values, about)


async def _unwatched(performing: Coroutine[Any, Any, object]) -> None:
    with contextlib.suppress(Refusal):  # there is nobody to tell
        await performing


def _line(algorithm: Algorithm, version: str, job: Job, outcome: Outcome) -> str:
    """Return a call in one line of a log."""
    word = outcome.end if outcome.reply is None else "failed" if outcome.reply.error else "ok"
    took = time.monotonic() - job.received
    return f"{_clock(int(time.time()))} {algorithm.path}/{version} {word} in {took:.3f} s of {job.timeout:g} s"


@lru_cache(maxsize=1)
def _clock(second: int) -> str:
    return datetime.fromtimestamp(second).astimezone().isoformat()


def _error(job: Job, outcome: Outcome) -> dict[str, str] | None:
    if outcome.reply is not None:
        return outcome.reply.error
    if outcome.end == "exited":
        return {"message": outcome.message, "error_type": "SystemExit"}
    spent = f"queued {outcome.queue:.1f} s, loading {outcome.load:.1f} s, running {outcome.run:.1f} s"
    millis = round(job.timeout * 1000)
    return {"message": f"Operation timed out after {millis} milliseconds ({spent})", "error_type": "TimeoutError"}


def _status(outcome: Outcome, error: dict[str, str] | None, options: inputs.Options, *, by_status: bool) -> HTTPStatus:
    if error is None or not (by_status or options.output == "raw"):
        return HTTPStatus.OK
    return HTTPStatus.GATEWAY_TIMEOUT if by_status and outcome.end == "timeout" else HTTPStatus.BAD_REQUEST


def _answer(
    job: Job, outcome: Outcome, error: dict[str, str] | None, options: inputs.Options, *, by_status: bool
) -> Response:
    metadata: dict[str, Any] = {"duration": outcome.run, "algoprof": _measured(job, outcome)}
    if options.stdout or outcome.end == "timeout":
        metadata["stdout"] = outcome.stdout
    reply = outcome.reply
    if error is not None or reply is None:
        body = envelopes.failed(job.request_id, error or {}, metadata)
        return Json(body, status_code=_status(outcome, error, options, by_status=by_status))
    if options.output == "raw":
        return _bare(reply)
    return envelopes.succeeded(job.request_id, reply.encoded, {"content_type": reply.content_type, **metadata})


def _bare(reply: Reply) -> Response:
    if reply.content_type == "text":
        return envelopes.Whole([reply.result.encode("utf-8", "replace")], "text/plain")
    if reply.content_type == "binary":
        return envelopes.Whole([base64.b64decode(reply.encoded)], "application/octet-stream")
    return envelopes.Whole([reply.encoded], "application/json")


def _measured(job: Job, outcome: Outcome) -> dict[str, Any]:
    """Return what the platform does not tell: the split of the time in seconds, the profile, the insights."""
    measured: dict[str, Any] = {
        "queue": outcome.queue,
        "load": outcome.load,
        "run": outcome.run,
        "total": time.monotonic() - job.received,
        "timeout": job.timeout,
    }
    if outcome.cold_start is not None:
        measured["cold_start"] = outcome.cold_start._asdict()
    if job.trace.span_id:
        measured["span"] = job.trace.span_id
    if outcome.profile is not None:
        measured["profile"] = to_json(outcome.profile)
    if outcome.insights.values:
        measured["insights"] = outcome.insights.values
    return measured
