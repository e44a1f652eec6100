"""`algoprof recover`: the profiles of programs that nobody watched, found where they left their flight files."""

import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

import click

from algoprof.cli import fates
from algoprof.cli.output import Output
from algoprof.cli.printing import examples, in_json, printable
from algoprof.cli.programs import ended, profile_of, unfinished
from algoprof.errors import AlgoprofError, ProfileFileError
from algoprof.exporters.text import render
from algoprof.exporters.text.cells import name
from algoprof.profiles.codec import to_json
from algoprof.recorder.directory import TOTALS_NAME, flight_files, known_directories
from algoprof.recorder.directory_totals import read_totals
from algoprof.recorder.reader import Flight, read
from algoprof.supervisor.fate import Fates

_EXAMPLES = examples("algoprof recover", "algoprof recover --output killed.algoprof", "algoprof recover --all --json")
_OTHERS_NAMED = 10
_WRITES = (
    "a program writes its flight file when it enters its first section; "
    "if it had another ALGOPROF_FLIGHT_DIR or user, say `algoprof recover DIR`"
)

Found = tuple[Path, Flight]


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
    help="Save the profile there, for `algoprof report` and `Profile.load`.",
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
    found = _newest_first(_in_file(place) if place is not None and not place.is_dir() else _in_folders(place))
    chosen = found if every else found[:1]
    known = Fates()
    if as_json or output is not None:
        profiles = [_as_json(*one, None if output is not None else known) for one in chosen]
        destination.write(in_json(profiles if every else profiles[0], indent=None if output else 2) + "\n")
        if not as_json and output is not None:
            click.echo(f"saved {printable(str(output))}, of {_headline(*chosen[0], known)}")
        return
    destination.write("\n".join(_texts(chosen, found[len(chosen) :], known)))


def _in_file(path: Path) -> list[Found]:
    shown = printable(str(path))
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a pipe that nobody writes to would hold us up
            raise AlgoprofError(f"{shown} is neither a flight file nor a folder of them")
        return [(path, read(path))]
    except FileNotFoundError:
        raise AlgoprofError(f"there is no file or folder {shown}; {_WRITES}") from None
    except ProfileFileError as error:
        raise AlgoprofError(f"{error}; `algoprof report` shows profiles that were saved") from error
    except PermissionError:
        raise AlgoprofError(f"{shown} may not be read by this user: flight files are their owner's only") from None


def _in_folders(folder: Path | None) -> list[Found]:
    """Read what the folder holds, or the folders where programs of this user write."""
    folders = [folder] if folder is not None else [Path(known) for known in known_directories()]
    found, refused = [], []
    for path in (Path(path) for place in folders for path in flight_files(place)):
        try:
            found.append((path, read(path)))
        except FileNotFoundError:
            continue  # folded or removed meanwhile
        except (ProfileFileError, OSError) as error:
            refused.append(f"{path.name}: {getattr(error, 'reason', None) or error}")
    for sentence in refused:
        click.echo(f"passed over {printable(sentence)}", err=True)
    found += _totals(folders)
    if not found:
        looked = ", ".join(printable(str(place)) for place in folders)
        raise AlgoprofError(f"there is no {'readable ' if refused else ''}flight file in {looked}; {_WRITES}")
    return found


def _totals(folders: Iterable[Path]) -> Iterator[Found]:
    for folder in folders:
        try:
            yield folder / TOTALS_NAME, read_totals(str(folder))[1]
        except FileNotFoundError:
            continue
        except (ProfileFileError, OSError) as error:
            click.echo(f"passed over {printable(str(error))}", err=True)


def _newest_first(found: list[Found]) -> list[Found]:
    """Order by when the programs ended; then what still runs, and then what was added up of the others."""
    return sorted(found, key=lambda item: (_is_totals(item[0]), item[1].alive, -item[1].seen_ns))


def _is_totals(path: Path) -> bool:
    return path.name == TOTALS_NAME


def _texts(chosen: list[Found], others: list[Found], known: Fates) -> Iterator[str]:
    for path, flight in chosen:
        yield f"{_headline(path, flight, known)}\n{printable(str(path))}\n"
        cut_off = unfinished(path, flight)
        for profile in (*ended(path, flight), *cut_off):
            yield render(profile)
        if _is_totals(path):
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
    if _is_totals(path):
        return f"{sum(whole.runs for whole in flight.cumulative)} runs of programs that have ended, added up"
    return f"{name(flight.program, 60)}, process {flight.pid}: {fates.ending(known.of(path, flight), flight)}"


def _as_json(path: Path, flight: Flight, known: Fates | None) -> dict[str, object]:
    """Return a profile as it is saved, and beside it, if that is to be known, how its program ended."""
    profile = to_json(profile_of(path, flight))
    if known is not None and not _is_totals(path):
        profile["ending"] = fates.as_json(known.of(path, flight), flight)
    return profile
