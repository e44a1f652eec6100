"""What `algoprof run` does on Linux: it has a program supervised, reports on it, and ends as that did."""

import errno
import os
import resource
import shlex
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, NoReturn

import click

from algoprof.cli.endings import as_json, as_text, profiles, unrecorded
from algoprof.cli.output import Output
from algoprof.cli.printing import complain, in_json
from algoprof.errors import AlgoprofError
from algoprof.exporters.formats.catalogue import rendered
from algoprof.profiles.tree import Profile
from algoprof.recorder.process import DEFAULT_SAMPLE_RATE
from algoprof.supervisor import commands
from algoprof.supervisor.external import External
from algoprof.supervisor.flights import Flights
from algoprof.supervisor.stacks import Stacks
from algoprof.supervisor.supervision import Ending, supervise

_TIMED_OUT, _OURS, _NOT_EXECUTABLE, _NOT_FOUND = 124, 125, 126, 127


class Sampling(NamedTuple):
    """How its stacks are sampled.

    Args:
        by: `internal`, `external` or `off`; None is what the environment says, and `internal` if that says nothing.
        rate: samples per second; None is what the environment says.
    """

    by: str | None
    rate: int | None


class Destinations(NamedTuple):
    """Where what is known of it goes.

    Args:
        report: the file for the report; None is stderr.
        profile: where to save the profile, if anywhere.
    """

    report: Path | None
    profile: Path | None


def run(
    line: list[str],
    *,
    timeout: float | None,
    grace: float,
    sampling: Sampling,
    destinations: Destinations,
    json_wanted: bool,
) -> int:
    """Run a command line under a timeout, report on it, and return what to exit with.

    Args:
        line: the program and its arguments.
        timeout: seconds until it is asked to end; None for as long as it takes.
        grace: seconds from then until it is killed.
        sampling: how its stacks are sampled.
        destinations: where what is known of it goes.
        json_wanted: whether the report is for scripts.
    """
    try:
        report = Output(destinations.report, "--report") if destinations.report is not None else None
        saved = Output(destinations.profile) if destinations.profile is not None else None
        ending = _supervised(line, timeout, grace, sampling)
    except _CannotStart as error:
        complain(f"{shlex.join(line)[:200]}: {error.reason}")
        return error.status
    except (AlgoprofError, OSError) as error:
        complain(str(error))
        return _OURS
    if saved is not None and destinations.profile is not None:
        _save(ending, timeout, saved, destinations.profile.name)
    told = [in_json(as_json(line, ending, timeout), indent=2)] if json_wanted else as_text(ending, timeout)
    _tell("\n".join(told), report)
    if ending.timed_out:
        return _TIMED_OUT
    if ending.status < 0:
        _end_by(-ending.status)
    return ending.status


def _tell(text: str, report: Output | None) -> None:
    """Write the report; where it cannot be written, the program's status is worth more than that."""
    try:
        if report is None:
            click.echo(text, err=True)
        else:
            report.write(f"{text}\n")
    except AlgoprofError as error:
        complain(str(error))
    except OSError:  # nobody reads it
        return


def _save(ending: Ending, timeout: float | None, saved: Output, name: str) -> None:
    found = profiles(ending, timeout)
    try:
        if found:
            saved.write(rendered(found[0], name))
        else:
            complain(f"--output: there is no profile to save: {unrecorded(ending)}")
    except AlgoprofError as error:
        complain(str(error))


class _CannotStart(Exception):  # noqa: N818  (an answer)
    def __init__(self, reason: str, status: int) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status


def _supervised(line: list[str], timeout: float | None, grace: float, sampling: Sampling) -> Ending:
    flights, stacks = Flights(), Stacks()
    external = External(stacks.folder, sampling.rate or DEFAULT_SAMPLE_RATE) if sampling.by == "external" else None
    own = {None: None, "internal": "on"}.get(sampling.by, "off")
    try:
        environment = commands.environment(timeout, flights.supervision, stacks.folder, sampler=own, rate=sampling.rate)
        ending = supervise(line, environment, flights, stacks, timeout=timeout, grace=grace, external=external)
        return ending if external is None else _with_samples(ending, external, line)
    except FileNotFoundError:
        raise _CannotStart("there is no such program", _NOT_FOUND) from None
    except OSError as error:
        if error.errno in (errno.EACCES, errno.ENOEXEC, errno.EISDIR, errno.ENOTDIR):
            hint = "; a Python script is run where no -- is before it" if commands.is_script(line[0]) else ""
            raise _CannotStart(f"it cannot be run ({error.strerror}){hint}", _NOT_EXECUTABLE) from error
        raise
    finally:
        stacks.close()


def _with_samples(ending: Ending, external: External, line: list[str]) -> Ending:
    """Return how it ended with what py-spy has seen of its first process, or complain that this was nothing."""
    samples = external.samples()
    if not samples:
        complain(external.failure or "--sampler external: the program ended before py-spy had seen anything of it")
        return ending
    seen = Profile(
        Path(line[0]).name,
        (),
        samples=samples,
        sample_interval_ns=round(1e9 / external.rate),
        sampler="py-spy",
    )
    return replace(ending, seen=seen)


def _end_by(number: int) -> NoReturn:
    """End as the program did, so that whoever started this sees the same; with no core file of our own."""
    sys.stderr.flush()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if number != signal.SIGKILL:
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    os._exit(128 + number)
