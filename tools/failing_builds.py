"""The builds of the corpus: what each holds, in which Python and with which pip it is built, and so how it fails."""

import contextlib
import io
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

_INSTALL = "RUN pip install -r requirements.txt"
_SIX = "8abb2f1d86890a2dfb989f9a77cfcfd3e47c2a354b01111771326f8aa26e0254"  # the wheel's hash
_APT = "apt-get -o Acquire::http::Proxy=http://127.0.0.1:9 install -y --download-only --no-install-recommends"
_SYSTEM_PIP = "/usr/bin/python3 -m pip install --break-system-packages"
_COMPILERS = (r"(.*-)?(gcc|g\+\+|cc|c\+\+|clang|cpp)(-\d+)?", r"c89.*|c99.*")


@contextlib.contextmanager
def _nothing(_: Path) -> Iterator[None]:
    yield


@contextlib.contextmanager
def _mounted(root: Path, options: str) -> Iterator[None]:
    """Mount a file system where the packages go; needs root."""
    place = root / "opt" / "algorithm" / "packages"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(place)], check=True)


def _small_disk(root: Path) -> AbstractContextManager[None]:
    return _mounted(root, "size=4M")


def _read_only(root: Path) -> AbstractContextManager[None]:
    return _mounted(root, "ro")


@dataclass(frozen=True)
class Case:
    """A build that is to fail, or to succeed.

    Args:
        name: of the log.
        files: of the project, by path; `INDEX` and `TLS` in them stand for the addresses of the hostile index.
        dockerfile: its instructions; the same stand in for the same there.
        style: whose lines stand around what the commands print.
        python: the image's version of Python.
        pip: a version specifier for pip; empty for the one that comes with that Python.
        hidden: patterns of the programs that the image lacks.
        environment: variables of the image.
        around: what holds while it is built.
    """

    name: str
    files: dict[str, str | bytes]
    dockerfile: str
    style: Literal["classic", "buildkit", "bare"] = "bare"
    python: str = "3.11"
    pip: str = ""
    hidden: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    around: Callable[[Path], AbstractContextManager[None]] = _nothing


def _docker(python: str, *commands: str) -> str:
    start = f"FROM registry.example.org/python:{python}-slim", "WORKDIR /opt/algorithm", "COPY . ."
    return "\n".join([*start, *(commands or [_INSTALL])])


def _asked(name: str, requirements: str, style: Literal["classic", "buildkit", "bare"] = "bare", **more: str) -> Case:
    """Return the case of a project whose requirements alone say how it fails."""
    python, pip = more.pop("python", "3.11"), more.pop("pip", "")
    dockerfile = _docker(python) if style != "bare" else f"COPY . .\n{more.pop('run', _INSTALL)}"
    return Case(name, {"requirements.txt": requirements}, dockerfile, style, python, pip)


def _packaged(
    name: str,
    setup: str,
    files: dict[str, str] | None = None,
    style: Literal["classic", "buildkit", "bare"] = "bare",
    *,
    python: str = "3.11",
    pip: str = "",
    hidden: tuple[str, ...] = (),
    run: str = _INSTALL,
) -> Case:
    """Return the case of a project that brings a package of its own, `vendor/routing`, along."""
    content: dict[str, str | bytes] = {"requirements.txt": "six==1.16.0\n./vendor/routing\n"}
    if setup:
        content["vendor/routing/setup.py"] = setup
    content |= {f"vendor/routing/{path}": text for path, text in (files or {}).items()}
    return Case(name, content, _docker(python, run), style, python, pip, hidden)


def _setup(arguments: str = "", before: str = "") -> str:
    return f"from setuptools import Extension, setup\n{before}\nsetup(name='routing', version='1.2', {arguments})\n"


_EXTENSION = _setup("ext_modules=[Extension('routing', ['routing.c'])]")


def _project(requires: str, backend: str = "setuptools.build_meta", more: str = "") -> dict[str, str]:
    project = '\n[project]\nname = "routing"\nversion = "1.2"\n' if not more.startswith("[") else "\n"
    return {"pyproject.toml": f'[build-system]\nrequires = {requires}\nbuild-backend = "{backend}"\n{project}{more}\n'}


def _wheel(**files: str) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return content.getvalue()


CASES = [
    # Nothing matches.
    _asked("no_such_package", "requests==2.31.0\nalgoprof-no-such-package==1.0\n", "classic"),
    _asked("no_such_package_beside_others", "numpy\nalgoprof-no-such-package==1.0\n", "classic"),
    _asked("no_such_version", "requests==99.1\nsix\n", "buildkit"),
    _asked("no_such_version_old_pip", "six\nrequests==99.1\n", "classic", python="3.6"),
    _packaged("no_such_dependency", _setup("install_requires=['algoprof-no-such-package>=1']"), style="buildkit"),
    _asked("no_wheel_for_this_python", "six==1.16.0\ntensorflow==2.4.0\n", "classic"),
    _asked("other_python_only", "six\nnumpy==1.21.0\n", "buildkit", python="3.12"),
    _asked("needs_newer_python", "six==1.16.0\nnumpy==1.26.4\n", "classic", python="3.8"),
    _asked("part_of_python", "six==1.16.0\nfunctools\n", "buildkit"),
    _asked("module_for_package", "opencv-python-headless==4.9.0.80\ncv2\n", python="3.9"),
    _packaged("needs_other_python", _setup("python_requires='>=3.6,<3.9'"), style="classic"),
    _asked("only_binary_none", "termcolor==1.1.0\n", run="RUN pip install --only-binary :all: -r requirements.txt"),
    Case(
        "wheel_of_other_platform",
        {"requirements.txt": "./routing-1.2-cp36-cp36m-win_amd64.whl\n", "routing-1.2-cp36-cp36m-win_amd64.whl": b""},
        _docker("3.9"),
        "classic",
        "3.9",
    ),
    # Versions that do not fit together.
    _asked("conflict", "requests==2.31.0\nurllib3==1.20\n", "buildkit"),
    _asked("conflict_of_two", "flask==2.0.0\nwerkzeug<2\njinja2\n", "classic", python="3.8"),
    _asked("conflict_with_itself", "six==1.15.0\nsix==1.16.0\n", python="3.10"),
    _asked("double_requirement_old_pip", "six==1.15.0\nrequests\nsix==1.16.0\n", "classic", python="3.6"),
    Case(
        "conflict_with_constraint",
        {"requirements.txt": "requests==2.31.0\n", "constraints.txt": "idna==1.0\n"},
        _docker("3.11", "RUN pip install -c constraints.txt -r requirements.txt"),
        "buildkit",
        pip="==26.0",
    ),
    # What a build from source needs.
    _packaged("compiler_missing", _EXTENSION, {"routing.c": "#include <Python.h>\n"}, "buildkit", hidden=_COMPILERS),
    _packaged(
        "compiler_missing_old_pip",
        _EXTENSION,
        {"routing.c": "#include <Python.h>\n"},
        "classic",
        python="3.6",
        hidden=_COMPILERS,
    ),
    _packaged("header_missing", _EXTENSION, {"routing.c": "#include <geos_c.h>\n"}, "classic", python="3.8"),
    _packaged(
        "library_missing",
        _setup("ext_modules=[Extension('routing', ['routing.c'], libraries=['gdal-none'])]"),
        {"routing.c": "#include <Python.h>\n"},
        "buildkit",
    ),
    _packaged(
        "compile_error", _EXTENSION, {"routing.c": "int half(int n) { return n / ; }\n"}, "buildkit", pip="==26.0"
    ),
    _packaged(
        "rust_missing",
        "",
        _project(
            '["setuptools", "setuptools-rust"]', more="[[tool.setuptools-rust.ext-modules]]\ntarget = 'routing.fast'\n"
        )
        | {"setup.py": _setup(), "Cargo.toml": '[package]\nname = "routing"\nversion = "1.2.0"\nedition = "2021"\n'},
        "buildkit",
        hidden=(r"rustc|cargo",),
    ),
    Case(
        "pg_config_missing",
        {"requirements.txt": "psycopg2==2.9.5\n"},
        _docker("3.11"),
        "classic",
        hidden=("pg_config",),
    ),
    Case(
        "pkg_config_missing",
        {"requirements.txt": "mysqlclient==2.2.0\n"},
        _docker("3.12"),
        "buildkit",
        "3.12",
        hidden=("pkg-config", "mysql_config", "mariadb_config"),
    ),
    Case(
        "cmake_missing", {"requirements.txt": "dlib==19.24.0\n"}, _docker("3.10"), "classic", "3.10", hidden=("cmake",)
    ),
    # Packages that cannot be prepared.
    _asked("deprecated_name", "sklearn==0.0.post12\n", "buildkit"),
    _packaged(
        "setup_raises", _setup(before="raise RuntimeError('set ROUTING_HOME first')"), style="classic", python="3.7"
    ),
    _packaged("setup_imports_numpy", _setup(before="import numpy"), style="buildkit", pip="==26.0"),
    _packaged("setup_for_python_2", _setup(before="print 'installing'"), style="classic", python="3.8"),
    _packaged("setup_uses_2to3", _setup("use_2to3=True"), {**_project('["setuptools"]')}, "buildkit"),
    _packaged(
        "distutils_gone",
        "from distutils.core import setup\nsetup(name='routing')\n",
        {
            "pyproject.toml": '[build-system]\nrequires = ["wheel"]\nbuild-backend = "build"\nbackend-path = ["."]\n',
            "build.py": "import distutils.core\n",
        },
        "buildkit",
        python="3.12",
    ),
    _packaged("backend_missing", "", _project('["six"]', "nothing.build"), "buildkit", pip="==26.0"),
    _packaged("build_requirement_missing", "", _project('["algoprof-no-such-package"]'), "classic"),
    _packaged("nothing_to_install", "", {"routing.py": ""}, "classic"),
    _packaged(
        "two_packages_in_one",
        "",
        {**_project('["setuptools"]'), "routing/__init__.py": "", "cities/__init__.py": ""},
        "buildkit",
        python="3.13",
    ),
    _packaged("pkg_resources_gone", _setup(before="import pkg_resources"), style="classic", python="3.13"),
    # What the requirements say.
    _asked("single_equals_sign", "six\nrequests=2.31.0\n", "classic"),
    _asked("single_equals_sign_new_pip", "six\nrequests=2.31.0\n", "buildkit", pip="==26.0"),
    _asked("unknown_option", "six==1.16.0\n--no-such-option\n", "classic", python="3.9"),
    _asked("path_missing", "six==1.16.0\n./no-such-package\n", "buildkit"),
    Case("requirements_missing", {"main.py": ""}, _docker("3.11"), "classic"),
    Case("copy_missing", {"main.py": ""}, _docker("3.11").replace("COPY . .", "COPY requirements.txt ."), "buildkit"),
    Case(
        "copy_missing_classic",
        {"main.py": ""},
        _docker("3.8").replace("COPY . .", "COPY requirements.txt ."),
        "classic",
        "3.8",
    ),
    _asked("hash_mismatch", f"six==1.16.0 --hash=sha256:{'ab' * 32}\n", "buildkit"),
    _asked("hash_left_out", f"six==1.16.0 --hash=sha256:{_SIX}\nidna==3.6\n", "classic", python="3.8"),
    Case(
        "wheel_broken",
        {"requirements.txt": "./routing-1.2-py3-none-any.whl\n", "routing-1.2-py3-none-any.whl": _wheel(a="")},
        _docker("3.11"),
        "buildkit",
    ),
    # The network.
    _asked("index_unreachable", "-i http://127.0.0.1:9/simple\nsix==1.16.0\n", "classic"),
    _asked("index_name_unknown", "-i https://no-such-host.invalid/simple\nsix\n", "buildkit"),
    _asked("index_silent", "-i INDEX/silent\nsix\n", run="RUN pip install --timeout 1 --retries 1 -r requirements.txt"),
    _asked("index_failing", "-i INDEX/503\nsix\n", run="RUN pip install --retries 1 -r requirements.txt", python="3.9"),
    _asked("index_wants_password", "-i INDEX/401\nsix==1.16.0\n", "classic"),
    _asked("index_forbids", "-i INDEX/403\nsix==1.16.0\n", "buildkit", pip="==26.0"),
    _asked(
        "certificate_unknown", "-i TLS/simple\nsix==1.16.0\n", run="RUN pip install --retries 1 -r requirements.txt"
    ),
    _asked("download_broken_off", "-i INDEX/200\nsix==1.16.0\n", "classic", python="3.10"),
    _asked("download_incomplete", "-i INDEX/200\nsix==1.16.0\n", "buildkit", pip="==26.0"),
    _asked("file_gone", "INDEX/404/routing-1.2.tar.gz\n", "buildkit"),
    _asked("file_unreachable", "http://127.0.0.1:9/routing-1.2.tar.gz\n", "buildkit", pip="==26.0"),
    Case("apt_unreachable", {}, _docker("3.11", f"RUN {_APT} libgeos-dev"), "classic"),
    _asked("git_unreachable", "git+http://127.0.0.1:9/routing.git@v1\n", "classic"),
    Case(
        "git_missing",
        {"requirements.txt": "git+http://127.0.0.1:9/routing.git\n"},
        _docker("3.9"),
        "buildkit",
        "3.9",
        hidden=("git",),
    ),
    # The machine.
    Case(
        "disk_full",
        {"requirements.txt": "numpy==1.26.4\n"},
        _docker("3.11", "RUN pip install --target packages -r requirements.txt"),
        "classic",
        around=_small_disk,
    ),
    Case(
        "permission_denied",
        {"requirements.txt": "six==1.16.0\n"},
        _docker("3.11", f"RUN setpriv --reuid=65534 --clear-groups {_SYSTEM_PIP} --target /usr/lib/none six==1.16.0"),
        "classic",
    ),
    Case(
        "read_only",
        {"requirements.txt": "six==1.16.0\n"},
        _docker("3.11", "RUN pip install --target packages -r requirements.txt"),
        "buildkit",
        around=_read_only,
    ),
    Case(
        "killed",
        {
            "requirements.txt": "./vendor/routing\n",
            "vendor/routing/setup.py": _setup(before="import os, signal; os.kill(os.getppid(), signal.SIGKILL)"),
        },
        _docker("3.11"),
        "classic",
    ),
    _packaged(
        "compiler_out_of_memory",
        _EXTENSION,
        {"routing.c": "\n".join(f"int table{number}[9] = {{1}};" for number in range(60_000))},
        "buildkit",
        run="RUN CC='prlimit --as=90000000 gcc' pip install -r requirements.txt",
    ),
    Case("externally_managed", {}, _docker("3.11", "RUN /usr/bin/python3 -m pip install six"), "classic"),
    Case("command_missing", {"requirements.txt": "six\n"}, _docker("3.11", "RUN pipenv install --system"), "buildkit"),
    Case(
        "apt_package_missing",
        {"requirements.txt": "six\n"},
        _docker("3.11", "RUN apt-get install -y --no-install-recommends libgeos-none-dev", _INSTALL),
        "classic",
    ),
    Case(
        "module_missing",
        {"main.py": "import routing\n"},
        _docker("3.11", "RUN pip install six==1.16.0", "RUN python main.py"),
        "buildkit",
    ),
    # Those that succeed.
    Case(
        "succeeded_misfit",
        {},
        "RUN pip install requests==2.31.0\nRUN pip install urllib3==1.20",
    ),
    Case(
        "succeeded_misfit_old_pip",
        {"requirements.txt": "requests==2.20.0\nurllib3==1.25.0\n"},
        _docker("3.6"),
        "classic",
        "3.6",
    ),
    _asked("succeeded", "six==1.16.0\nrequests\nidna>=3\n", "classic", python="3.9"),
    _asked(
        "succeeded_buildkit",
        "flask[async]>=2 ; python_version > '3'\n./vendor/none\n".replace("./vendor/none\n", ""),
        "buildkit",
    ),
    _asked("succeeded_bare", "requests>=2.28\nsix\nalgorithmia==2.0.5\n"),
    _packaged(
        "succeeded_from_source",
        _EXTENSION,
        {"routing.c": "#include <Python.h>\nPyMODINIT_FUNC PyInit_routing(void) { return 0; }\n"},
        "buildkit",
        pip="==26.0",
    ),
    _asked("succeeded_yanked", "cryptography==37.0.3\n", python="3.10"),
]
