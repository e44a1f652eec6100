"""The house: who may import whom, what `import algoprof` costs, that every file is seen and none says too much."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import pytest
from mypy.find_sources import create_source_list
from mypy.options import Options

ROOT = Path(__file__).parents[1]

MAY_IMPORT = {  # of ours, apart from itself; "algoprof" is what `import algoprof` gives
    "_version": set(),
    "errors": {"profiles"},
    "control": set(),
    "profiles": {"errors"},
    "settings": {"errors", "exporters", "delivery"},
    "recorder": {"_version", "errors", "likeness", "profiles"},
    "timeouts": {"errors", "control"},
    "budgets": {"errors", "recorder", "timeouts"},
    "likeness": set(),
    "standins": set(),
    "wrapping": {"errors", "likeness", "standins"},
    "propagation": {"likeness", "recorder", "timeouts", "budgets", "sections", "runs"},
    "sections": {"errors", "profiles", "recorder", "wrapping", "measuring"},
    "devices": {"errors", "recorder"},
    "measuring": {"errors", "devices", "recorder", "sections", "wrapping", "limits"},
    "limits": {"recorder", "timeouts", "budgets", "sections", "measuring", "wrapping"},
    "watcher": {"errors", "profiles", "recorder", "budgets", "runs", "delivery"},
    "inband": {"profiles"},
    "run_delivery": {"profiles", "recorder", "delivery", "inband"},
    "run_options": {"errors", "watcher"},
    "runs": {
        "profiles",
        "recorder",
        "timeouts",
        "budgets",
        "wrapping",
        "sections",
        "watcher",
        "run_options",
        "run_delivery",
    },
    "exporters": {"_version", "errors", "profiles", "settings"},
    "delivery": {"errors", "profiles", "recorder", "settings", "exporters"},
    "supervisor": {"_version", "errors", "profiles", "recorder", "sections", "timeouts"},
    "calls": {"_version", "errors", "profiles", "recorder", "settings", "delivery", "budgets"},
    "bisection": {"errors", "profiles", "calls", "server"},
}
MAY_IMPORT |= {room: {*MAY_IMPORT, "server", "cli", "algoprof"} for room in ("server", "cli", "testing", "algoprof")}

ONLY_INSIDE_FUNCTIONS = {  # for the cold start of an algorithm, and against circles
    ("settings", "delivery"),
    ("budgets", "recorder"),
    ("sections", "measuring"),
    ("measuring", "limits"),
    ("run_delivery", "delivery"),
    ("run_delivery", "inband"),
    ("watcher", "delivery"),
    ("inband", "profiles"),
    ("delivery", "exporters"),
    ("delivery", "recorder"),
    ("calls", "recorder"),
}

ONLY_FOR_TYPES = {("errors", "profiles"), ("settings", "exporters"), ("watcher", "runs")}

ONLY_IMPORTED_BY = {
    "click": {"cli"},
    "cryptography": {"server"},
    "httpx": {"calls"},
    "jinja2": {"server"},
    "jwt": {"server"},
    "opentelemetry": {"exporters"},
    "packaging": {"bisection"},
    "prometheus_client": {"exporters"},
    "requests": {"calls", "cli"},
    "rich": {"cli", "calls"},
    "starlette": {"server"},
    "uvicorn": {"server"},
}

HEAVY = (
    "asyncio", "click", "collections", "contextlib", "dataclasses", "functools", "httpx", "importlib.metadata",
    "inspect", "json", "logging", "opentelemetry", "prometheus_client", "requests", "rich", "typing",
)  # fmt: skip


class Import(NamedTuple):
    """One name of an import statement, or of a call of import_module."""

    module: str
    line: int
    when: Literal["at once", "inside a function", "for types"]


def tracked(*paths: str) -> list[Path]:
    """Return the files that git knows or would add."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *paths]
    names = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    return [ROOT / name for name in sorted(set(names.split("\0"))) if name and (ROOT / name).is_file()]


def sources() -> list[Path]:
    return [path for path in tracked("algoprof", "exporters") if path.suffix == ".py"]


def dotted(path: Path) -> str:
    """Return the name under which a source file is imported."""
    parts = list(path.relative_to(ROOT).with_suffix("").parts)
    if parts[0] == "exporters":
        parts.insert(0, "algoprof")
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room(module: str) -> str:
    """Return the part of the house that a module of ours stands in."""
    parts = module.split(".")
    if parts == ["algoprof"]:
        return "algoprof"
    return "cli" if parts[1] == "__main__" else parts[1]


def imported_names(node: ast.AST, package: str) -> list[str]:
    """Return the modules that one node of a file imports, in full."""
    match node:
        case ast.Import(names=names):
            return [alias.name for alias in names]
        case ast.ImportFrom(module=module, names=names, level=level):
            above = package.split(".")[: len(package.split(".")) - level + 1] if level else []
            base = ".".join([*above, *([module] if module else [])])
            below = [f"{base}.{alias.name}" for alias in names]
            return [name if base == "algoprof" and room(name) in MAY_IMPORT else base for name in below]
        case ast.Call(
            func=ast.Name(id="import_module" | "__import__") | ast.Attribute(attr="import_module"),
            args=[ast.Constant(value=str(name)), *_],
        ):
            return [name]
    return []


def imports(path: Path) -> Iterator[Import]:
    """Yield what a file imports, inside functions and for type checking too."""
    package = dotted(path) if path.name == "__init__.py" else dotted(path).rpartition(".")[0]
    waiting: list[tuple[ast.AST, str]] = [(ast.parse(path.read_bytes()), "at once")]
    while waiting:
        node, when = waiting.pop()
        yield from (Import(name, node.lineno, when) for name in imported_names(node, package))
        for_types = node.body if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test) else []
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)) and when == "at once":
            when = "inside a function"
        waiting += [(child, "for types" if child in for_types else when) for child in ast.iter_child_nodes(node)]


def ours(module: str) -> bool:
    return module == "algoprof" or module.startswith("algoprof.")


@pytest.fixture(params=sources(), ids=lambda path: str(path.relative_to(ROOT)))
def source(request) -> Path:
    return request.param


def test_a_file_imports_only_what_its_room_may(source):
    here = room(dotted(source))
    wrong = []
    for found in imports(source):
        if not ours(found.module) or (there := room(found.module)) == here:
            continue
        if there not in MAY_IMPORT[here]:
            wrong.append(f"{source}:{found.line}: {here} may not import {found.module}")
        elif (here, there) in ONLY_INSIDE_FUNCTIONS and found.when == "at once":
            wrong.append(f"{source}:{found.line}: {here} imports {found.module} only inside functions")
        elif (here, there) in ONLY_FOR_TYPES and found.when != "for types":
            wrong.append(f"{source}:{found.line}: {here} imports {found.module} only under TYPE_CHECKING")
    assert not wrong, "\n".join(wrong)


def test_a_library_is_imported_only_where_it_is_needed(source):
    here = room(dotted(source))
    wrong = [
        f"{source}:{found.line}: {here} may not import {found.module}"
        for found in imports(source)
        if here not in ONLY_IMPORTED_BY.get(found.module.partition(".")[0], {here})
    ]
    assert not wrong, "\n".join(wrong)


def test_every_room_is_in_the_tables():
    assert {room(dotted(path)) for path in sources()} <= set(MAY_IMPORT)


def test_the_import_reader_sees_every_kind(tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    file = tmp_path / "exporters" / "inner" / "module.py"
    file.parent.mkdir(parents=True)
    file.write_text(
        "import algoprof.calls\nfrom algoprof import server, profile\nfrom . import x\nfrom ..text import y\n"
        "from ...cli import z\nif TYPE_CHECKING:\n    import rich\nelse:\n    import click\n"
        "def f():\n    import requests.adapters\n    importlib.import_module('algoprof.delivery')\n"
    )
    found = {(imported.module, imported.when) for imported in imports(file)}
    assert found == {
        ("algoprof.calls", "at once"),
        ("algoprof.server", "at once"),
        ("algoprof", "at once"),
        ("algoprof.exporters.inner", "at once"),
        ("algoprof.exporters.text", "at once"),
        ("algoprof.cli", "at once"),
        ("rich", "for types"),
        ("click", "at once"),
        ("requests.adapters", "inside a function"),
        ("algoprof.delivery", "inside a function"),
    }


def test_importing_algoprof_loads_nothing_heavy(bare_python):
    loaded = set(bare_python("import sys, algoprof; print(*sys.modules)").split())
    assert "algoprof" in loaded
    assert loaded.isdisjoint(HEAVY)


def test_the_public_names_are_declared_once_and_sorted(bare_python):
    import algoprof

    bound = bare_python(
        "import algoprof, types\n"
        "print(*(n for n, v in vars(algoprof).items() if n[0] != '_' and not isinstance(v, types.ModuleType)))"
    ).split()
    assert algoprof.__all__ == sorted(algoprof.__all__)
    assert set(algoprof.__all__) == {*bound, *algoprof._LAZY, "__version__"} - {"TYPE_CHECKING"}


def test_no_public_name_is_the_name_of_a_module(run_python):
    done = run_python(
        """
        import pkgutil, types
        import algoprof

        for module in pkgutil.walk_packages(algoprof.__path__, "algoprof."):
            if module.name not in ("algoprof.__main__", "algoprof.server.hosting.bootstrap"):  # these run when imported
                __import__(module.name)
        print([name for name in algoprof.__all__ if isinstance(getattr(algoprof, name), types.ModuleType)])
        """
    )
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_mypy_checks_every_file_that_git_lists(monkeypatch):
    monkeypatch.chdir(ROOT)
    checked = [Path(source.path).resolve() for source in create_source_list(["algoprof"], Options())]
    assert sorted(checked) == sorted(sources())


def test_no_file_is_longer_than_a_reader_can_hold():
    long = {
        str(path.relative_to(ROOT)): lines
        for path in tracked()
        if path.suffix in (".py", ".pyx", ".pxi", ".h", ".sh") or path.name == "Makefile"
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > 500
    }
    assert long == {}


def test_no_file_has_the_marks_of_an_unfinished_merge():
    marks = re.compile(r"^(<{7}|>{7}) ", re.MULTILINE)
    assert [str(path.relative_to(ROOT)) for path in tracked() if marks.search(path.read_text("utf-8", "replace"))] == []


# Written so that they do not match themselves.
MACHINES_AND_HOSTS = re.compile(
    r"/wor[k]/|/roo[t]/|/home/(?!algo\b)[a-z]|/opt/pyp[i]|pypi\.or[g]|pythonhosted\.or[g]|/tmp/bash_job[s]"
)


def test_no_tracked_file_names_a_machine_or_a_registry():
    found = [
        f"{path.relative_to(ROOT)}:{number}: {match[0]}"
        for path in tracked()
        if not path.is_symlink()
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1)
        if (match := MACHINES_AND_HOSTS.search(line))
    ]
    assert found == []


def documented_commands() -> Iterator[tuple[str, list[str]]]:
    """Yield each `make ...` and `algoprof ...` that a page shows, as where it stands and its words."""
    for page in tracked("*.md"):
        if page.name == "CHANGELOG.md":
            continue
        text = page.read_text(encoding="utf-8")
        fenced = "\n".join(re.findall(r"^```.*?^```", text, re.MULTILINE | re.DOTALL))
        shown = re.findall(r"^(?:\$ )?((?:make|algoprof) .+)$", fenced, re.MULTILINE)
        for command in shown + re.findall(r"`((?:make|algoprof) [^`\n]+)`", text):
            yield f"{page.relative_to(ROOT)}: {command}", re.split("[#|]", command)[0].split()


def test_every_command_in_the_pages_exists():
    import click

    from algoprof.cli.main import main

    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    seen = []
    for where, (program, name, *rest) in documented_commands():
        seen.append((program, name))
        if program == "make":
            assert name in targets, where
            continue
        command = main.get_command(click.Context(main), name)
        assert command is not None, where
        while isinstance(command, click.Group) and rest:
            command = command.get_command(click.Context(command), rest.pop(0))
            assert command is not None, where
        options = {option for parameter in command.params for option in parameter.opts} | {"--help"}
        asked = {word.partition("=")[0] for word in rest if word.startswith("-")}
        assert asked <= options, f"{where}: there is no {', '.join(asked - options)}"
    assert {("make", "demo"), ("make", "test")} <= set(seen)
