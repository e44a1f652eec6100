"""One call from its beginning to its record, whatever transport carries it."""

import logging
import math
import re
import time
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Self

from algoprof.budgets import budget
from algoprof.calls import failures, recording
from algoprof.calls.access.platforms import Platform
from algoprof.calls.data.uploads import Prepared
from algoprof.calls.options import Options
from algoprof.calls.references import Reference
from algoprof.calls.retries import retry_after
from algoprof.calls.tracing import CallTrace
from algoprof.calls.wire.inputs import UPLOAD, Flaw, encode
from algoprof.calls.wire.protocol import Answer, Metadata, NoAnswer, Reply, Request, build, context, read, without_key
from algoprof.profiles.calls import Call


@dataclass(frozen=True, slots=True)
class Response:
    """What a call gave.

    Args:
        result: the output: a JSON value, a text or bytes; None from a void call.
        metadata: what the platform tells about the call.
        call: the record of the call: its times against its timeout, and the remote profile.
        index: from `pipe_many`, which of its inputs this answers, from 0; else None.
    """

    result: Any
    metadata: Metadata
    call: Call
    index: int | None = None

    @property
    def request_id(self) -> str:
        """The platform's name for the request; empty if it gives none."""
        return self.call.request_id

    @property
    def async_protocol(self) -> Any:
        """What the platform says of a void call under `async`; None of any other."""
        return self.metadata.full_metadata.get("async")


AlgoResponse = Response
"""The official client's name for it."""

_REGISTER = "say with algoprof.register_converter how to make a file of it"
_LONGEST_MESSAGE = 4_000  # characters of a failure's message that are recorded; the error raised has all of them
_MOST_KINDS = 32  # of flaws that are told; what a flaw says comes from afar
_warned: set[str] = set()  # kinds that were told already: a platform that sends one bad profile sends many


class Attempt:
    """A call on its way. Used as a context manager, it is recorded exactly once, however it ends.

    Args:
        platform: where it goes.
        reference: the algorithm.
        options: what is asked for; a timeout is cut to what remains of the budget of the run around it.
        grace: seconds that an answer may take beyond the timeout.
        number: which attempt of a call it is.
        limited: whether the budget of the run around it limits it.
    """

    def __init__(
        self,
        platform: Platform,
        reference: Reference,
        options: Options,
        grace: float,
        *,
        number: int = 1,
        limited: bool = True,
    ) -> None:
        self._budget = budget()
        remaining = self._budget.remaining if limited else math.inf
        self._platform = platform
        self._reference = reference
        self._in_budget = remaining > 0
        self._cut = 0 < remaining < options.timeout
        self._options = replace(options, timeout=remaining) if self._cut else options
        self._grace = grace
        self._number = number
        self._started_ns = time.time_ns()
        self._began_ns = time.monotonic_ns()
        self._trace = CallTrace.here()
        self.request_bytes = 0
        self._uploads = self._upload_bytes = 0
        self._token = recording.started(str(reference), self._options.timeout)
        self._ended = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._ended:
            self._end(Reply("cancelled", message=kind.__name__ if kind else "given up"))

    def request(self, value: object) -> Request:
        """Return what is to be sent.

        Args:
            value: the input, or what was prepared of one.

        Raises:
            InputRefused: if the input cannot be sent.
            CallOutOfBudget: if nothing remains of the budget.
        """
        if not self._in_budget:
            call = self._end(Reply("not_sent", message="nothing remains of the budget"))
            raise failures.out_of_budget(call, self._budget)
        prepared = value if isinstance(value, Prepared) else Prepared(value)
        self._uploads, self._upload_bytes = prepared.uploads, prepared.upload_bytes
        body = encode(prepared.input)
        if isinstance(body, Flaw):
            if prepared is value:  # uploading was not the way out
                body = Flaw(body.sentence, body.hint.replace(UPLOAD, _REGISTER))
            call = self._end(Reply("not_sent", message=body.sentence))
            raise failures.input_refused(call, body)
        self.request_bytes = len(body.data)
        trace = self._trace
        return build(self._platform, self._reference, self._options, body, trace_id=trace.trace_id, span_id=trace.sent)

    @property
    def deadline(self) -> float:
        """The moment of `time.monotonic` at which waiting ends."""
        return self._began_ns / 1e9 + self._options.timeout + self._grace

    @property
    def headers(self) -> dict[str, str]:
        """What a request of another client's is to carry beside its own."""
        return context(self._trace.trace_id, self._trace.sent)

    def record(self, answer: Answer | NoAnswer) -> tuple[Call, Reply]:
        """End it with what came, and return its record and what that means."""
        if isinstance(answer, NoAnswer):
            wait = 0.0 if answer.unsent else None
            reply = Reply(answer.outcome, message=answer.reason, retry_after=wait, lost=answer.lost)
            return self._end(reply, status=answer.status), reply
        reply = read(answer, self._options.output)
        if reply.outcome not in ("ok", "accepted"):
            told = without_key(answer, self._platform)
            if told != answer:
                reply = replace(read(told, self._options.output), outcome=reply.outcome)
            reply = self._without_key(reply, retry_after(answer.status, answer.headers))
        return self._end(reply, status=answer.status, response_bytes=len(answer.body)), reply

    def finish(self, answer: Answer | NoAnswer) -> Response:
        """Return what the answer gives.

        Raises:
            CallError: if it gives none.
        """
        call, reply = self.record(answer)
        if call.outcome in ("ok", "accepted"):
            return Response(reply.result, reply.metadata, call)
        raise failures.failed(call, reply, self._platform, grace=self._grace)

    def _without_key(self, reply: Reply, wait: float | None) -> Reply:
        redact = self._platform.redact
        return replace(
            reply,
            message=redact(reply.message),
            error_type=redact(reply.error_type),
            stack_trace=redact(reply.stack_trace),
            retry_after=wait,
        )

    def _end(self, reply: Reply, *, status: int | None = None, response_bytes: int = 0) -> Call:
        self._ended = True
        if reply.profile_flaw:
            _warn_once_of(reply.profile_flaw, f"the profile that came home from {self._reference} is not used")
        call = Call(
            algorithm=str(self._reference),
            started_ns=self._started_ns,
            wall_ns=time.monotonic_ns() - self._began_ns,
            outcome=reply.outcome,
            duration_ns=reply.duration_ns,
            queue_ns=reply.queue_ns,
            interpreter_ns=reply.interpreter_ns,
            imports_ns=reply.imports_ns,
            load_ns=reply.load_ns,
            timeout=self._options.timeout,
            status=status,
            error_type=reply.error_type,
            message=reply.message[:_LONGEST_MESSAGE],
            request_bytes=self.request_bytes,
            response_bytes=response_bytes,
            request_id=self._platform.redact(reply.request_id),
            trace_id=self._trace.trace_id,
            span_id=int(self._trace.span_id, 16),
            parent_span_id=int(self._trace.parent_span_id or "0", 16),
            remote_span_id=reply.remote_span_id,
            attempt=self._number,
            cut=self._cut,
            uploads=self._uploads,
            upload_bytes=self._upload_bytes,
            profile=reply.profile,
        )
        recording.ended(self._token, call)
        return call


def _warn_once_of(flaw: str, sentence: str) -> None:
    """Log a flaw unless one of its kind was: the same words, whatever place, value or number they name."""
    kind = re.sub(r"^\S*: |'[^']*'|\"[^\"]*\"|[\d,.]+", "", flaw)
    if kind not in _warned and len(_warned) < _MOST_KINDS:
        _warned.add(kind)
        logging.getLogger("algoprof").warning("%s: %s; of this kind it is said once", sentence, flaw)
