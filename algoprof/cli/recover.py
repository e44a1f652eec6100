"""`algoprof recover`: the profiles of programs that nobody watched, found where they left their flight files."""

from collections.abc import Iterator
from pathlib import Path

import click

from algoprof.cli import fates
from algoprof.cli.flight_search import Found, in_file, in_folders, is_totals, newest_first
from algoprof.cli.output import Output
from algoprof.cli.printing import examples, in_json, printable
from algoprof.cli.programs import ended, profile_of, unfinished
from algoprof.exporters.formats.catalogue import rendered
from algoprof.exporters.text import render
from algoprof.exporters.text.cells import name
from algoprof.profiles.codec import to_json
from algoprof.recorder.reader import Flight
from algoprof.supervisor.fate import Fates

_EXAMPLES = examples("algoprof recover", "algoprof recover --output killed.algoprof", "algoprof recover --all --json")
_OTHERS_NAMED = 10


@click.command(epilog=_EXAMPLES)
@click.argument("place", metavar="[FILE|DIR]", required=False, type=click.Path(path_type=Path))
@click.option("--all", "every", is_flag=True, help="Show every program, not the last one alone.")
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print the profile as `Profile.save` writes it, and its `ending`; a list with --all.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Save the profile there, for `algoprof report`; a name such as killed.pftrace says another format, see"
    " `algoprof export --list`.",
)
def command(place: Path | None, every: bool, as_json: bool, output: Path | None) -> None:
    """Find the profile of a program that was killed or has ended, or of one that is still running.

    It says how the program ended, as far as the kernel and the file tell, and what that means.

    FILE is a *.flight file. DIR is a folder of them; without it, the folders are searched where programs of this user
    write theirs. The last program that ended comes first. Nothing is changed or removed.
    """
    if every and output is not None:
        raise click.UsageError("--output keeps one profile: leave --all out, and name the FILE to recover")
    destination = Output(output)
    found = newest_first(in_file(place) if place is not None and not place.is_dir() else in_folders(place))
    chosen = found if every else found[:1]
    known = Fates()
    if output is not None:
        destination.write(rendered(profile_of(*chosen[0]), "" if as_json else output.name))
        if not as_json:
            click.echo(f"saved {printable(str(output))}, of {_headline(*chosen[0], known)}")
        return
    if as_json:
        profiles = [_as_json(*one, known) for one in chosen]
        destination.write(in_json(profiles if every else profiles[0], indent=2) + "\n")
        return
    destination.write("\n".join(_texts(chosen, found[len(chosen) :], known)))


def _texts(chosen: list[Found], others: list[Found], known: Fates) -> Iterator[str]:
    for path, flight in chosen:
        yield f"{_headline(path, flight, known)}\n{printable(str(path))}\n"
        cut_off = unfinished(path, flight)
        for profile in (*ended(path, flight), *cut_off):
            yield render(profile)
        if is_totals(path):
            continue
        fate = known.of(path, flight)
        yield f"ending: {fates.meaning(fate, flight)}\n"
        if cut_off and fate.how != "running":
            yield "When it died nobody saw: what was open had been open for at least the time shown.\n"
    if others:
        more = f"There {'is' if len(others) == 1 else 'are'} {len(others)} more"
        yield f"{more}: `algoprof recover FILE` shows one, --all shows all.\n" + "".join(
            f"  {_headline(path, flight, known)}\n    {printable(str(path))}\n"
            for path, flight in others[:_OTHERS_NAMED]
        )


def _headline(path: Path, flight: Flight, known: Fates) -> str:
    if is_totals(path):
        return f"{sum(whole.runs for whole in flight.cumulative)} runs of programs that have ended, added up"
    return f"{name(flight.program, 60)}, process {flight.pid}: {fates.ending(known.of(path, flight), flight)}"


def _as_json(path: Path, flight: Flight, known: Fates) -> dict[str, object]:
    """Return a profile as it is saved, and beside it how its program ended."""
    profile = to_json(profile_of(path, flight))
    if not is_totals(path):
        profile["ending"] = fates.as_json(known.of(path, flight), flight)
    return profile
