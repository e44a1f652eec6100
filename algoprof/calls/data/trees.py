"""Whole folders between this machine and the platform, as plans. What a listing names never leads out of its folder."""

import os
from collections.abc import Callable
from pathlib import Path

from algoprof.calls.data.listings import FileEntry, Page, Paging
from algoprof.calls.data.operations import Operations
from algoprof.calls.data.transfers import download, local_name, write
from algoprof.calls.data.uris import DataUri
from algoprof.calls.wire.plans import Plan
from algoprof.errors import DataApiError

_DEEPEST = 64


def whole(operations: Operations, uri: DataUri) -> Plan[Page]:
    """Return all pages of a listing as one."""
    folders: list[str] = []
    files: list[FileEntry] = []
    paging, marker = Paging(), ""
    while True:
        page = yield from operations.page(uri, marker)
        folders += page.folders
        files += page.files
        marker = operations.follow(uri, paging, page)
        if not marker:
            return Page(tuple(folders), tuple(files))


def download_folder(
    operations: Operations,
    uri: DataUri,
    path: str | os.PathLike[str],
    *,
    overwrite: bool = True,
    shown: bool | None = None,
    told: Callable[[Path], object] | None = None,
) -> Plan[int]:
    """Write what a folder holds, and what the folders in it hold, to this machine; return how many files that were.

    Args:
        operations: what the platform can be asked.
        uri: the folder.
        path: the folder to write to; it is made where it is missing.
        overwrite: whether files that are there are replaced.
        shown: whether to show how far large files are.
        told: is called with each file that is there.

    Raises:
        DataApiError: if one cannot be read; what is there by then stays.
        OSError: if one cannot be written.
    """
    waiting, count = [(uri, Path(path), 0)], 0
    while waiting:
        folder, target, depth = waiting.pop()
        if depth > _DEEPEST:
            raise DataApiError(f"{uri} has folders more than {_DEEPEST} levels deep", uri=str(uri))
        page = yield from whole(operations, folder)
        target.mkdir(parents=True, exist_ok=True)
        for entry in page.files:
            file = folder.below(entry.name)
            at = target / local_name(file)
            if at.is_dir():
                raise IsADirectoryError(21, "is a folder", str(at))
            yield from download(operations, file, at, overwrite=overwrite, shown=shown)
            if told is not None:
                told(at)
            count += 1
        below = [folder.below(name) for name in reversed(page.folders)]
        waiting += [(one, target / local_name(one), depth + 1) for one in below]
    return count


def upload_folder(
    operations: Operations,
    uri: DataUri,
    path: str | os.PathLike[str],
    *,
    shown: bool | None = None,
    told: Callable[[DataUri], object] | None = None,
) -> Plan[int]:
    """Write what a folder of this machine holds to the platform; return how many files that were.

    Args:
        operations: what the platform can be asked.
        uri: the folder; it is made where it is missing.
        path: the folder of this machine. Links to folders are not followed.
        shown: whether to show how far large files are.
        told: is called with each file that is there.

    Raises:
        DataApiError: if one cannot be written; what is there by then stays.
        OSError: if one cannot be read.
    """
    count = 0

    def failed(error: OSError) -> None:
        raise error

    for folder, folders, files in os.walk(path, onerror=failed):
        folders.sort()
        inner = Path(folder).relative_to(path)
        target = uri
        for name in inner.parts:
            target = target.below(name)
        yield from operations.create(target, exist_ok=True)
        for name in sorted(files):
            file = target.below(name)
            yield from write(operations, file, Path(folder, name), shown)
            if told is not None:
                told(file)
            count += 1
    return count
