"""What a server takes on and keeps: how many calls, how many workers for how long, how many builds."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a server takes on, and keeps.

    Args:
        replicas: workers of each version at most, which is how many of its calls run at once.
        sessions: calls from outside that may be waiting or running at once; more are refused with 429.
        jobs: calls from outside that run or are next to, of all versions together; more wait. None for no such limit.
        idle: seconds after which a worker that has nothing to do is ended.
        builds: of each algorithm, the newest builds whose files are kept; those of versions asked for are as well.
    """

    replicas: int = 1
    sessions: int = 80
    jobs: int | None = None
    idle: float = 600.0
    builds: int = 20
