"""`algoprof export`: a profile in the formats of other tools."""

import sys
from pathlib import Path

import click

from algoprof.cli.output import Output
from algoprof.cli.printing import examples, printable
from algoprof.cli.profile_sources import read_source
from algoprof.errors import AlgoprofError
from algoprof.exporters.formats.catalogue import FORMATS, Format, format_named, format_of_file
from algoprof.exporters.formats.profile_json import profile_schema
from algoprof.exporters.text.cells import size
from algoprof.profiles.tree import Profile

_EXAMPLES = examples(
    "algoprof export demo.algoprof -o demo.speedscope.json",
    "algoprof export demo.algoprof -o demo.html",
    "algoprof export demo.algoprof --to csv",
    "algoprof export /dev/shm/algoprof-1000 -o last.pftrace",
    "algoprof export after.algoprof --to markdown --baseline before.algoprof",
    "algoprof export --list",
)
_STDOUT = Path("-")


@click.command(epilog=_EXAMPLES)
@click.argument("source", metavar="PROFILE", required=False)
@click.option("--to", "wanted", metavar="FORMAT", help="What to write; else what the ending of -o says.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    help="Where to write it; else it goes to stdout.",
)
@click.option("--baseline", metavar="PROFILE", help="With --to html or markdown: compare with that one.")
@click.option(
    "--data-dir",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="The folder of `algoprof serve --data DIR`, where PROFILE is a request id.",
)
@click.option("--list", "list_wanted", is_flag=True, help="List the formats, and what opens them.")
@click.option("--schema", "schema_wanted", is_flag=True, help="Print the JSON Schema of the format json.")
def command(
    *,
    source: str | None,
    wanted: str | None,
    output: Path | None,
    baseline: str | None,
    data_dir: Path | None,
    list_wanted: bool,
    schema_wanted: bool,
) -> None:
    """Write a profile in another tool's format: speedscope, Chrome, Perfetto, pprof, CSV, HTML and more.

    PROFILE is what `Profile.save` or `--output` wrote, a *.flight file, a folder of those (then of the program that
    ended last), a request id of `algoprof serve`, or - for JSON on stdin. What was open is closed where the run ends,
    and marked.
    """
    if list_wanted:
        click.echo("\n".join(_listed()))
        return
    if schema_wanted:
        click.echo(profile_schema(), nl=False)
        return
    if source is None:
        raise click.UsageError("PROFILE is missing: a saved profile, a *.flight file or a folder of them")
    if output == _STDOUT:
        output = None
    form = _chosen(wanted, output)
    if baseline is not None and form.compare is None:
        raise click.UsageError(f"--baseline is for {_comparing()}, not for {form.name}")
    destination = Output(output, "-o")
    found = read_source(source, data_dir)
    content = (
        form.compare(found.profile, read_source(baseline, data_dir).profile)
        if baseline is not None and form.compare is not None
        else form.render(found.profile)
    )
    if isinstance(content, bytes) and output is None and sys.stdout.isatty():
        raise AlgoprofError(f"{form.name} is binary, and stdout is a terminal: say -o PROFILE{form.endings[0]}")
    if found.chosen:
        click.echo(f"of {printable(found.chosen)}", err=True)
    if form.name == "collapsed" and not found.profile.samples:
        click.echo("it has no stack samples: these are the sections' own times, in nanoseconds", err=True)
    destination.write(content)
    if output is not None:
        click.echo(_written(output, content, form, found.profile), err=True)


def _comparing() -> str:
    return " and ".join(sorted(form.name for form in FORMATS.values() if form.compare is not None))


def _chosen(wanted: str | None, output: Path | None) -> Format:
    if wanted is not None:
        return format_named(wanted)
    if output is None:
        raise click.UsageError(f"which format? say --to FORMAT or -o FILE; there are {', '.join(FORMATS)}")
    found = format_of_file(output.name)
    if found is None:
        endings = ", ".join(form.endings[0] for form in FORMATS.values())
        raise click.UsageError(
            f"the name {printable(output.name)[:80]!r} says no format: say --to FORMAT, or end it in one of {endings}"
        )
    return found


def _written(output: Path, content: str | bytes, form: Format, profile: Profile) -> str:
    still_open = len(profile.open_sections())
    marked = f", {still_open} open sections marked" if still_open else ""
    length = len(content if isinstance(content, bytes) else content.encode("utf-8", "backslashreplace"))
    return f"wrote {printable(str(output))}: {form.name}, {size(length)}{marked}; for {form.opens}"


def _listed() -> list[str]:
    rows = [("format", "endings", "holds", "opens in")]
    rows += [(form.name, " ".join(form.endings), form.holds, form.opens) for form in FORMATS.values()]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
