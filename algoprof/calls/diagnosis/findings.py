"""What is known about a failure before it is put into words, and what words it is put into."""

import re
from dataclasses import dataclass, field
from typing import NamedTuple

from algoprof.calls.diagnosis.logs import Step
from algoprof.calls.diagnosis.reasons import Reason
from algoprof.calls.diagnosis.requirements import Requirement, ordered

_LONGEST = 200  # characters of the log's words within a sentence


class Words(NamedTuple):
    """A sentence and what to try."""

    sentence: str
    advice: tuple[str, ...]


@dataclass(slots=True)
class Found:
    """What is known about a failure, before it is put into words. See `Diagnosis` for what is not said here.

    Args:
        groups: what the telling line named: `what`, `url`, `versions`.
        said: the package's own words, where its setup failed.
        wanted: who wants which version, in a conflict.
        requirement: what could not be found.
        trouble: what kind of trouble with the network it was.
        ignored: versions that were passed over, since they are for other Pythons; pip does not say of which packages.
        alone: whether pip had looked at no other package before, so that those versions are this one's.
        local: the folder of the package, where it is the project's own.
        indexes: where pip looked, if not in the usual place.
    """

    reason: Reason
    package: str = ""
    version: str = ""
    wanted_by: str = ""
    step: Step | None = None
    exit_code: int | None = None
    evidence: tuple[str, ...] = ()
    line: int = 0
    python: str = ""
    groups: dict[str, str] = field(default_factory=dict)
    said: str = ""
    wanted: tuple[str, ...] = ()
    requirement: Requirement | None = None
    trouble: dict[str, str] = field(default_factory=dict)
    ignored: str = ""
    alone: bool = False
    local: str = ""
    indexes: tuple[str, ...] = ()

    @property
    def what(self) -> str:
        """What the telling line is about, short enough for a sentence."""
        return short(self.groups.get("what", ""))

    @property
    def named(self) -> str:
        """The package and its version, as far as they are known; `a package` if not even that."""
        return f"{self.package} {self.version}".strip() or "a package"

    @property
    def offered(self) -> list[str]:
        """The versions that pip saw, oldest first."""
        listed = self.groups.get("versions", "none")
        return [] if listed == "none" else [word for word in listed.split(", ") if re.match(r"\d", word)]

    @property
    def newest(self) -> str:
        """The newest of those, a release rather than a preview; empty without one."""
        releases = [version for version in self.offered if re.fullmatch(r"[\d.]+(?:\.post\d+)?", version)]
        return max(releases or self.offered, key=ordered, default="")

    def other_python(self) -> bool:
        """Whether what was not found is there, but not for this Python: where pip says so, or saw newer ones only."""
        if self.step and "--only-binary" in self.step.instruction:
            return bool(self.offered) or not self.groups.get("versions")
        asked = ordered(self.version)
        releases = [ordered(version) for version in self.offered]
        if self.version and re.search(rf"(?<![\w.]){re.escape(self.version)} Requires-Python", self.ignored):
            return True
        if self.ignored and not releases:
            return self.alone
        return bool(asked and releases and asked < min(releases))


def short(text: str) -> str:
    """Return a text in one line, short enough for a sentence."""
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
