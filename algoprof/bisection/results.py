"""What a bisection has found, as plain data: the lines at fault, why, and what to write instead."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from algoprof.bisection.requirement_lines import Line
from algoprof.bisection.verdicts import Mode, Verdict

Outcome = Literal["installs", "repaired", "not_repaired", "undecided"]
"""How it ended: nothing was wrong, versions were found, none were found, or the machine or its network failed."""


@dataclass(frozen=True, slots=True)
class Change:
    """Another version for one package.

    Args:
        line: the line that is to change, as it is in its file; its number is 0 where one is to be added.
        package: the package.
        version: the version that installs.
        was: the version, or the versions, that were asked for; empty for any.
        text: what to write.
    """

    line: Line
    package: str
    version: str
    was: str
    text: str


@dataclass(frozen=True, slots=True)
class Fault:
    """A smallest set of lines that does not install: without any one of them, the others do.

    Args:
        lines: those.
        verdict: what pip made of them.
        mode: how far pip went.
        changes: what makes them install; empty if nothing was found.
    """

    lines: tuple[Line, ...]
    verdict: Verdict
    mode: Mode
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True, slots=True)
class Bisection:
    """What a bisection has found.

    Args:
        path: the requirements file.
        outcome: how it ended.
        lines: how many lines ask for something.
        faults: what was found to fail, one after the other, as each was repaired before the next was looked for.
        changes: what is to be written in all, at most one for each line; where some faults could not be repaired, what
            repairs the others.
        trials: how often pip was asked.
        known: how many of its answers were known from before.
        seconds: how long it took.
        sentence: why it is undecided; empty otherwise.
        advice: what to do about that.
        without_hashes: whether the file's hashes were left out, so that new ones have to be written.
    """

    path: Path
    outcome: Outcome
    lines: int
    faults: tuple[Fault, ...]
    changes: tuple[Change, ...]
    trials: int
    known: int
    seconds: float
    sentence: str = ""
    advice: tuple[str, ...] = ()
    without_hashes: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON value."""
        return {
            "requirements": str(self.path),
            "outcome": self.outcome,
            "lines": self.lines,
            "faults": [
                {
                    "lines": [_line(one) for one in fault.lines],
                    "found_by": fault.mode,
                    "sentence": fault.verdict.sentence,
                    "diagnosis": fault.verdict.diagnosis.to_json(),
                    "changes": _changes(fault.changes),
                }
                for fault in self.faults
            ],
            "changes": _changes(self.changes),
            "sentence": self.sentence,
            "advice": list(self.advice),
            "without_hashes": self.without_hashes,
            "trials": self.trials,
            "known": self.known,
            "seconds": self.seconds,
        }


def _line(line: Line) -> dict[str, Any]:
    return {"file": str(line.file), "line": line.first, "text": line.text}


def _changes(changes: Sequence[Change]) -> list[dict[str, Any]]:
    return [
        {"package": one.package, "version": one.version, "was": one.was, "requirement": one.text, **_line(one.line)}
        for one in changes
    ]
