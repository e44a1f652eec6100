"""pip as a process: in an empty environment of the Python that is meant, under a time limit, gone with its starter."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple, Self

from algoprof.errors import AlgoprofError
from algoprof.server import lifeline
from algoprof.server.building import pip_environment

_OPTIONS = ("--no-input", "--no-color", "--disable-pip-version-check", "--retries", "2")
_ASKING = 60.0  # seconds for a question about the Python or about pip's settings


class Ended(NamedTuple):
    """How pip ended: its exit status, None at the time limit; what it printed; how long it took."""

    code: int | None
    log: str
    seconds: float


class Pip:
    """Runs pip for one Python and one project, for the time of a `with`.

    Args:
        python: the interpreter to install for; a path, or a name on PATH.
        directory: the project, which paths in requirements are relative to.
    """

    def __init__(self, python: str, directory: Path) -> None:
        self._directory = directory
        pip = find_spec("pip")
        if pip is None or pip.origin is None:
            raise AlgoprofError(
                "this environment has no pip, which tries the requirements: pip install 'algoprof[serve]'"
            )
        found = shutil.which(python)
        if found is None:
            raise AlgoprofError(f"there is no Python {python}; name an interpreter, such as python3.12 or its path")
        self._python = os.path.abspath(found)  # noqa: PTH100  (a link to an interpreter stays one)
        self._package = Path(pip.origin).parent

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as over:
            self.scratch = Path(over.enter_context(tempfile.TemporaryDirectory(prefix="algoprof-bisect-")))
            alone = self.scratch / "alone"  # pip without what is installed beside it
            alone.mkdir()
            (alone / "pip").symlink_to(self._package)
            self._empty = self.scratch / "empty"
            made = self._run([self._python, "-I", "-m", "venv", "--without-pip", str(self._empty)], _ASKING)
            if made.code != 0 or not Path(self._interpreter(self._empty)).exists():
                last = made.log.strip().rpartition("\n")[2] or "it said nothing"
                raise AlgoprofError(f"{self._python} makes no environment ({last}); name a Python 3 with --python")
            self._over = over.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.close()

    def identity(self) -> str:
        """Return what pip's answers depend on besides the requirements: which Python, which pip, with what settings.

        Raises:
            AlgoprofError: if this pip does not know that Python.
        """
        asked = self._run([self._interpreter(self._empty), "-I", "-c", "import sys; print(sys.version)"], _ASKING)
        settings = self._pip(self._empty, ["config", "list"], _ASKING)
        if settings.code != 0:
            last = settings.log.strip().rpartition("\n")[2] or "it said nothing"
            raise AlgoprofError(f"pip {version('pip')} does not run in {self._python} ({last}); name another Python")
        return f"{self._python}\n{asked.log}\n{version('pip')}\n{settings.log}"

    def resolve(self, arguments: Sequence[str], limit: float) -> Ended:
        """Have pip choose versions, and build nothing. `arguments` go to `pip install --dry-run`."""
        return self._pip(self._empty, ["install", "--dry-run", "--ignore-installed", *arguments], limit)

    def install(self, arguments: Sequence[str], limit: float) -> Ended:
        """Have pip install into an environment of its own, which is removed."""
        with self._environment() as environment:
            return self._pip(environment, ["install", "--no-compile", *arguments], limit)

    @contextlib.contextmanager
    def _environment(self) -> Iterator[Path]:
        environment = self.scratch / "environment"
        shutil.copytree(self._empty, environment, symlinks=True)
        try:
            yield environment
        finally:
            shutil.rmtree(environment, ignore_errors=True)

    def _pip(self, environment: Path, arguments: Sequence[str], limit: float) -> Ended:
        pip = [self._interpreter(environment), str(self.scratch / "alone" / "pip"), *_OPTIONS]
        return self._run([*pip, *arguments], limit)

    def _run(self, command: Sequence[str], limit: float) -> Ended:
        """Run a command to its end or its limit; what it has started ends with it, and with us."""
        temporary = self.scratch / "temporary"
        temporary.mkdir()
        began = time.monotonic()
        try:
            with (self.scratch / "log").open("w+b") as log:
                process = subprocess.Popen(
                    lifeline.command(command),
                    cwd=self._directory,
                    env=pip_environment.variables(temporary),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
                try:
                    code: int | None = process.wait(limit)
                except subprocess.TimeoutExpired:
                    code = None
                finally:
                    _end(process)
                log.seek(0)
                text = log.read().decode(errors="replace")
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        return Ended(code, text, time.monotonic() - began)

    @staticmethod
    def _interpreter(environment: Path) -> str:
        return str(environment / "bin" / "python")


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a command in order, then by force; nothing happens to one that has ended."""
    if process.poll() is not None:
        return
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(2 * lifeline.GRACE)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
