"""How many series may be: the first come stay, what comes over the cap adds up under `(other)` and is counted."""

OTHER = "(other)"
"""The label of what is over the cap."""

_REMEMBERED = 10_000
"""Refused label sets are told apart up to this many."""


class SeriesCap:
    """Lets label sets in until their series use up a limit; who is in stays in, so that no series ever disappears.

    Args:
        limit: series in all.

    >>> cap = SeriesCap(limit=30)
    >>> cap.admits(("job", "load"), series=20), cap.admits(("job", "save"), series=20)
    (True, False)
    >>> cap.admits(("job", "load"), series=20), cap.refused_series
    (True, 20)
    """

    def __init__(self, limit: int) -> None:
        self._left = limit
        self._admitted: set[tuple[str, ...]] = set()
        self._refused: set[tuple[str, ...]] = set()
        self.refused_series = 0

    def admits(self, labels: tuple[str, ...], *, series: int) -> bool:
        """Return whether a label set may have its own series, of which it needs so many."""
        if labels in self._admitted:
            return True
        if series <= self._left:
            self._left -= series
            self._admitted.add(labels)
            return True
        if labels not in self._refused and len(self._refused) < _REMEMBERED:
            self._refused.add(labels)
            self.refused_series += series
        return False
