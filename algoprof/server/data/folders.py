"""The data on disk: folders entered one by one, never through a symbolic link, files written whole or not at all."""

import base64
import binascii
import contextlib
import errno
import os
import shutil
import stat
import time
import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from algoprof.server.data.paths import USER, Place, is_name
from algoprof.server.envelopes import INTERNAL, INVALID_MARKER, INVALID_REQUEST, Refusal

PAGE = 1000
"""Entries of a listing that one answer has at most."""

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # a planted pipe must not hold up the opening
_DAY = 24 * 3600.0
_NOT_THERE = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO}
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class Page(NamedTuple):
    """A part of a listing.

    Args:
        folders: names.
        files: names with what is known of each.
        marker: where the next page begins; empty after the last one.
    """

    folders: Sequence[str]
    files: Sequence[tuple[str, os.stat_result]]
    marker: str


class Folders:
    """The folders of one data directory. Every method may block, and may be called from any thread.

    Args:
        root: where they are; made if it is not there. What a killed server has left unfinished is removed.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        for path in (root, root / "user", root / "user" / USER, root / "algo"):
            path.mkdir(mode=0o700, exist_ok=True)
        for path in (root / "unfinished", root / "session"):
            shutil.rmtree(path, ignore_errors=True)
            path.mkdir(mode=0o700, exist_ok=True)
        self._sessions = str(root / "session") + os.sep
        self._root = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        for path in root.glob("algo/*/*/temp"):
            self._forget_old(path.relative_to(root).parts)

    def close(self) -> None:
        """Release the root."""
        os.close(self._root)

    def has_session(self, session: str) -> bool:
        """Whether a call tree has written files."""
        return os.path.isdir(self._sessions + session)  # noqa: PTH112  (asked at the end of each call)

    def end_session(self, session: str) -> None:
        """Remove the files of a call tree."""
        with self.entered(["session"]) as sessions:
            shutil.rmtree(session, ignore_errors=True, dir_fd=sessions)

    @contextlib.contextmanager
    def entered(self, folders: Sequence[str], *, make: bool = False) -> Iterator[int]:
        """Open a folder for the time of a `with`, and give its descriptor.

        Args:
            folders: the names that lead there from the root.
            make: whether to make those that are missing.

        Raises:
            OSError: if there is none; a symbolic link is none.
        """
        here = os.dup(self._root)
        try:
            for name in folders:
                if make:
                    with contextlib.suppress(FileExistsError):
                        os.mkdir(name, 0o700, dir_fd=here)
                there = os.open(name, _FOLDER, dir_fd=here)
                os.close(here)
                here = there
            yield here
        finally:
            os.close(here)

    def require(self, place: Place) -> None:
        """Check that a folder, or the folder that a file lies in, is there, and make it if that is done on demand.

        Raises:
            Refusal: if it is not there.
        """
        with refusing(place.folder), self.entered(place.folders, make=place.on_demand):
            pass

    def exists(self, place: Place) -> bool:
        """Tell whether a folder is there."""
        try:
            with self.entered(place.folders):
                return True
        except OSError as error:
            if error.errno in _NOT_THERE:
                return False
            raise

    def make(self, parent: Place, name: str) -> None:
        """Make a folder in a user's folder.

        Raises:
            Refusal: if it is there already.
        """
        with self.entered(parent.folders, make=True) as folder:
            try:
                os.mkdir(name, 0o700, dir_fd=folder)
            except FileExistsError:
                raise Refusal(400, INVALID_REQUEST, f"{parent.uri}/{name} exists already") from None

    def open(self, place: Place) -> tuple[int, os.stat_result]:
        """Open a file for reading, and return its descriptor with what is known of it.

        Raises:
            Refusal: if there is no such file.
        """
        with refusing(place), self.entered(place.folders) as folder:
            file = os.open(place.name, _FILE, dir_fd=folder)
        known = os.fstat(file)
        if not stat.S_ISREG(known.st_mode):
            os.close(file)
            raise _missing(place)
        return file, known

    def page(self, place: Place, marker: str) -> Page:
        """Return a page of a listing, in the order of names.

        Args:
            place: a folder.
            marker: where the page before it ended; empty for the first.

        Raises:
            Refusal: if there is no such folder, or the marker is none of ours.
        """
        after = _read_marker(marker)
        of_folders = place.kind == "folders"
        with refusing(place), self.entered(place.folders) as folder:
            with os.scandir(folder) as found:
                names = sorted(
                    entry.name
                    for entry in found
                    if (entry.name > after or not marker)
                    and (
                        is_name(entry.name) and entry.is_dir(follow_symlinks=False)
                        if of_folders
                        else _is_utf8(entry.name) and entry.is_file(follow_symlinks=False)
                    )
                )
            shown, more = names[:PAGE], len(names) > PAGE
            if of_folders:
                return Page(shown, (), _marker(shown[-1]) if more else "")
            files = []
            for name in shown:
                with contextlib.suppress(FileNotFoundError):  # deleted since
                    files.append((name, os.stat(name, dir_fd=folder, follow_symlinks=False)))
            return Page((), files, _marker(shown[-1]) if more else "")

    def put(self, unfinished: str, place: Place) -> None:
        """Put a finished upload in its place, instead of what is there.

        Args:
            unfinished: its name in the folder for what is unfinished.
            place: of a file.

        Raises:
            Refusal: if its folder has gone.
        """
        with (
            refusing(place.folder),
            self.entered(["unfinished"]) as uploads,
            self.entered(place.folders, make=place.on_demand) as folder,
        ):
            os.rename(unfinished, place.name, src_dir_fd=uploads, dst_dir_fd=folder)
        if place.folders[0] == "algo" and place.folders[-1] == "temp":
            self._forget_old(place.folders)

    def _forget_old(self, temporary: Sequence[str]) -> None:
        """Delete what has lain for a day in a folder for temporary files."""
        oldest = time.time() - _DAY
        with contextlib.suppress(OSError), self.entered(temporary) as folder, os.scandir(folder) as found:
            for entry in found:
                if entry.is_file(follow_symlinks=False) and entry.stat(follow_symlinks=False).st_mtime < oldest:
                    os.unlink(entry.name, dir_fd=folder)

    def delete_file(self, place: Place) -> None:
        """Delete a file.

        Raises:
            Refusal: if there is none.
        """
        with refusing(place), self.entered(place.folders) as folder:
            os.unlink(place.name, dir_fd=folder)

    def delete_folder(self, place: Place, *, force: bool) -> int:
        """Delete a folder of files, and return how many files it held.

        Args:
            place: the folder.
            force: whether to delete the files in it.

        Raises:
            Refusal: if there is none, or it holds files and `force` was not given.
        """
        *above, name = place.folders
        with (
            refusing(place),
            self.entered(above) as parent,
            self.entered(place.folders) as folder,
            self.entered(["unfinished"]) as unfinished,
        ):
            with os.scandir(folder) as held:
                count = sum(1 for _ in held)
            if not force:
                try:
                    os.rmdir(name, dir_fd=parent)
                except OSError as error:
                    if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                        raise
                    what = f"{count} files" if count != 1 else "a file"
                    message = f"{place.uri} holds {what}: delete what it holds first, or all with force=true"
                    raise Refusal(400, INVALID_REQUEST, message) from None
                return 0
            gone = uuid.uuid4().hex  # moved away first: nobody sees it half deleted
            os.rename(name, gone, src_dir_fd=parent, dst_dir_fd=unfinished)
            shutil.rmtree(gone, ignore_errors=True, dir_fd=unfinished)
            return count


def last_modified(known: os.stat_result) -> str:
    """Return when a file was written, as the official client parses it: with a fraction of the second, and Z."""
    return datetime.fromtimestamp(known.st_mtime, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@contextlib.contextmanager
def refusing(place: Place) -> Iterator[None]:
    """Turn what the system says of a place into what the caller is told."""
    try:
        yield
    except OSError as error:
        if error.errno in _NOT_THERE:
            raise _missing(place) from None
        if error.errno in (errno.EISDIR, errno.ENOTEMPTY, errno.EEXIST):
            raise Refusal(
                400, INVALID_REQUEST, f"{place.uri} is taken by something else on the server's disk"
            ) from None
        if error.errno in _FULL:
            message = f"{place.uri} was not written: the server's disk is full ({error.strerror}); nothing was changed"
            raise Refusal(507, INTERNAL, message) from None
        raise Refusal(500, INTERNAL, f"{place.uri} cannot be used: {error.strerror}") from error


def _missing(place: Place) -> Refusal:
    if place.name:
        return Refusal(404, INVALID_REQUEST, f"there is no file {place.uri}")
    return Refusal(404, INVALID_REQUEST, f"there is no folder {place.uri}; it is made by a POST to the one above it")


def _marker(name: str) -> str:
    return base64.urlsafe_b64encode(name.encode()).decode()


def _read_marker(marker: str) -> str:
    try:
        return base64.b64decode(marker.encode("ascii"), b"-_", validate=True).decode()
    except (UnicodeError, binascii.Error):
        message = f"the marker {marker[:40]!r} is none of this server's; give back the one of the last page"
        raise Refusal(400, INVALID_MARKER, message) from None


def _is_utf8(name: str) -> bool:
    """Whether a file put there by hand has a name that a URI can say."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
