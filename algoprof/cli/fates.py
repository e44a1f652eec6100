"""How a program that nobody watched ended, in words: what is known of it, what that means, and what to do next."""

import time
from datetime import UTC, datetime

from algoprof.recorder.reader import Flight
from algoprof.supervisor.fate import Fate

_HOW = {
    "exited": "exited",
    "restarted": "ended with the machine, or before that was started anew; last seen",
    "replaced": "became another program, by exec; last seen",
    "out_of_memory": "killed by the kernel for want of memory; last seen",
    "crashed": "crashed in C code; last seen",
    "timeout": "killed, most likely by its timeout; last seen",
    "unknown": "killed, or left by os._exit; last seen",
}
_LIKELY_OUT_OF_MEMORY = "killed, most likely by the kernel for want of memory; last seen"
_MEANS = {
    "running": "it is still running, as process {pid}: the same command shows it as it is then",
    "exited": "it came to its end by itself, and what it recorded is whole",
    "restarted": "nobody tells what ended it: the machine was started anew since; what was open is what it was doing",
    "replaced": "this is what it recorded before; what the other program records is in a file of its own",
    "out_of_memory": (
        "its memory ran out, and not its time: give it more, or see in what is open what takes so much;"
        " `profile.with_options(allocations=True)` measures it"
    ),
    "crashed": "no Python code ended it: run it with `python -X faulthandler` to see where in C it was",
    "timeout": (
        "whoever set the timeout stopped it, in what is open: make that faster, give it more time, or have it stop"
        " by itself with `budget().remaining` or `budget().check()`"
    ),
    "unknown": (
        "nobody tells what ended it: SIGKILL, a signal that it did not handle, a crash in C code, or os._exit;"
        " `algoprof run` sees which"
    ),
}


def ending(fate: Fate, flight: Flight) -> str:
    """Return how and when a program ended, for a headline."""
    if fate.how == "running":
        return "still running"
    how = _HOW[fate.how] if fate.certain or fate.how != "out_of_memory" else _LIKELY_OUT_OF_MEMORY
    moment = datetime.fromtimestamp(flight.seen_ns / 1e9, UTC).astimezone()
    return f"{how} {moment:%Y-%m-%d %H:%M:%S}, {_ago(time.time() - flight.seen_ns / 1e9)} ago"


def meaning(fate: Fate, flight: Flight) -> str:
    """Return what an end means and what to do next, in a sentence after what tells of it."""
    sentence = _MEANS[fate.how].format(pid=flight.pid)
    told = f"{fate.evidence}; {sentence}" if fate.evidence else sentence
    return f"{told}; {_supervised(fate)}" if fate.supervisor and fate.how != "exited" else told


def _supervised(fate: Fate) -> str:
    if fate.is_supervised:
        return f"`algoprof run`, process {fate.supervisor}, watches over it and will report"
    return (
        f"it ran under `algoprof run`, process {fate.supervisor}, whose report says how it ended;"
        " if there is none, that was killed too"
    )


def as_json(fate: Fate, flight: Flight) -> dict[str, object]:
    """Return it for scripts."""
    return {
        "how": fate.how,
        "certain": fate.certain,
        "evidence": fate.evidence,
        "meaning": meaning(fate, flight),
        "pid": flight.pid,
        "seen_ns": flight.seen_ns,
        "supervisor": fate.supervisor or None,
        "is_supervised": fate.is_supervised,
    }


def _ago(passed: float) -> str:
    """Return about how long ago something was.

    >>> _ago(0.4), _ago(318), _ago(5 * 86400)
    ('0 s', '5 min', '5 days')
    """
    for size, unit in ((86_400, "days"), (3_600, "h"), (60, "min")):
        if passed >= 2 * size:
            return f"{passed / size:.0f} {unit}"
    return f"{max(0.0, passed):.0f} s"
