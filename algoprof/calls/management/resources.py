"""Builds and versions as a platform's answers tell them, read with no trust in their types."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from algoprof.profiles.builds import Build

_LONGEST = 200  # characters of an id or a version


@dataclass(frozen=True, slots=True)
class Version:
    """An algorithm at one version, published or not.

    Args:
        algorithm: `OWNER/NAME`.
        git_hash: the commit; empty if the platform does not say.
        semantic_version: such as `1.0.3`; empty if it was not published.
        successful: whether it could be built; None if the platform does not say.
        log: its build log; None where the platform leaves it out, as it does in lists.
        build: the build behind it; None if the platform does not say.
        resource: all that the platform tells, as it came.
    """

    algorithm: str
    git_hash: str = ""
    semantic_version: str = ""
    successful: bool | None = None
    log: str | None = field(default=None, repr=False)
    build: Build | None = None
    resource: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def __getitem__(self, name: str) -> Any:
        return self.resource[name]

    def __str__(self) -> str:
        return self.semantic_version or self.git_hash


def read_build(algorithm: str, resource: object) -> Build | None:
    """Return a build from its JSON object; None if it is none, or has no id.

    >>> read_build("demo/Routes", {"build_id": "b1", "status": "failed", "started_at": "2020-01-01T00:00:00.5Z"}).status
    'failed'
    """
    if not isinstance(resource, dict) or not _text(resource.get("build_id")):
        return None
    return Build(
        algorithm,
        _text(resource.get("build_id")),
        _text(resource.get("status")),
        commit=_text(resource.get("commit_sha")),
        started_ns=_moment(resource.get("started_at")),
        finished_ns=_moment(resource.get("finished_at")),
        semantic_version=_text(_object(resource.get("version_info")).get("semantic_version")),
        resource=resource,
    )


def read_version(algorithm: str, resource: object) -> Version | None:
    """Return a version from an algorithm's JSON object; None if it is no object."""
    if not isinstance(resource, dict):
        return None
    info, compilation = _object(resource.get("version_info")), _object(resource.get("compilation"))
    successful, output = compilation.get("successful"), compilation.get("output")
    return Version(
        algorithm,
        git_hash=_text(info.get("git_hash")),
        semantic_version=_text(info.get("semantic_version")),
        successful=successful if isinstance(successful, bool) else None,
        log=output if isinstance(output, str) else None,
        build=read_build(algorithm, resource.get("build")),
        resource=resource,
    )


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return value[:_LONGEST] if isinstance(value, str) else ""


def _moment(value: object) -> int | None:
    """Return a time in ISO 8601 as nanoseconds since the epoch; without a zone it is taken for UTC."""
    try:
        moment = datetime.fromisoformat(_text(value))
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return round((moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1_000_000) * 1_000
    except (ValueError, OverflowError):
        return None
