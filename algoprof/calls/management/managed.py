"""What an owner asks about an algorithm: builds, versions, errors; each a plan that either client carries out."""

import re
from collections.abc import Mapping
from typing import Any

from algoprof.calls.diagnosis import Diagnosis, diagnose
from algoprof.calls.management import pages
from algoprof.calls.management.error_log import ErrorRecord, read_error
from algoprof.calls.management.requests import Questions
from algoprof.calls.management.resources import Version, read_build, read_version
from algoprof.calls.wire.plans import Plan
from algoprof.errors import BuildNotFinished, LogsUnavailable, ManagementError
from algoprof.profiles.builds import Build

PAGE = 56
"""Builds that are asked for at once: what the official client asks for."""

_HASH = re.compile(r"[0-9a-f]{40}")
_SEMANTIC = re.compile(r"v?\d{1,9}(?:\.\d{1,9}){2}")
_UNAVAILABLE = re.compile(r"(?i)\s*(?:build )?logs? (?:is |are )?(?:not available|unavailable)\b.{0,200}\s*")
_SEARCHED = 200  # builds that are looked through for a commit, at each look
_SEARCHED_VERSIONS = 5_000  # versions that are looked through for a number or the beginning of a hash


class Operations(Questions):
    """What an owner asks about one algorithm. Each raises `ManagementError` if the platform does not tell.

    Args:
        platform: the platform.
        reference: the algorithm.
    """

    def builds_page(self, limit: int = PAGE, marker: str | None = None) -> Plan[dict[str, Any]]:
        """Return one page of builds: `results`, and the `marker` of the next page."""
        return self.page("builds", query=query(limit=limit, marker=marker))

    def read_build(self, resource: object) -> Build | None:
        """Return a build from its JSON object; None if it is none."""
        return read_build(self.algorithm, resource)

    def read_version(self, resource: object) -> Version | None:
        """Return a version from its JSON object; None if it is none."""
        return read_version(self.algorithm, resource)

    def build_resource(self, build_id: str) -> Plan[Any]:
        """Return one build, as the platform tells it."""
        return self.get("builds", build_id)

    def build(self, build_id: str) -> Plan[Build]:
        """Return one build."""
        build = self.read_build((yield from self.build_resource(build_id)))
        if build is None:
            raise ManagementError(
                f"the platform's answer for build {build_id[:80]} is no build", algorithm=self.algorithm
            )
        return build

    def logs_resource(self, build_id: str) -> Plan[Any]:
        """Return the log of a build under `logs`, as the platform tells it."""
        return self.get("builds", build_id, "logs")

    def build_logs(self, build_id: str) -> Plan[str]:
        """Return what docker and pip printed.

        Raises:
            BuildNotFinished: if the build still runs.
            LogsUnavailable: if it has ended, and there is no log.
        """
        try:
            answer = yield from self.logs_resource(build_id)
        except ManagementError as error:
            if error.status != 404:
                raise
            raise (yield from self._without_log(build_id, error)) from None
        log = answer.get("logs") if isinstance(answer, dict) else None
        if not isinstance(log, str) or not _is_log(log):
            raise (yield from self._without_log(build_id, None))
        return log

    def newest_build(self, commit: str = "") -> Plan[Build | None]:
        """Return the newest build, of a commit if one is given; None if it is not among the newest 200."""
        return pages.first(
            lambda marker: self.builds_page(PAGE, marker),
            self.read_build,
            lambda build: build.commit.startswith(commit),
            _SEARCHED,
        )

    def look(self, build_id: str, commit: str) -> Plan[Build | None]:
        """Return the build of an id; of an empty one the newest, of a commit if one is given."""
        if build_id:
            return (yield from self.build(build_id))
        return (yield from self.newest_build(commit))

    def diagnose(self, build_id: str | None = None, *, requirements: str = "") -> Plan[Diagnosis]:
        """Return why a build failed, the newest unless one is named, as far as its log tells."""
        build = yield from self.look(build_id or "", "")
        if build is None:
            raise ManagementError(f"{self.algorithm} has no builds", algorithm=self.algorithm)
        try:
            log = yield from self.build_logs(build.id)
        except LogsUnavailable:
            log = ""
        return diagnose(log, requirements=requirements, status=build.status)

    def versions_page(self, asked: Mapping[str, str], marker: str | None = None) -> Plan[dict[str, Any]]:
        """Return one page of versions: `results`, and the `marker` of the next page.

        Args:
            asked: what is asked for besides, as `query` makes it.
            marker: the marker of the page before.
        """
        return self.page("versions", query={**asked, **query(marker=marker)})

    def version(self, selector: str) -> Plan[Version]:
        """Return the version of a git hash, the beginning of one, or a semantic version, with its build log."""
        git_hash = selector
        if _SEMANTIC.fullmatch(selector):
            wanted = selector.removeprefix("v")
            found = yield from self._first_version(lambda one: one.semantic_version == wanted)
            git_hash = found.git_hash if found else ""
        elif not _HASH.fullmatch(selector):
            found = yield from self._first_version(lambda one: one.git_hash.startswith(selector))
            git_hash = found.git_hash if found else selector
        version = self.read_version((yield from self.info(git_hash))) if git_hash else None
        if version is None:
            raise ManagementError(
                f"{self.algorithm} has no version {selector[:80]}",
                algorithm=self.algorithm,
                hint="`algoprof versions list` shows which there are",
            )
        return version

    def version_logs(self, selector: str) -> Plan[str]:
        """Return the build log of a version.

        Raises:
            LogsUnavailable: if the platform has none.
        """
        version = yield from self.version(selector)
        if version.log is None or not _is_log(version.log):
            raise LogsUnavailable(self.algorithm, f"version {selector}")
        return version.log

    def info(self, algo_hash: str | None = None) -> Plan[Any]:
        """Return the version of a git hash, as the platform tells it; without one, a page of versions."""
        return self.get("versions", *([algo_hash] if algo_hash else []))

    def compile(self, timeout: float) -> Plan[Version]:
        """Build the newest source, wait for it, and return what came of it."""
        return self._version_of((yield from self.post("compile", content={}, timeout=timeout)))

    def publish(self, content: Mapping[str, Any]) -> Plan[Version]:
        """Publish the newest build that succeeded, and return the version that it became.

        Args:
            content: what is published, as `publication` makes it.
        """
        return self._version_of((yield from self.post("versions", content=content)))

    def errors(self) -> Plan[list[ErrorRecord]]:
        """Return the calls of the last seven days that ended in an error, newest first, 200 at most."""
        rows = yield from self.errors_resource()
        if not isinstance(rows, list):
            raise ManagementError(
                f"the platform's answer about {self.algorithm} is no error log", algorithm=self.algorithm
            )
        return [record for record in (read_error(self.algorithm, row) for row in rows) if record is not None]

    def errors_resource(self) -> Plan[Any]:
        """Return the error log, as the platform tells it."""
        return self.get("errors")

    def exists(self) -> Plan[bool]:
        """Return whether the platform has the algorithm."""
        try:
            yield from self.get()
        except ManagementError as error:
            if error.status != 404:
                raise
            return False
        return True

    def algorithm_id(self) -> Plan[str]:
        """Return the platform's id of the algorithm."""
        resource = yield from self.get()
        found = resource.get("id") if isinstance(resource, dict) else None
        if not isinstance(found, str):
            raise ManagementError(f"the platform's answer about {self.algorithm} has no id", algorithm=self.algorithm)
        return found

    def scm_status(self) -> Plan[Any]:
        """Return how the platform's connection to the algorithm's repository is, as the platform tells it."""
        return self.get("scm", "status")

    def _version_of(self, answer: object) -> Version:
        version = self.read_version(answer)
        if version is None:
            raise ManagementError("the platform's answer is no version", algorithm=self.algorithm)
        return version

    def _first_version(self, wanted: pages.Wanted[Version]) -> Plan[Version | None]:
        return pages.first(lambda marker: self.versions_page({}, marker), self.read_version, wanted, _SEARCHED_VERSIONS)

    def _without_log(self, build_id: str, refusal: ManagementError | None) -> Plan[ManagementError]:
        """Find out why a build has no log: it still runs, it has ended without one, or there is no such build."""
        try:
            build = yield from self.build(build_id)
        except ManagementError as error:
            return refusal or error
        if not build.ended:
            return BuildNotFinished(build.algorithm, f"build {build.id}")
        return LogsUnavailable(build.algorithm, f"build {build.id}")


def publication(
    details: Mapping[str, Any] | None,
    settings: Mapping[str, Any] | None,
    version_info: Mapping[str, Any] | None,
    source: Mapping[str, Any] | None,
    credentials: Mapping[str, Any] | None,
    *,
    version_type: str,
    release_notes: str,
) -> dict[str, Any]:
    """Return what is sent to publish a version.

    >>> publication({"label": "Routes"}, None, None, None, None, version_type="minor", release_notes="")["version_info"]
    {'version_type': 'minor'}
    """
    given = {"version_type": version_type, "release_notes": release_notes}
    return {
        "details": dict(details or {}),
        "settings": dict(settings or {}),
        "version_info": {**(version_info or {}), **{name: text for name, text in given.items() if text}},
        "source": dict(source or {}),
        "scmsCredentials": dict(credentials or {}),
    }


def query(**given: str | int | bool | None) -> dict[str, str]:
    """Return what goes behind the question mark; what is None is left out.

    >>> query(limit=5, published=True, marker=None)
    {'limit': '5', 'published': 'true'}
    """
    return {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in given.items()
        if value is not None
    }


def _is_log(text: str) -> bool:
    """Whether a log says more than that there is none."""
    return bool(text.strip()) and not _UNAVAILABLE.fullmatch(text)
