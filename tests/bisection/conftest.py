"""A package index in a folder, made by hand: wheels that fit and do not, and sources that do not build."""

import base64
import hashlib
import io
import tarfile
import zipfile
from pathlib import Path

import pytest

BROKEN = """
def build_wheel(*_, **__):
    raise SystemExit("error: command 'gcc' failed: No such file or directory")
"""
METADATA = "Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
PREPARED = """
def prepare_metadata_for_build_wheel(folder, *_, **__):
    import os
    made = "{name}-{version}.dist-info"
    os.mkdir(os.path.join(folder, made))
    open(os.path.join(folder, made, "METADATA"), "w").write({metadata!r})
    return made
"""
PYPROJECT = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'


def wheel(folder: Path, name: str, version: str, *, requires: tuple[str, ...] = (), python: str = "") -> Path:
    """Write a wheel of a package that is nothing but a module."""
    information = f"{name}-{version}.dist-info"
    metadata = METADATA.format(name=name, version=version)
    metadata += "".join(f"Requires-Dist: {one}\n" for one in requires)
    metadata += f"Requires-Python: {python}\n" if python else ""
    files = {
        f"{name}.py": f"version = {version!r}\n",
        f"{information}/METADATA": metadata,
        f"{information}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(
        f"{path},sha256={base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b'=').decode()},\n"
        for path, text in files.items()
    )
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for inner, text in {**files, f"{information}/RECORD": record}.items():
            archive.writestr(inner, text)
    return path


def sdist(folder: Path, name: str, version: str, backend: str = BROKEN) -> Path:
    """Write the sources of a package, whose metadata pip gets and whose wheel it does not."""
    metadata = METADATA.format(name=name, version=version)
    files = {
        "pyproject.toml": PYPROJECT,
        "PKG-INFO": metadata,
        "backend.py": PREPARED.format(name=name, version=version, metadata=metadata) + backend,
    }
    path = folder / f"{name}-{version}.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for inner, text in files.items():
            member = tarfile.TarInfo(f"{name}-{version}/{inner}")
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    return path


def write_index(folder: Path) -> None:
    """Write packages: `app` conflicts with new `core`, new `native` does not build, and `holder` brings it along."""
    wheel(folder, "app", "1.0", requires=("core<2,>=1",))
    for version in ("1.0", "1.1", "2.0", "2.1"):
        wheel(folder, "core", version)
    for name in ("alpha", "beta", "later", "native"):
        wheel(folder, name, "1.0")
    sdist(folder, "native", "1.1")
    sdist(folder, "native", "1.2")
    wheel(folder, "holder", "1.0", requires=("native",))
    wheel(folder, "later", "2.0", python=">=3.99")


@pytest.fixture(scope="session")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package index in a folder."""
    folder = tmp_path_factory.mktemp("index")
    write_index(folder)
    return folder
