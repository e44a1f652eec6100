"""Where programs that nobody watched left their flight files, and which of them ended last."""

import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

import click

from algoprof.cli.printing import printable
from algoprof.errors import AlgoprofError, ProfileFileError
from algoprof.recorder.directory import TOTALS_NAME, flight_files, known_directories
from algoprof.recorder.directory_totals import read_totals
from algoprof.recorder.reader import Flight, read

_WRITES = (
    "a program writes its flight file when it enters its first section; "
    "if it had another ALGOPROF_FLIGHT_DIR or user, say `algoprof recover DIR`"
)

Found = tuple[Path, Flight]


def in_file(path: Path) -> list[Found]:
    """Read one flight file.

    Raises:
        AlgoprofError: if it is none, or cannot be read.
    """
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


def in_folders(folder: Path | None) -> list[Found]:
    """Read what the folder holds, or the folders where programs of this user write.

    What cannot be read is passed over, and said on stderr.

    Raises:
        AlgoprofError: if there is nothing to read.
    """
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


def newest_first(found: list[Found]) -> list[Found]:
    """Order by when the programs ended; then what still runs, and then what was added up of the others."""
    return sorted(found, key=lambda item: (is_totals(item[0]), item[1].alive, -item[1].seen_ns))


def is_totals(path: Path) -> bool:
    """Return whether a file holds no program's runs, but what was added up of those that have ended."""
    return path.name == TOTALS_NAME
