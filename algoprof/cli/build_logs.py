"""`algoprof builds logs`: the log of a build, also while it is being written."""

import time
from collections.abc import Iterator

import click

from algoprof.cli.build_sources import Source, chosen, source
from algoprof.cli.platform_options import Where, platform_options
from algoprof.cli.printing import examples, in_json, printable
from algoprof.errors import BuildNotFinished
from algoprof.profiles.builds import Build

_PAUSE = 0.5  # seconds between two looks at a log that is being written
_LONGEST_PAUSE = 5.0  # where nothing is shown before the build has ended
_EXAMPLES = examples(
    "algoprof builds logs demo/Routes",
    "algoprof builds logs demo/Routes --follow",
    "algoprof builds logs demo/Routes > build.log",
)


@click.command(epilog=_EXAMPLES, short_help="Print the log of a build, also while it runs.")
@click.argument("algorithm", metavar="OWNER/NAME")
@click.argument("build_id", metavar="[BUILD_ID]", required=False)
@click.option("--follow", is_flag=True, help="Print what is added, until the build has ended.")
@platform_options("--data")
@click.option("--json", "as_json", is_flag=True, help="Print what the platform answers, as JSON.")
def logs(algorithm: str, build_id: str | None, follow: bool, where: Where, as_json: bool) -> None:
    """Print the log of a build; of the newest one unless an id is given.

    That of a build of this machine's server can be read while it is written. A platform shows none before the build
    has ended: then --follow waits for that.
    """
    if follow and as_json:
        raise click.UsageError("--follow prints a log as it grows, so it cannot be one JSON value: leave --json out")
    with source(algorithm, where) as asked:
        if follow:
            for text in _growing(asked, chosen(asked, build_id)):
                click.echo(printable(text, keep="\n\t"), nl=False)
            return
        log = asked.log(build_id or chosen(asked, None).id)
    if as_json:
        click.echo(in_json({"logs": log}, indent=2))
        return
    click.echo(printable(log.rstrip("\n"), keep="\n\t"))


def _growing(asked: Source, build: Build) -> Iterator[str]:
    """Yield a log piece by piece, until its build has ended."""
    told, pause = 0, _PAUSE
    while True:
        running = build.status == "in-progress"  # asked before the log, which is then whole if it has ended
        try:
            log = asked.log(build.id)
        except BuildNotFinished:
            log, pause = "", min(2 * pause, _LONGEST_PAUSE)
        yield log[told:]
        told = max(told, len(log))
        if not running:
            return
        time.sleep(pause)
        build = asked.build(build.id)
