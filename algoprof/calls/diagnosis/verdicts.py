"""What is found out about a build from its log, as plain data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from algoprof.calls.diagnosis.logs import Step
from algoprof.calls.diagnosis.reasons import Reason

Outcome = Literal["failed", "succeeded", "unfinished", "no_log"]
"""How the build ended: `unfinished` where the log stops before it says, `no_log` where there is nothing to read."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Why a build failed, as far as its log tells.

    Args:
        outcome: how it ended.
        sentence: all of it in one sentence.
        reason: why it failed; None if it did not.
        package: the package at fault; empty if none is.
        version: its version, as far as it is known.
        wanted_by: the package that asks for it; empty if the requirements do themselves, or nobody knows.
        step: the step that failed; None where steps are not told.
        exit_code: the exit status of that step; None where it is not told.
        evidence: the lines of the log that say so.
        line: the number of the first of them, from 1; 0 without one.
        advice: what to try, the most promising first.
        python: the version of Python that built, as far as it is known.
        unpinned: the requirements that allow several versions, as far as they are known.
        installed: the version of each package that was installed, by name.
        left_out: characters in the middle of the log that were not read, since there were too many.
    """

    outcome: Outcome
    sentence: str
    reason: Reason | None = None
    package: str = ""
    version: str = ""
    wanted_by: str = ""
    step: Step | None = None
    exit_code: int | None = None
    evidence: tuple[str, ...] = ()
    line: int = 0
    advice: tuple[str, ...] = ()
    python: str = ""
    unpinned: tuple[str, ...] = ()
    installed: Mapping[str, str] = field(default_factory=dict)
    left_out: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON value."""
        step = self.step
        return {
            "outcome": self.outcome,
            "reason": self.reason.value if self.reason else None,
            "sentence": self.sentence,
            "package": self.package,
            "version": self.version,
            "wanted_by": self.wanted_by,
            "step": step
            and {"number": step.number, "total": step.total, "instruction": step.instruction, "line": step.line},
            "exit_code": self.exit_code,
            "evidence": list(self.evidence),
            "line": self.line,
            "advice": list(self.advice),
            "python": self.python,
            "unpinned": list(self.unpinned),
            "installed": dict(self.installed),
            "left_out": self.left_out,
        }
