"""One build of an algorithm, as the platform tells it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Build:
    """A build. Times are integer nanoseconds inside; `duration` gives seconds.

    Args:
        algorithm: `OWNER/NAME`.
        id: the platform's name for it.
        status: `in-progress`, `succeeded` or `failed`; empty if the platform does not say.
        commit: the git hash that was built; empty if the platform does not say.
        started_ns: when it began, nanoseconds since the Unix epoch; None if unknown.
        finished_ns: when it ended; None while it runs.
        semantic_version: the version that it was published as; empty if it was not.
        resource: all that the platform tells, as it came.

    >>> build = Build("demo/Routes", "b1", "failed", started_ns=0, finished_ns=2_500_000_000)
    >>> build.duration, build.ended
    (2.5, True)
    """

    algorithm: str
    id: str
    status: str
    commit: str = ""
    started_ns: int | None = None
    finished_ns: int | None = None
    semantic_version: str = ""
    resource: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def __getitem__(self, name: str) -> Any:
        return self.resource[name]

    @property
    def ended(self) -> bool:
        """Whether it succeeded or failed."""
        return self.status in ("succeeded", "failed")

    @property
    def duration(self) -> float | None:
        """Seconds from its begin to its end; None if one of them is unknown."""
        if self.started_ns is None or self.finished_ns is None or self.finished_ns < self.started_ns:
            return None
        return (self.finished_ns - self.started_ns) / 1e9
