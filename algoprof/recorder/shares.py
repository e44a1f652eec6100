"""A process's shares of runs that other processes opened: what `propagate` carries here."""

from collections import OrderedDict
from threading import Lock

from algoprof.recorder import layout as at
from algoprof.recorder.run_table import RunFacts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from algoprof.recorder.origins import Place
    from algoprof.recorder.run_table import RunState, RunTable
    from algoprof.recorder.writer import Occurrence

IDLE_LIMIT = 8
"""So many shares are kept open while nobody works on them, since more work for their runs may come."""


class Share:
    """One run's share.

    Args:
        state: its run, whose root and path are there but never counted.
    """

    __slots__ = ("anchors", "busy", "state")

    def __init__(self, state: "RunState") -> None:
        self.state = state
        self.anchors: dict[tuple[str, ...], Occurrence] = {}
        self.busy = 0


class Shares:
    """The shares that are open in this process.

    Args:
        table: its run table.
    """

    def __init__(self, table: "RunTable") -> None:
        self._table = table
        self._lock = Lock()
        self._open: OrderedDict[bytes, Share] = OrderedDict()  # by the run's id, the one not used for longest first

    def enter(self, place: "Place") -> Share | None:
        """Make a node of another process's run the innermost one of the calling context.

        None if there is no room for one more run: then what follows is recorded like any other work of this process.
        """
        with self._lock:
            share = self._open.get(place.run_id)
            if share is None:
                self._end_idle(IDLE_LIMIT - 1)
                state = self._table.open_part(_facts(place), place.path[0])
                if state is None:
                    return None
                share = self._open[place.run_id] = Share(state)
            self._open.move_to_end(place.run_id)
            share.busy += 1
            anchor = self._anchor(share, place.path)
            anchor.span = place.span
        self._table.writer.set_current(anchor)
        return share

    def leave(self, share: Share) -> None:
        """Say that a piece of work is done."""
        with self._lock:
            share.busy -= 1

    def end(self) -> None:
        """End every share: the process does."""
        with self._lock:
            while self._open:
                self._end(self._open.popitem()[1].state)

    def _end_idle(self, kept: int) -> None:
        idle = [key for key, share in self._open.items() if not share.busy]
        for key in idle[: max(0, len(idle) - kept)]:
            state = self._open.pop(key).state
            self._end(state)
            self._table.release(state)

    def _end(self, state: "RunState") -> None:
        state.root.closed = True  # so that nothing is counted
        self._table.end(state)

    def _anchor(self, share: Share, path: tuple[str, ...]) -> "Occurrence":
        """Return the occurrence that stands for a node of the other process; it is never counted."""
        anchor = share.anchors.get(path)
        if anchor is None:
            above = share.state.root
            for depth in range(2, len(path) + 1):
                known = share.anchors.get(path[:depth])
                if known is None:
                    number = self._table.name(path[depth - 1])
                    known = share.anchors[path[:depth]] = self._table.anchor(share.state, number, above)
                above = known
            anchor = share.anchors[path] = above
        return anchor


def _facts(place: "Place") -> RunFacts:
    facts = RunFacts(place.run_name)
    facts.parent_id = place.run_id
    facts.flags = at.PART
    return facts
