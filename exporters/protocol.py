"""What an exporter is, and what it is made from."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeAlias, runtime_checkable

from algoprof.profiles.batch import Batch
from algoprof.settings import Settings


@runtime_checkable
class Exporter(Protocol):
    """Takes records somewhere. Each exporter has a thread of its own; both methods are called on that thread only.

    One that is of no use after the function of an outermost run has returned, since the process may be frozen then, has
    an attribute `run_end_wait` as well: the seconds for which the run's end waits for it. That is at most half of what
    is left of the run's budget, and while it is busy with what was waited for in vain, nothing waits.

    One that sends calls and runs as spans has a true attribute `sends_spans`: only then is the span of a call handed on
    as the parent of others.
    """

    def export(self, batch: Batch) -> None:
        """Take the records of a batch. It may block and it may raise: then the batch counts as lost."""

    def shutdown(self, deadline: float) -> None:
        """Let go of whatever is held, by `deadline` on `time.monotonic`'s clock, in seconds; nobody waits longer."""


@dataclass(frozen=True, slots=True)
class Context:
    """What every exporter is made from: `exporter = factory(context)`.

    An entry point in group `algoprof.exporters` names such a factory, usually the class itself.

    Args:
        settings: the settings that hold.
        current: the totals so far, the open runs and the calls in flight, for exporters that are asked.
        losses: how many records did not get where they should have, by exporter and reason.
        family: the same for all processes whose records `current` adds up.

    >>> Context(Settings()).current()
    Batch(profiles=(), calls=(), open_runs=(), calls_in_flight=(), builds=(), hosting=None)
    """

    settings: Settings
    current: Callable[[], Batch] = Batch
    losses: Callable[[], Mapping[tuple[str, str], int]] = dict
    family: str = ""


ExporterFactory: TypeAlias = Callable[[Context], Exporter]
"""What an entry point of group `algoprof.exporters` names."""
