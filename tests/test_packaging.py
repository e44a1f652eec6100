"""What is built and installed: every module, the type marker, the command, and no need for what only extras bring."""

import os
import shutil
import subprocess
import sys
import tarfile
import textwrap
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def modules() -> set[str]:
    """Return every module of ours as a wheel names it."""
    folders = (ROOT / "algoprof", ROOT / "algoprof" / "exporters")  # rglob follows no link but its start
    return {str(path.relative_to(ROOT)) for folder in folders for path in folder.rglob("*.py")}


def page_files() -> set[str]:
    """Return the templates, styles and scripts of the server's pages."""
    pages = ROOT / "algoprof" / "server" / "pages"
    return {path.relative_to(ROOT).as_posix() for path in pages.glob("[ts]*/*") if path.is_file()}


pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(300),  # it installs from the package index
]


@pytest.fixture(scope="module")
def sources(tmp_path_factory) -> Path:
    """A copy of the files that git knows or would add."""
    folder = tmp_path_factory.mktemp("source")
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout.split("\0"):
        if name and (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name, follow_symlinks=False)
    return folder


@pytest.fixture(scope="module")
def built(sources, tmp_path_factory) -> Path:
    """A folder with the sdist, and with the wheel built from it."""
    folder = tmp_path_factory.mktemp("built")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(sources))
    return folder


@pytest.fixture(scope="module")
def installed(built, tmp_path_factory) -> Path:
    """The folder of programs of a fresh environment with the wheel in it, and no extras."""
    folder = tmp_path_factory.mktemp("environment")
    (wheel,) = built.glob("*.whl")
    run(sys.executable, "-m", "venv", "--without-pip", str(folder))
    pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python")]
    run(*pip, "install", "-qq", "--constraint", str(ROOT / "constraints.txt"), str(wheel))
    return folder / "bin"


def run(*command: str, status: int = 0) -> str:
    done = subprocess.run(
        command, check=False, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert done.returncode == status, done.stdout
    return done.stdout


def test_the_wheel_holds_every_module_and_the_type_marker(built):
    (wheel,) = built.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {name for name in names if name.endswith(".py")} == modules()
    assert {
        "algoprof/py.typed",
        "algoprof/profiles/profile.schema.json",
        "algoprof/exporters/__init__.py",
    } | page_files() <= names
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_the_sdist_holds_every_module_as_a_file(built):
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        files = {member.name.partition("/")[2] for member in archive if member.isfile()}
    assert modules() | page_files() | {"algoprof/py.typed", "pyproject.toml", "README.md", "LICENSE"} <= files


def test_the_wheel_holds_what_was_compiled_and_not_its_source(built):
    (wheel,) = built.glob("*.whl")
    recorder = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("algoprof/recorder/_")}
    compiled = {name for name in recorder if name.endswith((".so", ".pyd"))}
    assert {name.partition(".")[0] for name in compiled} == {
        "algoprof/recorder/_native",
        "algoprof/recorder/_ticker",
    }
    assert recorder == compiled | {"algoprof/recorder/__init__.py", "algoprof/recorder/_python.py"}


@pytest.mark.parametrize("way", ["wheel", "editable"])
def test_without_a_compiler_the_build_says_so_once_and_goes_on(sources, tmp_path, way):
    source = tmp_path / "source"
    shutil.copytree(sources, source, symlinks=True)
    commands = {
        "wheel": ["-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(source)],
        "editable": ["setup.py", "build_ext", "--inplace"],  # what an editable install does, and no environment changes
    }
    done = subprocess.run(
        [sys.executable, *commands[way]],
        cwd=source,
        check=False,
        env=os.environ | {"CC": "/nonexistent/compiler"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("its twin in Python records") == 1, done.stdout
    assert "apt-get install gcc python3-dev" in done.stdout
    for wheel in tmp_path.glob("*.whl"):
        assert not [name for name in zipfile.ZipFile(wheel).namelist() if "_native" in name]
    assert not list((source / "algoprof" / "recorder").glob("*.so"))


def test_without_extras_everything_imports_but_what_the_extras_are_for(installed):
    script = """
        import importlib, pkgutil
        import algoprof
        for module in pkgutil.walk_packages(algoprof.__path__, "algoprof."):
            if module.name in ("algoprof.__main__", "algoprof.server.hosting.bootstrap"):  # these run when imported
                continue
            try:
                importlib.import_module(module.name)
            except ModuleNotFoundError as error:
                print(module.name, error.name.split(".")[0])
    """
    output = run(str(installed / "python"), "-I", "-c", textwrap.dedent(script))
    for line in output.splitlines():
        module, missing = line.split()
        if module in ("algoprof.calls.wire.async_transport", "algoprof.server.access.tokens"):
            assert missing in ("httpx", "jwt")
            continue
        assert missing in ("jinja2", "packaging", "starlette", "uvicorn"), line
        assert module.startswith(("algoprof.bisection", "algoprof.server")) or module == "algoprof.cli.serve", line


def test_the_command_names_its_version_and_how_to_install_what_it_lacks(installed, tmp_path):
    from algoprof import __version__

    algoprof = str(installed / "algoprof")
    assert __version__ in run(algoprof, "--version")
    said = run(algoprof, "serve", str(tmp_path), status=1)
    assert "pip install 'algoprof[" in said
    assert "Traceback" not in said
