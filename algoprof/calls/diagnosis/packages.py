"""Which packages a log speaks of, line by line: asked for, being built, installed."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from algoprof.calls.diagnosis.logs import Line, Step
from algoprof.calls.diagnosis.requirements import Requirement, installed, named_by_file, normal, parse

_COLLECTING = re.compile(r"\s*(?:Collecting|Obtaining) (.+?)(?: \(from (.*)\))?")
_PRESENT = re.compile(r"\s*Requirement already satisfied: (.+?) in \S+(?: \(from (.*)\))? \(([\w.!+-]{1,60})\)")
_PRESENT_TOO = re.compile(r"\s*Requirement already satisfied: (.+?) in \S+ \(from (.*)\) \(([\w.!+-]{1,60})\)")
_PROCESSING = re.compile(r"\s*Processing (\S+)")
_BUILDING = re.compile(
    r"\s*(?:ERROR: )?(?:Building wheel for|Running setup\.py (?:install|bdist_wheel) for|Failed building wheel for)"
    r" ([A-Za-z0-9._-]{1,100})"
)
_INSTALLED = "Successfully installed "
_INDEXES = "Looking in indexes: "
_IMAGE = re.compile(r"FROM \S{0,200}python:(\d\.\d{1,2}(?:\.\d{1,2})?)")
_PYTHON = re.compile(
    r"environment [0-9a-f]{8,64}: Python (\d\.\d{1,2}\.\d{1,2})"
    r"|requires a different Python: (\d\.\d{1,2}\.\d{1,2}) not in"
    r"|/python(3\.\d{1,2})/"
)


@dataclass(slots=True)
class Packages:
    """What a log said of packages, up to some line.

    Args:
        current: the package that pip works at.
        versions: the version of each that is named by a file, by normal name.
        direct: those that the requirements ask for themselves, by normal name.
        dependencies: whether the log says which packages are wanted by others: old pips do not.
        installed: the version of each that was installed, by name.
        local: the folder of each that is the project's own, by name.
        python: the version of Python.
        indexes: where pip looked, if not in the usual place.
    """

    current: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    direct: dict[str, Requirement] = field(default_factory=dict)
    dependencies: bool = False
    installed: dict[str, str] = field(default_factory=dict)
    local: dict[str, str] = field(default_factory=dict)
    python: str = ""
    indexes: tuple[str, ...] = ()

    def start(self, steps: Iterable[Step]) -> None:
        """Take note of the image that the build begins with."""
        for step in steps:
            image = _IMAGE.match(step.instruction)
            self.python = image[1] if image else self.python

    def take(self, line: Line) -> None:
        """Take note of what one line says."""
        text = line.text
        if text.startswith(_INDEXES):
            self.indexes = tuple(text.removeprefix(_INDEXES).split(", ")[:9])
            return
        if text.startswith(_INSTALLED):
            self.installed |= installed(text.removeprefix(_INSTALLED))
            return
        asked = _COLLECTING.fullmatch(text)
        present = _PRESENT.fullmatch(text) or _PRESENT_TOO.fullmatch(text)
        if asked:
            self._asked(asked[1], asked[2], "")
        elif present:
            self._asked(present[1], present[2], present[3])
        else:
            self._worked_at(text)
        if not self.python and (found := _PYTHON.search(text)):
            self.python = next(filter(None, found.groups()))

    def version(self, package: str) -> str:
        """Return the version of a package, as far as the log says it; else empty."""
        known = self.direct.get(normal(package))
        return self.versions.get(normal(package)) or (known.version if known else "")

    def unpinned(self) -> tuple[str, ...]:
        """Return the requirements that allow several versions, where the log tells them from what others want."""
        return tuple(str(one) for one in self.direct.values() if not one.pinned) if self.dependencies else ()

    def _asked(self, text: str, wanted_by: str | None, version: str) -> None:
        requirement = parse(text)
        if requirement is None:
            if text.partition("+")[0] in ("git", "hg", "svn"):
                self.current = re.split(r"[@#]", text)[0].removesuffix(".git").rpartition("/")[2]
            return
        self.current = requirement.name
        if version:
            self.installed.setdefault(requirement.name, version)
        if requirement.version:
            self.versions.setdefault(normal(requirement.name), requirement.version)
        if wanted_by is not None:
            self.dependencies = True
        if wanted_by is None or (wanted_by.startswith("-r ") and "->" not in wanted_by):
            self.direct.setdefault(normal(requirement.name), requirement)

    def _worked_at(self, text: str) -> None:
        processing, building = _PROCESSING.fullmatch(text), _BUILDING.match(text)
        file = named_by_file(text) if text.endswith((")", ".whl", ".gz", ".zip", ".bz2")) else None
        if file:
            self.versions[normal(file[0])] = file[1]
        if processing:
            self.current = file[0] if file else processing[1].rstrip("/").rpartition("/")[2]
            if not file:
                self.local[self.current] = processing[1]
        elif building:
            self.current = building[1]
