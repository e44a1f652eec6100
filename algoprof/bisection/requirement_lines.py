"""A requirements.txt as lines that can be tried by themselves: includes followed, options and constraints kept."""

import codecs
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from algoprof.errors import FileProblem

_LARGEST = 4 * 1024 * 1024  # bytes of a file
_MOST_FILES = 200
_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}  # the longer ones first: one begins with another
_COMMENT = re.compile(r"(?:^|\s+)#.*$")
_VARIABLE = re.compile(r"\$\{([A-Z0-9_]+)\}")
_OPTION = re.compile(r"(-[a-zA-Z]|--[a-z][a-z-]*)(?:\s*=\s*|\s*)(.*)")
_OF_A_REQUIREMENT = re.compile(r"\s--?[a-z].*$")  # --hash, --config-settings
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_INCLUDES = ("-r", "--requirement")
_CONSTRAINS = ("-c", "--constraint")
_FOLDERS = ("-f", "--find-links")
_OF_A_FILE = frozenset(
    {"-i", "--index-url", "--extra-index-url", "--no-index", "-f", "--find-links", "--no-binary", "--only-binary"}
    | {"--prefer-binary", "--require-hashes", "--pre", "--trusted-host", "--use-feature", "--all-releases"}
    | {"--only-final", "--pypi-url"}
)


@dataclass(frozen=True, slots=True)
class Line:
    """One line that asks for something; where it is continued, all of it.

    Args:
        text: as pip is to read it, without its comment and with the paths of other files absolute.
        file: where it stands.
        first: the number of its first line there, from 1; 0 for a line that is to be added.
        last: the number of its last line.
        requirement: what it asks for by name; None for a path, an address, and what cannot be read.
    """

    text: str
    file: Path
    first: int
    last: int
    requirement: Requirement | None = None

    @property
    def name(self) -> str:
        """The package's name as indexes compare it; empty where the line has none."""
        return canonicalize_name(self.requirement.name) if self.requirement else ""

    @property
    def changeable(self) -> bool:
        """Whether another version can be asked for: not of what comes from an address."""
        return self.requirement is not None and not self.requirement.url

    @property
    def asked(self) -> str:
        """The one version that it allows; empty if it allows several."""
        found = [one for one in self.requirement.specifier if one.operator in ("==", "===")] if self.requirement else []
        return found[0].version if len(found) == 1 and not found[0].version.endswith("*") else ""

    def with_specifier(self, specifier: str) -> str:
        """Return what it asks for with other versions, hashes and comment left out.

        >>> line("six[fast]>=1 ; python_version > '3'  # old code").with_specifier("==1.16.0")
        'six[fast]==1.16.0; python_version > "3"'
        """
        assert self.requirement is not None  # noqa: S101  (for the type checker: it is changeable)
        extras = f"[{','.join(sorted(self.requirement.extras))}]" if self.requirement.extras else ""
        marker = f"; {self.requirement.marker}" if self.requirement.marker else ""
        return f"{self.requirement.name}{extras}{specifier}{marker}"

    def __str__(self) -> str:
        return self.text


@dataclass(slots=True)
class Requirements:
    """What a requirements.txt and those that it includes say.

    Args:
        path: the file that was named.
        lines: what is asked for, in order.
        options: where and how pip is to look, and the constraints; they hold for every line.
        files: every file that was read.
        constraints: the files of constraints.
    """

    path: Path
    lines: list[Line] = field(default_factory=list)
    options: list[str] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)
    constraints: list[Path] = field(default_factory=list)


def line(text: str, file: Path = Path("requirements.txt"), first: int = 0, last: int = 0) -> Line:
    """Return a line that asks for something.

    >>> line("Flask[async]>=2 --hash=sha256:00").name, line("./vendor/routing").requirement
    ('flask', None)
    """
    text = _COMMENT.sub("", text).strip()
    try:
        requirement = None if text.startswith("-") else Requirement(_OF_A_REQUIREMENT.sub("", text))
    except InvalidRequirement:
        requirement = None
    return Line(text, file, first, last, requirement)


def read(path: Path) -> Requirements:
    """Read a requirements file, or that of a folder, and what it includes.

    Raises:
        FileProblem: if there is none, or it is too large, includes itself, or includes too many.
        OSError: if it cannot be read.
    """
    if path.is_dir():
        path = path / "requirements.txt"
    if not path.exists():
        raise FileProblem(path, "there is no such file; name a requirements.txt, or the folder that holds it")
    found = Requirements(path.absolute())
    _read(found.path, found, ())
    return found


def decoded(content: bytes) -> tuple[str, str]:
    r"""Return a file's text and its encoding, as pip finds them out.

    >>> decoded("six\n".encode("utf-16"))
    ('six\n', 'utf-16')
    """
    for mark, encoding in _MARKS.items():
        if content.startswith(mark):
            return content.decode(encoding, "replace"), encoding
    try:
        return content.decode(), "utf-8"
    except UnicodeDecodeError:
        return content.decode("latin-1"), "latin-1"


def logical_lines(text: str) -> Iterator[tuple[int, int, str]]:
    r"""Yield the first and the last number of each line of a file, and the line: one that is continued is one.

    >>> list(logical_lines("six \\\n  ==1.16.0\nidna\n"))
    [(1, 2, 'six   ==1.16.0'), (3, 3, 'idna')]
    """
    parts: list[str] = []
    begun = 1
    number = 0
    for number, raw in enumerate(text.splitlines(), 1):
        comment = raw.lstrip().startswith("#")
        if not parts:
            begun = number
        if raw.endswith("\\") and not comment:
            parts.append(raw[:-1])
            continue
        yield begun, number, "".join((*parts, " " * comment + raw))
        parts = []
    if parts:
        yield begun, number, "".join(parts)


def _read(path: Path, found: Requirements, above: tuple[Path, ...]) -> None:
    if path in above:
        raise FileProblem(path, "includes itself; remove the line that does")
    if len(found.files) >= _MOST_FILES:
        raise FileProblem(path, f"is one of more than {_MOST_FILES} files that include each other")
    content = path.read_bytes()
    if len(content) > _LARGEST:
        raise FileProblem(path, f"is over {_LARGEST:,} bytes, so it is no requirements file")
    found.files.append(path)
    for first, last, raw in logical_lines(decoded(content)[0]):
        text = _COMMENT.sub("", raw).strip()
        if not text:
            continue
        option = _OPTION.fullmatch(text)
        if option is None:
            found.lines.append(line(text, path, first, last))
            continue
        name, value = option[1], _expanded(option[2])
        elsewhere = path.parent / value
        if name in _INCLUDES and not _ADDRESS.match(value) and elsewhere.is_file():
            _read(Path(os.path.normpath(elsewhere)), found, (*above, path))
        elif name in _CONSTRAINS or name in _OF_A_FILE:
            found.options.append(_option(text, name, value, path.parent))
            if name in _CONSTRAINS and elsewhere.is_file():
                found.constraints.append(elsewhere)
        else:  # -e, what is included from elsewhere or is not there, and what pip may not know
            text = f"{name} {elsewhere}" if name in _INCLUDES and not _ADDRESS.match(value) else text
            found.lines.append(line(text, path, first, last))


def _option(text: str, name: str, value: str, directory: Path) -> str:
    """Return an option as it is to be given from another folder."""
    if _ADDRESS.match(value) or not (name in _CONSTRAINS or (name in _FOLDERS and (directory / value).exists())):
        return text
    return f"{name} {directory / value}"


def _expanded(text: str) -> str:
    """Return a text with the variables that pip puts in."""
    return _VARIABLE.sub(lambda found: os.environ.get(found[1]) or found[0], text)
