"""Files and folders on the platform for asyncio: the methods of the others, awaited."""

import os
from collections.abc import AsyncIterator, Iterable
from datetime import datetime
from pathlib import Path
from typing import IO, Any, Self

from algoprof.calls.data import transfers, trees
from algoprof.calls.data.acl import Acl
from algoprof.calls.data.files import as_json
from algoprof.calls.data.listings import Page, Paging
from algoprof.calls.data.objects import AsyncData, DataObject, DataObjectType
from algoprof.calls.data.uris import DataUri


class AsyncDataFile(DataObject[AsyncData]):
    """A file on the platform, as `AsyncClient.file` gives it: `DataFile`, awaited.

    Files of this machine are read and written within the event loop, 64 KiB at once.

    Args:
        data: the platform's data API.
        uri: which file it is.
        size: its bytes, where a listing told them.
        last_modified: when it was written, in UTC, where a listing told it.
    """

    data_object_type = DataObjectType.file

    def __init__(
        self, data: AsyncData, uri: DataUri, size: int | None = None, last_modified: datetime | None = None
    ) -> None:
        super().__init__(data, uri)
        self.size = size
        self.last_modified = last_modified

    async def put(
        self,
        data: str | bytes | bytearray | memoryview | os.PathLike[str] | IO[bytes],
        *,
        timeout: float | None = None,  # noqa: ASYNC109  (of all of it, as `pipe` has it)
        progress: bool | None = None,
    ) -> Self:
        """Write the file, as `DataFile.put` does."""
        await self._data.run(transfers.write(self._data.operations, self._uri, data, progress), timeout)
        return self

    async def putFile(self, path: str | os.PathLike[str] | IO[bytes], **options: Any) -> Self:  # noqa: N802
        """Write the file from one of this machine; options are those of `put`."""
        return await self.put(Path(path) if isinstance(path, str) else path, **options)

    async def putJson(self, data: object) -> Self:  # noqa: N802
        """Write a value as JSON."""
        return await self.put(as_json(data))

    async def get(self, *, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        """Return what the file holds, as `DataFile.get` does."""
        return await self._data.run(transfers.read(self._data.operations, self._uri), timeout)

    async def getBytes(self) -> bytes:  # noqa: N802
        """Return what the file holds, as bytes."""
        return await self.get()

    async def getString(self) -> str:  # noqa: N802
        """Return what the file holds, as a text."""
        return await self._data.run(transfers.read_text(self._data.operations, self._uri))

    async def getJson(self) -> Any:  # noqa: N802
        """Return the JSON value that the file holds."""
        return await self._data.run(transfers.read_json(self._data.operations, self._uri))

    async def download(
        self,
        path: str | os.PathLike[str],
        *,
        overwrite: bool = True,
        timeout: float | None = None,  # noqa: ASYNC109
        progress: bool | None = None,
        verify: bool = True,
    ) -> Path:
        """Write the file to this machine, as `DataFile.download` does; cancelled, it leaves nothing behind."""
        plan = transfers.download(
            self._data.operations, self._uri, path, overwrite=overwrite, shown=progress, verify=verify
        )
        return await self._data.run(plan, timeout)

    async def exists(self) -> bool:
        """Return whether the file is there."""
        return await self._data.run(self._data.operations.kind(self._uri)) == "file"

    async def delete(self) -> bool:
        """Delete the file, and return True."""
        await self._data.run(self._data.operations.delete(self._uri))
        return True


class AsyncDataDirectory(DataObject[AsyncData]):
    """A folder on the platform, as `AsyncClient.dir` gives it: `DataDirectory`, awaited."""

    data_object_type = DataObjectType.directory

    async def exists(self) -> bool:
        """Return whether the folder is there."""
        return await self._data.run(self._data.operations.is_folder(self._uri))

    async def create(self, acl: Acl | None = None, *, exist_ok: bool = False) -> None:
        """Make the folder, as `DataDirectory.create` does."""
        await self._data.run(self._data.operations.create(self._uri, acl, exist_ok=exist_ok))

    async def delete(self, force: bool = False) -> bool:
        """Delete the folder, as `DataDirectory.delete` does."""
        await self._data.run(self._data.operations.delete(self._uri, force=force))
        return True

    def file(self, name: str) -> AsyncDataFile:
        """Return a file in it."""
        return AsyncDataFile(self._data, self._uri.below(name))

    def dir(self, name: str) -> "AsyncDataDirectory":
        """Return a folder in it."""
        return AsyncDataDirectory(self._data, self._uri.below(name))

    async def files(self) -> AsyncIterator[AsyncDataFile]:
        """Yield the files in it, with size and time, as `DataDirectory.files` does."""
        async for page in self._pages():
            for one in self._files(page):
                yield one

    async def dirs(self) -> AsyncIterator["AsyncDataDirectory"]:
        """Yield the folders in it."""
        async for page in self._pages():
            for name in page.folders:
                yield self.dir(name)

    async def list(self) -> AsyncIterator["AsyncDataDirectory | AsyncDataFile"]:
        """Yield what is in it, of each page the folders first."""
        async for page in self._pages():
            for name in page.folders:
                yield self.dir(name)
            for one in self._files(page):
                yield one

    async def download(
        self,
        path: str | os.PathLike[str],
        *,
        overwrite: bool = True,
        timeout: float | None = None,  # noqa: ASYNC109
        progress: bool | None = None,
    ) -> int:
        """Write all files in it to a folder of this machine, as `DataDirectory.download` does."""
        plan = trees.download_folder(self._data.operations, self._uri, path, overwrite=overwrite, shown=progress)
        return await self._data.run(plan, timeout)

    async def get_permissions(self) -> Acl | None:
        """Return who may read it; None for a special one such as `.session`."""
        return await self._data.run(self._data.operations.readers(self._uri))

    async def update_permissions(self, acl: Acl) -> bool:
        """Say who may read it, and return True."""
        await self._data.run(self._data.operations.set_readers(self._uri, acl))
        return True

    async def _pages(self) -> AsyncIterator[Page]:
        paging, marker = Paging(), ""
        while True:
            page = await self._data.run(self._data.operations.page(self._uri, marker))
            yield page
            marker = self._data.operations.follow(self._uri, paging, page)
            if not marker:
                return

    def _files(self, page: Page) -> Iterable[AsyncDataFile]:
        return [
            AsyncDataFile(self._data, self._uri.below(entry.name), entry.size, entry.last_modified)
            for entry in page.files
        ]
