"""Builds: a Python environment of its own for each project, the log kept, the result published as a version."""

import asyncio
import contextlib
import hashlib
import os
import re
import shutil
import signal
import sys
from collections.abc import Callable, Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import BinaryIO

from algoprof import delivery
from algoprof.calls.diagnosis import Reason, diagnose
from algoprof.errors import ProjectError, ServerError
from algoprof.profiles import builds as told
from algoprof.server import lifeline
from algoprof.server.building import pip_environment, projects, pruning, snapshots, wheel
from algoprof.server.state.store import Algorithm, Build, Store, Version

_TAIL = 15  # lines of a failed build's log that are shown
_FINISHED = ".algoprof-finished"
CUT_SHORT = "the server ended in the middle of this build; `algoprof serve` builds it again"
"""The last line of the log of a build whose server was killed."""


def temporary_folder(data: Path) -> Path:
    """Return where builds have their temporary files; the environment of all that they start names it."""
    return data / "temporary"


def log_path(data: Path, build: Build) -> Path:
    """Return where below a data directory the log of a build is."""
    return data / "logs" / f"{build.id}.log"


class Builder:
    """Builds projects below a data directory.

    Args:
        data: the server's data directory.
        store: where builds and versions are recorded.
        say: is told each step, for whoever watches.
        tell: is told each build that has ended.
    """

    def __init__(
        self,
        data: Path,
        store: Store,
        say: Callable[[str], None],
        tell: Callable[[told.Build], object] = delivery.build_ended,
    ) -> None:
        self._data = data
        self._environments = data / pruning.ENVIRONMENTS
        self._store = store
        self._say = say
        self._tell = tell
        self._one_at_a_time = asyncio.Lock()
        self._wheel = ""  # the name of the one that builds install now
        for build in store.fail_unfinished():
            with contextlib.suppress(OSError), _appended(self.log(build)) as log:
                _note(log, f"\n{CUT_SHORT}")
        shutil.rmtree(temporary_folder(data), ignore_errors=True)  # of a server that was killed, as the next ones
        wheel.remove_unfinished(data / pruning.WHEELS)

    async def build(self, project: projects.Project) -> Version:
        """Build a project as it is now and return its version; a project built before is not built again.

        Raises:
            ProjectError: if it cannot be copied or built; the message names the log.
        """
        return self._store.publish(await self.compile(project))

    async def compile(self, project: projects.Project) -> Build:
        """Build a project as it is now, without publishing it; that of a version that is the same is used again.

        Raises:
            ProjectError: as above.
        """
        async with self._one_at_a_time:
            try:
                return await self._compile(project)
            except OSError as error:
                where = error.filename or self._data
                raise ProjectError(project.path, f"cannot be built: {where}: {error.strerror or error}") from error

    async def prune(self, needed: Callable[[], Iterable[Build]]) -> None:
        """Remove the files that builds have left, but for those of some builds.

        Args:
            needed: returns these. It is asked when no build runs, and what is unneeded is gone before it is again.

        Raises:
            OSError: if something cannot be removed.
        """
        async with self._one_at_a_time:
            builds = list(needed())
            removed = pruning.set_aside(self._data, pruning.SNAPSHOTS, {build.content for build in builds})
            removed += pruning.set_aside(self._data, pruning.ENVIRONMENTS, {build.environment for build in builds})
            if self._wheel:
                pruning.set_aside(self._data, pruning.WHEELS, {self._wheel})
            await asyncio.to_thread(pruning.empty, self._data)
        if removed:
            what = "snapshot or environment" if removed == 1 else "snapshots and environments"
            self._say(f"removed {removed} {what} of old builds")

    def has(self, build: Build) -> bool:
        """Whether a build's files are there, so that a worker can run it."""
        return self.root(build).is_dir() and (self._environments / build.environment / _FINISHED).exists()

    async def _compile(self, project: projects.Project) -> Build:
        snapshot = await asyncio.to_thread(snapshots.take, project.path, self._data / pruning.SNAPSHOTS)
        own_wheel = await asyncio.to_thread(wheel.build, self._data / pruning.WHEELS)
        self._wheel = own_wheel.parent.name
        requirements = snapshot.path / projects.REQUIREMENTS
        key = _environment_key(requirements, own_wheel, snapshot.content)
        algorithm = self._store.algorithm(project.owner, project.name)
        unchanged = self._unchanged(algorithm, snapshot.content, key, project)
        if unchanged is not None:
            return unchanged
        build = self._store.begin_build(
            algorithm,
            commit_sha=snapshot.commit,
            content=snapshot.content,
            environment=key,
            kind=project.kind,
            module=project.module,
        )
        self._say(f"{project.algorithm}: building {project.path} ({_describe(project)})")
        log = self.log(build)
        try:
            log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with _appended(log) as file:
                try:
                    reason = await self._environment(key, requirements, own_wheel, file)
                finally:
                    self._remove_unfinished(key)
        except BaseException:
            self._store.finish_build(build, "failed")
            raise
        build = self._store.finish_build(build, "failed" if reason else "succeeded")
        self._tell(_told(project.algorithm, build))
        if reason:
            text = log.read_text(encoding="utf-8", errors="replace")
            self._say("\n".join(f"    {line}" for line in text.splitlines()[-_TAIL:]))
            shown = project.path / projects.REQUIREMENTS
            raise ProjectError(shown, f"{reason}: {_why(text)} (the whole log: {log})")
        return build

    def log(self, build: Build) -> Path:
        """Return where a build's log is; it grows while the build runs."""
        return log_path(self._data, build)

    def python(self, build: Build) -> Path:
        """Return the Python interpreter of a build's environment."""
        return self._environments / build.environment / "bin" / "python"

    def root(self, build: Build) -> Path:
        """Return the folder that a build's workers run in."""
        return self._data / pruning.SNAPSHOTS / build.content

    def _unchanged(self, algorithm: Algorithm, content: str, key: str, project: projects.Project) -> Build | None:
        """Return the build of the newest version if it is what this would be."""
        versions = self._store.versions(algorithm)
        build = self._store.build(algorithm, versions[0].build_id) if versions else None
        wanted = (content, key, project.kind, project.module)
        if build and (build.content, build.environment, build.kind, build.module) == wanted:
            if not (self._environments / key / _FINISHED).exists():
                return None
            self._say(f"{project.algorithm}: unchanged since version {versions[0].semantic}")
            return build
        older = next((version for version in versions[1:] if version.content == content), None)
        if older is not None and versions[0].content != content:
            self._say(
                f"{project.algorithm}: its files are those of version {older.semantic} again, newer than all others"
            )
        return None

    async def _environment(self, key: str, requirements: Path, own_wheel: Path, log: BinaryIO) -> str:
        """Make an environment unless it is there. Returns why it could not be made; empty if it could."""
        directory = self._environments / key
        if (directory / _FINISHED).exists():
            _note(log, f"environment {key}: made before from the same requirements, used again")
            return ""
        shutil.rmtree(directory, ignore_errors=True)
        directory.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _note(log, f"environment {key}: Python {sys.version.split()[0]}")
        code = await self._run(
            [sys.executable, "-P", "-m", "venv", "--without-pip", str(directory)], directory.parent, log
        )
        if code:
            return f"no environment could be made (python -m venv ended with {code})"
        if _wanted(requirements):
            code = await self._install(directory, requirements, own_wheel, log)
            if code:
                return f"pip could not install it (it ended with {code})"
        else:
            _note(log, f"no {projects.REQUIREMENTS}, or an empty one: nothing to install")
        (directory / _FINISHED).touch()
        _note(log, "succeeded")
        return ""

    def _remove_unfinished(self, key: str) -> None:
        """Remove what a build that failed has installed: on a full disk, that makes room for the next one."""
        directory = self._environments / key
        if not (directory / _FINISHED).exists():
            shutil.rmtree(directory, ignore_errors=True)

    async def _install(self, environment: Path, requirements: Path, own_wheel: Path, log: BinaryIO) -> int:
        if find_spec("pip") is None:
            raise ServerError(
                "this environment has no pip, which builds algorithms; install it: pip install 'algoprof[serve]'"
            )
        constraints = own_wheel.parent / "constraints.txt"
        constraints.write_text(f"algoprof @ {own_wheel.as_uri()}\n", encoding="utf-8")
        options = ["--no-input", "--no-color", "--disable-pip-version-check"]
        pip = [sys.executable, "-P", "-m", "pip", "--python", str(environment / "bin" / "python"), *options]
        install = [
            "install",
            "--progress-bar",
            "off",
            "--constraint",
            str(constraints),
            "--requirement",
            str(requirements),
        ]
        return await self._run([*pip, *install], requirements.parent, log)

    async def _run(self, command: Sequence[str], directory: Path, log: BinaryIO) -> int:
        """Run a command, its output going to the log; it ends when this is cancelled, and when the server is killed."""
        _note(log, f"$ {' '.join(command)}")
        temporary = temporary_folder(self._data)
        temporary.mkdir(mode=0o700)
        try:
            process = await asyncio.create_subprocess_exec(
                *lifeline.command(command),
                cwd=directory,
                env=pip_environment.variables(temporary),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
            try:
                return await process.wait()
            finally:
                if process.returncode is None:
                    await _end(process)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def _told(algorithm: str, build: Build) -> told.Build:
    """Return a build that has ended as exporters take it."""
    finished_ns = None if build.finished_ms is None else build.finished_ms * 1_000_000
    return told.Build(
        algorithm,
        build.id,
        build.status,
        commit=build.commit_sha,
        started_ns=build.started_ms * 1_000_000,
        finished_ns=finished_ns,
    )


def _environment_key(requirements: Path, own_wheel: Path, content: str) -> str:
    """Return what an environment depends on, as one word."""
    parts = [sys.version, sys.base_prefix]
    wanted = _wanted(requirements)
    if wanted:
        parts += [own_wheel.parent.name, *wanted]
    if any(re.search(r"^-|^\.|/|@ *file:", line) for line in wanted):
        parts.append(content)  # it may name other files of the project
    return hashlib.sha256("\0".join(parts).encode(errors="replace")).hexdigest()[:16]


def _wanted(requirements: Path) -> list[str]:
    """Return the lines of a requirements file that ask for something."""
    try:
        text = requirements.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return []
    return [line.strip() for line in text.splitlines() if line.strip() and not line.strip().startswith("#")]


async def _end(process: asyncio.subprocess.Process) -> None:
    """End a command in order, so that it can remove what it has begun; then by force."""
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(process.wait(), 2 * lifeline.GRACE)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()


def _appended(log: Path) -> BinaryIO:
    return os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "wb", buffering=0)


def _note(log: BinaryIO, text: str) -> None:
    log.write(f"{text}\n".encode(errors="replace"))


def _why(log: str) -> str:
    """Return why a build failed and what to try first, ready to be put behind a reason."""
    found = diagnose(log, status="failed")
    if found.reason in (Reason.unknown, Reason.command_failed):
        return f"{found.evidence[0] if found.evidence else 'it said nothing'}; correct it and build again"
    return "; ".join((found.sentence, *found.advice[:1]))


def _describe(project: projects.Project) -> str:
    return f"ADK, {project.module}" if project.kind == "adk" else f"{project.module}:apply"
