"""A folder on the platform: made, listed, shared and deleted."""

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from algoprof.calls.data import trees
from algoprof.calls.data.acl import Acl
from algoprof.calls.data.files import DataFile
from algoprof.calls.data.listings import Page, Paging
from algoprof.calls.data.objects import Data, DataObject, DataObjectType


class DataDirectory(DataObject[Data]):
    """A folder on the platform, whether it is there or not; made by `Client.dir` and by listings."""

    data_object_type = DataObjectType.directory

    def set_attributes(self, response_json: Mapping[str, Any]) -> None:
        """Do nothing: a listing tells nothing of a folder but its name."""

    def exists(self) -> bool:
        """Return whether the folder is there.

        Raises:
            DataApiError: if the platform does not say, for example since the key may not ask.
        """
        return self._data.run(self._data.operations.is_folder(self._uri))

    def create(self, acl: Acl | None = None, *, exist_ok: bool = False) -> None:
        """Make the folder. The one it is in must be there.

        Args:
            acl: who may read it, such as `ReadAcl.public`; by default whoever calls the owner's algorithms, by them.
            exist_ok: whether it may be there already; it is left as it is then.

        Raises:
            DataApiError: if it cannot be made.
        """
        self._data.run(self._data.operations.create(self._uri, acl, exist_ok=exist_ok))

    def delete(self, force: bool = False) -> bool:
        """Delete the folder, and return True.

        Args:
            force: whether all that is in it goes with it; else it must be empty.

        Raises:
            DataApiError: if it is not deleted.
        """
        self._data.run(self._data.operations.delete(self._uri, force=force))
        return True

    def file(self, name: str, cleanup: bool = True) -> DataFile:  # noqa: ARG002  (the official signature)
        """Return a file in it."""
        return DataFile(self._data, self._uri.below(name))

    def dir(self, name: str) -> "DataDirectory":
        """Return a folder in it."""
        return DataDirectory(self._data, self._uri.below(name))

    def files(self) -> Iterator[DataFile]:
        """Yield the files in it, with size and time; the platform is asked for the next 1,000 when they are needed.

        Raises:
            DataApiError: if it cannot be listed.
        """
        for page in self._pages():
            yield from self._files(page)

    def dirs(self) -> Iterator["DataDirectory"]:
        """Yield the folders in it, as `files` does.

        Raises:
            DataApiError: if it cannot be listed.
        """
        for page in self._pages():
            yield from map(self.dir, page.folders)

    def list(self) -> Iterator["DataDirectory | DataFile"]:
        """Yield what is in it, of each page the folders first, as `files` does.

        Raises:
            DataApiError: if it cannot be listed.
        """
        for page in self._pages():
            yield from map(self.dir, page.folders)
            yield from self._files(page)

    def download(
        self,
        path: str | os.PathLike[str],
        *,
        overwrite: bool = True,
        timeout: float | None = None,
        progress: bool | None = None,
        told: Callable[[Path], object] | None = None,
    ) -> int:
        """Write all files in it, and in the folders in it, to a folder of this machine; return how many that were.

        Args:
            path: the folder; it is made where it is missing.
            overwrite: whether files that are there are replaced.
            timeout: seconds that it may take in all; None for as long as something moves.
            progress: whether to show how far large files are, as `DataFile.put` does.
            told: is called with each file that is there.

        Raises:
            DataApiError: if one cannot be read; what is there by then stays.
            OSError: if one cannot be written.
        """
        plan = trees.download_folder(
            self._data.operations, self._uri, path, overwrite=overwrite, shown=progress, told=told
        )
        return self._data.run(plan, timeout)

    def upload(
        self,
        path: str | os.PathLike[str],
        *,
        timeout: float | None = None,
        progress: bool | None = None,
        told: Callable[[DataFile], object] | None = None,
    ) -> int:
        """Write all files of a folder of this machine, and of those in it, to it; return how many that were.

        Args:
            path: the folder of this machine.
            timeout: seconds that it may take in all; None for as long as something moves.
            progress: whether to show how far large files are, as `DataFile.put` does.
            told: is called with each file that is there.

        Raises:
            DataApiError: if one cannot be written; what is there by then stays.
            OSError: if one cannot be read.
        """
        tell = None if told is None else lambda uri: told(DataFile(self._data, uri))
        plan = trees.upload_folder(self._data.operations, self._uri, path, shown=progress, told=tell)
        return self._data.run(plan, timeout)

    def getDir(self) -> str:  # noqa: N802  (the official name)
        """Write all files in it to a temporary folder, which stays until it is removed, and return its path."""
        path = tempfile.mkdtemp()
        self.download(path)
        return path

    def get_permissions(self) -> Acl | None:
        """Return who may read it; None for a special one such as `.session`.

        Raises:
            DataApiError: if the platform does not tell.
        """
        return self._data.run(self._data.operations.readers(self._uri))

    def update_permissions(self, acl: Acl) -> bool:
        """Say who may read it, and return True.

        Raises:
            DataApiError: if that is refused.
        """
        self._data.run(self._data.operations.set_readers(self._uri, acl))
        return True

    def _pages(self) -> Iterator[Page]:
        paging, marker = Paging(), ""
        while True:
            page = self._data.run(self._data.operations.page(self._uri, marker))
            yield page
            marker = self._data.operations.follow(self._uri, paging, page)
            if not marker:
                return

    def _files(self, page: Page) -> Iterator[DataFile]:
        for entry in page.files:
            yield DataFile(self._data, self._uri.below(entry.name), entry.size, entry.last_modified)
