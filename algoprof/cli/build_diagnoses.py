"""`algoprof builds diagnose` and `pin`: why a build failed, and what one that succeeded has installed."""

import re
from pathlib import Path
from typing import BinaryIO

import click

from algoprof.calls.diagnosis import LARGEST, Diagnosis, diagnose, pinned
from algoprof.cli.build_sources import Source, chosen, source
from algoprof.cli.inputs import stdin_bytes
from algoprof.cli.output import Output
from algoprof.cli.platform_options import Where, platform_options
from algoprof.cli.printing import examples, in_json, printable, shortened
from algoprof.errors import AlgoprofError, LogsUnavailable
from algoprof.profiles.builds import Build

_LARGEST_FILE = 64 * 1024 * 1024  # bytes; the diagnosis reads the ends of what is larger than `LARGEST`
_LONGEST_STEP = 160  # characters of a command that are shown
_EARLIER = 50  # builds that are looked through for one that installed something
_USED_AGAIN = re.compile(r"environment (?P<key>\w+): made before")
_DIAGNOSES = examples(
    "algoprof builds diagnose demo/Routes",
    "algoprof builds diagnose build.log --requirements requirements.txt",
    "docker build . 2>&1 | algoprof builds diagnose -",
)
_PINS = examples(
    "algoprof builds pin demo/Routes --requirements requirements.txt --output requirements.txt",
    "algoprof builds pin build.log",
)

_what = click.argument("what", metavar="OWNER/NAME|FILE|-")
_build_id = click.argument("build_id", metavar="[BUILD_ID]", required=False)
_requirements = click.option(
    "--requirements",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The project's requirements.txt.",
)


@click.command(epilog=_DIAGNOSES, short_help="Say why a build failed, and what to try.")
@_what
@_build_id
@_requirements
@platform_options("--data")
@click.option("--json", "as_json", is_flag=True, help="Print the diagnosis as JSON.")
def diagnose_build(
    *,
    what: str,
    build_id: str | None,
    requirements: Path | None,
    where: Where,
    as_json: bool,
) -> None:
    """Say why a build failed: the step, the package and its version, the reason, and what to try.

    Reads the log of the newest build, or of the one whose id is given, or a log in a FILE, or one on stdin (-).
    """
    asked_for = "" if requirements is None else requirements.read_text(encoding="utf-8", errors="replace")
    log, build = _given(what), None
    if log is None:
        with source(what, where) as asked:
            build = chosen(asked, build_id)
            try:
                log = asked.log(build.id)
            except LogsUnavailable:
                log = ""
    found = diagnose(log, requirements=asked_for, status=build.status if build else "")
    if as_json:
        click.echo(in_json(found.to_json(), indent=2))
    else:
        show_diagnosis(found, build)


@click.command(epilog=_PINS, short_help="Write what a build has installed, with == pins.")
@_what
@_build_id
@_requirements
@click.option("--output", metavar="PATH", type=click.Path(dir_okay=False, path_type=Path), help="Where to write it.")
@platform_options("--data")
@click.option("--json", "as_json", is_flag=True, help="Print the version of each package as JSON.")
def pin(
    *,
    what: str,
    build_id: str | None,
    requirements: Path | None,
    output: Path | None,
    where: Where,
    as_json: bool,
) -> None:
    """Write what a build that succeeded has installed as requirements with == pins.

    Takes the newest build that succeeded, or the one whose id is given, or a log in a FILE or on stdin (-). With
    --requirements, that file's lines are kept and pinned, and what they brought along follows.
    """
    destination = Output(output)
    log = _given(what)
    if log is None:
        with source(what, where) as asked:
            found = _installing(asked, build_id)
    else:
        found = diagnose(log)
        _check(found, what)
    if as_json:
        destination.write(in_json(dict(found.installed), indent=2) + "\n")
        return
    asked_for = "" if requirements is None else requirements.read_text(encoding="utf-8", errors="replace")
    destination.write(pinned(found.installed, asked_for))


def show_diagnosis(found: Diagnosis, build: Build | None = None) -> None:
    """Print a diagnosis for a reader: what happened, where, the line that says so, and what to try."""
    lines = []
    if build is not None:
        took = "" if build.duration is None else f" after {build.duration:.1f} s"
        lines.append(f"build {build.id} of {build.algorithm}: {build.status}{took}")
    lines.append(found.sentence)
    if found.reason is not None:
        lines.append(f"  reason: {found.reason.value}")
    if found.package and found.reason is not None:
        lines.append(f"  package: {f'{found.package} {found.version}'.strip()}")
    if found.step is not None:
        code = f" (exit status {found.exit_code})" if found.exit_code else ""
        lines.append(f"  step: {shortened(str(found.step), _LONGEST_STEP)}{code}")
    lines += [
        f"  line {found.line}: {text}" if number == 0 else f"    {text}" for number, text in enumerate(found.evidence)
    ]
    if found.advice:
        lines.append("try:")
        lines += [f"  - {advice}" for advice in found.advice]
    if found.unpinned:
        lines.append(f"not pinned, and so able to change by itself: {', '.join(found.unpinned)}")
    if found.left_out:
        lines.append(f"{found.left_out:,} characters in the middle of the log were not read")
    click.echo(printable("\n".join(lines), keep="\n"))


def _given(what: str) -> str | None:
    """Return the log on stdin or in a file; None if an algorithm is meant."""
    if what == "-":
        return _whole(stdin_bytes(), "stdin")
    path = Path(what)
    if path.exists() and not path.is_dir():
        with path.open("rb") as file:
            return _whole(file, what)
    if path.is_absolute() or path.suffix in (".log", ".txt", ".out"):  # no algorithm's name has a dot
        raise AlgoprofError(f"there is no file {what}; name one that holds a log, or an algorithm, OWNER/NAME")
    return None


def _whole(file: BinaryIO, name: str) -> str:
    content = file.read(_LARGEST_FILE + 1)
    if len(content) > _LARGEST_FILE:
        raise AlgoprofError(f"{name} is over {_LARGEST_FILE:,} bytes: give its end, as tail -c {LARGEST} does")
    if not content.strip():
        raise AlgoprofError(f"{name} is empty, so it says nothing of a build")
    return content.decode(errors="replace")


def _installing(asked: Source, build_id: str | None) -> Diagnosis:
    """Return the diagnosis of the build that made the environment of the one that is meant.

    Raises:
        AlgoprofError: if there is none that succeeded, or its log does not name what it installed.
    """
    builds = (
        [asked.build(build_id)] if build_id else [one for one in asked.builds(_EARLIER) if one.status == "succeeded"]
    )
    if not builds:
        raise AlgoprofError(
            f"{asked.name} has no build that succeeded; `algoprof builds diagnose {asked.name}` says why"
        )
    log = asked.log(builds[0].id)
    again = _USED_AGAIN.search(log)
    if again:
        made = f"environment {again['key']}: Python "
        logs = (asked.log(one.id) for one in asked.builds(_EARLIER) if one.status == "succeeded")
        log = next((one for one in logs if made in one), log)
    found = diagnose(log, status=builds[0].status)
    _check(found, f"build {builds[0].id}")
    return found


def _check(found: Diagnosis, what: str) -> None:
    if found.outcome != "succeeded":
        raise AlgoprofError(f"{what} did not succeed ({found.sentence}), so there is nothing to pin")
    if not found.installed:
        raise AlgoprofError(f"the log of {what} names no package that was installed, so there is nothing to pin")
