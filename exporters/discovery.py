"""Which exporters there are: whatever is installed under the entry point group `algoprof.exporters`."""

import difflib
from importlib.metadata import EntryPoint, entry_points

from algoprof.errors import AlgoprofError, ConfigurationError
from algoprof.exporters.protocol import Context, Exporter, ExporterFactory

GROUP = "algoprof.exporters"
"""The entry point group that other packages add theirs to."""


def known_exporters() -> list[str]:
    """Return the names of the installed exporters, sorted.

    >>> set(known_exporters()) >= {"otlp", "prometheus", "text"}
    True
    """
    return sorted(_entry_points())


def make_exporter(wanted: str | Exporter | ExporterFactory, context: Context) -> Exporter:
    """Make the exporter of a name, or from a factory; an exporter is returned as it is.

    Raises:
        ConfigurationError: if the name is unknown, or the exporter lacks what it needs; the message says what to do.

    >>> from algoprof.settings import Settings
    >>> make_exporter("promtheus", Context(Settings()))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    algoprof.errors.ConfigurationError: no exporter is called 'promtheus'; ... did you mean prometheus?
    """
    if not isinstance(wanted, str):
        if isinstance(wanted, type) or not isinstance(wanted, Exporter):
            return _made(wanted, getattr(wanted, "__name__", repr(wanted)), context)
        return wanted
    return _made(load_exporter(wanted), wanted, context)


def name_of(wanted: str | Exporter | ExporterFactory) -> str:
    """Return what to call an exporter in counters and messages.

    >>> name_of("otlp")
    'otlp'
    """
    return wanted if isinstance(wanted, str) else getattr(wanted, "__name__", type(wanted).__name__)


def load_exporter(name: str) -> ExporterFactory:
    """Import the exporter of a name.

    Raises:
        ConfigurationError: if the name is unknown, or it cannot be imported.
    """
    points = _entry_points()
    if name not in points:
        near = difflib.get_close_matches(name, points, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ConfigurationError(f"no exporter is called {name!r:.80}; known are {', '.join(sorted(points))}{hint}")
    try:
        factory: ExporterFactory = points[name].load()
    except ImportError as error:
        raise ConfigurationError(f"exporter {name!r} cannot be imported: {error}") from error
    return factory


def _made(factory: ExporterFactory, name: str, context: Context) -> Exporter:
    try:
        exporter = factory(context)
    except AlgoprofError:
        raise
    except Exception as error:
        raise ConfigurationError(f"exporter {name!r} cannot be made: {error}") from error
    if not isinstance(exporter, Exporter):
        raise ConfigurationError(f"exporter {name!r} is a {type(exporter).__name__} without export() and shutdown()")
    return exporter


def _entry_points() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=GROUP)}
