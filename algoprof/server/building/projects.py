"""What kind of algorithm a folder holds, who owns it, what it is called, and where its `apply` is."""

import ast
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from algoprof.errors import ProjectError

Kind = Literal["adk", "apply"]
"""How a worker runs it: `adk` when the module's own ADK reads the requests, else the worker calls its `apply`."""

CONFIGURATION = "algorithmia.conf"
REQUIREMENTS = "requirements.txt"
DEFAULT_OWNER = "local"
"""The owner of a project without a configuration."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,29}")
_SOURCE_LIMIT = 10 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Project:
    """A folder that can be hosted.

    Args:
        path: the folder, absolute.
        owner: the first part of the algorithm's name.
        name: the second part.
        kind: how a worker runs it.
        module: what a worker imports, with the folder as root, such as `src.Routes`.
    """

    path: Path
    owner: str
    name: str
    kind: Kind
    module: str

    @property
    def algorithm(self) -> str:
        """`OWNER/NAME`."""
        return f"{self.owner}/{self.name}"


def find(directory: str | Path) -> Project:
    """Find out what a folder holds.

    Three shapes are known: an ADK project (a file `.adk`, or a source that makes an `ADK`), the classic
    `src/NAME.py` with a function `apply`, and any single module with `apply` in the folder or its `src`.

    Raises:
        ProjectError: if it holds nothing that can be hosted; the message names the file and says what to do.
    """
    path = Path(directory).resolve()
    if not str(directory) or not path.is_dir():
        raise ProjectError(str(directory) or "''", "is no folder; give the folder that holds the algorithm")
    owner, name = _identity(path)
    source = _source(path, name)
    names = _names_bound(source)
    makes_adk = names.adk or (path / ".adk").exists()
    if not makes_adk and "apply" not in names.bound:
        raise ProjectError(source, "has no function 'apply'; define 'def apply(input): ...' in it")
    module = ".".join(source.relative_to(path).with_suffix("").parts)
    return Project(path, owner, name, "adk" if makes_adk else "apply", module)


def _identity(path: Path) -> tuple[str, str]:
    file = path / CONFIGURATION
    if not file.exists():
        return DEFAULT_OWNER, _folder_name(path)
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ProjectError(file, f"is not readable as JSON ({error}); write {_example()}") from None
    if not isinstance(content, dict):
        raise ProjectError(file, f"is JSON but no object; write {_example()}")
    found = []
    for key in ("username", "algoname"):
        value = content.get(key)
        if not isinstance(value, str) or not _NAME.fullmatch(value):
            given = "missing" if value is None else f"{value!r:.60}"
            raise ProjectError(
                file, f"{key} is {given}; it must be letters, digits and _, start with a letter and have at most 30"
            )
        found.append(value)
    return found[0], found[1]


def _example() -> str:
    return '{"username": "demo", "algoname": "Hello"}'


def _folder_name(path: Path) -> str:
    name = re.sub(r"\W", "_", path.name, flags=re.ASCII)[:30]
    if not _NAME.fullmatch(name):
        raise ProjectError(path, f"its folder name makes no algorithm name; add {CONFIGURATION} with {_example()}")
    return name


def _source(path: Path, name: str) -> Path:
    """Return the file that a worker imports."""
    for candidate in (path / "src" / f"{name}.py", path / "src" / "Algorithm.py", path / f"{name}.py"):
        if candidate.is_file():
            return candidate
    folders = [folder for folder in (path / "src", path) if folder.is_dir()]
    for folder in folders:
        modules = sorted(file for file in folder.glob("*.py") if file.stem.isidentifier() and file.name != "setup.py")
        usable = [file for file in modules if _hostable(file)]
        if len(usable) == 1:
            return usable[0]
        if usable:
            several = ", ".join(str(file.relative_to(path)) for file in usable)
            raise ProjectError(
                path, f"several files could be the algorithm ({several}); add {CONFIGURATION} with {_example()}"
            )
        if len(modules) == 1 and folder is folders[-1]:
            return modules[0]  # whose lack of `apply` is then told by its name
    raise ProjectError(path, f"has no algorithm: make src/{name}.py with 'def apply(input): ...' in it")


def _hostable(file: Path) -> bool:
    names = _names_bound(file)
    return names.adk or "apply" in names.bound


@dataclass(frozen=True, slots=True)
class _Names:
    bound: frozenset[str]
    adk: bool


def _names_bound(file: Path) -> _Names:
    """Return the names that a module binds at its top level, and whether it makes an ADK."""
    if file.stat().st_size > _SOURCE_LIMIT:
        raise ProjectError(file, "is larger than 10 MiB, so it is not read as the algorithm's source")
    try:
        tree = ast.parse(file.read_bytes(), filename=str(file))
    except SyntaxError as error:
        where = f"line {error.lineno}: " if error.lineno else ""
        raise ProjectError(file, f"{where}{error.msg}; correct it and build again") from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise ProjectError(file, f"is not readable as Python ({error or type(error).__name__})") from None
    bound: set[str] = set()
    for statement in _top_level(tree.body):
        match statement:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                bound.add(name)
            case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                bound.update("apply" if alias.name == "*" else alias.asname or alias.name for alias in aliases)
            case _:
                bound.update(
                    node.id
                    for node in ast.walk(statement)
                    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
                )
    return _Names(frozenset(bound), any(_makes_adk(node) for node in ast.walk(tree)))


def _makes_adk(node: ast.AST) -> bool:
    match node:
        case ast.Call(func=ast.Name(id="ADK") | ast.Attribute(attr="ADK")):
            return True
        case ast.ImportFrom(module="adk" | "adk.ADK" | "Algorithmia", names=aliases):
            return any(alias.name == "ADK" for alias in aliases)
        case _:
            return False


def _top_level(statements: list[ast.stmt]) -> list[ast.stmt]:
    """Return module-level statements, those within `if` and `try` included."""
    flat: list[ast.stmt] = []
    for statement in statements:
        flat.append(statement)
        for part in ("body", "orelse", "finalbody"):
            if isinstance(statement, (ast.If, ast.Try, ast.With)):
                flat.extend(_top_level(getattr(statement, part, [])))
        if isinstance(statement, ast.Try):
            for handler in statement.handlers:
                flat.extend(_top_level(handler.body))
    return flat
