"""The input that the command line gives for a call: JSON, a text, a file or stdin."""

import json
from pathlib import Path

import click

from algoprof.calls.wire.inputs import LARGEST
from algoprof.cli.inputs import stdin_bytes

_LARGEST_READ = 11 * 1024 * 1024  # bytes; just over what the platform takes, so that it is refused as too large
_TYPES = {".json": "json", ".txt": "text", ".md": "text", ".csv": "text", ".tsv": "text", ".html": "text"}


def given_input(
    stdin: str | None, data: str | None, text: str | None, path: str | None, kind: str | None, *, upload: bool = False
) -> object:
    """Return the one input that the options give.

    Args:
        stdin: `-` if it is on stdin.
        data: it, as JSON.
        text: it, as a text.
        path: the file it is in; `-` is stdin.
        kind: what the file holds: `json`, `text` or `binary`; None goes by the file's name.
        upload: whether it may be of any size; a binary file that is too large for a call is a `Path` then.

    Raises:
        click.UsageError: if there is none, or several, or it is not what it is said to be.
    """
    if stdin is not None and path is None:
        path = stdin
    given = [option for option in (data, text, path) if option is not None]
    if len(given) != 1:
        raise click.UsageError("give one input: --data JSON, --text TEXT, --file PATH, or - for stdin")
    if kind is not None and path is None:
        raise click.UsageError("--type says what a file holds, so it goes with --file or -")
    if data is not None:
        return _parsed(data, "--data")
    if text is not None:
        return text
    return _from_file(path or "", kind, upload=upload)


def _from_file(path: str, kind: str | None, *, upload: bool) -> object:
    most = -1 if upload else _LARGEST_READ
    if path == "-":
        content, kind, name = stdin_bytes().read(most), kind or "json", "stdin"
    else:
        kind, name = kind or _TYPES.get(Path(path).suffix.lower(), "binary"), path
        if upload and kind == "binary" and Path(path).stat().st_size > LARGEST:
            return Path(path)
        with Path(path).open("rb") as file:
            content = file.read(most)
    if kind == "binary":
        return content
    if len(content) == most:
        raise click.UsageError(f"{name} is larger than the 10 MiB that the platform takes: --upload makes a file of it")
    try:
        decoded = content.decode()
    except UnicodeDecodeError:
        raise click.UsageError(f"{name} is not UTF-8 text: say --type binary if it is no text") from None
    return decoded if kind == "text" else _parsed(decoded, name)


def _parsed(text: str, name: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        where = type(error).__name__
        if isinstance(error, json.JSONDecodeError):
            where = f"{error.msg} at line {error.lineno}, column {error.colno}"
        way = "--text sends a text as it is" if name == "--data" else "--type text sends it as it is"
        raise click.UsageError(f"{name} is not JSON ({where}); {way}") from None
