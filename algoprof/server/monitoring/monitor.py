"""What happens on a server, told to whoever asks for metrics, and to the exporters that the server was started with."""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from algoprof import delivery
from algoprof.delivery.losses import Losses
from algoprof.exporters.prometheus import PrometheusExporter
from algoprof.exporters.protocol import Context
from algoprof.profiles.batch import Batch, CallInFlight
from algoprof.profiles.builds import Build
from algoprof.profiles.calls import Call
from algoprof.profiles.hosting import Hosting, Refused
from algoprof.profiles.tree import Profile
from algoprof.server.monitoring.recordings import Recordings, named_for
from algoprof.settings import Settings

_UNREAD = "unread"


class Monitor:
    """Keeps the server's metrics, and hands each call, run and build to the server's own delivery.

    >>> monitor = Monitor()
    >>> token = monitor.call_started("demo/Routes", time.monotonic(), 60.0)
    >>> monitor.call_ended(token, Call("demo/Routes", 0, 5, "ok", duration_ns=5))
    >>> monitor.calls_in_flight()
    ()
    """

    def __init__(self) -> None:
        self.hosting = Hosting()
        """What is hosted; set before the metrics are asked for."""
        self.refused: Counter[tuple[str, Refused]] = Counter()
        """Calls that were turned away with 429, by algorithm and by why."""
        self._losses = Losses()
        self._losses.expect("server", (_UNREAD,))
        self.recordings = Recordings(self._losses)
        """What the workers record."""
        self._in_flight: dict[int, tuple[str, float, float]] = {}
        context = Context(Settings(), self._current, self._lost)
        self.prometheus = PrometheusExporter(context, endpoint=False)
        """Answers scrapes."""

    def call_started(self, algorithm: str, received: float, timeout: float) -> int:
        """Note that a call waits or runs, and return a token to end it with.

        Args:
            algorithm: `OWNER/NAME`.
            received: when its request was complete, in seconds on the monotonic clock.
            timeout: seconds from then.
        """
        token = delivery.call_started(algorithm, timeout)
        self._in_flight[token] = algorithm, received, timeout
        return token

    def call_ended(
        self, token: int, call: Call, recorded: Callable[[], Profile | None] | None = None
    ) -> Callable[[], Profile | None] | None:
        """Count a call, before it is answered: whoever has the answer finds it counted.

        Args:
            token: what `call_started` returned.
            call: how it went.
            recorded: reads the profile of its run; None if nothing was recorded.

        Returns:
            What reads the profile and hands the call on with it; else `profile_unread` is to be called. None if
            nothing was recorded: then the call is handed on now.
        """
        self._in_flight.pop(token, None)
        self.prometheus.export(Batch(calls=(call,)))
        if recorded is None:
            delivery.call_ended(token, call)
            return None
        return partial(self._read, token, call, recorded)

    def profile_unread(self, token: int, call: Call) -> None:
        """Hand a call on without the profile of its run, and count that it was not read."""
        self._losses.add("server", _UNREAD, 1)
        delivery.call_ended(token, call)

    def _read(self, token: int, call: Call, recorded: Callable[[], Profile | None]) -> Profile | None:
        try:
            profile = recorded()
        except BaseException:
            self.profile_unread(token, call)
            raise
        if profile is not None:
            self.prometheus.export(Batch((named_for(call.algorithm, profile),)))
        delivery.call_ended(token, replace(call, profile=profile))
        return profile

    def call_refused(self, call: Call, reason: Refused) -> None:
        """Count a call that was turned away."""
        self.refused[call.algorithm, reason] += 1
        self.call_ended(self.call_started(call.algorithm, time.monotonic(), call.timeout), call)

    def build_ended(self, build: Build) -> None:
        """Count a build."""
        self.prometheus.export(Batch(builds=(build,)))
        delivery.build_ended(build)

    def calls_in_flight(self) -> tuple[CallInFlight, ...]:
        """Return the calls that wait or run."""
        now = time.monotonic()
        return tuple(
            CallInFlight(algorithm, round(max(0.0, now - received) * 1e9), timeout)
            for algorithm, received, timeout in list(self._in_flight.values())
        )

    def _current(self) -> Batch:
        return replace(self.recordings.batch(), calls_in_flight=self.calls_in_flight(), hosting=self.hosting)

    def _lost(self) -> Mapping[tuple[str, str], int]:
        return {**delivery.losses(), **self._losses.counts()}
