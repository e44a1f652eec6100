"""Which trace a call belongs to: that of the run that it is made in, else one of its own."""

import secrets
import sys
from dataclasses import dataclass

from algoprof import delivery


@dataclass(frozen=True, slots=True)
class CallTrace:
    """The identity of one call.

    Args:
        trace_id: 32 hexadecimal digits.
        span_id: the call's own span, 16 hexadecimal digits.
        parent_span_id: the section's that it is made in, likewise; empty outside every run.
    """

    trace_id: str
    span_id: str
    parent_span_id: str = ""

    @classmethod
    def here(cls) -> "CallTrace":
        """Return a new one, for a call that is made where this is called."""
        trace_id, parent = _around() or (_hexadecimal(16), 0)
        return cls(trace_id, _hexadecimal(8), f"{parent:016x}" if parent else "")

    @property
    def sent(self) -> str:
        """The span that goes out as the remote run's parent: one that is sent to where traces are looked at.

        Where nobody sends calls as spans, as in a worker of `algoprof serve`, it is the section's.
        """
        return self.parent_span_id if self.parent_span_id and not delivery.sends_spans() else self.span_id


def _around() -> tuple[str, int] | None:
    """Return the trace and the span of the run around; a process that has recorded nothing has no recorder loaded."""
    if "algoprof.recorder.process" not in sys.modules:
        return None
    from algoprof.recorder import process  # noqa: PLC0415  (as above)

    found: tuple[str, int] | None = process.never_raises(process.call_context)()
    return found


def _hexadecimal(count: int) -> str:
    """Return random bytes as hexadecimal digits, not all zero: that would be no identity in a W3C trace context."""
    return secrets.token_hex(count - 1) + f"{secrets.randbelow(255) + 1:02x}"
