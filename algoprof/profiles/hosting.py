"""What a server hosts and how busy it is, at one moment: as plain data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

WorkerEnd = Literal["idle", "replaced", "timeout", "exited"]
"""Why a worker ended: it had nothing to do, or its version is served no longer; its answer was its last; its call's
timeout killed it; it ended by itself, or somebody else killed it."""

Refused = Literal["sessions", "calls"]
"""Why a call was turned away with 429: too many sessions are under way, or too many calls of its own session."""


@dataclass(frozen=True, slots=True)
class HostedAlgorithm:
    """One algorithm with the workers of all its versions.

    Args:
        algorithm: `OWNER/NAME`.
        version: the one that is served now, such as `1.0.3`; empty if none is.
        queued: calls that wait for a worker to be free.
        ready: workers that have nothing to do.
        loading: workers that load the algorithm, for a call that waits for that.
        busy: workers that run a call.
        started: workers that were started since the server was.
        ended: those that have ended, by why.
        refused: calls that were turned away, by why.
    """

    algorithm: str
    version: str = ""
    queued: int = 0
    ready: int = 0
    loading: int = 0
    busy: int = 0
    started: int = 0
    ended: Mapping[WorkerEnd, int] = field(default_factory=dict)
    refused: Mapping[Refused, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Hosting:
    """A server.

    Args:
        algorithms: what it hosts.
        sessions: calls from outside that wait or run, each with those that its algorithm makes.
        most_sessions: how many there may be at once.
    """

    algorithms: tuple[HostedAlgorithm, ...] = ()
    sessions: int = 0
    most_sessions: int = 0
