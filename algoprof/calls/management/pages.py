"""Lists that come in pages: turned one after the other, awaited or not, and never in a circle."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from typing import Any, Generic, TypeVar

from algoprof.calls.wire.plans import Plan

Page = Mapping[str, Any]
"""A page, as the platform tells it."""

_Row = TypeVar("_Row")
Wanted = Callable[[_Row], bool]
"""Whether a row is the one that is looked for."""

_EMPTY = 100  # pages in a row with nothing on them that are turned: each may name another one, without end


class Turning(Generic[_Row]):
    """Reads one page after the other, and says which is the next.

    Args:
        read: makes a row of what the platform tells about it; None for what is none.

    >>> turning = Turning(lambda row: row.get("id"))
    >>> turning.rows({"results": [{"id": 1}, {}, "no row", {"id": 2}]}), turning.marker({"marker": "m1"})
    ([1, 2], 'm1')
    >>> turning.rows({"results": None}), turning.marker({"marker": "m1"})
    ([], None)
    """

    def __init__(self, read: Callable[[Any], _Row | None]) -> None:
        self._read = read
        self._seen: set[str] = set()
        self._empty = 0

    def rows(self, page: Page) -> list[_Row]:
        """Return the rows of a page; what is none is left out."""
        results = page.get("results")
        given = results if isinstance(results, list) else []
        found = [one for one in (self._read(row) for row in given if isinstance(row, dict)) if one is not None]
        self._empty = 0 if found else self._empty + 1
        return found

    def marker(self, page: Page) -> str | None:
        """Return what the page after one is asked for with; None after the last, and where it leads in a circle."""
        marker = page.get("marker")
        if not isinstance(marker, str) or not marker or marker in self._seen or self._empty >= _EMPTY:
            return None
        self._seen.add(marker)
        return marker


class Pages(Generic[_Row]):
    """A list that comes in pages: iterating fetches them as they are needed, from the first on.

    The first page itself is there under the names that it has on the wire: `["results"]`, `["marker"]`,
    `["next_link"]`.

    Args:
        fetch: asks for the page behind a marker; None for the first.
        read: makes a row of what the platform tells about it.
    """

    def __init__(self, fetch: Callable[[str | None], Page], read: Callable[[Any], _Row | None]) -> None:
        self._fetch = fetch
        self._read = read
        self._first: Page | None = None

    def __getitem__(self, name: str) -> Any:
        return self._page()[name]

    def __iter__(self) -> Iterator[_Row]:
        page, turning = self._page(), Turning(self._read)
        while True:
            yield from turning.rows(page)
            marker = turning.marker(page)
            if marker is None:
                return
            page = self._fetch(marker)

    def _page(self) -> Page:
        if self._first is None:
            self._first = self._fetch(None)
        return self._first


class AsyncPages(Generic[_Row]):
    """A list that comes in pages, for `async for`: they are fetched as they are needed, from the first on.

    Args:
        fetch: asks for the page behind a marker; None for the first.
        read: makes a row of what the platform tells about it.
    """

    def __init__(self, fetch: Callable[[str | None], Awaitable[Page]], read: Callable[[Any], _Row | None]) -> None:
        self._fetch = fetch
        self._read = read

    async def __aiter__(self) -> AsyncIterator[_Row]:
        turning, marker = Turning(self._read), None
        while True:
            page = await self._fetch(marker)
            for one in turning.rows(page):
                yield one
            marker = turning.marker(page)
            if marker is None:
                return


def first(
    fetch: Callable[[str | None], Plan[Page]],
    read: Callable[[Any], _Row | None],
    wanted: Wanted[_Row],
    most: int,
) -> Plan[_Row | None]:
    """Return the first row of a list that is wanted; None if there is none among so many.

    Args:
        fetch: asks for the page behind a marker; None for the first.
        read: makes a row of what the platform tells about it.
        wanted: whether a row is the one.
        most: rows that are looked at.
    """
    turning, marker, left = Turning(read), None, most
    while True:
        page = yield from fetch(marker)
        rows = turning.rows(page)[:left]
        found = next((one for one in rows if wanted(one)), None)
        left -= len(rows)
        marker = turning.marker(page)
        if found is not None or marker is None or left <= 0:
            return found
