"""Who asks: whoever has the server's key, or an algorithm that a worker of this server runs."""

from dataclasses import dataclass


@dataclass(slots=True)
class Caller:
    """On whose behalf a request is answered.

    Args:
        algorithm: `OWNER/NAME` of the algorithm that asks; empty for whoever has the server's key.
        session: that of the call which the algorithm serves; empty if there is none.
    """

    algorithm: str = ""
    session: str = ""
