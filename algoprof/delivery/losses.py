"""How many records did not get where they should have, by exporter and reason."""

from threading import RLock

REASONS = ("error", "queue_full", "shutdown")
"""The exporter raised; it was slower than the program for too long; it was not done when the program ended."""


class Losses:
    """Counters that start at zero for every known exporter and reason.

    >>> losses = Losses()
    >>> losses.expect("otlp")
    >>> losses.add("otlp", "error", 3)
    >>> losses.counts()
    {('otlp', 'error'): 3, ('otlp', 'queue_full'): 0, ('otlp', 'shutdown'): 0}
    """

    def __init__(self) -> None:
        self._lock = RLock()  # a signal handler may end a run while this is held by the code it interrupts
        self._counts: dict[tuple[str, str], int] = {}

    def expect(self, exporter: str, reasons: tuple[str, ...] = REASONS) -> None:
        """Have an exporter's counters begin at zero, so that a first loss is seen as a rise."""
        with self._lock:
            for reason in reasons:
                self._counts.setdefault((exporter, reason), 0)

    def add(self, exporter: str, reason: str, records: int) -> None:
        """Count records as lost."""
        with self._lock:
            self._counts[exporter, reason] = self._counts.get((exporter, reason), 0) + records

    def counts(self) -> dict[tuple[str, str], int]:
        """Return the records lost so far by exporter and reason."""
        with self._lock:
            return dict(self._counts)
