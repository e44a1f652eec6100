"""`algoprof data`: the platform's files and folders, as ls, cat, get, put, mkdir and rm have those of a machine."""

import sys
from pathlib import Path
from typing import BinaryIO

import click

from algoprof.calls.data.files import DataFile
from algoprof.calls.data.folders import DataDirectory
from algoprof.calls.data.progress import human
from algoprof.cli.inputs import stdin_bytes
from algoprof.cli.platform_options import Where, platform_options
from algoprof.cli.printing import examples, in_json, printable
from algoprof.errors import AlgoprofError, DataApiError

_as_json = click.option("--json", "as_json", is_flag=True, help="Print what was done as JSON.")
_timeout = click.option("--timeout", type=float, help="Seconds that it may take in all; else as long as data moves.")


@click.group()
def command() -> None:
    """List, read, write and delete files of the platform: data://OWNER/COLLECTION/FILE, where .my is the caller."""


@command.command(
    epilog=examples("algoprof data ls", "algoprof data ls data://.my/photos --json"), short_help="List a folder."
)
@click.argument("uri", metavar="[DATA_URI]", default="data://.my")
@platform_options("--data")
@_as_json
def ls(uri: str, where: Where, as_json: bool) -> None:
    """List a folder: size, time in UTC and name of each file, and folders with a slash behind."""
    with where.client() as asked:
        found = _folder(asked.dir(uri)).list()
        if as_json:
            click.echo(in_json([_told(one) for one in found], indent=2))
            return
        for one in found:
            size = when = "-"
            if isinstance(one, DataFile):
                size = "-" if one.size is None else human(one.size)
                when = f"{one.last_modified:%Y-%m-%d %H:%M:%S}" if one.last_modified else "-"
            name = one.getName() + ("/" if one.is_dir() else "")
            click.echo(printable(f"{size:>10}  {when:19}  {name}"))


@command.command(epilog=examples("algoprof data cat data://.my/photos/list.txt"))
@click.argument("uri", metavar="DATA_URI")
@platform_options("--data")
def cat(uri: str, where: Where) -> None:
    """Write what a file holds to stdout."""
    with where.client() as asked:
        _file(asked.file(uri)).copy_to(_stdout())


@command.command(
    epilog=examples(
        "algoprof data get data://.my/photos/photo.jpg",
        "algoprof data get -r data://.my/photos here",
        "algoprof data get data://.my/photos/photo.jpg - > photo.jpg",
    ),
    short_help="Write a file or a folder to this machine.",
)
@click.argument("uri", metavar="DATA_URI")
@click.argument("path", metavar="[PATH]", default=".", type=click.Path(path_type=Path, allow_dash=True))
@click.option("-r", "--recursive", is_flag=True, help="A folder, with all that is in it.")
@click.option("--force", is_flag=True, help="Replace files that are there.")
@_timeout
@platform_options("--data")
@_as_json
def get(
    *, uri: str, path: Path, recursive: bool, force: bool, timeout: float | None, where: Where, as_json: bool
) -> None:
    """Write a file, or with -r a folder, to this machine; to stdout with `-`.

    A file takes its place when it is whole; one that is there is not replaced without --force.
    """
    done: list[Path] = []
    with where.client() as asked:
        if str(path) == "-":
            if recursive or as_json:
                raise click.UsageError("stdout takes one file, and nothing else: leave out --recursive and --json")
            _file(asked.file(uri)).copy_to(_stdout(), timeout=timeout)
            return
        try:
            if recursive:
                folder = _folder(asked.dir(uri))
                target = path / folder.getName() if path.is_dir() else path
                folder.download(target, overwrite=force, timeout=timeout, told=done.append)
            else:
                done.append(_file(asked.file(uri)).download(path, overwrite=force, timeout=timeout))
        except FileExistsError as error:
            raise AlgoprofError(f"{error.filename} is there already: --force replaces it") from None
        except DataApiError as error:
            if not recursive and error.message == "it is a folder":
                raise AlgoprofError(f"{uri} is a folder: -r gets all that is in it") from None
            raise
    if as_json:
        click.echo(in_json([{"path": str(one), "size": one.stat().st_size} for one in done], indent=2))
        return
    _say(f"{_counted(len(done), 'file')} written" if recursive else f"{uri} is in {done[0]}")


@command.command(
    epilog=examples(
        "algoprof data put photo.jpg data://.my/photos/",
        "algoprof data put -r here data://.my/photos",
        "echo hello | algoprof data put - data://.my/photos/list.txt",
    ),
    short_help="Write a file or a folder to the platform.",
)
@click.argument("path", metavar="PATH", type=click.Path(path_type=Path, allow_dash=True))
@click.argument("uri", metavar="DATA_URI")
@click.option(
    "-r", "--recursive", is_flag=True, help="A folder, with all that is in it; it is made where it is missing."
)
@_timeout
@platform_options("--data")
@_as_json
def put(*, path: Path, uri: str, recursive: bool, timeout: float | None, where: Where, as_json: bool) -> None:
    """Write a file, or with -r a folder, to the platform; from stdin with `-`. A file that is there is replaced.

    A URI with a slash at its end is that of a folder, and the file keeps its name.
    """
    done: list[str] = []
    with where.client() as asked:
        if recursive:
            if not path.is_dir():
                raise AlgoprofError(f"{path} is no folder: without --recursive it is put as a file")
            _folder(asked.dir(uri)).upload(path, timeout=timeout, told=lambda one: done.append(one.uri))
        else:
            target = _folder(asked.dir(uri)).file(_name(path)) if uri.endswith("/") else _file(asked.file(uri))
            if str(path) == "-":
                target.put(stdin_bytes(), timeout=timeout)
            else:
                if path.is_dir():
                    raise AlgoprofError(f"{path} is a folder: -r puts all that is in it")
                target.put(path, timeout=timeout)
            done.append(target.uri)
    if as_json:
        click.echo(in_json([{"uri": one} for one in done], indent=2))
        return
    _say(f"{_counted(len(done), 'file')} written" if recursive else f"{done[0]} is written")


@command.command(epilog=examples("algoprof data mkdir data://.my/photos"), short_help="Make a folder.")
@click.argument("uri", metavar="DATA_URI")
@click.option("-p", "--exist-ok", is_flag=True, help="Be content with one that is there.")
@platform_options("--data")
@_as_json
def mkdir(uri: str, exist_ok: bool, where: Where, as_json: bool) -> None:
    """Make a folder. By default whoever calls your algorithms may read it, through them."""
    with where.client() as asked:
        folder = _folder(asked.dir(uri))
        folder.create(exist_ok=exist_ok)
    if as_json:
        click.echo(in_json({"uri": folder.uri}))


@command.command(
    epilog=examples("algoprof data rm data://.my/photos/photo.jpg", "algoprof data rm -r data://.my/photos"),
    short_help="Delete a file or a folder.",
)
@click.argument("uri", metavar="DATA_URI")
@click.option("-r", "--recursive", is_flag=True, help="A folder, with all that is in it.")
@click.option("--force", is_flag=True, help="Ask nothing, and be content where nothing is there.")
@platform_options("--data")
@_as_json
def rm(*, uri: str, recursive: bool, force: bool, where: Where, as_json: bool) -> None:
    """Delete a file, an empty folder, or with -r a folder and all that is in it.

    Before all that is in a folder is deleted, it is asked on a terminal; elsewhere --force is needed.
    """
    gone: str | None = uri
    with where.client() as asked:
        folder = _folder(asked.dir(uri))
        is_folder = False
        try:
            is_folder = recursive or folder.exists()
            if is_folder:
                if recursive and not force:
                    _confirmed(uri)
                folder.delete(force=recursive)
            else:
                _file(asked.file(uri)).delete()
        except DataApiError as error:
            if is_folder and not recursive and error.status == 400:
                raise AlgoprofError(f"{error}; -r deletes a folder with all that is in it") from None
            if not force or error.status != 404:
                raise
            gone = None
    if as_json:
        click.echo(in_json({"deleted": gone}))
        return
    _say(f"{uri} is deleted" if gone else f"there is no {uri}")


def _file(found: object) -> DataFile:
    if not isinstance(found, DataFile):
        raise AlgoprofError(f"{found!r} is of this machine: name one of the platform, data://...")
    return found


def _folder(found: object) -> DataDirectory:
    if not isinstance(found, DataDirectory):
        raise AlgoprofError(f"{found!r} is of this machine: name one of the platform, data://...")
    return found


def _told(one: DataFile | DataDirectory) -> dict[str, object]:
    if isinstance(one, DataDirectory):
        return {"type": "folder", "name": one.getName(), "uri": one.uri}
    when = one.last_modified.isoformat() if one.last_modified else None
    return {"type": "file", "name": one.getName(), "uri": one.uri, "size": one.size, "last_modified": when}


def _name(path: Path) -> str:
    if str(path) == "-":
        raise click.UsageError("stdin has no name: say the file in DATA_URI")
    return path.resolve().name


def _stdout() -> BinaryIO:
    if sys.stdout is None:
        raise AlgoprofError("stdout is closed, so the content has nowhere to go")
    return sys.stdout.buffer


def _confirmed(uri: str) -> None:
    if not all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stderr)):
        raise click.UsageError(f"all that is in {uri} would go, and nobody is there to ask: say --force")
    click.confirm(f"delete {printable(uri)} and all that is in it?", abort=True, err=True)


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def _say(text: str) -> None:
    click.echo(printable(text), err=True)
