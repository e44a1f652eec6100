"""What a folder holds, as the platform tells it: page by page, and never believed further than it can be read."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from algoprof.calls.data.uris import is_name

_MOST_PAGES = 1_000_000
_MOST_EMPTY_PAGES = 100  # in a row
_LONGEST_MARKER = 10_000  # characters


@dataclass(frozen=True, slots=True)
class FileEntry:
    """A file in a listing.

    Args:
        name: its name.
        size: bytes; None if the platform does not say.
        last_modified: when it was written, in UTC; None if the platform does not say.
    """

    name: str
    size: int | None = None
    last_modified: datetime | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a listing.

    Args:
        folders: the names of folders.
        files: the files.
        marker: what the next page is asked for with; empty if this is the last.
        acl: who may read, where that was asked for and the folder has it.
    """

    folders: tuple[str, ...] = ()
    files: tuple[FileEntry, ...] = ()
    marker: str = ""
    acl: Mapping[str, Any] | None = None


def read_page(data: object) -> Page:
    """Return what an answer lists.

    Raises:
        ValueError: if it is no listing; the message says what is wrong.

    >>> read_page({"files": [{"filename": "a", "last_modified": "2020-01-01T00:00:00.000Z", "size": 3}]}).files[0].size
    3
    >>> read_page({"folders": [{"name": "../x"}]})
    Traceback (most recent call last):
        ...
    ValueError: it lists '../x', which is the name of nothing that can be in a folder
    """
    if not isinstance(data, Mapping):
        raise ValueError(f"a listing is an object, not {type(data).__name__}")  # noqa: TRY004  (an answer, no argument)
    marker = data.get("marker")
    if marker is not None and (not isinstance(marker, str) or len(marker) > _LONGEST_MARKER):
        raise ValueError("its marker is no text, or too long a one")
    acl = data.get("acl")
    return Page(
        tuple(_name(entry, "name") for entry in _entries(data, "folders")),
        tuple(_file(entry) for entry in _entries(data, "files")),
        marker or "",
        acl if isinstance(acl, Mapping) else None,
    )


class Paging:
    """Watches a listing go from page to page, so that it comes to an end."""

    def __init__(self) -> None:
        self._pages = self._empty = 0
        self._seen: set[int] = set()  # hashes: the markers themselves may be long

    def follow(self, page: Page) -> str:
        """Return the marker of the next page; empty after the last.

        Raises:
            ValueError: if the listing goes round in circles.
        """
        self._pages += 1
        self._empty = 0 if page.files or page.folders else self._empty + 1
        if page.marker and hash(page.marker) in self._seen:
            raise ValueError("its marker leads to a page again that was there before")
        if self._empty > _MOST_EMPTY_PAGES or self._pages > _MOST_PAGES:
            raise ValueError("it has no end")
        self._seen.add(hash(page.marker))
        return page.marker


def moment(text: object) -> datetime | None:
    """Return a time of the platform's, in UTC; None for what is none.

    >>> moment("2020-01-01T00:00:00.000Z"), moment("yesterday")
    (datetime.datetime(2020, 1, 1, 0, 0, tzinfo=datetime.timezone.utc), None)
    """
    try:
        found = datetime.fromisoformat(text) if isinstance(text, str) else None
        return found and (found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC))
    except (ValueError, OverflowError):
        return None


def _entries(data: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    entries = data.get(name)
    entries = [] if entries is None else entries
    if not isinstance(entries, list) or not all(isinstance(entry, Mapping) for entry in entries):
        raise ValueError(f"its {name} are no list of objects")
    return entries


def _name(entry: Mapping[str, Any], key: str) -> str:
    name = entry.get(key)
    if not isinstance(name, str):
        raise ValueError(f"an entry of it has no {key}")  # noqa: TRY004  (an answer, no argument)
    name = name.removesuffix("/") if key == "name" else name
    if not is_name(name):
        raise ValueError(f"it lists {name[:200]!r}, which is the name of nothing that can be in a folder")
    return name


def _file(entry: Mapping[str, Any]) -> FileEntry:
    size = entry.get("size")
    known = isinstance(size, int) and not isinstance(size, bool) and 0 <= size < 2**63
    return FileEntry(_name(entry, "filename"), size if known else None, moment(entry.get("last_modified")))
