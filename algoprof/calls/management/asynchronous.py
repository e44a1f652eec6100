"""An algorithm's builds, versions and errors for asyncio: the methods of the other, awaited."""

import asyncio
from collections.abc import Mapping
from typing import Any

from algoprof.calls.diagnosis import Diagnosis
from algoprof.calls.management.error_log import ErrorRecord
from algoprof.calls.management.managed import PAGE, publication, query
from algoprof.calls.management.pages import AsyncPages
from algoprof.calls.management.reaching import AsyncManagement, until
from algoprof.calls.management.resources import Version
from algoprof.calls.management.waiting import LONGEST_BUILD, Looks, Tell, ended, tell_nobody
from algoprof.errors import ManagementError
from algoprof.profiles.builds import Build


class AsyncManagedAlgorithm:
    """What the owner of an algorithm asks about it, as an `AsyncClient` does: `ManagedAlgorithm`, awaited.

    Args:
        management: what asks.
    """

    def __init__(self, management: AsyncManagement) -> None:
        self._management = management
        self._owned = management.operations

    def builds(self, limit: int = PAGE) -> AsyncPages[Build]:
        """Return every build, newest first, for `async for`; a page is fetched when it is reached.

        Args:
            limit: how many to ask for at once.
        """
        return AsyncPages(lambda marker: self.get_builds(limit, marker), self._owned.read_build)

    async def get_builds(self, limit: int = PAGE, marker: str | None = None) -> dict[str, Any]:
        """Return one page of builds, as `ManagedAlgorithm.get_builds` does."""
        return await self._management.run(self._owned.builds_page(limit, marker))

    async def build(self, build_id: str) -> Build:
        """Return one build, as `ManagedAlgorithm.build` does."""
        return await self._management.run(self._owned.build(build_id))

    async def get_build(self, build_id: str) -> Any:
        """Return one build, as the platform tells it."""
        return await self._management.run(self._owned.build_resource(build_id))

    async def build_logs(self, build_id: str) -> str:
        """Return what docker and pip printed, as `ManagedAlgorithm.build_logs` does."""
        return await self._management.run(self._owned.build_logs(build_id))

    async def get_build_logs(self, build_id: str) -> Any:
        """Return the log of a build under `logs`, as the platform tells it."""
        return await self._management.run(self._owned.logs_resource(build_id))

    async def newest_build(self, commit: str = "") -> Build | None:
        """Return the newest build, of a commit if one is given, as `ManagedAlgorithm.newest_build` does."""
        return await self._management.run(self._owned.newest_build(commit))

    async def diagnose(self, build_id: str | None = None, *, requirements: str = "") -> Diagnosis:
        """Return why a build failed, as `ManagedAlgorithm.diagnose` does."""
        return await self._management.run(self._owned.diagnose(build_id, requirements=requirements))

    async def wait(
        self,
        build_id: str | None = None,
        *,
        commit: str = "",
        timeout: float = LONGEST_BUILD,  # noqa: ASYNC109  (as the other has it)
        tell: Tell = tell_nobody,
    ) -> Build:
        """Wait until a build has ended, and return it, as `ManagedAlgorithm.wait` does; other tasks run meanwhile.

        Args:
            build_id: which one; else the newest.
            commit: the newest of this git hash, or of what begins so; one that is not yet listed is waited for.
            timeout: seconds to wait at most.
            tell: is told the build, or None while it is not yet listed, and the seconds waited, at each look.

        Raises:
            BuildTimeout: if it has not ended by then.
            ManagementError: if the platform does not tell.
        """
        looks = Looks(self._owned.algorithm, build_id=build_id or "", commit=commit, timeout=timeout, tell=tell)
        while True:
            try:
                with until(looks.end):
                    build = await self._management.run(self._owned.look(looks.build_id, commit))
            except ManagementError as error:
                pause = looks.failed(error)
            else:
                pause = looks.saw(build)
                if build is not None and build.ended:
                    ended(build)
                    return build
            await asyncio.sleep(pause)

    def versions(
        self,
        limit: int | None = None,
        marker: str | None = None,
        published: bool | None = None,
        callable: bool | None = None,  # noqa: A002  (the name that the official client gives it)
    ) -> AsyncPages[Version]:
        """Return the versions, newest first, for `async for`: it fetches page after page.

        Args:
            limit: how many to ask for at once.
            marker: where to begin: the marker of an earlier page.
            published: only those that are, or are not, published.
            callable: only those that are public (True) or private (False).
        """
        asked = query(limit=limit, published=published, callable=callable)
        return AsyncPages(
            lambda next_: self._management.run(self._owned.versions_page(asked, next_ or marker)),
            self._owned.read_version,
        )

    async def version(self, selector: str) -> Version:
        """Return one version, with its build log, as `ManagedAlgorithm.version` does."""
        return await self._management.run(self._owned.version(selector))

    async def version_logs(self, selector: str) -> str:
        """Return the build log of a version, as `ManagedAlgorithm.version_logs` does."""
        return await self._management.run(self._owned.version_logs(selector))

    async def info(self, algo_hash: str | None = None) -> Any:
        """Return the version of a git hash, as the platform tells it; without one, a page of versions."""
        return await self._management.run(self._owned.info(algo_hash))

    async def compile(self, *, timeout: float = LONGEST_BUILD) -> Version:  # noqa: ASYNC109
        """Build the newest source, wait for it, and return what came of it, as `ManagedAlgorithm.compile` does."""
        version = await self._management.run(self._owned.compile(timeout))
        ended(version.build)
        return version

    async def publish(
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
        """Publish the newest build that succeeded, as `ManagedAlgorithm.publish` does."""
        content = publication(
            details,
            settings,
            version_info,
            source,
            scmsCredentials,
            version_type=version_type,
            release_notes=release_notes,
        )
        return await self._management.run(self._owned.publish(content))

    async def errors(self) -> list[ErrorRecord]:
        """Return the calls of the last seven days that ended in an error, as `ManagedAlgorithm.errors` does."""
        return await self._management.run(self._owned.errors())

    async def get_errors(self) -> Any:
        """Return the same as the platform tells it."""
        return await self._management.run(self._owned.errors_resource())
