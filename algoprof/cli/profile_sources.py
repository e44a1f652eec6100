"""What `algoprof export` takes for a profile: a file, a folder of flight files, stdin, or a run of the server's."""

import json
from pathlib import Path
from typing import NamedTuple

from algoprof.calls.access.platforms import data_directory
from algoprof.cli.flight_search import in_folders, newest_first
from algoprof.cli.inputs import stdin_bytes
from algoprof.cli.printing import printable
from algoprof.cli.profile_files import read_file
from algoprof.cli.programs import profile_of
from algoprof.errors import AlgoprofError
from algoprof.exporters.text.cells import name
from algoprof.profiles.codec import MAX_BYTES, from_json
from algoprof.profiles.tree import Profile

_REQUEST = "req-"
"""What a server's request ids begin with."""


class Sourced(NamedTuple):
    """A profile and where it is from.

    Args:
        profile: it.
        chosen: what was chosen of several, in words; empty where there was no choice.
    """

    profile: Profile
    chosen: str = ""


def read_source(source: str, data: Path | None) -> Sourced:
    """Return the profile that is meant.

    Args:
        source: a path, `-` for stdin, or a request id.
        data: the data directory of the server that knows the request; None for the usual one.

    Raises:
        AlgoprofError: if there is none; the message says what would be one.
    """
    path = Path(source)
    if source == "-":
        return Sourced(_from_stdin())
    if path.is_dir():
        return _newest(path)
    if not path.exists() and source.startswith(_REQUEST):
        return Sourced(_of_run(source, data if data is not None else data_directory()))
    found = read_file(path)
    return Sourced(found) if isinstance(found, Profile) else Sourced(profile_of(path, found))


def _newest(folder: Path) -> Sourced:
    path, flight = newest_first(in_folders(folder))[0]
    return Sourced(profile_of(path, flight), f"{path.name}: {name(flight.program, 60)}, process {flight.pid}")


def _from_stdin() -> Profile:
    data = stdin_bytes().read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise AlgoprofError(f"stdin holds more than {MAX_BYTES} bytes, so it is not read")
    try:
        return from_json(json.loads(data))
    except RecursionError:
        raise AlgoprofError("stdin is nested too deeply for a profile") from None
    except ValueError as error:
        raise AlgoprofError(f"stdin holds no profile ({error}); `algoprof recover --json` prints one") from error


def _of_run(request_id: str, data: Path) -> Profile:
    from algoprof.server.state.store import FILE, opened  # noqa: PLC0415  (needs what only a server needs)

    place, shown = printable(str(data)), printable(request_id[:80])
    if not (data / FILE).exists():
        raise AlgoprofError(f"no server has kept anything in {place}: say --data-dir DIR, as `algoprof serve --data`")
    with opened(data, read_only=True) as store:
        profile = store.runs.profile(request_id)
        if profile is None and store.runs.find(request_id) is None:
            raise AlgoprofError(f"{place} knows no run {shown}: the last 1,000 are kept")
    if profile is None:
        raise AlgoprofError(f"the run {shown} has no profile: its algorithm recorded nothing, or too much to keep")
    return profile
