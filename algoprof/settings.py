"""What can be set, and where its value comes from: `configure`, else the environment, else a default.

Values only. What they start and stop is `algoprof.delivery`'s affair.
"""

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from algoprof.errors import ConfigurationError

if TYPE_CHECKING:
    from algoprof.exporters.protocol import Exporter, ExporterFactory

REPORT_CHOICES = ("auto", "always", "never")
SAMPLER_CHOICES = ("on", "thread", "off")
_LONGEST_SHUTDOWN = 3600.0
_HIGHEST_RATE = 1000


class Settings(NamedTuple):
    """Every setting with its value.

    Args:
        exporters: names known to entry point group `algoprof.exporters`, exporters, or what makes an exporter from a
            `algoprof.exporters.Context`.
        report: `auto` writes the text report to stderr where it is wanted, `always` and `never` do so or do not.
        prometheus_address: `HOST:PORT` of the scrape endpoint; port 0 takes a free one.
        otlp_endpoint: the URL that spans are posted to, its path included; empty if none is configured.
        shutdown_timeout: seconds that the program's exit may cost.
        sampler: whether stacks are sampled: `on`, `thread`, which uses no signal, or `off`.
        sample_rate: samples per second.
        profile_dir: the folder in which the exporters that write files write them.
    """

    exporters: tuple["str | Exporter | ExporterFactory", ...] = ()
    report: str = "auto"
    prometheus_address: str = "127.0.0.1:9464"
    otlp_endpoint: str = ""
    shutdown_timeout: float = 2.0
    sampler: str = "off"
    sample_rate: int = 100
    profile_dir: str = "."


_explicit: dict[str, Any] = {}
_resolved: Settings | None = None


def get() -> Settings:
    """Return the settings that hold now.

    A value of the environment that cannot be meant costs one warning, and the default stands for it.
    """
    global _resolved  # noqa: PLW0603  (the one value this module keeps)
    if _resolved is None:
        _resolved = Settings(**{**_from_environment(), **_explicit})
    return _resolved


def is_explicit(name: str) -> bool:
    """Return whether `configure` set this one, rather than the environment or the default."""
    return name in _explicit


def configure(
    *,
    exporters: "Iterable[str | Exporter | ExporterFactory] | str | None" = None,
    report: str | None = None,
    prometheus_address: str | None = None,
    otlp_endpoint: str | None = None,
    shutdown_timeout: float | None = None,
    sampler: str | None = None,
    sample_rate: int | None = None,
    profile_dir: str | os.PathLike[str] | None = None,
) -> None:
    """Set what the program wants, over what the environment says; what is not given stays as it is.

    It may be called at any time and any number of times: exporters that are still wanted go on, others are shut
    down in the background. If one cannot be made, everything stays as it was.

    Args:
        exporters: names such as `"prometheus"` or `"otlp"`, exporters, or callables that make one from a
            `algoprof.exporters.Context`. An empty list stops them all.
        report: `auto`, `always` or `never`.
        prometheus_address: `HOST:PORT` of the scrape endpoint; port 0 takes a free one.
        otlp_endpoint: base URL of an OTLP/HTTP receiver; `/v1/traces` is added to it.
        shutdown_timeout: seconds that the program's exit may cost.
        sampler: whether stacks are sampled from now on: `on`, `thread`, which uses no signal, or `off`.
        sample_rate: samples per second, 1 to 1000.
        profile_dir: the folder in which exporters such as `"speedscope"` write a file for each run.

    Raises:
        ConfigurationError: if a value cannot be meant, or an exporter is unknown or lacks what it needs.

    >>> configure(report="never", shutdown_timeout=0.5)
    >>> get().report
    'never'
    >>> configure(report="sometimes")
    Traceback (most recent call last):
        ...
    algoprof.errors.ConfigurationError: report is 'sometimes', but it is one of auto, always, never
    >>> reset()
    """
    given = {
        "exporters": exporters,
        "report": report,
        "prometheus_address": prometheus_address,
        "otlp_endpoint": otlp_endpoint,
        "shutdown_timeout": shutdown_timeout,
        "sampler": sampler,
        "sample_rate": sample_rate,
        "profile_dir": profile_dir,
    }
    checked = {name: _CHECKS[name](value, name) for name, value in given.items() if value is not None}
    before = dict(_explicit)
    _replace({**before, **checked})
    try:
        _tell_delivery()
    except ConfigurationError:
        _replace(before)
        raise


def reset() -> None:
    """Forget what `configure` set, and read the environment anew at the next question; for tests."""
    _replace({})


def _replace(explicit: dict[str, Any]) -> None:
    global _resolved  # noqa: PLW0603  (see get)
    _explicit.clear()
    _explicit.update(explicit)
    _resolved = None


def _tell_delivery() -> None:
    from algoprof import delivery  # noqa: PLC0415  (settings are a leaf; only a change of them needs delivery)

    delivery.reconfigure()


def _from_environment() -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, variable in _VARIABLES.items():
        text = os.environ.get(variable, "").strip()
        if not text:
            continue
        try:
            values[name] = _CHECKS[name](text, variable)
        except ConfigurationError as error:
            _warn(f"{error}; the default is used instead")
    traces = os.environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "").strip()
    if traces:
        try:
            values["otlp_endpoint"] = _url(traces, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
        except ConfigurationError as error:
            _warn(f"{error}; it is passed over")
    return values


def _warn(sentence: str) -> None:
    import logging  # noqa: PLC0415  (slow to import, and only a mistake needs it)

    logging.getLogger("algoprof").warning("%s", sentence)


def _exporters(value: object, name: str) -> tuple[object, ...]:
    if isinstance(value, str):
        value = [part.strip() for part in value.split(",")]
    if not isinstance(value, Iterable):
        raise ConfigurationError(f"{name} is {value!r:.80}, but it is a list of names and exporters")
    wanted: list[object] = []
    for item in value:
        if not isinstance(item, str) and not callable(item) and not hasattr(item, "export"):
            raise ConfigurationError(f"{name} has {item!r:.80}, which is no name, no exporter and makes none")
        if item != "" and item not in wanted:
            wanted.append(item)
    return tuple(wanted)


def _report(value: object, name: str) -> str:
    if value not in REPORT_CHOICES:
        raise ConfigurationError(f"{name} is {value!r:.80}, but it is one of {', '.join(REPORT_CHOICES)}")
    return str(value)


def _sampler(value: object, name: str) -> str:
    if value not in SAMPLER_CHOICES:
        raise ConfigurationError(f"{name} is {value!r:.80}, but it is one of {', '.join(SAMPLER_CHOICES)}")
    return str(value)


def _rate(value: object, name: str) -> int:
    text = str(value)
    if isinstance(value, bool) or not (text.isascii() and text.isdecimal()) or not 1 <= int(text[:5]) <= _HIGHEST_RATE:
        raise ConfigurationError(f"{name} is {value!r:.80}, but it is a whole number from 1 to 1000")
    return int(text)


def _address(value: object, name: str) -> str:
    try:
        split_address(value if isinstance(value, str) else "")
    except ValueError:
        raise ConfigurationError(
            f"{name} is {value!r:.80}, but it is HOST:PORT with a port from 0 to 65535, such as 127.0.0.1:9464"
        ) from None
    return str(value)


def split_address(address: str) -> tuple[str, int]:
    """Return the host and the port of `HOST:PORT`; an IPv6 host stands in brackets.

    Raises:
        ValueError: if it is anything else.

    >>> split_address("[::1]:9464")
    ('::1', 9464)
    """
    host, _, port = address.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError(address)
    if not host or not (port.isascii() and port.isdecimal()) or int(port) > 65535:
        raise ValueError(address)
    return host, int(port)


def _base_url(value: object, name: str) -> str:
    url = _url(value, name).rstrip("/")
    return url if url.endswith("/v1/traces") else f"{url}/v1/traces"


def _url(value: object, name: str) -> str:
    if not isinstance(value, str) or not value.startswith(("http://", "https://")) or len(value.split()) != 1:
        raise ConfigurationError(f"{name} is {value!r:.80}, but it is a URL such as http://127.0.0.1:4318")
    return value


def _folder(value: object, name: str) -> str:
    if not isinstance(value, (str, os.PathLike)) or not (folder := os.fspath(value)) or "\0" in str(folder):
        raise ConfigurationError(f"{name} is {value!r:.80}, but it is the path of a folder")
    return os.fsdecode(folder)


def _seconds(value: object, name: str) -> float:
    try:
        seconds = float(value) if isinstance(value, (str, int, float)) else -1.0
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= _LONGEST_SHUTDOWN:  # refuses NaN, too
        raise ConfigurationError(f"{name} is {value!r:.80}, but it is a number of seconds from 0 to 3600")
    return seconds


_CHECKS = {
    "exporters": _exporters,
    "report": _report,
    "prometheus_address": _address,
    "otlp_endpoint": _base_url,
    "shutdown_timeout": _seconds,
    "sampler": _sampler,
    "sample_rate": _rate,
    "profile_dir": _folder,
}
_VARIABLES = {
    "exporters": "ALGOPROF_EXPORTERS",
    "report": "ALGOPROF_REPORT",
    "prometheus_address": "ALGOPROF_PROMETHEUS_ADDRESS",
    "otlp_endpoint": "OTEL_EXPORTER_OTLP_ENDPOINT",
    "shutdown_timeout": "ALGOPROF_SHUTDOWN_TIMEOUT",
    "sampler": "ALGOPROF_SAMPLER",
    "sample_rate": "ALGOPROF_SAMPLE_RATE",
    "profile_dir": "ALGOPROF_PROFILE_DIR",
}
