"""The trace that a call joins, and the span of it that the server sends, if it sends any."""

import secrets
from typing import NamedTuple

from algoprof import delivery


class Trace(NamedTuple):
    """Where a call stands among others.

    Args:
        trace_id: 32 hexadecimal digits; empty if it is part of no trace, and nobody here begins one.
        parent_span_id: the caller's span, 16 hexadecimal digits; empty without one.
        span_id: the server's own span, likewise; empty if the server sends no spans.
        flags: those of the W3C trace context.

    >>> Trace("ab" * 16, "cd" * 8).passed_on == f"00-{'ab' * 16}-{'cd' * 8}-01"
    True
    >>> Trace("ab" * 16, "cd" * 8, "ef" * 8).passed_on == f"00-{'ab' * 16}-{'ef' * 8}-01"
    True
    >>> Trace().passed_on
    ''
    """

    trace_id: str = ""
    parent_span_id: str = ""
    span_id: str = ""
    flags: str = "01"

    @classmethod
    def joining(cls, traceparent: str) -> "Trace":
        """Return that of a new call.

        The server has a span of its own in it only where it sends that: a run below a span that nobody has looks lost.

        Args:
            traceparent: the caller's W3C trace context, already checked; empty without one.
        """
        _, trace_id, parent, flags = traceparent.split("-") if traceparent else ("", "", "", "01")
        if not delivery.sends_spans():
            return cls(trace_id, parent, "", flags)
        return cls(trace_id or secrets.token_hex(16), parent, secrets.token_hex(8), flags)

    @property
    def passed_on(self) -> str:
        """The trace context that the algorithm gets; empty if there is none."""
        parent = self.span_id or self.parent_span_id
        return f"00-{self.trace_id}-{parent}-{self.flags}" if self.trace_id and parent else ""


NO_TRACE = Trace()
"""That of a call which is part of none."""
