"""How a supervised program ended: its report as text and as JSON."""

import signal
from collections.abc import Iterator
from dataclasses import replace

from algoprof.cli.printing import printable, shortened
from algoprof.cli.programs import ended, profile_of, unfinished
from algoprof.exporters.text import render
from algoprof.exporters.text.cells import seconds
from algoprof.exporters.text.hot_lines import hot_line_rows
from algoprof.profiles.codec import to_json
from algoprof.profiles.merging import SAMPLE_FIELDS
from algoprof.profiles.tree import Profile
from algoprof.supervisor.flights import Recorded
from algoprof.supervisor.supervision import Ending

_MIB = 1024 * 1024
_WORTH_TELLING = 0.05  # of all samples


def profiles(ending: Ending, timeout: float | None) -> list[Profile]:
    """Return a profile of each process that is nobody's worker, the first one's first; workers are in theirs."""
    found = [
        _outcome(_within(profile_of(one.path, one.flight), timeout), one, ending) for one in _leaders(ending.recorded)
    ]
    if ending.seen is None:
        return found
    first, *others = found or [replace(ending.seen, duration_ns=round(ending.seconds * 1e9), timeout=timeout)]
    return [replace(first, **{name: getattr(ending.seen, name) for name in SAMPLE_FIELDS}), *others]


def _outcome(profile: Profile, one: Recorded, ending: Ending) -> Profile:
    """Return a profile, which for the program's own run says whether that failed: it cannot know its exit status."""
    failed = ending.status != 0 and not ending.timed_out and one is _leaders(ending.recorded)[0]
    if failed and profile.outcome == "ok" and profile.name == one.flight.program:
        return replace(profile, outcome="error", failed_runs=1)
    return profile


def _leaders(recorded: list[Recorded]) -> list[Recorded]:
    """Return the processes that are nobody's workers: these are in their profiles."""
    pids = {one.flight.pid for one in recorded}
    return [one for one in recorded if one.parent not in pids]


def _within(profile: Profile, timeout: float | None) -> Profile:
    """Return a profile with the timeout that the whole program had, if it knew of none itself."""
    return replace(profile, timeout=timeout) if profile.timeout is None and timeout is not None else profile


def as_text(ending: Ending, timeout: float | None) -> Iterator[str]:
    """Yield the report: how it ended, where its time went, and what it was doing at its timeout."""
    yield _headline(ending, timeout)
    leaders = _leaders(ending.recorded)
    for one in leaders:
        if len(leaders) > 1:
            yield f"process {one.flight.pid}, {printable(one.flight.program)}"
        for profile in _telling([*ended(one.path, one.flight), *unfinished(one.path, one.flight)]):
            yield render(_outcome(_within(profile, timeout), one, ending)).rstrip("\n")
    if ending.seen is not None:
        yield from hot_line_rows(ending.seen, 100)
    if ending.unrecorded or not ending.recorded:
        yield unrecorded(ending)
    if ending.verdict is not None:
        yield f"at its timeout it was {ending.verdict}"
    if ending.stacks:
        yield "stacks at its timeout:"
        yield "\n".join(f"  {shortened(printable(line), 200)}" for line in ending.stacks.splitlines())


def unrecorded(ending: Ending) -> str:
    """Return why there is nothing of a program, or of one of its processes, and what to do about it."""
    if ending.unrecorded:
        what = "what one of its processes" if ending.recorded else "what it"
        reason = shortened(printable(ending.unrecorded), 400)
        return (
            f"{what} recorded is lost, for no flight file could be made: {reason};"
            " name a directory with room, and that it may write to, in ALGOPROF_FLIGHT_DIR"
        )
    return "it recorded nothing: Python code is timed where it uses algoprof, or is run as SCRIPT.PY or -m MODULE"


def _telling(found: list[Profile]) -> list[Profile]:
    """Leave out what has nothing to tell: the time outside every run, where no section and few samples are there."""
    seen = sum(_seen(profile) for profile in found)
    telling = [
        profile
        for profile in found
        if any(root.children for root in profile.roots) or _seen(profile) > seen * _WORTH_TELLING
    ]
    return telling or found


def _seen(profile: Profile) -> int:
    return sum(sample.count for sample in profile.samples)


def _headline(ending: Ending, timeout: float | None) -> str:
    at_most = "at most" if ending.is_memory_exact else "less than"
    figures = f"{seconds(ending.cpu)} of processor time, {at_most} {ending.memory_peak / _MIB:.0f} MiB in one process"
    if ending.timed_out:
        how = "killed, since it did not end when it was asked to" if ending.killed else "asked to end, and did"
        return f"algoprof: the timeout of {timeout:g} s stopped it: {how}; {figures}"
    if ending.status < 0:
        why = ", for the kernel ran out of memory for it" if ending.out_of_memory else ""
        return f"algoprof: {_name_of(-ending.status)} ended it after {seconds(ending.seconds)}{why}; {figures}"
    return f"algoprof: it ended after {seconds(ending.seconds)}, with status {ending.status}; {figures}"


def as_json(line: list[str], ending: Ending, timeout: float | None) -> dict[str, object]:
    """Return the report for scripts."""
    verdict = ending.verdict
    return {
        "command": line,
        "seconds": ending.seconds,
        "timeout": timeout,
        "timed_out": ending.timed_out,
        "killed": ending.killed,
        "out_of_memory": ending.out_of_memory,
        "status": ending.status if ending.status >= 0 else None,
        "signal": _name_of(-ending.status) if ending.status < 0 else None,
        "cpu_seconds": ending.cpu,
        "memory_peak_bytes": ending.memory_peak,
        "memory_peak_is_exact": ending.is_memory_exact,
        "verdict": None
        if verdict is None
        else {
            "kind": verdict.kind,
            "seconds": verdict.seconds,
            "cpu_seconds": verdict.cpu,
            "silent_seconds": verdict.silent,
            "text": str(verdict),
        },
        "stacks": ending.stacks,
        "no_flight_file": ending.unrecorded or None,
        "profiles": [to_json(profile) for profile in profiles(ending, timeout)],
    }


def _name_of(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
