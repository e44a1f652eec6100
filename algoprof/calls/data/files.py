"""A file on the platform: written, read, asked for and deleted."""

import json
import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import IO, Any, Self

from algoprof.calls.data import archives, transfers
from algoprof.calls.data.listings import moment
from algoprof.calls.data.objects import Data, DataObject, DataObjectType
from algoprof.calls.data.reading import Reading
from algoprof.calls.data.uris import DataUri
from algoprof.errors import ConfigurationError


class DataFile(DataObject[Data], Reading):
    """A file on the platform, whether it is there or not; made by `Client.file` and by listings.

    Each operation that moves content goes on as long as something moves, and fails after 60 s in which nothing does;
    `timeout` is a limit for all of it. Within a run with a budget, what remains of that is a limit too.

    Args:
        data: the platform's data API.
        uri: which file it is.
        size: its bytes, where a listing told them.
        last_modified: when it was written, in UTC, where a listing told it.
    """

    data_object_type = DataObjectType.file

    def __init__(
        self, data: Data, uri: DataUri, size: int | None = None, last_modified: datetime | None = None
    ) -> None:
        super().__init__(data, uri)
        self.size = size
        self.last_modified = last_modified

    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        """Take size and time from an entry of a listing, as the platform tells it."""
        self.size = attributes["size"]
        self.last_modified = moment(attributes["last_modified"])

    def put(
        self,
        data: str | bytes | bytearray | memoryview | os.PathLike[str] | IO[bytes],
        *,
        timeout: float | None = None,
        progress: bool | None = None,
    ) -> Self:
        """Write the file, and replace what is there. The folder must be there.

        Args:
            data: a text, bytes, the file that a `Path` leads to, or a file opened in binary mode, which is sent from
                where it stands to its end. Files of any size are sent piece by piece.
            timeout: seconds that it may take in all; None for as long as something moves.
            progress: True shows on stderr how far it is, a bar on a terminal and lines elsewhere; None, the default,
                shows the bar only, for what is large; False nothing.

        Raises:
            DataApiError: if it cannot be written; a file that was there is as it was, and nothing is there in part.
            ConfigurationError: if it is none of those.
            OSError: if it cannot be read here.
        """
        self._data.run(transfers.write(self._data.operations, self._uri, data, progress), timeout)
        return self

    def putFile(self, path: str | os.PathLike[str] | IO[bytes], **options: Any) -> Self:  # noqa: N802  (the official name)
        """Write the file from one of this machine; options are those of `put`."""
        return self.put(Path(path) if isinstance(path, str) else path, **options)

    def putJson(self, data: object) -> Self:  # noqa: N802
        """Write a value as JSON.

        Raises:
            ConfigurationError: if JSON cannot say it.
        """
        return self.put(as_json(data))

    def putNumpy(self, array: Any) -> Self:  # noqa: N802
        """Write a NumPy array as JSON, as nested lists."""
        return self.putJson(array.tolist())

    def putAsZip(self, path: str | os.PathLike[str]) -> Self:  # noqa: N802
        """Write a file or a folder of this machine as a ZIP archive."""
        with archives.zipped(path) as archive:
            return self.put(archive)

    def get(self, *, timeout: float | None = None) -> bytes:
        """Return what the file holds, as bytes, up to 1 GiB; `download` is for files of any size.

        Args:
            timeout: seconds that it may take in all; None for as long as something moves.

        Raises:
            DataApiError: if it cannot be read.
        """
        return self._data.run(transfers.read(self._data.operations, self._uri), timeout)

    def getBytes(self) -> bytes:  # noqa: N802
        """Return what the file holds, as bytes."""
        return self.get()

    def getString(self) -> str:  # noqa: N802
        """Return what the file holds, as a text.

        Raises:
            DataApiError: if it cannot be read, or is not UTF-8.
        """
        return self._data.run(transfers.read_text(self._data.operations, self._uri))

    def getJson(self) -> Any:  # noqa: N802
        """Return the JSON value that the file holds.

        Raises:
            DataApiError: if it cannot be read, or holds none.
        """
        return self._data.run(transfers.read_json(self._data.operations, self._uri))

    def getNumpy(self) -> Any:  # noqa: N802
        """Return the NumPy array that `putNumpy` has written.

        Raises:
            ConfigurationError: if NumPy is missing.
            DataApiError: if it cannot be read, or holds none.
        """
        try:
            import numpy  # noqa: ICN001, PLC0415  (only who asks for it has it)
        except ModuleNotFoundError:
            raise ConfigurationError("getNumpy needs numpy: pip install numpy") from None
        return numpy.array(self.getJson())

    def getFile(self, as_path: bool = False) -> Any:  # noqa: N802
        """Return the file as a temporary one on this machine, which stays until it is removed.

        `download` says where the file goes, and is the better choice.

        Args:
            as_path: whether to return its path; else the file, opened as text.
        """
        path = self._data.run(transfers.temporary(self._data.operations, self._uri))
        return str(path) if as_path else path.open(encoding="utf-8")

    def getAsZip(self) -> str:  # noqa: N802
        """Unpack the ZIP archive that the file is into a temporary folder, and return the path.

        Where the archive holds one file, that of the file; else that of the folder.
        """
        path = self._data.run(transfers.temporary(self._data.operations, self._uri))
        try:
            return archives.unzipped(path, self.uri)
        finally:
            path.unlink()

    def download(
        self,
        path: str | os.PathLike[str],
        *,
        overwrite: bool = True,
        timeout: float | None = None,
        progress: bool | None = None,
        verify: bool = True,
    ) -> Path:
        """Write the file to this machine, and return where it is.

        It takes its place when it is whole; until then what was there is as it was. Where the connection breaks off, it
        goes on where that was. Its size is checked, and its MD5 where the platform's ETag is one.

        Args:
            path: the file to write; in a folder that is there, it has the name that it has on the platform.
            overwrite: whether a file that is there is replaced.
            timeout: seconds that it may take in all; None for as long as something moves.
            progress: whether to show how far it is, as `put` does.
            verify: whether an ETag that looks like an MD5 is one.

        Raises:
            DataApiError: if it cannot be read, or what came is not what the platform has.
            FileExistsError: if a file is there that is not to be replaced.
            OSError: if it cannot be written.
        """
        plan = transfers.download(
            self._data.operations, self._uri, path, overwrite=overwrite, shown=progress, verify=verify
        )
        return self._data.run(plan, timeout)

    def copy_to(self, file: IO[bytes], *, timeout: float | None = None) -> None:
        """Write what the file holds into an open one, as it comes.

        Args:
            file: a file opened in binary mode; it is written from where it stands.
            timeout: seconds that it may take in all; None for as long as something moves.

        Raises:
            DataApiError: if it cannot be read, or what came is not what the platform has: it is written by then.
            OSError: if it cannot be written.
        """
        self._data.run(transfers.copy(self._data.operations, self._uri, file), timeout)

    def exists(self) -> bool:
        """Return whether the file is there.

        Raises:
            DataApiError: if the platform does not say, for example since the key may not ask.
        """
        return self._data.run(self._data.operations.kind(self._uri)) == "file"

    def existsWithError(self) -> tuple[bool, str]:  # noqa: N802
        """Return whether the file is there, and if not why."""
        return (True, "") if self.exists() else (False, f"there is no file {self.uri}")

    def delete(self) -> bool:
        """Delete the file, and return True.

        Raises:
            DataApiError: if it is not deleted, for example since there is none.
        """
        self._data.run(self._data.operations.delete(self._uri))
        return True


def as_json(value: object) -> bytes:
    """Return a value as JSON.

    Raises:
        ConfigurationError: if JSON cannot say it.
    """
    try:
        return json.dumps(value, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigurationError(f"this is no JSON: {str(error)[:200]}") from None
