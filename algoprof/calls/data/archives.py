"""ZIP archives, as `putAsZip` and `getAsZip` of the official client make and take them."""

import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from algoprof.errors import DataApiError


@contextmanager
def zipped(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """Open a temporary archive of a file, or of what is in a folder, under their own names.

    Raises:
        OSError: if it cannot be read.
    """
    path = Path(path)
    with tempfile.TemporaryFile("w+b") as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, strict_timestamps=False) as archive:
            if not path.is_dir():
                archive.write(path, path.name)
            for folder, folders, files in os.walk(path):
                folders.sort()
                for name in sorted(files):
                    archive.write(Path(folder, name), Path(folder, name).relative_to(path))
        file.seek(0)
        yield file


def unzipped(path: Path, uri: str) -> str:
    """Unpack an archive into a temporary folder; return the path of the one file in it, else that of the folder.

    Args:
        path: the archive.
        uri: where it is from, for messages.

    Raises:
        DataApiError: if it is none, or names what is outside it.
    """
    folder = tempfile.mkdtemp()
    try:
        with zipfile.ZipFile(path) as archive:
            archive.extractall(folder)  # which lets no name lead out of the folder
            names = archive.namelist()
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, ValueError) as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise DataApiError(f"{uri} is no ZIP archive that can be unpacked: {str(error)[:200]}", uri=uri) from None
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    inner = Path(folder, names[0]) if len(names) == 1 else Path(folder)
    return str(inner) if inner.is_file() else folder
