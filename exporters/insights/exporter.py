"""The exporter named `insights`: posts a few numbers of each execution before its function returns."""

import json
import os
import time
from collections.abc import Callable, Collection

from algoprof.errors import AlgoprofError, ConfigurationError
from algoprof.exporters.insights.endpoint import USUAL, Endpoint
from algoprof.exporters.insights.selection import FACTS, Selection
from algoprof.exporters.protocol import Context, Exporter
from algoprof.profiles.batch import Batch
from algoprof.profiles.tree import Profile

TIMEOUT = 0.25
"""Seconds that a run's end waits for the platform at most, unless told otherwise."""

PAUSE = 30.0
"""Seconds for which nothing is sent after the platform did not take it."""

_REMEMBERED = 64  # executions whose names are known


class InsightsExporter:
    """Posts the insights of every outermost run to `ALGORITHMIA_API`, as the platform's own client does.

    The process may be frozen as soon as the algorithm has answered, so the run's end waits for this exporter, see
    `run_end_wait`. What is late is lost and counted: the platform would take it for the next execution's.

    Args:
        context: not needed; every exporter is made from one.
        selection: which numbers are sent.
        timeout: seconds that a run's end waits at most, and that sending may take.
        pause: seconds for which nothing is tried after a failure.

    Raises:
        ConfigurationError: if `ALGORITHMIA_API` is no address, or a number of seconds cannot be meant.
    """

    def __init__(
        self,
        context: Context | None = None,
        *,
        selection: Selection = Selection(),  # noqa: B008  (never changed)
        timeout: float = TIMEOUT,
        pause: float = PAUSE,
    ) -> None:
        del context
        if not 0 < timeout <= 60 or not pause >= 0:
            raise ConfigurationError(
                f"timeout is {timeout!r} and pause {pause!r}: they are seconds, at most 60, at least 0"
            )
        self.run_end_wait = timeout
        """Seconds for which delivery has an outermost run's end wait for this exporter."""
        self._selection = selection
        self._pause = pause
        self._endpoint = Endpoint(os.environ.get("ALGORITHMIA_API", "").strip() or USUAL)
        self._sent: dict[str, frozenset[str]] = {}
        self._first = ""
        self._lost = 0
        self._paused_until = 0.0
        self._trouble = ""

    @classmethod
    def with_options(
        cls,
        *,
        metrics: Collection[str] = tuple(FACTS),
        sections: int | Collection[str] = 6,
        limit: int = 20,
        timeout: float = TIMEOUT,
        pause: float = PAUSE,
    ) -> Callable[[Context], Exporter]:
        """Return what makes an exporter that sends other numbers, for `configure(exporters=[...])`.

        Args:
            metrics: names of `selection.FACTS`, without their prefix.
            sections: how many sections, or the paths of those that are always sent.
            limit: metrics of an execution at most.
            timeout: seconds that a run's end waits at most.
            pause: seconds for which nothing is tried after a failure.

        Raises:
            ConfigurationError: if one of them cannot be meant.

        >>> factory = InsightsExporter.with_options(metrics=["budget_used_ratio"], sections=["load"])
        >>> factory.__name__
        'insights'
        """
        selection = Selection(metrics, sections, limit)

        def insights(context: Context) -> Exporter:
            return cls(context, selection=selection, timeout=timeout, pause=pause)

        return insights

    def export(self, batch: Batch) -> None:
        """Send the insights of a batch's outermost runs.

        Raises:
            AlgoprofError: if some were not sent.
        """
        trouble: AlgoprofError | None = None
        for profile in batch.profiles:
            if not is_execution(profile):
                continue
            try:
                self._send(profile)
            except AlgoprofError as error:
                self._lost += 1
                trouble = error
        if trouble is not None:
            raise trouble

    def shutdown(self, deadline: float) -> None:
        """Do nothing: nothing is held."""

    def _send(self, profile: Profile) -> None:
        execution = profile.request_id or profile.run_id
        self._first = self._first or execution
        began = time.monotonic()
        if began < self._paused_until:
            raise AlgoprofError(self._trouble)
        age = (time.time_ns() - profile.started_ns - profile.duration_ns) / 1e9
        if age > self.run_end_wait:
            raise AlgoprofError(f"insights of {profile.name} are {age:.1f} s late, and would be another execution's")
        sent = self._sent.get(execution, frozenset())
        values = self._selection.of(profile, cold_start=execution == self._first, reports_lost=self._lost, sent=sent)
        self._remember(execution, sent.union(values))
        try:
            self._endpoint.post(_body(values), began + self.run_end_wait)
        except (OSError, ValueError, AlgoprofError) as error:
            self._paused_until = time.monotonic() + self._pause
            self._trouble = f"{self._endpoint.shown}: {error}; nothing is sent for {self._pause:g} s"
            raise AlgoprofError(self._trouble) from error

    def _remember(self, execution: str, names: frozenset[str]) -> None:
        self._sent.pop(execution, None)
        self._sent[execution] = names
        if len(self._sent) > _REMEMBERED:
            del self._sent[next(iter(self._sent))]


def is_execution(profile: Profile) -> bool:
    """Return whether a run stands for an execution of the algorithm: it is in no other run, and somebody opened it.

    The implicit run, which holds the sections outside every run until the program ends, is named for the program and
    written nowhere.

    >>> is_execution(Profile("apply", ())), is_execution(Profile("job", (), parent_run_id="ab" * 16))
    (True, False)
    """
    if profile.parent_run_id or profile.part or profile.outcome not in ("ok", "error", "open"):
        return False
    return not (profile.name == profile.program and profile.roots and not profile.roots[0].module)


def _body(values: dict[str, float]) -> bytes:
    return json.dumps([{"insight_key": name, "insight_value": value} for name, value in values.items()]).encode()
