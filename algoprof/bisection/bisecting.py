"""The bisection itself: what fails, which lines it takes for that, and what to write instead, until all installs."""

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from algoprof.bisection import requirement_lines
from algoprof.bisection.kept import Kept
from algoprof.bisection.minimizing import smallest
from algoprof.bisection.pips import Pip
from algoprof.bisection.probing import Prober, Trial, suspects_in
from algoprof.bisection.repairing import Repairer, changed
from algoprof.bisection.requirement_lines import Line, Requirements
from algoprof.bisection.results import Bisection, Change, Fault, Outcome
from algoprof.bisection.verdicts import Mode, Verdict
from algoprof.calls.diagnosis import Reason
from algoprof.errors import BisectionUndecided
from algoprof.server.building import wheel

DEFAULT_LIMIT = 600.0
"""Seconds that pip may take for one trial."""

_ROUNDS = 20  # faults that are repaired one after the other
_HASH = re.compile(r"\s+--hash[=\s]\S+")
_NOT_BY_VERSION = (Reason.hash_mismatch, Reason.file_missing, Reason.invalid_requirement, Reason.damaged_package)


def bisect(
    path: Path,
    *,
    data: Path,
    python: str,
    limit: float = DEFAULT_LIMIT,
    fresh: bool = False,
    tell: Callable[[Trial], None] = lambda _: None,
    told: Callable[[Fault], None] = lambda _: None,
) -> Bisection:
    """Find the smallest set of requirements that does not install, and the nearest versions that do.

    Args:
        path: a requirements.txt, or the folder of one.
        data: the folder where trials are kept, in a folder of their own.
        python: the interpreter to install for.
        limit: seconds that pip may take for one trial; one that takes longer has failed.
        fresh: whether to leave aside what is known from before.
        tell: is told each trial.
        told: is told each fault once it is found, before it is repaired, and again when it is.

    Raises:
        FileProblem: if there is no such file, or it includes itself.
        AlgoprofError: if there is no pip, or no such Python.
    """
    began = time.monotonic()
    requirements = requirement_lines.read(path)
    kept = Kept(data / "bisections", fresh=fresh)
    kept.sweep()
    own = [f"algoprof @ {wheel.build(data / 'wheels').as_uri()}"] if _wants_us(requirements) else []
    with Pip(python, requirements.path.parent) as pip:
        probe = Prober(requirements, pip, kept, limit=limit, tell=tell, constraints=own)
        search = _Search(requirements, probe, told)
        sentence, advice = "", tuple[str, ...]()
        try:
            outcome = search.run()
        except BisectionUndecided as undecided:
            outcome, sentence, advice = "undecided", undecided.sentence, undecided.advice
    return Bisection(
        requirements.path,
        outcome,
        len(requirements.lines),
        tuple(search.faults),
        search.changes() if outcome != "undecided" else (),
        probe.number,
        probe.known,
        time.monotonic() - began,
        sentence,
        advice,
        search.without_hashes,
    )


@dataclass(slots=True)
class _Search:
    """One bisection under way.

    Args:
        requirements: the file.
        probe: tries lines of it.
        told: is told each fault.
        faults: what was found.
        lines: as they are by now, changes made.
        aside: lines that are left out, since no version of them was found.
        without_hashes: whether hashes are left out.
        chosen: which versions pip chose for all lines, when it was asked.
    """

    requirements: Requirements
    probe: Prober
    told: Callable[[Fault], None]
    faults: list[Fault] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    aside: list[Line] = field(default_factory=list)
    without_hashes: bool = False
    chosen: Verdict | None = None

    def run(self) -> Outcome:
        """Look for one fault after the other, and repair each, until all lines install."""
        repairer = Repairer(self.probe)
        self.lines = list(self.requirements.lines)
        seen = set[tuple[str, ...]]()
        for _ in range(_ROUNDS):
            failed = self._whole()
            if failed is None:
                break
            mode, verdict = failed
            if verdict.diagnosis.reason is not Reason.hash_mismatch and self._leave_hashes_out():
                continue
            fault = self._fault(mode, verdict)
            self.told(fault)
            self.faults.append(fault)
            fault = replace(fault, changes=self._repaired(repairer, fault))
            self.told(fault)
            self.faults[-1] = fault
            self.lines = changed(self.lines, fault.changes)
            if not fault.changes or tuple(one.text for one in self.lines) in seen:
                self._set_aside(fault)
            seen.add(tuple(one.text for one in self.lines))
        else:
            return "not_repaired"
        if self.aside:
            return "not_repaired"
        return "repaired" if self.faults else "installs"

    def changes(self) -> tuple[Change, ...]:
        """Return what has changed in all: a line that was changed twice is so once."""
        last: dict[tuple[Path, int, str], Change] = {}
        for change in (change for fault in self.faults for change in fault.changes):
            place = (change.line.file, change.line.first, "" if change.line.first else change.package)
            before = last.get(place)
            last[place] = replace(change, line=before.line, was=before.was) if before else change
        return tuple(sorted(last.values(), key=lambda one: (one.line.first == 0, str(one.line.file), one.line.first)))

    def _whole(self) -> tuple[Mode, Verdict] | None:
        """Install all lines, and return how far pip has to go for them to fail, and how they do."""
        texts = [one.text for one in self.lines]
        verdict = self.probe(texts, "install", _doing("install", len(texts), len(texts))) if texts else None
        if verdict is None or verdict.passed:
            return None
        return "resolve" if verdict.resolving else "install", verdict

    def _fault(self, mode: Mode, verdict: Verdict) -> Fault:
        """Return the smallest set of lines that fails."""
        verdicts: dict[tuple[Line, ...], Verdict] = {tuple(self.lines): verdict}

        def fails(part: Sequence[Line]) -> bool:
            texts = [one.text for one in part]
            tried = self.probe(texts, mode, _doing(mode, len(part), len(self.lines)))
            verdicts[tuple(part)] = tried
            return not tried.passed

        found = smallest(self.lines, fails, self._suspects(mode, verdict))
        return Fault(found, verdicts[found], mode)

    def _suspects(self, mode: Mode, verdict: Verdict) -> list[Line]:
        """Return the lines that are most likely at fault, by what pip said of them."""
        names, places = suspects_in(verdict, len(self.probe.options))
        if mode == "install" and verdict.culprit and all(one.name != verdict.culprit for one in self.lines):
            texts = [one.text for one in self.lines]
            self.chosen = self.probe(texts, "resolve", _doing("resolve", len(texts), len(texts)))
            names |= self.chosen.leading_to(verdict.culprit)
        return [one for place, one in enumerate(self.lines) if one.name in names or place in places]

    def _repaired(self, repairer: Repairer, fault: Fault) -> tuple[Change, ...]:
        verdict = fault.verdict
        if verdict.diagnosis.reason in _NOT_BY_VERSION and verdict.timed_out is None:
            return ()
        if fault.mode == "install":
            chosen = self.chosen.chosen.get(verdict.culprit, "") if self.chosen else ""
            return repairer.built(fault.lines, verdict, chosen)
        return repairer.resolved(fault.lines, self.lines)

    def _set_aside(self, fault: Fault) -> None:
        """Leave out the line of a fault for which no version was found, to look for others among the rest."""
        left = [one for one in self.lines if one in fault.lines]
        worst = [one for one in left if one.name == fault.verdict.culprit] or left or self.lines
        self.aside.append(worst[-1])
        self.lines = [one for one in self.lines if one != worst[-1]]

    def _leave_hashes_out(self) -> bool:
        """Leave hashes out, which no part of the lines and no other version can have; False if there are none."""
        texts = [_HASH.sub("", one.text) for one in self.lines]
        options = tuple(one for one in self.probe.options if one != "--require-hashes")
        if self.without_hashes or (texts == [one.text for one in self.lines] and options == self.probe.options):
            return False
        self.lines = [replace(one, text=text) for one, text in zip(self.lines, texts, strict=True)]
        self.probe.options = options
        self.without_hashes = True
        return True


def _doing(mode: Mode, count: int, total: int) -> str:
    how = "choosing versions for" if mode == "resolve" else "installing"
    if count < total:
        return f"{how} {count} of {total} lines"
    return f"{how} all {total} lines" if total > 1 else f"{how} the only line"


def _wants_us(requirements: Requirements) -> bool:
    return any(one.name == "algoprof" for one in requirements.lines)
