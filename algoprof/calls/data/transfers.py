"""Files between this machine and the platform: each as a plan, in bounded memory, put in its place in one step."""

import io
import json
import os
import tempfile
from pathlib import Path
from typing import IO, Any

from algoprof.calls.data.operations import Operations
from algoprof.calls.data.progress import Progress, progress
from algoprof.calls.data.receiving import Receiver, in_memory, replacing
from algoprof.calls.data.sources import opened
from algoprof.calls.data.uris import DataUri
from algoprof.calls.wire.plans import Plan
from algoprof.errors import ConfigurationError, DataApiError


def write(operations: Operations, uri: DataUri, content: object, shown: bool | None = None) -> Plan[None]:
    """Write a file on the platform.

    Args:
        operations: what the platform can be asked.
        uri: the file.
        content: a `Content`.
        shown: whether to show how far it is.
    """
    with progress(shown, uri.name) as moving, opened(content, moving) as source:
        yield from operations.put(uri, source)


def read(operations: Operations, uri: DataUri, *, verify: bool = True) -> Plan[bytes]:
    """Return what a file holds.

    Args:
        operations: what the platform can be asked.
        uri: the file.
        verify: whether an ETag that looks like an MD5 is one.
    """
    file = io.BytesIO()
    yield from operations.get(uri, in_memory(file, Progress()), verify=verify)
    return file.getvalue()


def read_json(operations: Operations, uri: DataUri) -> Plan[Any]:
    """Return the JSON value that a file holds.

    Raises:
        DataApiError: if it holds none.
    """
    content = yield from read(operations, uri)
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise DataApiError(f"{uri} is not JSON: {str(error)[:200]}", uri=str(uri)) from None


def read_text(operations: Operations, uri: DataUri) -> Plan[str]:
    """Return the text that a file holds.

    Raises:
        DataApiError: if it is not UTF-8.
    """
    content = yield from read(operations, uri)
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise DataApiError(f"{uri} is no UTF-8 text: {error.reason}", uri=str(uri), hint="read its bytes") from None


def copy(operations: Operations, uri: DataUri, file: IO[bytes]) -> Plan[None]:
    """Write what a file holds into an open one as it comes.

    Args:
        operations: what the platform can be asked.
        uri: the file.
        file: where to, from where it stands.
    """
    yield from operations.get(uri, Receiver(file, Progress()))


def download(
    operations: Operations,
    uri: DataUri,
    path: str | os.PathLike[str],
    *,
    overwrite: bool = True,
    shown: bool | None = None,
    verify: bool = True,
) -> Plan[Path]:
    """Write a file to this machine, and return where it is.

    Args:
        operations: what the platform can be asked.
        uri: the file.
        path: the file to write; in a folder that is there, it has the name that it has on the platform.
        overwrite: whether a file that is there is replaced.
        shown: whether to show how far it is.
        verify: whether an ETag that looks like an MD5 is one.

    Raises:
        FileExistsError: if a file is there that is not to be replaced.
        OSError: if it cannot be written there.
    """
    target = Path(path)
    if target.is_dir():
        target /= local_name(uri)
    if not overwrite and os.path.lexists(target):
        raise FileExistsError(17, "is there already", str(target))
    with progress(shown, uri.name) as moving, replacing(target) as destination:
        yield from operations.get(uri, Receiver(destination.file, moving), verify=verify)
    return target


def temporary(operations: Operations, uri: DataUri) -> Plan[Path]:
    """Write a file to a temporary one, which the caller removes, and return where it is."""
    handle, name = tempfile.mkstemp(suffix=Path(uri.name).suffix[:20])
    try:
        with os.fdopen(handle, "wb") as file:
            yield from operations.get(uri, Receiver(file, Progress()))
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return Path(name)


def local_name(uri: DataUri) -> str:
    """Return the name of a file or folder for this machine.

    Raises:
        ConfigurationError: if it has none, or one that leads elsewhere here.
    """
    if not uri.name or Path(uri.name).name != uri.name:
        raise ConfigurationError(f"{uri} has no name that a file can have here: say which one")
    return uri.name
