"""The algorithms that this server hosts: which there are, and the queue of each of their versions."""

import asyncio
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from algoprof.errors import ProjectError
from algoprof.profiles.hosting import HostedAlgorithm, Hosting, WorkerEnd
from algoprof.server.access.callers import Callers
from algoprof.server.building import projects, versions
from algoprof.server.building.builds import Builder
from algoprof.server.envelopes import (
    ALREADY_PUBLISHED,
    BUILD_NOT_FOUND,
    INVALID_REQUEST,
    VERSION_NOT_FOUND,
    Refusal,
    no_such_algorithm,
)
from algoprof.server.hosting.replicas import Job, Outcome, Replicas
from algoprof.server.hosting.sessions import Sessions
from algoprof.server.hosting.workers import ADDRESS, Program
from algoprof.server.limits import Limits
from algoprof.server.monitoring.monitor import Monitor
from algoprof.server.state import under_way
from algoprof.server.state.run_keeping import Keeper
from algoprof.server.state.store import Algorithm, Build, Part, Store, Version

_HASH_LENGTH = 40
_SELECTED = 1000  # selectors whose versions are remembered
_NOT_PASSED_ON = ("VIRTUAL_ENV", "PYTHONHOME", "PYTHONPATH", "PYTHONSTARTUP", "ALGORITHMIA_BEARER_TOKEN")


class Load(NamedTuple):
    """How busy one version is: calls that wait, calls that run, workers that rest, and how many there may be."""

    algorithm: str
    commit: str
    queued: int
    running: int
    idle: int
    most: int


class _Known(NamedTuple):
    """What each call asks for, as it stood in the store.

    Args:
        changes: what the store counted then.
        algorithms: by `OWNER/NAME` and by id.
        selected: versions with their builds, by the id of their algorithm and the selector that means them.
    """

    changes: int
    algorithms: dict[str, Algorithm]
    selected: dict[tuple[str, str], tuple[Version, Build]]


class Host:
    """What the routes work on.

    Args:
        store: builds and versions.
        builder: where builds lie.
        scratch: where workers get their private directories.
        say: is told each call, for whoever watches.
        callers: who may call; workers are let in there.
        limits: how much it takes on.
        monitor: is told what happens.
        failures_by_status: whether a call that failed is told by its HTTP status as well.
    """

    def __init__(
        self,
        store: Store,
        builder: Builder,
        scratch: Path,
        say: Callable[[str], None],
        *,
        callers: Callers,
        limits: Limits,
        monitor: Monitor,
        failures_by_status: bool = False,
    ) -> None:
        self.failures_by_status = failures_by_status
        self.store = store
        self.builder = builder
        self.say = say
        self.monitor = monitor
        self.environment: dict[str, str] = {}
        """Of every worker; set before the first call."""
        self.sessions = Sessions(limits.sessions)
        """The calls that are waiting or running, each with those that its algorithm makes."""
        self.background: set[asyncio.Task[None]] = set()
        """Calls that nobody waits for."""
        self.runs = Keeper(store.path, scratch / under_way.FOLDER, say)
        """Keeps the runs of calls that have ended."""
        self.stopping = False
        self._scratch = scratch
        self._callers = callers
        self._limits = limits
        self._jobs = None if limits.jobs is None else asyncio.Semaphore(limits.jobs)
        self._directories: dict[str, Path] = {}  # by algorithm id: the folder that is served here
        self._served: dict[str, Version | None] = {}  # by algorithm id; None if its folder does not build
        self._known = _Known(-1, {}, {})
        self._replicas: dict[tuple[str, str, str], tuple[Build, Replicas]] = {}  # by what `_runs_as` returns

    async def add(self, project: projects.Project) -> Version:
        """Build a project and host it: calls from now on get it, those that have begun end on the version they have.

        If the build fails, its log can be read, and a version that was hosted before stays.

        Raises:
            ProjectError: if it cannot be built, or another folder has the same algorithm.
        """
        algorithm = self.store.algorithm(project.owner, project.name)
        other = self._directories.setdefault(algorithm.id, project.path)
        if other != project.path:
            raise ProjectError(project.path, f"is {algorithm.path} by now, as {other} is; change one of them")
        try:
            version = await self.builder.build(project)
        except ProjectError:
            self._served.setdefault(algorithm.id, None)
            await self.prune()
            raise
        await self._serve(algorithm, version)
        await self.prune()
        return version

    def served_from(self, directory: Path) -> list[str]:
        """Return what is served from a folder, such as `demo/Routes version 1.0.3`."""
        return [
            f"{algorithm.path} version {version.semantic}"
            for algorithm in self.store.algorithms()
            if self._directories.get(algorithm.id) == directory and (version := self._served.get(algorithm.id))
        ]

    async def compile(self, algorithm: Algorithm) -> Build:
        """Build the folder of an algorithm as it is now, without publishing it, and return how that went.

        Raises:
            Refusal: if its folder is not served here, or holds another algorithm or none by now.
        """
        directory = self.require_served(algorithm)
        before = [build.id for build in self.store.builds(algorithm, limit=1)]
        try:
            build = await self.builder.compile(_same_project(directory, algorithm))
        except ProjectError as failed:
            newest = self.store.builds(algorithm, limit=1)
            if newest and newest[0].id not in before:
                return newest[0]  # it was built, and failed: its log says why
            raise Refusal(400, INVALID_REQUEST, str(failed)) from None
        await self.prune()
        return build

    async def prune(self) -> None:
        """Remove the files of old builds, unless they are served, in use, or those of a version that was asked for."""
        try:
            await self.builder.prune(self._needed)
        except OSError as error:
            self.say(f"files of old builds are not removed: {error}")

    def _needed(self) -> list[Build]:
        """Return the builds whose files are to stay, and forget the queues of all others, in which nobody is."""
        needed: list[Build] = []
        for algorithm in self.store.algorithms():
            needed += self.store.lasting_builds(algorithm, self._limits.builds)
            version = self._served.get(algorithm.id)
            build = self.store.build(algorithm, version.build_id) if version else None
            needed += [build] if build else []
        kept = set(map(_runs_as, needed))
        self._replicas = {key: (b, r) for key, (b, r) in self._replicas.items() if key in kept or r.in_use}
        return [*needed, *(build for build, _ in self._replicas.values())]

    def require_served(self, algorithm: Algorithm) -> Path:
        """Return the folder of an algorithm.

        Raises:
            Refusal: if none is served here now.
        """
        directory = self._directories.get(algorithm.id)
        if directory is None:
            raise no_such_algorithm(algorithm.path, "No such algorithm is served now; `algoprof serve DIR` serves one")
        return directory

    def publish(self, algorithm: Algorithm, part: Part) -> tuple[Version, Build]:
        """Publish the newest build that succeeded.

        What was published before the newest version may be published again, under a number of its own.

        Raises:
            Refusal: if there is none, or it is published already.
        """
        build = next((build for build in self.store.builds(algorithm) if build.status == "succeeded"), None)
        if build is None:
            raise Refusal(404, BUILD_NOT_FOUND, f"{algorithm.path} has no build that succeeded; compile it first")
        known = next(iter(self.store.versions(algorithm)), None)
        if known is not None and known.content == build.content:
            message = f"build {build.id} is published already, as version {known.semantic}: nothing has changed since"
            raise Refusal(400, ALREADY_PUBLISHED, message)
        self._served[algorithm.id] = version = self.store.publish(build, part, asked=True)
        return version, build

    def algorithm(self, name: str) -> Algorithm:
        """Return an algorithm that was ever built here, by `OWNER/NAME` or by id.

        Raises:
            Refusal: if there is none.
        """
        found = self._known_as_of_now().algorithms.get(name)
        if found is None:
            raise no_such_algorithm(name)
        return found

    def callable(self, name: str, selector: str) -> Algorithm:
        """Return an algorithm that can be called, by `OWNER/NAME` or by id.

        Args:
            name: it.
            selector: the version asked for; empty for what is served now, which must have been built then.

        Raises:
            Refusal: if there is none, it is not served now, or its build failed.
        """
        algorithm = self.algorithm(name)
        if algorithm.id not in self._served:
            raise no_such_algorithm(algorithm.path, "No such algorithm is served now; `algoprof serve DIR` serves one")
        if self._served[algorithm.id] is None and not selector:
            raise no_such_algorithm(
                algorithm.path, f"its build failed; `algoprof builds diagnose {algorithm.path}` says why"
            )
        return algorithm

    def called(self, algorithm: Algorithm, selector: str) -> tuple[str, Build]:
        """Return what a call's selector means, by its number or else its git hash, and the build that is run.

        The git hash of a build that was not published means that build.

        Raises:
            Refusal: if there is none, or its files are gone.
        """
        try:
            version, build = self.version(algorithm, selector)
            self._require_files(algorithm, version, build)
        except Refusal:
            for build in self.store.builds(algorithm) if len(selector) == _HASH_LENGTH else ():
                if build.commit_sha == selector and build.status == "succeeded" and self._has_files(build):
                    return selector, build
            raise
        return version.semantic, build

    def version(self, algorithm: Algorithm, selector: str) -> tuple[Version, Build]:
        """Return the version that a selector means, with its build, whose files may be gone.

        Raises:
            Refusal: if there is none.
        """
        selected = self._known_as_of_now().selected
        if (algorithm.id, selector) in selected:
            return selected[algorithm.id, selector]
        builds = self.store.builds(algorithm) if len(selector) == _HASH_LENGTH else []
        commits = {build.id: build.commit_sha for build in builds}
        found = versions.select(self.store.versions(algorithm), selector, commits)
        build = self.store.build(algorithm, found.build_id) if found else None
        if found is None or build is None:
            message = f"algorithm algo://{algorithm.path}/{selector[:80]} not found (No such algorithm version)"
            if selector == "latestPrivate":
                message += ": every version that this server publishes is public"
            raise Refusal(404, VERSION_NOT_FOUND, message)
        if len(selected) < _SELECTED:
            selected[algorithm.id, selector] = found, build
        return found, build

    def _require_files(self, algorithm: Algorithm, version: Version, build: Build) -> None:
        """Refuse to call a version whose files are gone."""
        if not self._has_files(build):
            message = (
                f"algorithm algo://{algorithm.path}/{version.semantic} has no files any more (No such algorithm"
                " version): --keep says how many builds keep theirs, besides versions that are published on request"
            )
            raise Refusal(404, VERSION_NOT_FOUND, message)

    def _has_files(self, build: Build) -> bool:
        return _runs_as(build) in self._replicas or self.builder.has(build)

    async def run(self, build: Build, job: Job) -> Outcome:
        """Put a job into the queue of a build and return what came of it.

        Raises:
            ServerError: if no worker could be started.
        """
        key = _runs_as(build)
        if key not in self._replicas:
            program = Program(
                self.builder.python(build), self.builder.root(build), build.kind, build.module, self.environment
            )
            recordings = self.monitor.recordings
            replicas = Replicas(program, self._scratch, self._callers, self._limits, self._jobs, recordings=recordings)
            self._replicas[key] = build, replicas
        return await self._replicas[key][1].run(job)

    def loads(self) -> list[Load]:
        """Return how busy each version is that was called."""
        names = {algorithm.id: algorithm.path for algorithm in self.store.algorithms()}
        return [
            Load(
                names[build.algorithm_id],
                build.commit_sha,
                replicas.queued,
                replicas.running,
                replicas.idle,
                self._limits.replicas,
            )
            for build, replicas in self._replicas.values()
        ]

    def hosting(self) -> Hosting:
        """Return what is hosted, and how busy that is."""
        found = {algorithm.id: algorithm for algorithm in self.store.algorithms()}
        workers: dict[str, list[Replicas]] = {known: [] for known in found if known in self._directories}
        for build, replicas in self._replicas.values():
            workers.setdefault(build.algorithm_id, []).append(replicas)
        hosted = tuple(self._hosted(found[known], of) for known, of in workers.items())
        return Hosting(hosted, len(self.sessions), self._limits.sessions)

    def _hosted(self, algorithm: Algorithm, workers: list[Replicas]) -> HostedAlgorithm:
        served = self._served.get(algorithm.id)
        ended: Counter[WorkerEnd] = Counter()
        for replicas in workers:
            ended.update(replicas.ended)
        return HostedAlgorithm(
            algorithm.path,
            version=served.semantic if served else "",
            queued=sum(replicas.queued for replicas in workers),
            ready=sum(replicas.idle for replicas in workers),
            loading=sum(replicas.loading for replicas in workers),
            busy=sum(replicas.running - replicas.loading for replicas in workers),
            started=sum(replicas.started for replicas in workers),
            ended=ended,
            refused={reason: count for (of, reason), count in self.monitor.refused.items() if of == algorithm.path},
        )

    def _known_as_of_now(self) -> "_Known":
        """Return what was read from the store, anew if something has been written to it since."""
        if self._known.changes != self.store.changes:
            algorithms = {name: one for one in self.store.algorithms() for name in (one.path, one.id)}
            self._known = _Known(self.store.changes, algorithms, {})
        return self._known

    async def _serve(self, algorithm: Algorithm, version: Version) -> None:
        """Have calls get a version from now on, and let the idle workers of what was served before end."""
        before = self._served.get(algorithm.id)
        self._served[algorithm.id] = version
        if before is None or before.build_id == version.build_id:
            return
        build = self.store.build(algorithm, before.build_id)
        known = self._replicas.get(_runs_as(build)) if build else None
        if known is not None:
            await known[1].release()

    async def stop(self) -> None:
        """Kill every worker; calls under way are answered, later ones refused."""
        self.stopping = True
        await asyncio.gather(*(replicas.stop() for _, replicas in self._replicas.values()))
        if self.background:
            await asyncio.wait(self.background, timeout=1)
        await self.runs.close()


def _runs_as(build: Build) -> tuple[str, str, str]:
    """Return what builds have in common that share their workers: two algorithms never do, whatever they hold."""
    return build.algorithm_id, build.content, build.environment


def _same_project(directory: Path, algorithm: Algorithm) -> projects.Project:
    project = projects.find(directory)
    if project.algorithm != algorithm.path:
        raise ProjectError(directory, f"is {project.algorithm} by now, not {algorithm.path}; serve it anew")
    return project


def worker_environment(address: str) -> dict[str, str]:
    """Return the environment variables of workers.

    An algorithm that calls another one through `Algorithmia.client()` finds this server, as it would the platform; the
    key that it shows and a path of its own are added by its worker.
    What configures algoprof for the server's own process is not passed on, and the report stays out of the
    algorithm's output, since the profile comes home in the answer.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in _NOT_PASSED_ON and (not name.startswith("ALGOPROF_") or name == "ALGOPROF_DISABLED")
    }
    return {
        **kept,
        ADDRESS: address,
        "ALGOPROF_REPORT": "never",
        "PYTHONUNBUFFERED": "1",
    }
