"""`algoprof versions`: which there are, how each was built, and publishing the next one."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice

import click

from algoprof.calls.algorithms import Algorithm
from algoprof.calls.references import parse
from algoprof.cli.platform_options import Where, platform_options
from algoprof.cli.printing import examples, in_json, printable

_as_json = click.option("--json", "as_json", is_flag=True, help="Print what the platform answers, as JSON.")
_algorithm = click.argument("algorithm", metavar="OWNER/NAME")


@click.group()
def command() -> None:
    """List an algorithm's versions, read their build logs, publish one."""


@command.command(
    "list",
    epilog=examples("algoprof versions list demo/Routes", "algoprof versions list demo/Routes --unpublished"),
    short_help="List versions, newest first.",
)
@_algorithm
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="How many, newest first.")
@click.option("--published/--unpublished", default=None, help="Only those that are published, or are not.")
@platform_options("--data")
@_as_json
def list_versions(*, algorithm: str, limit: int, published: bool | None, where: Where, as_json: bool) -> None:
    """List versions: the number, the commit, when it was built, whether that succeeded."""
    with _asked(algorithm, where) as algo:
        found = list(islice(algo.versions(min(limit + 1, 50), published=published), limit + 1))
    found, more = found[:limit], len(found) > limit
    if as_json:
        click.echo(in_json([version.resource for version in found], indent=2))
        return
    if not found:
        click.echo(f"{algorithm} has no such versions", err=True)
    for version in found:
        began = version.build.resource.get("started_at", "-") if version.build else "-"
        how = {True: "succeeded", False: "failed", None: "-"}[version.successful]
        columns = f"{version.semantic_version or 'unpublished':11}", version.git_hash[:10] or "-", f"{began!s:24}", how
        click.echo(printable("  ".join(columns)))
    if more:
        click.echo("there are older ones: --limit shows more", err=True)


@command.command(
    epilog=examples("algoprof versions logs demo/Routes 1.0.3", "algoprof versions logs demo/Routes 4f2a9c1"),
    short_help="Print the build log of a version.",
)
@_algorithm
@click.argument("version", metavar="VERSION|HASH")
@platform_options("--data")
@_as_json
def logs(*, algorithm: str, version: str, where: Where, as_json: bool) -> None:
    """Print the build log of a version, by its number or its git hash."""
    with _asked(algorithm, where) as algo:
        log = algo.version_logs(version)
    if as_json:
        click.echo(in_json({"logs": log}, indent=2))
        return
    click.echo(printable(log.rstrip("\n"), keep="\n\t"))


@command.command(
    epilog=examples(
        "algoprof versions publish demo/Routes --minor --notes 'twice as fast'",
        "algoprof versions publish demo/Routes --compile",
    ),
    short_help="Publish the newest build that succeeded.",
)
@_algorithm
@click.option("--major", "part", flag_value="major", help="1.2.3 becomes 2.0.0.")
@click.option("--minor", "part", flag_value="minor", help="1.2.3 becomes 1.3.0.")
@click.option(
    "--patch", "part", flag_value="patch", default="patch", help="1.2.3 becomes 1.2.4, unless told otherwise."
)
@click.option("--notes", metavar="TEXT", default="", help="What is new.")
@click.option("--compile", "first", is_flag=True, help="Build the newest source first.")
@platform_options("--data")
@_as_json
def publish(*, algorithm: str, part: str, notes: str, first: bool, where: Where, as_json: bool) -> int:
    """Publish the newest build that succeeded, and print the number that it gets.

    Exits with 1 if --compile was asked for and the build failed; `algoprof builds diagnose` says why.
    """
    with _asked(algorithm, where) as algo:
        if first and algo.compile().successful is False:
            click.echo(f"the build failed; `algoprof builds diagnose {algorithm}` says why", err=True)
            return 1
        published = algo.publish(version_type=part, release_notes=notes)
    click.echo(in_json(published.resource, indent=2) if as_json else printable(str(published)))
    return 0


@contextmanager
def _asked(algorithm: str, where: Where) -> Iterator[Algorithm]:
    reference = parse(algorithm)
    with where.client(reference.address) as caller:
        yield caller.algo(reference.algorithm)
