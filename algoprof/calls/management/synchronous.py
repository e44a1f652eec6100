"""An algorithm's builds, versions and errors: listed, waited for, read, diagnosed, published."""

from collections.abc import Iterator, Mapping
from typing import Any

from algoprof.calls.access.platforms import Platform
from algoprof.calls.diagnosis import Diagnosis
from algoprof.calls.doctor.evidence import gather
from algoprof.calls.doctor.examination import Examination, examine
from algoprof.calls.management.error_log import ErrorRecord
from algoprof.calls.management.managed import PAGE, publication, query
from algoprof.calls.management.pages import Pages
from algoprof.calls.management.reaching import Management
from algoprof.calls.management.resources import Version
from algoprof.calls.management.waiting import LONGEST_BUILD, Tell, ended, tell_nobody, until_ended
from algoprof.calls.options import DEFAULT_TIMEOUT, UNSET
from algoprof.calls.references import Reference
from algoprof.calls.wire.transport import Transport
from algoprof.profiles.builds import Build


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
        self._owned = self._management.operations

    def builds(self, limit: int = PAGE) -> Iterator[Build]:
        """Yield every build, newest first; a page is fetched when it is reached.

        Args:
            limit: how many to ask for at once.

        Raises:
            ManagementError: if the platform does not tell.
        """
        yield from Pages(lambda marker: self.get_builds(limit, marker), self._owned.read_build)

    def get_builds(self, limit: int = PAGE, marker: str | None = None) -> dict[str, Any]:
        """Return one page of builds: `results`, and the `marker` of the next page."""
        return self._management.run(self._owned.builds_page(limit, marker))

    def build(self, build_id: str) -> Build:
        """Return one build.

        Raises:
            ManagementError: if there is none of that id.
        """
        return self._management.run(self._owned.build(build_id))

    def get_build(self, build_id: str) -> Any:
        """Return one build, as the platform tells it."""
        return self._management.run(self._owned.build_resource(build_id))

    def build_logs(self, build_id: str) -> str:
        """Return what docker and pip printed.

        Raises:
            BuildNotFinished: if the build still runs: its log can be read when it has ended.
            LogsUnavailable: if it has ended, and there is no log.
            ManagementError: if there is no such build.
        """
        return self._management.run(self._owned.build_logs(build_id))

    def get_build_logs(self, build_id: str) -> Any:
        """Return the log of a build under `logs`, as the platform tells it."""
        return self._management.run(self._owned.logs_resource(build_id))

    def newest_build(self, commit: str = "") -> Build | None:
        """Return the newest build, of a commit if one is given; None if it is not among the newest 200.

        Args:
            commit: a git hash, or its beginning.
        """
        return self._management.run(self._owned.newest_build(commit))

    def diagnose(self, build_id: str | None = None, *, requirements: str = "") -> Diagnosis:
        """Return why a build failed, as far as its log tells.

        Args:
            build_id: which one; the newest unless given.
            requirements: the project's requirements.txt, where it is at hand.

        Raises:
            ManagementError: if there is no such build.
        """
        return self._management.run(self._owned.diagnose(build_id, requirements=requirements))

    def wait(
        self,
        build_id: str | None = None,
        *,
        commit: str = "",
        timeout: float = LONGEST_BUILD,
        tell: Tell = tell_nobody,
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
            lambda known: self._management.run(self._owned.look(known, commit)),
            self._owned.algorithm,
            build_id=build_id or "",
            commit=commit,
            timeout=timeout,
            tell=tell,
        )
        ended(build)
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
        asked = query(limit=limit, published=published, callable=callable)
        return Pages(
            lambda next_: self._management.run(self._owned.versions_page(asked, next_ or marker)),
            self._owned.read_version,
        )

    def version(self, selector: str) -> Version:
        """Return one version, with its build log.

        Args:
            selector: a git hash, or a semantic version such as `1.0.3`.

        Raises:
            ManagementError: if there is no such version.
        """
        return self._management.run(self._owned.version(selector))

    def version_logs(self, selector: str) -> str:
        """Return the build log of a version.

        Args:
            selector: a git hash, or a semantic version.

        Raises:
            LogsUnavailable: if the platform has none.
            ManagementError: if there is no such version.
        """
        return self._management.run(self._owned.version_logs(selector))

    def info(self, algo_hash: str | None = None) -> Any:
        """Return the version of a git hash, as the platform tells it; without one, a page of versions."""
        return self._management.run(self._owned.info(algo_hash))

    def compile(self, *, timeout: float = LONGEST_BUILD) -> Version:
        """Build the newest source, wait for it, and return what came of it: `successful`, `log`, `git_hash`.

        Args:
            timeout: seconds to wait at most.

        Raises:
            ManagementError: if the platform does not build.
        """
        version = self._management.run(self._owned.compile(timeout))
        ended(version.build)
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
        content = publication(
            details,
            settings,
            version_info,
            source,
            scmsCredentials,
            version_type=version_type,
            release_notes=release_notes,
        )
        return self._management.run(self._owned.publish(content))

    def errors(self) -> list[ErrorRecord]:
        """Return the calls of the last seven days that ended in an error, newest first, 200 at most.

        Raises:
            ManagementError: if the platform does not tell; the log is for the owner's or organization's key that may
                manage algorithms.
        """
        return self._management.run(self._owned.errors())

    def get_errors(self) -> Any:
        """Return the same as the platform tells it."""
        return self._management.run(self._owned.errors_resource())

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
