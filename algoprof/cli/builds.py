"""`algoprof builds`: how an algorithm's builds went, what their logs say, and what to do about it."""

from typing import Any

import click

from algoprof.cli.build_bisections import bisect
from algoprof.cli.build_diagnoses import diagnose_build, pin
from algoprof.cli.build_logs import logs
from algoprof.cli.build_sources import chosen, source
from algoprof.cli.build_waits import wait
from algoprof.cli.platform_options import Where, platform_options
from algoprof.cli.printing import examples, in_json, printable
from algoprof.profiles.builds import Build

_as_json = click.option("--json", "as_json", is_flag=True, help="Print what the platform answers, as JSON.")


@click.group()
def command() -> None:
    """Show how an algorithm's builds went, why one failed, which lines are at fault, and what to pin."""


command.add_command(diagnose_build, "diagnose")
command.add_command(logs)
command.add_command(wait)
command.add_command(pin)
command.add_command(bisect)


@command.command(
    "list",
    epilog=examples("algoprof builds list demo/Routes", "algoprof builds list demo/Routes --limit 1 --json"),
    short_help="List builds, newest first.",
)
@click.argument("algorithm", metavar="OWNER/NAME")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="How many, newest first.")
@platform_options("--data")
@_as_json
def list_builds(algorithm: str, limit: int, where: Where, as_json: bool) -> None:
    """List builds: id, status, when it began, how long it took, the version published, the commit."""
    with source(algorithm, where) as asked:
        builds = asked.builds(limit + 1)
    builds, more = builds[:limit], len(builds) > limit
    if as_json:
        click.echo(in_json([build.resource for build in builds], indent=2))
        return
    if not builds:
        click.echo(f"{algorithm} has no builds yet", err=True)
    for build in builds:
        columns = (
            build.id,
            f"{build.status or '-':11}",
            _told(build, "started_at"),
            f"{took(build):>8}",
            f"{build.semantic_version or '-':8}",
            build.commit[:10] or "-",
        )
        click.echo(printable("  ".join(columns)))
    if more:
        click.echo("there are older ones: --limit shows more", err=True)


@command.command(
    epilog=examples(
        "algoprof builds show demo/Routes",
        "algoprof builds show demo/Routes 8f2c6b6a-3a0c-4c7e-9a55-2d1f0f2b7c11",
    )
)
@click.argument("algorithm", metavar="OWNER/NAME")
@click.argument("build_id", metavar="[BUILD_ID]", required=False)
@platform_options("--data")
@_as_json
def show(algorithm: str, build_id: str | None, where: Where, as_json: bool) -> None:
    """Show one build; the newest unless an id is given."""
    with source(algorithm, where) as asked:
        build = chosen(asked, build_id)
    if as_json:
        click.echo(in_json(build.resource, indent=2))
        return
    rows = {
        "build": build.id,
        "status": build.status or "-",
        "began": _told(build, "started_at"),
        "ended": _told(build, "finished_at"),
        "took": took(build),
        "version": build.semantic_version or "not published",
        "commit": build.commit or "-",
    }
    for name, text in rows.items():
        click.echo(printable(f"{name:8} {text}"))


def took(build: Build) -> str:
    """Return how long a build took, ready to be printed."""
    return "-" if build.duration is None else f"{build.duration:.1f} s"


def _told(build: Build, name: str) -> str:
    value: Any = build.resource.get(name)
    return value if isinstance(value, str) and value else "-"
