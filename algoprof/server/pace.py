"""How fast a body must come: who sends it byte by byte keeps nobody waiting for long."""

from algoprof.server.envelopes import INVALID_REQUEST, Refusal

GRACE = 30.0
"""Seconds that a body may take, whatever its size."""
SLOWEST = 1024
"""Bytes a second that are fast enough: each of them gives that much more time."""


def seconds(received: int) -> float:
    """Return within how many seconds of its beginning more of a body must come.

    Args:
        received: bytes that have come.
    """
    return GRACE + received / SLOWEST


def too_slow(received: int) -> Refusal:
    """Return the refusal of a body that comes too slowly."""
    message = f"{received} bytes were sent in {seconds(received):.0f} s, and then none in time; send them faster"
    return Refusal(408, INVALID_REQUEST, message)
