"""One request to the platform, seen from the caller."""

from dataclasses import dataclass
from typing import Literal

from algoprof.profiles.tree import Profile

Outcome = Literal[
    "ok",
    "accepted",
    "algorithm_error",
    "timeout",
    "client_timeout",
    "refused",
    "platform_error",
    "unreachable",
    "cancelled",
    "not_sent",
]
"""How a call ended: `accepted` is a void call, `refused` any 4xx, `not_sent` one that was refused here."""


@dataclass(frozen=True, slots=True)
class Call:
    """One attempt to call an algorithm. Times are integer nanoseconds inside; the properties give seconds.

    Args:
        algorithm: `OWNER/NAME` or `OWNER/NAME/VERSION`, as asked for.
        started_ns: when it was sent, nanoseconds since the Unix epoch.
        wall_ns: from sending to the answer in hand.
        outcome: how it ended.
        duration_ns: what the platform says it ran, its `metadata.duration`; None if it does not say.
        queue_ns: how long it waited for a worker; None if unknown.
        load_ns: how long it waited for that worker to load the algorithm; None if unknown.
        interpreter_ns: how much of that a new worker took until Python ran; None if it was not new, or unknown.
        imports_ns: how much it then took to import the algorithm; likewise.
        timeout: the budget in seconds that the call was given.
        status: the HTTP status; None without an answer.
        error_type: the platform's error type; empty without one.
        message: the platform's error message; empty without one.
        request_bytes: size of the body sent.
        response_bytes: size of the body received.
        request_id: the platform's name for the request; empty if it gives none.
        trace_id: 32 hexadecimal digits that the caller sent along.
        span_id: the call's own span, 64 bits: the parent of the remote run, unless the server stands between.
        parent_span_id: the span that it was made in, of the same trace; 0 without one.
        remote_span_id: the server's span of it; who made that sends the remote run's spans too. 0 if nobody does.
        served: whether this is the server's own record of it: `wall_ns` is then from the whole request to the answer.
        attempt: which attempt it was, from 1; each has a record of its own.
        cut: whether its timeout is what the run around it had left, and less than was asked for.
        uploads: how many files of the data API stand in its input in place of what it was called with.
        upload_bytes: bytes that were sent for them before it; what the platform had already was not sent again.
        profile: the remote sections, where they came home.
    """

    algorithm: str
    started_ns: int
    wall_ns: int
    outcome: Outcome
    duration_ns: int | None = None
    queue_ns: int | None = None
    load_ns: int | None = None
    interpreter_ns: int | None = None
    imports_ns: int | None = None
    timeout: float = 300.0
    status: int | None = None
    error_type: str = ""
    message: str = ""
    request_bytes: int = 0
    response_bytes: int = 0
    request_id: str = ""
    trace_id: str = ""
    span_id: int = 0
    parent_span_id: int = 0
    remote_span_id: int = 0
    served: bool = False
    attempt: int = 1
    cut: bool = False
    uploads: int = 0
    upload_bytes: int = 0
    profile: Profile | None = None

    @property
    def wall(self) -> float:
        """Seconds from sending to the answer in hand."""
        return self.wall_ns / 1e9

    @property
    def duration(self) -> float | None:
        """Seconds the platform says it ran; None if it does not say."""
        return None if self.duration_ns is None else self.duration_ns / 1e9

    @property
    def overhead(self) -> float | None:
        """Seconds of `wall` that are not `duration`: queue, load and network; None without a duration."""
        return None if self.duration_ns is None else (self.wall_ns - self.duration_ns) / 1e9

    @property
    def queue(self) -> float | None:
        """Seconds it waited for a worker; None if unknown."""
        return None if self.queue_ns is None else self.queue_ns / 1e9

    @property
    def load(self) -> float | None:
        """Seconds the worker took to load the algorithm for it; None if unknown."""
        return None if self.load_ns is None else self.load_ns / 1e9

    @property
    def interpreter(self) -> float | None:
        """Seconds of `load` until Python ran; None if the worker was not new, or unknown."""
        return None if self.interpreter_ns is None else self.interpreter_ns / 1e9

    @property
    def imports(self) -> float | None:
        """Seconds of `load` to import the algorithm and what it imports; None if the worker was not new, or unknown."""
        return None if self.imports_ns is None else self.imports_ns / 1e9

    @property
    def network(self) -> float | None:
        """Seconds of `wall` that are neither queue nor load nor run; None unless all of them are known."""
        if self.duration_ns is None or self.queue_ns is None or self.load_ns is None:
            return None
        return max(0, self.wall_ns - self._spent_ns()) / 1e9

    @property
    def budget_used_ratio(self) -> float | None:
        """The share of the timeout used; at least 1 if the timeout won; None where the platform gives no duration.

        >>> Call("demo/Routes", 0, 5_000_000_000, "ok", duration_ns=3_000_000_000, timeout=4).budget_used_ratio
        0.75
        """
        if self.outcome in ("timeout", "client_timeout"):
            return max(1.0, self._spent_ns() / 1e9 / self.timeout)
        return None if self.duration_ns is None else self._spent_ns() / 1e9 / self.timeout

    @property
    def budget_source(self) -> str:
        """What the ratio is made of: `split` (queue + load + run), `duration`, `deadline` (killed), or empty."""
        if self.duration_ns is None:
            return "deadline" if self.outcome in ("timeout", "client_timeout") else ""
        return "duration" if self.queue_ns is None else "split"

    def _spent_ns(self) -> int:
        return (self.duration_ns or 0) + (self.queue_ns or 0) + (self.load_ns or 0)
