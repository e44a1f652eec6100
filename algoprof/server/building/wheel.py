"""One wheel of algoprof itself, so that `algoprof` in an algorithm's requirements means the server's own version."""

import base64
import hashlib
import os
import sys
import sysconfig
import zipfile
from importlib import metadata
from pathlib import Path

import algoprof
from algoprof.errors import ServerError

_EPOCH = (1980, 1, 1, 0, 0, 0)  # one time for every file: equal content makes an equal wheel
_LEFT_OUT = ("__pycache__",)


def build(directory: Path) -> Path:
    """Write the wheel of the running algoprof below a directory and return its path.

    It is made from the installed files, so it works for normal and editable installs alike, without a build backend.
    The folder it lies in is named for its content; a wheel that is already there is used again.

    Args:
        directory: where the folder is made.

    Raises:
        OSError: if it cannot be written.
        ServerError: if the running algoprof is not installed.
    """
    distribution = metadata.distribution("algoprof")
    package = Path(algoprof.__file__).parent
    files = {f"algoprof/{name}": path.read_bytes() for name, path in _package_files(package)}
    information = f"algoprof-{distribution.version}.dist-info"
    tag = _tag(files)
    description = distribution.read_text("METADATA") or distribution.read_text("PKG-INFO")  # the latter of a checkout
    if not description:
        raise ServerError("algoprof runs without being installed, so no wheel of it can be made; pip install it")
    files[f"{information}/METADATA"] = description.encode()
    files[f"{information}/WHEEL"] = _wheel_text(tag).encode()
    files[f"{information}/entry_points.txt"] = (distribution.read_text("entry_points.txt") or "").encode()
    files[f"{information}/RECORD"] = _record(files, f"{information}/RECORD").encode()
    digest = hashlib.sha256()
    for name, content in sorted(files.items()):
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    wheel = directory / digest.hexdigest()[:16] / f"algoprof-{distribution.version}-{tag}.whl"
    if wheel.exists():
        return wheel
    for folder in (directory, wheel.parent):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    unfinished = wheel.with_suffix(f".{os.getpid()}")
    with zipfile.ZipFile(unfinished, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)
    unfinished.replace(wheel)
    return wheel


def remove_unfinished(directory: Path) -> None:
    """Remove the wheels below a directory whose writing was cut off; others may be writing there."""
    for left in directory.glob("*/*"):
        if left.suffix[1:].isdecimal() and not Path("/proc", left.suffix[1:]).exists():
            left.unlink(missing_ok=True)


def _package_files(package: Path) -> list[tuple[str, Path]]:
    """Return the package's files with their names in it; the symlink `exporters` counts as a folder."""
    found = []
    for folder, folders, names in os.walk(package, followlinks=True):
        folders[:] = [name for name in folders if name not in _LEFT_OUT]
        for name in names:
            path = Path(folder) / name
            if path.suffix != ".pyc" and path.is_file():
                found.append((path.relative_to(package).as_posix(), path))
    return sorted(found)


def _tag(files: dict[str, bytes]) -> str:
    if not any(name.endswith(".so") for name in files):
        return "py3-none-any"
    python = f"cp{sys.version_info.major}{sys.version_info.minor}"
    return f"{python}-{python}-{sysconfig.get_platform().replace('-', '_').replace('.', '_')}"


def _wheel_text(tag: str) -> str:
    pure = "true" if tag.endswith("any") else "false"
    return f"Wheel-Version: 1.0\nGenerator: algoprof\nRoot-Is-Purelib: {pure}\nTag: {tag}\n"


def _record(files: dict[str, bytes], own_name: str) -> str:
    lines = []
    for name, content in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        lines.append(f"{name},sha256={digest},{len(content)}\n")
    return "".join([*lines, f"{own_name},,\n"])
