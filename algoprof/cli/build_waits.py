"""`algoprof builds wait`: a build until it has ended, with a bar where somebody watches."""

import contextlib
import statistics
import sys
from collections.abc import Callable, Iterator

import click

from algoprof import delivery
from algoprof.calls.diagnosis import diagnose
from algoprof.calls.management.waiting import LONGEST_BUILD, until_ended
from algoprof.cli.bars import bar
from algoprof.cli.build_diagnoses import show_diagnosis
from algoprof.cli.build_sources import Source, source
from algoprof.cli.platform_options import Where, platform_options
from algoprof.cli.printing import complain, examples, in_json, printable
from algoprof.errors import BuildTimeout, LogsUnavailable
from algoprof.profiles.builds import Build

_EXAMPLES = examples(
    "algoprof builds wait demo/Routes",
    "git push && algoprof builds wait demo/Routes --commit $(git rev-parse HEAD) --timeout 900",
)
_TIMED_OUT = 124  # as timeout(1) has it
_EARLIER = 9  # builds whose durations say how long this one may take
_SEARCHED = 200  # builds that are looked through for a commit


@click.command(epilog=_EXAMPLES, short_help="Wait until a build has ended; if it failed, say why.")
@click.argument("algorithm", metavar="OWNER/NAME")
@click.argument("build_id", metavar="[BUILD_ID]", required=False)
@click.option(
    "--commit", metavar="HASH", default="", help="Wait for the newest build of this commit, or its beginning."
)
@click.option(
    "--timeout", type=click.FloatRange(0), default=LONGEST_BUILD, show_default=True, help="Seconds to wait at most."
)
@platform_options("--data")
@click.option("--json", "as_json", is_flag=True, help="Print the build and its diagnosis as JSON.")
def wait(
    *,
    algorithm: str,
    build_id: str | None,
    commit: str,
    timeout: float,
    where: Where,
    as_json: bool,
) -> int:
    """Wait until a build has ended: the newest, unless an id or a commit is given. If it failed, say why.

    Exits with 0 if it succeeded, with 1 if it failed, with 124 if it has not ended in time.
    """
    with source(algorithm, where) as asked:
        try:
            with _progress(asked) as tell:
                build = until_ended(
                    lambda known: _look(asked, known, commit),
                    asked.name,
                    build_id=build_id or "",
                    commit=commit,
                    timeout=timeout,
                    tell=tell,
                )
        except BuildTimeout as error:
            complain(str(error))
            return _TIMED_OUT
        delivery.build_ended(build)
        try:
            log = asked.log(build.id)
        except LogsUnavailable:
            log = ""
    found = diagnose(log, status=build.status)
    if as_json:
        click.echo(in_json({"build": build.resource, "diagnosis": found.to_json()}, indent=2))
    else:
        show_diagnosis(found, build)
    return 0 if build.status == "succeeded" else 1


def _look(asked: Source, build_id: str, commit: str) -> Build | None:
    if build_id:
        return asked.build(build_id)
    return next((one for one in asked.builds(_SEARCHED if commit else 1) if one.commit.startswith(commit)), None)


@contextlib.contextmanager
def _progress(asked: Source) -> Iterator[Callable[[Build | None, float], None]]:
    """Give what shows each look at a build: a bar on a terminal, else a line when something changes."""
    if not sys.stderr.isatty():
        yield _lines()
        return
    with bar(asked.name, _usual_duration(asked)) as change:
        yield lambda build, elapsed: change(description=printable(_described(asked.name, build)), completed=elapsed)


def _usual_duration(asked: Source) -> float | None:
    """Return the median of what earlier builds took, in seconds; None if there are none, for a bar without an end."""
    known = [build.duration for build in asked.builds(_EARLIER) if build.status == "succeeded" and build.duration]
    return statistics.median(known) if known else None


def _lines() -> Callable[[Build | None, float], None]:
    said: list[str] = []

    def tell(build: Build | None, elapsed: float) -> None:
        line = _described("", build)
        if said[-1:] != [line]:
            said.append(line)
            click.echo(printable(f"{elapsed:6.1f} s  {line}"), err=True)

    return tell


def _described(name: str, build: Build | None) -> str:
    what = f"build {build.id[:8]} {build.status}" if build else "not yet listed"
    return f"{name} {what}".strip()
