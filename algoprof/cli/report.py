"""`algoprof report`: a saved profile or a flight file, for reading or for scripts."""

import os
import sys
import tempfile
import webbrowser
from collections.abc import Iterator
from pathlib import Path

import click

from algoprof.cli.output import Output
from algoprof.cli.printing import examples, in_json, printable
from algoprof.cli.profile_files import read_file
from algoprof.cli.programs import profile_of
from algoprof.errors import AlgoprofError
from algoprof.exporters.formats.catalogue import FORMATS, Format, format_of_file
from algoprof.exporters.formats.collapsed import collapsed
from algoprof.exporters.text import render
from algoprof.exporters.text.cells import name
from algoprof.profiles.codec import to_json
from algoprof.profiles.tree import Profile
from algoprof.recorder.families import with_family
from algoprof.recorder.reader import Flight

_EXAMPLES = examples(
    "algoprof report demo.algoprof",
    "algoprof report demo.algoprof --open",
    "algoprof report demo.algoprof --output demo.html",
    "algoprof report demo.algoprof --format collapsed --output stacks.txt",
)


@click.command(epilog=_EXAMPLES)
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", *FORMATS]),
    help="What to write; else what the name behind --output ends in, else text.",
)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where to write it; else it goes to stdout.",
)
@click.option("--open", "opening", is_flag=True, help="Write the page, to --output or a temporary file, and open it.")
def command(*, file: Path, form: str | None, as_json: bool, output: Path | None, opening: bool) -> None:
    """Show a profile that was saved, or the flight file of a process that runs or was killed.

    FILE is what `Profile.save` wrote, by convention *.algoprof, or a *.flight file; of that one, text, json and
    collapsed show every run, other formats the one that `algoprof export` writes.
    """
    if opening:
        if as_json or form not in (None, "html"):
            raise click.UsageError("--open is for html, which a browser shows")
        _open(file, output)
        return
    named = format_of_file(output.name) if output is not None and form is None and not as_json else None
    destination = Output(output)
    if as_json or form == "json":
        destination.write(in_json(_as_json(_whole(file)), indent=2) + "\n")
    elif form == "collapsed":
        destination.write(_collapsed(file, _whole(file)))
    elif named is not None or form not in (None, "text"):
        destination.write(_rendered(file, named or FORMATS[str(form)], output))
    else:
        destination.write("\n".join(_texts(_whole(file))))


def _open(file: Path, output: Path | None) -> None:
    if output is None:
        content = _rendered(file, FORMATS["html"], None)
        handle, made = tempfile.mkstemp(prefix="algoprof-", suffix=".html")
        os.close(handle)
        output = Path(made)
        Output(output).write(content)
    else:
        destination = Output(output)
        destination.write(_rendered(file, FORMATS["html"], output))
    click.echo(f"wrote {printable(str(output))}", err=True)
    if not webbrowser.open(output.absolute().as_uri()):
        raise AlgoprofError(f"there is no browser to open {printable(str(output))} with: BROWSER may name one")


def _whole(file: Path) -> Profile | Flight:
    """Read a file, and what its process's workers have written beside it."""
    found = read_file(file)
    return found if isinstance(found, Profile) else with_family(file, found)


def _as_json(found: Profile | Flight) -> dict[str, object]:
    if isinstance(found, Profile):
        return to_json(found)
    return {
        "pid": found.pid,
        "alive": found.alive,
        "program": found.program,
        "runs": [to_json(run) for run in found.runs],
        "cumulative": [to_json(profile) for profile in found.cumulative],
    }


def _rendered(file: Path, form: Format, output: Path | None) -> str | bytes:
    found = read_file(file)
    content = form.render(found if isinstance(found, Profile) else profile_of(file, found))
    if isinstance(content, bytes) and output is None and sys.stdout.isatty():
        raise AlgoprofError(f"{form.name} is binary, and stdout is a terminal: say --output FILE{form.endings[0]}")
    return content


def _collapsed(file: Path, found: Profile | Flight) -> str:
    profiles = [found] if isinstance(found, Profile) else _all(found)
    text = collapsed(profiles)
    if not text:
        raise AlgoprofError(
            f"{printable(str(file))} has no stack samples: `algoprof run` takes them, and ALGOPROF_SAMPLER=on elsewhere"
        )
    return text


def _all(flight: Flight) -> list[Profile]:
    return [*flight.cumulative, *(run for run in flight.runs if run.outcome in ("open", "killed"))]


def _texts(found: Profile | Flight) -> Iterator[str]:
    if isinstance(found, Profile):
        yield render(found)
        return
    state = "running" if found.alive else "dead"
    yield f"{name(found.program, 60)}, process {found.pid}, {state}; {len(found.runs)} runs are still readable\n"
    for profile in _all(found):
        yield render(profile)
