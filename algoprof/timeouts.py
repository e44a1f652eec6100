"""Where a timeout comes from: the argument, the server's control page, the environment."""

import os

from algoprof.errors import ConfigurationError

VARIABLE = "ALGOPROF_TIMEOUT"
BEGAN_VARIABLE = "ALGOPROF_TIMEOUT_BEGAN"
"""Set by a supervisor: when the clock of that timeout began, in nanoseconds on the monotonic clock."""
LARGEST = 1e9
"""Seconds; whoever names more means no timeout."""

_warned: set[str] = set()


class Grant:
    """What a run is given when it begins.

    Args:
        source: where the timeout comes from: `argument`, `section`, `server`, `environment`, `parent`, or empty.
        timeout_ns: the budget; 0 without one.
        began_ns: when its clock began, on the monotonic clock.
    """

    def __init__(self, source: str, timeout_ns: int, began_ns: int) -> None:
        self.source = source
        self.timeout_ns = timeout_ns
        self.began_ns = began_ns
        self.request_id = ""
        self.traceparent = ""

    @property
    def deadline_ns(self) -> float:
        """When it ends, on the monotonic clock; infinite without a timeout."""
        return self.began_ns + self.timeout_ns if self.timeout_ns else float("inf")


def checked(timeout: float | None) -> float | None:
    """Return a timeout given as an argument.

    Raises:
        ConfigurationError: if it is not a positive number of seconds.

    >>> checked(60)
    60.0
    >>> checked("soon")
    Traceback (most recent call last):
        ...
    algoprof.errors.ConfigurationError: a timeout is a positive number of seconds, not 'soon'
    """
    if timeout is None:
        return None
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or not 0 < timeout <= LARGEST:
        raise ConfigurationError(f"a timeout is a positive number of seconds, not {timeout!r}")
    return float(timeout)


def nanoseconds(timeout: float) -> int:
    """Return a timeout in nanoseconds, at least 1: 0 stands for none."""
    return max(1, round(timeout * 1e9))


def grant(timeout: float | None, began_ns: int) -> Grant:
    """Return what a run outside every other is given.

    The deadline of a server or a supervisor is the one that kills, so the argument counts only where it is the earlier.

    Args:
        timeout: the argument, already `checked`.
        began_ns: when the run began, on the monotonic clock.
    """
    enforced = _from_server() or (_from_environment(began_ns) if os.environ.get(BEGAN_VARIABLE) else None)
    argued = Grant("argument", nanoseconds(timeout), began_ns) if timeout is not None else None
    if enforced is not None:
        if argued is None or enforced.deadline_ns <= argued.deadline_ns:
            return enforced
        argued.request_id, argued.traceparent = enforced.request_id, enforced.traceparent
    return argued or _from_environment(began_ns) or Grant("", 0, began_ns)


def enforced_until(now_ns: int) -> float | None:
    """Return when a server or a supervisor stops this process, on the monotonic clock; None if none is known to."""
    enforced = _from_server() or (_from_environment(now_ns) if os.environ.get(BEGAN_VARIABLE) else None)
    return enforced.deadline_ns if enforced is not None else None


def _from_server() -> Grant | None:
    path = os.environ.get("ALGOPROF_CONTROL")
    if not path:
        return None
    from algoprof import control  # noqa: PLC0415  (only a worker needs it)

    request = control.read(path)
    if request is None or request.timeout_ns <= 0:
        return None
    served = Grant("server", request.timeout_ns, request.deadline_ns - request.timeout_ns)
    served.request_id, served.traceparent = request.request_id, request.traceparent
    return served


def _from_environment(began_ns: int) -> Grant | None:
    text = os.environ.get(VARIABLE)
    if not text:
        return None
    try:
        timeout = checked(float(text))
    except ValueError:
        timeout = None
    if timeout is None:
        if text not in _warned:
            _warned.add(text)
            import logging  # noqa: PLC0415  (only needed here)

            logging.getLogger("algoprof").warning("%s=%r is ignored: not a positive number of seconds", VARIABLE, text)
        return None
    return Grant("environment", nanoseconds(timeout), _begun(began_ns))


def _begun(now_ns: int) -> int:
    text = os.environ.get(BEGAN_VARIABLE, "")
    return min(int(text), now_ns) if text.isdecimal() and len(text) < 20 else now_ns
