"""`algoprof report`: a saved profile or a flight file, for reading or for scripts."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from algoprof.errors import AlgoprofError, ProfileFileError
from algoprof.exporters.text import render
from algoprof.exporters.text.cells import name
from algoprof.profiles.codec import to_json
from algoprof.profiles.tree import Profile
from algoprof.recorder.reader import Flight, read


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True, help="What to write."
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where to write it; else it goes to stdout.",
)
def command(file: Path, form: str, output: Path | None) -> None:
    """Show a profile that was saved, or the flight file of a process that runs or was killed.

    FILE is what `Profile.save` wrote, by convention *.algoprof, or a *.flight file.
    """
    found = _read(file)
    text = json.dumps(_as_json(found), indent=2) + "\n" if form == "json" else "\n".join(_texts(found))
    if output is not None:
        output.write_text(text, encoding="utf-8", errors="backslashreplace")
        return
    encoding = sys.stdout.encoding or "utf-8"
    click.echo(text.encode(encoding, "backslashreplace").decode(encoding), nl=False)


def _read(file: Path) -> Profile | Flight:
    with file.open("rb") as opened:
        first = opened.read(1)
    try:
        return Profile.load(file) if first == b"{" else read(file)
    except ProfileFileError as error:
        raise AlgoprofError(f"{error}; a profile is what Profile.save wrote, a flight file ends in .flight") from error


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


def _texts(found: Profile | Flight) -> Iterator[str]:
    if isinstance(found, Profile):
        yield render(found)
        return
    state = "running" if found.alive else "dead"
    yield f"{name(found.program, 60)}, process {found.pid}, {state}; {len(found.runs)} runs are still readable\n"
    unfinished = [run for run in found.runs if run.outcome in ("open", "killed")]
    for profile in (*found.cumulative, *unfinished):
        yield render(profile)
