"""A project's files as they were at a build: hashed, copied, and named for the git commit where they equal one."""

import errno
import hashlib
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from algoprof.errors import ProjectError

_LEFT_OUT = frozenset(
    {".git", ".hg", ".venv", "venv", ".tox", ".nox", "node_modules", "__pycache__", ".mypy_cache", ".ruff_cache"}
    | {".pytest_cache", ".hypothesis", ".ipynb_checkpoints"}
)
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
MAX_FILES = 20_000
MAX_BYTES = 2 * 1024**3
"""A folder with more is refused: it is a home directory rather than an algorithm."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A copy of a project that later edits leave alone.

    Args:
        path: the copy.
        content: 40 hexadecimal digits that stand for the files.
        commit: the git commit that holds exactly these files, else the same as `content`.
    """

    path: Path
    content: str
    commit: str


def take(project: Path, directory: Path) -> Snapshot:
    """Copy a project below a directory, unless an equal copy is there.

    Files that go while it is read, such as an editor's, are no part of it.

    Raises:
        ProjectError: if it is too large, holds a file that cannot be read, or there is no room for a copy.
    """
    try:
        content = digest(project)
        if not (directory / content).exists():
            content = _copy(project, directory)
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise ProjectError(
                project, f"cannot be copied to {directory} ({error.strerror}); make room there"
            ) from None
        reason = f"cannot be read ({error.strerror}); make it readable or remove it"
        raise ProjectError(error.filename or project, reason) from None
    return Snapshot(directory / content, content, _commit(project) or content)


def looks(project: Path) -> str:
    """Return a word that changes when a file of a project does: cheaper than `digest`, since no file is read.

    Raises:
        ProjectError: if it is too large.
        OSError: if a folder cannot be read, or a file has just gone.
    """
    seen = hashlib.sha256()
    for path in _files(project):
        found = path.stat()
        seen.update(
            f"{path}\0{found.st_ino} {found.st_size} {found.st_mtime_ns} {found.st_mode}\0".encode(errors="replace")
        )
    return seen.hexdigest()


def _files(project: Path) -> list[Path]:
    found: list[Path] = []
    size = 0

    def tell(error: OSError) -> None:
        if not _gone(error, project):
            raise error

    for folder, folders, names in os.walk(project, onerror=tell):
        folders[:] = sorted(name for name in folders if name not in _LEFT_OUT)
        links = [name for name in folders if Path(folder, name).is_symlink()]
        for name in sorted([*names, *links]):
            path = Path(folder, name)
            if path.suffix == ".pyc" or not (path.is_file() or path.is_symlink()) or not path.exists():
                continue  # no fifo, no socket, no dangling link
            try:
                size += path.stat().st_size
            except FileNotFoundError:
                continue  # it has just gone
            found.append(path)
            if len(found) > MAX_FILES or size > MAX_BYTES:
                limit = f"{MAX_FILES} files" if len(found) > MAX_FILES else f"{MAX_BYTES // 1024**3} GiB"
                raise ProjectError(project, f"holds more than {limit}; give the folder of one algorithm")
    return found


def _gone(error: OSError, project: Path) -> bool:
    """Whether this came of a file or folder that went while a project, which is still there, was read."""
    return isinstance(error, FileNotFoundError) and project.is_dir()


def digest(project: Path) -> str:
    """Return 40 hexadecimal digits that stand for a project's files: their names, contents and whether they can run.

    Raises:
        ProjectError: if it is too large.
        OSError: if a file cannot be read.
    """
    digest = hashlib.sha256()
    for path in _files(project):
        try:
            runs = path.stat().st_mode & 0o100
            held = _held(path)
        except OSError as error:
            if _gone(error, project):
                continue
            raise
        digest.update(f"{path.relative_to(project)}\0{runs}\0".encode(errors="surrogateescape"))
        digest.update(held)
    return digest.hexdigest()[:40]


def _held(path: Path) -> bytes:
    if path.is_dir():
        return os.fsencode(path.resolve())
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _copy(project: Path, directory: Path) -> str:
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    with tempfile.TemporaryDirectory(dir=directory, prefix=".") as made:
        copy = Path(made, "project")
        copy.mkdir()
        for path in _files(project):
            target = copy / path.relative_to(project)
            target.parent.mkdir(parents=True, exist_ok=True)
            if path.is_dir():
                target.symlink_to(path.resolve())
            else:
                _copy_file(path, target, project)
        content = digest(copy)  # of the copy: a file may have changed meanwhile
        if not (directory / content).exists():
            copy.rename(directory / content)
    return content


def _copy_file(path: Path, target: Path, project: Path) -> None:
    try:
        shutil.copy2(path, target)
    except OSError as error:
        if not _gone(error, project):
            raise
        target.unlink(missing_ok=True)


def _commit(project: Path) -> str:
    """Return the commit of a git repository whose root the project is and that has nothing uncommitted, else ''."""
    answers = []
    for question in (["rev-parse", "--show-toplevel", "HEAD"], ["status", "--porcelain", "--untracked-files=normal"]):
        try:
            asked = ["git", "-C", str(project), *question]
            done = subprocess.run(asked, capture_output=True, text=True, timeout=10, check=True)
        except (OSError, ValueError, subprocess.SubprocessError):
            return ""
        answers.append(done.stdout)
    root, _, commit = answers[0].strip().partition("\n")
    return commit if Path(root) == project and not answers[1].strip() else ""
