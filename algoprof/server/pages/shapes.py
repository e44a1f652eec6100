"""A run as what its page draws: the pieces of a bar."""

from typing import NamedTuple

from algoprof.server.state.run_log import Run


class Piece(NamedTuple):
    """One piece of a bar: what it is, where it begins and how wide it is in percent, and the seconds it stands for."""

    kind: str
    left: float
    width: float
    seconds: float


def bar(run: Run) -> list[Piece]:
    """Return how a run's timeout was used: queue, load, run; what is beyond the end of the bar is cut off.

    >>> run = Run("", "1.0.0", "req-1", 0, "ok", "", 1.0, 1.0, 3.0, 5.0, 10.0, "", "")
    >>> [(piece.kind, piece.left, piece.width) for piece in bar(run)]
    [('queue', 0.0, 10.0), ('load', 10.0, 10.0), ('run', 20.0, 30.0)]
    """
    pieces, left = [], 0.0
    for kind, took in (("queue", run.queue), ("load", run.load), ("run", run.run)):
        width = min(100 - left, 100 * took / run.timeout) if run.timeout else 0.0
        pieces.append(Piece(kind, round(left, 2), round(width, 2), took))
        left += width
    return pieces
