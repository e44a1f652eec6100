"""`algoprof keys`: the API keys that the server of a data directory accepts. It need not run, nor be started anew."""

from datetime import UTC, datetime
from pathlib import Path

import click

from algoprof.calls.access.platforms import data_directory
from algoprof.cli.printing import examples, in_json, printable
from algoprof.errors import AlgoprofError, ConfigurationError
from algoprof.server.access import keyring, keys
from algoprof.server.access.keyring import OWN, KeyRecord
from algoprof.server.access.rights import DataAccess, Rights, scopes
from algoprof.server.state.store import FILE

_data = click.option(
    "--data-dir",
    "directory",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="The folder that `algoprof serve --data` was given. [default: ~/.local/share/algoprof]",
)
_as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
def command() -> None:
    """Make, list and revoke the API keys of this machine's server. All of it counts at once, without a new start."""


@command.command(
    "list",
    epilog=examples("algoprof keys list", "algoprof keys list --data-dir ./data --json"),
    short_help="List the keys and what each allows.",
)
@_data
@_as_json
def list_keys(*, directory: Path | None, as_json: bool) -> None:
    """List the keys and what each allows. The keys themselves are stored nowhere, but for the server's own."""
    data = _directory(directory)
    found: list[KeyRecord] = []
    if (data / FILE).exists():
        with keyring.opened(data) as ring:
            found = ring.all()
    if as_json:
        click.echo(in_json([_as_dict(record) for record in found], indent=2))
        return
    if not found:
        click.echo("there are no keys; `algoprof serve` makes its own when it starts for the first time", err=True)
    for record in found:
        click.echo(_line(record))


@command.command(
    epilog=examples(
        "algoprof keys create --name ci --algorithm algo://demo/Routes",
        "algoprof keys create --name team --algorithm 'algo://demo/*' --data write --manage",
        "algoprof keys create --admin",
    ),
    short_help="Make a key, and print it this once.",
)
@click.option("--name", metavar="TEXT", default="", help="What it is for, to tell it from others.")
@click.option("--admin", is_flag=True, help="A key that administers the server, and is refused for everything else.")
@click.option(
    "--algorithm",
    "algorithms",
    metavar="SCOPE",
    multiple=True,
    help="What it may call: algo://OWNER/* or algo://OWNER/NAME; may be repeated. [default: algo://*]",
)
@click.option(
    "--data",
    type=click.Choice(["none", "read", "write"]),
    default="none",
    show_default=True,
    help="What it may do with data; writing includes reading.",
)
@click.option("--manage", is_flag=True, help="It may build, publish, and read builds and the error log.")
@_data
@_as_json
def create(
    *,
    name: str,
    admin: bool,
    algorithms: tuple[str, ...],
    data: DataAccess,
    manage: bool,
    directory: Path | None,
    as_json: bool,
) -> None:
    """Make a key, and print it: this once, since only its hash is stored."""
    if admin and (algorithms or manage or data != "none"):
        raise click.UsageError("--admin goes with no other right: an admin key is refused where those count")
    try:
        allowed = scopes(algorithms)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--algorithm") from None
    rights = Rights("admin" if admin else "standard", allowed, data, manage)
    with keyring.opened(_directory(directory)) as ring:
        key, record = ring.create(rights, printable(name))
    if as_json:
        click.echo(in_json({"key": key.text, **_as_dict(record)}, indent=2))
        return
    click.echo(key.text)
    click.echo(f"this is shown once; `algoprof keys revoke {record.id}` ends it", err=True)


@command.command(
    epilog=examples("algoprof keys revoke 3fa29c1b", "algoprof keys revoke own"),
    short_help="Let a key in no more.",
)
@click.argument("key_id", metavar="ID")
@_data
def revoke(*, key_id: str, directory: Path | None) -> None:
    """Let a key in no more, from now on. ID is what `algoprof keys list` shows.

    With the server's own key, `own`, the file that keeps it goes as well; the next start makes a new one.
    """
    data = _directory(directory)
    with keyring.opened(data) as ring:
        found = ring.revoke(key_id)
    if key_id == OWN and keys.file(data).exists():
        keys.file(data).unlink()
        found = True
    if not found:
        raise AlgoprofError(f"there is no key {printable(key_id)[:40]!r}; `algoprof keys list` shows which there are")
    click.echo(f"revoked {key_id}", err=True)


def _directory(given: Path | None) -> Path:
    data = (given or data_directory()).absolute()
    if data.exists() and not data.is_dir():
        raise ConfigurationError(f"--data-dir {data} is no folder")
    return data


def _as_dict(record: KeyRecord) -> dict[str, object]:
    rights = record.rights
    return {
        "id": record.id,
        "name": record.name,
        "kind": rights.kind,
        "algorithms": [] if rights.administers else list(rights.algorithms),
        "data": rights.data,
        "manage": rights.manages,
        "created_at": _time(record),
    }


def _line(record: KeyRecord) -> str:
    rights = record.rights
    allowed = "administers" if rights.administers else f"calls {', '.join(rights.algorithms)}; data: {rights.data}"
    manages = "; manages" if rights.manages else ""
    return f"{record.id:8}  {_time(record)}  {rights.kind:8}  {allowed}{manages}  {record.name}".rstrip()


def _time(record: KeyRecord) -> str:
    return datetime.fromtimestamp(record.created_ms / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
