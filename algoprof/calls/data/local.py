"""`file://`: the same methods for files and folders of this machine, so that code need not know which it has."""

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Self

from algoprof.calls.data.files import as_json
from algoprof.calls.data.objects import DataObjectType
from algoprof.calls.data.progress import Progress
from algoprof.calls.data.receiving import replacing
from algoprof.calls.data.sources import opened
from algoprof.errors import DataApiError

SCHEME = "file://"


class LocalDataFile:
    """A file of this machine, as `Client.file("file:///...")` gives it.

    Args:
        client: whose file it is; not used.
        filePath: its path, with or without `file://`.

    >>> LocalDataFile(None, "file:///tmp/cat.jpg").getName()
    'cat.jpg'
    """

    data_object_type = DataObjectType.file

    def __init__(self, client: object, filePath: str) -> None:  # noqa: ARG002, N803  (the official signature)
        self._path = Path(filePath.removeprefix(SCHEME))
        self.path = str(self._path)
        self.last_modified: datetime | None = None
        self.size: int | None = None

    def __repr__(self) -> str:
        return f"<LocalDataFile {self.path}>"

    def set_attributes(self, attributes: Mapping[str, Any] | None = None) -> None:  # noqa: ARG002  (the official signature)
        """Take size and time from the file itself."""
        with self._told("looked up"):
            found = self._path.stat()
        self.size, self.last_modified = found.st_size, datetime.fromtimestamp(found.st_mtime, UTC)

    def getName(self) -> str:  # noqa: N802
        """Return the last part of its path."""
        return self._path.name

    def put(self, data: str | bytes | bytearray | memoryview | os.PathLike[str] | IO[bytes]) -> Self:
        """Write the file, in one step, and replace what is there.

        Raises:
            DataApiError: if it cannot be written.
        """
        with self._told("written"), opened(data, Progress()) as source, replacing(self._path) as destination:
            for piece in source:
                destination.file.write(piece)
        return self

    def putFile(self, path: str | os.PathLike[str]) -> Self:  # noqa: N802
        """Write the file from another one, which stays as it is."""
        return self.put(Path(path))

    def putJson(self, data: object) -> Self:  # noqa: N802
        """Write a value as JSON."""
        return self.put(as_json(data))

    def get(self) -> bytes:
        """Return what the file holds.

        Raises:
            DataApiError: if it cannot be read.
        """
        with self._told("read"):
            return self._path.read_bytes()

    def getBytes(self) -> bytes:  # noqa: N802
        """Return what the file holds, as bytes."""
        return self.get()

    def getString(self) -> str:  # noqa: N802
        """Return what the file holds, as a text."""
        with self._told("read"):
            return self.get().decode()

    def getJson(self) -> Any:  # noqa: N802
        """Return the JSON value that the file holds."""
        with self._told("read"):
            return json.loads(self.get())

    def getFile(self) -> IO[str]:  # noqa: N802
        """Return the file itself, opened as text."""
        with self._told("read"):
            return self._path.open(encoding="utf-8")

    def exists(self) -> bool:
        """Return whether the file is there."""
        return self._path.is_file()

    def existsWithError(self) -> tuple[bool, str]:  # noqa: N802
        """Return whether the file is there, and if not why."""
        return (True, "") if self.exists() else (False, f"there is no file {self.path}")

    def delete(self) -> bool:
        """Delete the file, and return True.

        Raises:
            DataApiError: if it cannot be deleted.
        """
        with self._told("deleted"):
            self._path.unlink()
        return True

    @contextmanager
    def _told(self, done: str) -> Iterator[None]:
        with _told(self.path, done):
            yield


class LocalDataDirectory:
    """A folder of this machine, as `Client.dir("file:///...")` gives it.

    Args:
        client: whose folder it is; not used.
        dataUrl: its path, with or without `file://`.
    """

    data_object_type = DataObjectType.directory

    def __init__(self, client: object, dataUrl: str) -> None:  # noqa: N803  (the official signature)
        self._client = client
        self._path = Path(dataUrl.removeprefix(SCHEME))
        self.path = str(self._path)

    def __repr__(self) -> str:
        return f"<LocalDataDirectory {self.path}>"

    def getName(self) -> str:  # noqa: N802
        """Return the last part of its path."""
        return self._path.name

    def exists(self) -> bool:
        """Return whether the folder is there."""
        return self._path.is_dir()

    def create(self, acl: object = None, *, exist_ok: bool = False) -> None:  # noqa: ARG002  (as on the platform)
        """Make the folder."""
        with _told(self.path, "made"):
            self._path.mkdir(exist_ok=exist_ok)

    def delete(self, force: bool = False) -> bool:
        """Delete the folder, and return True.

        Args:
            force: whether all that is in it goes with it; else it must be empty.
        """
        with _told(self.path, "deleted"):
            shutil.rmtree(self._path) if force else self._path.rmdir()
        return True

    def file(self, name: str) -> LocalDataFile:
        """Return a file in it."""
        return LocalDataFile(self._client, str(self._path / name))

    def dir(self, name: str) -> "LocalDataDirectory":
        """Return a folder in it."""
        return LocalDataDirectory(self._client, str(self._path / name))

    def list(self) -> Iterator[str]:
        """Yield the names of what is in it."""
        with _told(self.path, "listed"):
            yield from sorted(os.listdir(self._path))  # noqa: PTH208  (names, not paths)

    def dirs(self, content: object = None) -> Iterator[str]:  # noqa: ARG002  (the official signature)
        """Yield the names of folders in it."""
        return (name for name in self.list() if (self._path / name).is_dir())

    def files(self, content: object = None) -> Iterator[str]:  # noqa: ARG002
        """Yield the names of files in it."""
        return (name for name in self.list() if (self._path / name).is_file())


@contextmanager
def _told(path: str, done: str) -> Iterator[None]:
    """Turn what the system and the content say into the errors of the data API."""
    try:
        yield
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise DataApiError(f"{path} could not be {done}: {why}", uri=SCHEME + path) from error
    except ValueError as error:
        raise DataApiError(f"{path} could not be {done}: {str(error)[:200]}", uri=SCHEME + path) from error
