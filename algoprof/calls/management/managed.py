"""An algorithm's builds, versions and errors: listed, waited for, read, diagnosed, published."""

import re
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any

from algoprof import delivery
from algoprof.calls.access.platforms import Platform
from algoprof.calls.diagnosis import Diagnosis, diagnose
from algoprof.calls.doctor.evidence import gather
from algoprof.calls.doctor.examination import Examination, examine
from algoprof.calls.management.error_log import ErrorRecord, read_error
from algoprof.calls.management.requests import Management
from algoprof.calls.management.resources import Pages, Version, read_build, read_version
from algoprof.calls.management.waiting import LONGEST_BUILD, until_ended
from algoprof.calls.options import DEFAULT_TIMEOUT, UNSET
from algoprof.calls.references import Reference
from algoprof.calls.wire.transport import Transport
from algoprof.errors import BuildNotFinished, LogsUnavailable, ManagementError
from algoprof.profiles.builds import Build

_HASH = re.compile(r"[0-9a-f]{40}")
_SEMANTIC = re.compile(r"v?\d{1,9}(?:\.\d{1,9}){2}")
_UNAVAILABLE = re.compile(r"(?i)\s*(?:build )?logs? (?:is |are )?(?:not available|unavailable)\b.{0,200}\s*")
_SEARCHED = 200  # builds that are looked through for a commit, at each look
_SEARCHED_VERSIONS = 5_000  # versions that are looked through for a number or the beginning of a hash
_PAGE = 56  # what the official client asks for


class ManagedAlgorithm:
    """What the owner of an algorithm asks about it. `get_...` give JSON as it comes, as the official client does.

    Args:
        reference: which one it is.
        platform: where it is.
        transport: what carries the requests.
    """

    def __init__(self, reference: Reference, platform: Platform, transport: Transport) -> None:
        self.reference = reference
        self._management = Management(platform, reference, transport)

    def builds(self, limit: int = _PAGE) -> Iterator[Build]:
        """Yield every build, newest first; a page is fetched when it is reached.

        Args:
            limit: how many to ask for at once.

        Raises:
            ManagementError: if the platform does not tell.
        """
        yield from Pages(
            lambda marker: self.get_builds(limit, marker), lambda row: read_build(self._management.algorithm, row)
        )

    def get_builds(self, limit: int = _PAGE, marker: str | None = None) -> dict[str, Any]:
        """Return one page of builds: `results`, and the `marker` of the next page."""
        return self._management.page("builds", query=_query(limit=limit, marker=marker))

    def build(self, build_id: str) -> Build:
        """Return one build.

        Raises:
            ManagementError: if there is none of that id.
        """
        resource = self.get_build(build_id)
        build = read_build(self._management.algorithm, resource)
        if build is None:
            raise ManagementError(
                f"the platform's answer for build {build_id[:80]} is no build", algorithm=self._management.algorithm
            )
        return build

    def get_build(self, build_id: str) -> Any:
        """Return one build, as the platform tells it."""
        return self._management.get("builds", build_id)

    def build_logs(self, build_id: str) -> str:
        """Return what docker and pip printed.

        Raises:
            BuildNotFinished: if the build still runs: its log can be read when it has ended.
            LogsUnavailable: if it has ended, and there is no log.
            ManagementError: if there is no such build.
        """
        try:
            answer = self.get_build_logs(build_id)
        except ManagementError as error:
            if error.status != 404:
                raise
            raise self._without_log(build_id, error) from None
        log = answer.get("logs") if isinstance(answer, dict) else None
        if not isinstance(log, str) or not log.strip() or _UNAVAILABLE.fullmatch(log):
            raise self._without_log(build_id, None)
        return log

    def get_build_logs(self, build_id: str) -> Any:
        """Return the log of a build under `logs`, as the platform tells it."""
        return self._management.get("builds", build_id, "logs")

    def newest_build(self, commit: str = "") -> Build | None:
        """Return the newest build, of a commit if one is given; None if it is not among the newest 200.

        Args:
            commit: a git hash, or its beginning.
        """
        newest = islice(self.builds(), _SEARCHED)
        return next((build for build in newest if build.commit.startswith(commit)), None)

    def diagnose(self, build_id: str | None = None, *, requirements: str = "") -> Diagnosis:
        """Return why a build failed, as far as its log tells.

        Args:
            build_id: which one; the newest unless given.
            requirements: the project's requirements.txt, where it is at hand.

        Raises:
            ManagementError: if there is no such build.
        """
        build = self.build(build_id) if build_id else self.newest_build()
        if build is None:
            raise ManagementError(f"{self._management.algorithm} has no builds", algorithm=self._management.algorithm)
        try:
            log = self.build_logs(build.id)
        except LogsUnavailable:
            log = ""
        return diagnose(log, requirements=requirements, status=build.status)

    def wait(
        self,
        build_id: str | None = None,
        *,
        commit: str = "",
        timeout: float = LONGEST_BUILD,
        tell: Callable[[Build | None, float], object] = lambda _build, _elapsed: None,
    ) -> Build:
        """Wait until a build has ended, and return it, whether it succeeded or failed.

        Args:
            build_id: which one; else the newest.
            commit: the newest of this git hash, or of what begins so; one that is not yet listed is waited for.
            timeout: seconds to wait at most.
            tell: is told the build, or None while it is not yet listed, and the seconds waited, at each look.

        Raises:
            BuildTimeout: if it has not ended by then.
            ManagementError: if the platform does not tell.
        """
        build = until_ended(
            lambda known: self.build(known) if known else self.newest_build(commit),
            self._management.algorithm,
            build_id=build_id or "",
            commit=commit,
            timeout=timeout,
            tell=tell,
        )
        delivery.build_ended(build)
        return build

    def versions(
        self,
        limit: int | None = None,
        marker: str | None = None,
        published: bool | None = None,
        callable: bool | None = None,  # noqa: A002  (the name that the official client gives it)
    ) -> Pages[Version]:
        """Return the versions, newest first: iterating fetches page after page.

        Args:
            limit: how many to ask for at once.
            marker: where to begin: the marker of an earlier page.
            published: only those that are, or are not, published.
            callable: only those that are public (True) or private (False).
        """
        query = _query(limit=limit, published=published, callable=callable)
        return Pages(
            lambda next_: self._management.page("versions", query=query | _query(marker=next_ or marker)),
            lambda row: read_version(self._management.algorithm, row),
        )

    def version(self, selector: str) -> Version:
        """Return one version, with its build log.

        Args:
            selector: a git hash, or a semantic version such as `1.0.3`.

        Raises:
            ManagementError: if there is no such version.
        """
        git_hash = selector
        if _SEMANTIC.fullmatch(selector):
            wanted = selector.removeprefix("v")
            found = next((one for one in self._newest_versions() if one.semantic_version == wanted), None)
            git_hash = found.git_hash if found else ""
        elif not _HASH.fullmatch(selector):
            found = next((one for one in self._newest_versions() if one.git_hash.startswith(selector)), None)
            git_hash = found.git_hash if found else selector
        version = read_version(self._management.algorithm, self.info(git_hash)) if git_hash else None
        if version is None:
            raise ManagementError(
                f"{self._management.algorithm} has no version {selector[:80]}",
                algorithm=self._management.algorithm,
                hint="`algoprof versions list` shows which there are",
            )
        return version

    def version_logs(self, selector: str) -> str:
        """Return the build log of a version.

        Args:
            selector: a git hash, or a semantic version.

        Raises:
            LogsUnavailable: if the platform has none.
            ManagementError: if there is no such version.
        """
        version = self.version(selector)
        if version.log is None or not version.log.strip() or _UNAVAILABLE.fullmatch(version.log):
            raise LogsUnavailable(self._management.algorithm, f"version {selector}")
        return version.log

    def info(self, algo_hash: str | None = None) -> Any:
        """Return the version of a git hash, as the platform tells it; without one, a page of versions."""
        return self._management.get("versions", *([algo_hash] if algo_hash else []))

    def compile(self, *, timeout: float = LONGEST_BUILD) -> Version:
        """Build the newest source, wait for it, and return what came of it: `successful`, `log`, `git_hash`.

        Args:
            timeout: seconds to wait at most.

        Raises:
            ManagementError: if the platform does not build.
        """
        answer = self._management.post("compile", content={}, timeout=timeout)
        version = read_version(self._management.algorithm, answer)
        if version is None:
            raise ManagementError("the platform's answer is no version", algorithm=self._management.algorithm)
        if version.build is not None and version.build.ended:
            delivery.build_ended(version.build)
        return version

    def publish(
        self,
        details: Mapping[str, Any] | None = None,
        settings: Mapping[str, Any] | None = None,
        version_info: Mapping[str, Any] | None = None,
        source: Mapping[str, Any] | None = None,
        scmsCredentials: Mapping[str, Any] | None = None,  # noqa: N803  (the name that the official client gives it)
        *,
        version_type: str = "",
        release_notes: str = "",
    ) -> Version:
        """Publish the newest build that succeeded, and return the version that it became.

        Args:
            details: such as `{"label": ...}`.
            settings: such as `{"algorithm_callability": "private"}`.
            version_info: such as `{"version_type": "minor", "release_notes": ...}`.
            source: where the source is.
            scmsCredentials: what opens it.
            version_type: `major`, `minor` or `patch`: the number that grows.
            release_notes: what is new.

        Raises:
            ManagementError: if it is published already (code 1007), or cannot be.
        """
        given = {"version_type": version_type, "release_notes": release_notes}
        content = {
            "details": dict(details or {}),
            "settings": dict(settings or {}),
            "version_info": {**(version_info or {}), **{name: text for name, text in given.items() if text}},
            "source": dict(source or {}),
            "scmsCredentials": dict(scmsCredentials or {}),
        }
        version = read_version(self._management.algorithm, self._management.post("versions", content=content))
        if version is None:
            raise ManagementError("the platform's answer is no version", algorithm=self._management.algorithm)
        return version

    def errors(self) -> list[ErrorRecord]:
        """Return the calls of the last seven days that ended in an error, newest first, 200 at most.

        Raises:
            ManagementError: if the platform does not tell; the log is for the owner's or organization's key that may
                manage algorithms.
        """
        name = self._management.algorithm
        rows = self.get_errors()
        if not isinstance(rows, list):
            raise ManagementError(f"the platform's answer about {name} is no error log", algorithm=name)
        return [record for record in (read_error(name, row) for row in rows) if record is not None]

    def get_errors(self) -> Any:
        """Return the same as the platform tells it."""
        return self._management.get("errors")

    def examine(
        self,
        *,
        timeout: object = DEFAULT_TIMEOUT,
        input: object = UNSET,  # noqa: A002  (the name that `pipe` has for it)
        requirements: str | None = None,
    ) -> Examination:
        """Check access and settings one by one: each is fine, wrong, or cannot be known. Nothing is called.

        Args:
            timeout: seconds that a call would be given.
            input: what it would be called with.
            requirements: the project's requirements.txt.
        """
        return examine(gather(self, self._management, timeout=timeout, input=input, requirements=requirements))

    def _newest_versions(self) -> Iterator[Version]:
        return islice(self.versions(), _SEARCHED_VERSIONS)

    def _without_log(self, build_id: str, refusal: ManagementError | None) -> ManagementError:
        """Find out why a build has no log: it still runs, it has ended without one, or there is no such build."""
        try:
            build = self.build(build_id)
        except ManagementError as error:
            return refusal or error
        if not build.ended:
            return BuildNotFinished(build.algorithm, f"build {build.id}")
        return LogsUnavailable(build.algorithm, f"build {build.id}")


def _query(**given: str | int | bool | None) -> dict[str, str]:
    return {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in given.items()
        if value is not None
    }
