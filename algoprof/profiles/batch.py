"""What exporters are handed: profiles and calls, as plain data."""

from dataclasses import dataclass

from algoprof.profiles.builds import Build
from algoprof.profiles.calls import Call
from algoprof.profiles.hosting import Hosting
from algoprof.profiles.tree import Profile


@dataclass(frozen=True, slots=True)
class CallInFlight:
    """A call that is not answered yet.

    Args:
        algorithm: `OWNER/NAME` or `OWNER/NAME/VERSION`, as asked for.
        age_ns: how long ago it was sent.
        timeout: its budget in seconds.
    """

    algorithm: str
    age_ns: int
    timeout: float


@dataclass(frozen=True, slots=True)
class Batch:
    """Records on their way to an exporter.

    Args:
        profiles: pushed, the runs that ended since the last batch; pulled, one cumulative profile per run name.
        calls: the calls that ended since the last batch; empty when pulled, since a pull exporter counts as they come.
        open_runs: the runs that are open now.
        calls_in_flight: the calls that are not answered yet.
        builds: the builds that were seen to end since the last batch; empty when pulled, as calls are.
        hosting: what this process hosts; None if it is no server, and when pushed.
    """

    profiles: tuple[Profile, ...] = ()
    calls: tuple[Call, ...] = ()
    open_runs: tuple[Profile, ...] = ()
    calls_in_flight: tuple[CallInFlight, ...] = ()
    builds: tuple[Build, ...] = ()
    hosting: Hosting | None = None
