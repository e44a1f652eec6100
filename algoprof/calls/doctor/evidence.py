"""What can be found out about an algorithm before it is called: questions to the platform, each with its answer."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from algoprof.calls.access.keys import NO_KEY, Form, form
from algoprof.calls.diagnosis import Diagnosis
from algoprof.calls.management.error_log import ErrorRecord
from algoprof.calls.management.reaching import Management
from algoprof.calls.management.resources import Version
from algoprof.calls.options import DEFAULT_TIMEOUT, UNSET
from algoprof.calls.references import Reference
from algoprof.errors import ManagementError
from algoprof.profiles.builds import Build

if TYPE_CHECKING:
    from algoprof.calls.management.synchronous import ManagedAlgorithm

MOST_VERSIONS = 200
"""Versions that are looked at; an algorithm with more has published some of them."""

_BUILDS = 10  # that are looked through for one that names what it installed
_FORBIDDEN = 2001
_BAD_KEY = 2002
_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True)
class Told(Generic[_Answer]):
    """What one question brought; neither an answer nor an error if it was not asked.

    Args:
        answer: the answer; None without one.
        error: why there is none.
    """

    answer: _Answer | None = None
    error: ManagementError | None = None

    @property
    def unreachable(self) -> bool:
        """Whether nobody answered."""
        return self.error is not None and self.error.status is None

    @property
    def key_refused(self) -> bool:
        """Whether the platform does not know the key."""
        error = self.error
        return error is not None and (error.code == _BAD_KEY or (error.status == 401 and error.code != _FORBIDDEN))

    @property
    def forbidden(self) -> bool:
        """Whether the platform knows the key, which may not ask this."""
        error = self.error
        return error is not None and not self.key_refused and (error.status == 403 or error.code == _FORBIDDEN)

    @property
    def missing(self) -> bool:
        """Whether the platform has no such thing, or hides it."""
        return self.error is not None and self.error.status == 404


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that the checks of `doctor` judge by. Plain data.

    Args:
        reference: the algorithm, as it is to be called.
        address: the platform's.
        origin: where that address comes from.
        key: what the key looks like.
        resource: the algorithm, as the platform tells it.
        versions: its versions, newest first.
        builds: its builds, newest first.
        diagnosis: what the log of the newest build says; None if there is none to read.
        installation: the same of the newest build that names what it installed.
        administration: asked only with a key that is refused: whether it is an admin key.
        accounts: asked only where the key may not see builds: the accounts whose data it reaches.
        errors: its error log, newest first.
        requirements: the project's requirements.txt; None if it is not at hand.
        timeout: seconds that the call would be given.
        input: what it would be called with; UNSET if none is at hand.
        now: seconds since the Unix epoch.
    """

    reference: Reference
    address: str
    origin: str = ""
    key: Form = NO_KEY
    resource: Told[dict[str, Any]] = Told()
    versions: Told[tuple[Version, ...]] = Told()
    builds: Told[tuple[Build, ...]] = Told()
    diagnosis: Diagnosis | None = None
    installation: Diagnosis | None = None
    administration: Told[Any] = Told()
    accounts: Told[tuple[str, ...]] = Told()
    errors: Told[tuple[ErrorRecord, ...]] = Told()
    requirements: str | None = None
    timeout: object = DEFAULT_TIMEOUT
    input: object = UNSET
    now: float = field(default_factory=time.time)

    @property
    def settings(self) -> dict[str, Any]:
        """The algorithm's settings; empty where they are not told."""
        settings = (self.resource.answer or {}).get("settings")
        return settings if isinstance(settings, dict) else {}


def ask(question: Callable[[], _Answer]) -> Told[_Answer]:
    """Ask one question, and keep the error where that is what comes."""
    try:
        return Told(question())
    except ManagementError as error:
        return Told(error=error)


def gather(
    algorithm: "ManagedAlgorithm",
    management: Management,
    *,
    timeout: object = DEFAULT_TIMEOUT,
    input: object = UNSET,  # noqa: A002  (the name that `pipe` has for it)
    requirements: str | None = None,
) -> Evidence:
    """Ask a platform about an algorithm. Nothing is called, built or changed.

    Args:
        algorithm: whose builds and versions are asked for.
        management: what else is asked by.
        timeout: seconds that a call would be given.
        input: what it would be called with.
        requirements: the project's requirements.txt.
    """
    run, operations = management.run, management.operations
    platform = operations.platform
    evidence = Evidence(
        algorithm.reference,
        platform.address,
        platform.origin,
        form(platform.authorization),
        resource=ask(lambda: _object(run(operations.get()))),
        timeout=timeout,
        input=input,
        requirements=requirements,
    )
    if evidence.resource.unreachable or evidence.resource.missing:
        return evidence
    if evidence.resource.key_refused:
        return replace(evidence, administration=ask(lambda: run(operations.elsewhere("admin", "reservations"))))
    builds = ask(lambda: tuple(islice(algorithm.builds(_BUILDS), _BUILDS)))
    diagnosis, installation = _diagnoses(algorithm, builds.answer or ())
    return replace(
        evidence,
        builds=builds,
        versions=ask(lambda: tuple(islice(algorithm.versions(), MOST_VERSIONS))),
        errors=ask(lambda: tuple(algorithm.errors())),
        diagnosis=diagnosis,
        installation=installation,
        accounts=ask(lambda: _accounts(run(operations.elsewhere("data", "")))) if builds.forbidden else Told(),
    )


def _diagnoses(algorithm: "ManagedAlgorithm", builds: tuple[Build, ...]) -> tuple[Diagnosis | None, Diagnosis | None]:
    """Return what the newest build's log says, and that of the newest build that names what it installed."""
    newest = None
    for build in (one for one in builds if one.ended):
        read = ask(lambda build=build: algorithm.diagnose(build.id)).answer  # type: ignore[misc]
        newest = newest or (read if build == builds[0] else None)
        if read is not None and read.outcome == "succeeded" and read.installed:
            return newest, read
    return newest, None


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _accounts(listing: Any) -> tuple[str, ...]:
    """Return the accounts whose data a key reaches: the folders at the root of the data API."""
    folders = _object(listing).get("folders")
    names = [_object(folder).get("name") for folder in folders] if isinstance(folders, list) else []
    return tuple(name for name in names if isinstance(name, str))
