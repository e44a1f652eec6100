"""What pip made of some requirements: whether they install, what it chose, and if not why, as plain data."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from packaging.utils import canonicalize_name

from algoprof.calls.diagnosis import Diagnosis, Reason, diagnose

Mode = Literal["resolve", "install"]
"""How far pip goes: `resolve` chooses versions and builds nothing, `install` does all of it."""

_OF_THE_MACHINE = (Reason.access_denied, Reason.disk_full, Reason.killed, Reason.network, Reason.permission_denied)
_IN_CHOOSING = (
    Reason.conflict,
    Reason.file_missing,
    Reason.invalid_requirement,
    Reason.no_matching_distribution,
    Reason.no_wheel_for_this_python,
)
_LARGEST_LOG = 256 * 1024  # characters that are kept of a log, half of them of each end


@dataclass(frozen=True)
class Verdict:
    """What pip made of some requirements.

    Args:
        passed: whether they install, as far as pip was to go.
        seconds: how long that took.
        log: what pip printed.
        chosen: the version of each package that pip chose, by normal name.
        wants: the packages that each of them asks for, by normal name.
        timed_out: after how many seconds it was stopped; None if it was not.
        known: whether it was known from before.
    """

    passed: bool
    seconds: float
    log: str
    chosen: Mapping[str, str] = field(default_factory=dict)
    wants: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    timed_out: float | None = None
    known: bool = False

    @cached_property
    def diagnosis(self) -> Diagnosis:
        """Why they do not install."""
        return diagnose(self.log, status="succeeded" if self.passed else "failed")

    @property
    def sentence(self) -> str:
        """The same in one sentence."""
        if self.timed_out is not None:
            return f"pip had not finished after {self.timed_out:g} s"
        return self.diagnosis.sentence

    @property
    def culprit(self) -> str:
        """The normal name of the package at fault; empty if none is named."""
        return canonicalize_name(self.diagnosis.package) if self.diagnosis.package else ""

    @property
    def undecided(self) -> bool:
        """Whether it says something of the machine and its network, and so nothing of the requirements."""
        return not self.passed and self.timed_out is None and self.diagnosis.reason in _OF_THE_MACHINE

    @property
    def resolving(self) -> bool:
        """Whether it failed while pip chose versions, before it built or installed anything."""
        return self.timed_out is None and self.diagnosis.reason in _IN_CHOOSING

    def leading_to(self, package: str) -> set[str]:
        """Return the packages that ask for one, however indirectly, itself included."""
        found, added = set[str](), {package}
        while added:
            found |= added
            added = {name for name, wanted in self.wants.items() if found.intersection(wanted)} - found
        return found

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON value."""
        half = _LARGEST_LOG // 2
        log = self.log if len(self.log) <= _LARGEST_LOG else f"{self.log[:half]}\n...\n{self.log[-half:]}"
        return {
            "passed": self.passed,
            "seconds": self.seconds,
            "log": log,
            "chosen": dict(self.chosen),
            "wants": {name: list(wanted) for name, wanted in self.wants.items()},
            "timed_out": self.timed_out,
        }


def from_json(value: Any) -> Verdict:
    """Return a verdict that was kept.

    Raises:
        ValueError, TypeError, KeyError, AttributeError: if the value is none.

    >>> from_json(Verdict(True, 1.5, "", {"six": "1.17.0"}).to_json()).chosen
    {'six': '1.17.0'}
    """
    timed_out = value["timed_out"]
    return Verdict(
        bool(value["passed"]),
        float(value["seconds"]),
        str(value["log"]),
        {str(name): str(version) for name, version in value["chosen"].items()},
        {str(name): tuple(map(str, wanted)) for name, wanted in value["wants"].items()},
        None if timed_out is None else float(timed_out),
        known=True,
    )


def chosen_in(report: Any) -> tuple[dict[str, str], dict[str, tuple[str, ...]]]:
    """Return which versions pip's installation report has, and what each package asks for, by normal name.

    >>> chosen_in({"install": [{"metadata": {"name": "A.b", "version": "1", "requires_dist": ["c>=1; x"]}}]})
    ({'a-b': '1'}, {'a-b': ('c',)})
    """
    chosen: dict[str, str] = {}
    wants: dict[str, tuple[str, ...]] = {}
    for one in report.get("install", ()):
        metadata = one["metadata"]
        name = canonicalize_name(metadata["name"])
        chosen[name] = str(metadata["version"])
        wants[name] = tuple(_names(metadata.get("requires_dist") or ()))
    return chosen, wants


def _names(requirements: Iterable[str]) -> Iterable[str]:
    for text in requirements:
        end = next((number for number, letter in enumerate(text) if not (letter.isalnum() or letter in "-_.")), None)
        yield canonicalize_name(text[:end])
