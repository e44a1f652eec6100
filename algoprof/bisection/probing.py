"""Trials: some lines of a requirements file, given to pip by themselves, and what pip made of them, known or new."""

import os
import re
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from json import loads
from pathlib import Path

from packaging.utils import canonicalize_name

from algoprof.bisection.kept import Kept, key_of
from algoprof.bisection.pips import Ended, Pip
from algoprof.bisection.requirement_lines import Requirements
from algoprof.bisection.verdicts import Mode, Verdict, chosen_in
from algoprof.calls.diagnosis import Reason
from algoprof.errors import BisectionUndecided
from algoprof.server.building import snapshots

_IMPOSSIBLE = "===0.algoprof.asks.what.there.is"
_VERSIONS = re.compile(r"\(from versions: ([^()]*)\)")
_FOUND = re.compile(r"Found link \S*/([^/#\s]+\.whl)")
_NO_PAGE = re.compile(r"Could not fetch URL (\S+): (?:(\d{3})|.*?(too many 5\d\d)|.*?)[ :)]")
_GONE = ("404", "410")
_REFUSALS = (*_GONE, "401", "403", "407")  # some indexes refuse what they do not have
_CANARIES = 3  # other packages that an index is asked for, before it is believed to work


@dataclass(frozen=True, slots=True)
class Trial:
    """What is being tried, for whoever watches.

    Args:
        doing: in a few words.
        number: how many there were, this one included.
        known: how many of them were known from before.
        outcome: what came of it; empty while it goes on.
    """

    doing: str
    number: int
    known: int
    outcome: str = ""


@dataclass(frozen=True, slots=True)
class Listing:
    """What an index has of a package, for one Python.

    Args:
        versions: all of them, oldest first.
        wheels: those that need not be built.
        pages: the index pages that were not to be had, each with the HTTP status or what went wrong.
    """

    versions: tuple[str, ...] = ()
    wheels: frozenset[str] = frozenset()
    pages: tuple[tuple[str, str], ...] = ()


class Prober:
    """Tries lines with pip.

    Args:
        requirements: the file that the lines are of, for its options.
        pip: runs it.
        kept: what was found out before.
        limit: seconds that pip may take for one trial.
        tell: is told each trial, twice: as it begins, and what came of it.
        constraints: further lines that hold for every trial.
    """

    def __init__(
        self,
        requirements: Requirements,
        pip: Pip,
        kept: Kept,
        *,
        limit: float,
        tell: Callable[[Trial], None],
        constraints: Sequence[str] = (),
    ) -> None:
        self.number = 0
        self.known = 0
        self.options = tuple(requirements.options)
        self._listings: dict[str, Listing] = {}
        self._pip = pip
        self._kept = kept
        self._limit = limit
        self._tell = tell
        self._constraints = tuple(constraints)
        self._names = tuple(dict.fromkeys(one.name for one in requirements.lines if one.changeable))
        self._around = key_of(pip.identity(), *constraints, *_surroundings(requirements))

    def __call__(self, texts: Sequence[str], mode: Mode, doing: str) -> Verdict:
        """Try some lines.

        Raises:
            BisectionUndecided: if what failed was the machine or the network.
        """
        options = [one for one in self.options if mode == "install" or one != "--require-hashes"]
        verdict = self._tried((*options, *texts), (), mode, doing)
        if verdict.undecided and not _of_an_address(verdict, texts):
            raise BisectionUndecided(verdict.sentence, verdict.diagnosis.advice)
        self._check_index(verdict)
        return verdict

    def listing(self, name: str) -> Listing:
        """Return which versions there are of a package for this Python."""
        if name not in self._listings:
            asked = (*self.options, f"{name}{_IMPOSSIBLE}")
            doing = f"asking which versions there are of {name}"
            log = self._tried(asked, ("--no-deps", "-vv"), "resolve", doing).log
            self._listings[name] = listed_in(log, name)
        return self._listings[name]

    def _tried(self, lines: Sequence[str], arguments: Sequence[str], mode: Mode, doing: str) -> Verdict:
        self.number += 1
        self._tell(Trial(doing, self.number, self.known))
        key = key_of(self._around, mode, *arguments, "", *lines)
        verdict = self._kept.find(key, self._limit)
        if verdict is None:
            verdict = self._run(lines, arguments, mode)
            if not verdict.undecided:
                self._kept.keep(key, verdict)
        else:
            self.known += 1
        outcome = "passes" if verdict.passed else "done" if arguments else "fails"
        self._tell(Trial(doing, self.number, self.known, f"{outcome}, as was known" if verdict.known else outcome))
        return verdict

    def _run(self, lines: Sequence[str], arguments: Sequence[str], mode: Mode) -> Verdict:
        with tempfile.TemporaryDirectory(dir=self._pip.scratch) as folder:
            asked, report, held = (Path(folder, name) for name in ("requirements.txt", "report.json", "held.txt"))
            asked.write_text("".join(f"{one}\n" for one in lines), encoding="utf-8", errors="surrogateescape")
            held.write_text("".join(f"{one}\n" for one in self._constraints), encoding="utf-8")
            given = ["--progress-bar", "off", "--report", str(report), "--requirement", str(asked), *arguments]
            run = self._pip.resolve if mode == "resolve" else self._pip.install
            ended = run([*given, "--constraint", str(held)], self._limit)
            return self._verdict(ended, report, folder)

    def _verdict(self, ended: Ended, report: Path, folder: str) -> Verdict:
        log = ended.log.replace(f"{folder}/", "")
        passed = ended.code == 0
        chosen, wants = chosen_in(loads(report.read_bytes())) if passed and report.exists() else ({}, {})
        return Verdict(passed, ended.seconds, log, chosen, wants, self._limit if ended.code is None else None)

    def _check_index(self, verdict: Verdict) -> None:
        """Tell a package that is missing from an index that is: pip does not.

        Raises:
            BisectionUndecided: if the index refuses, fails, or knows nothing of what it is asked for.
        """
        missing = verdict.diagnosis.reason is Reason.no_matching_distribution and "(from versions: none)" in verdict.log
        name = verdict.culprit
        if verdict.passed or not missing or not name:
            return
        pages = self.listing(name).pages
        failing = [(page, what) for page, what in pages if what not in _REFUSALS]
        if failing:
            page, what = failing[0]
            raise BisectionUndecided(f"the package index does not answer: {what} for {page}", ("try again later",))
        if pages and not self._works(name):
            page, what = pages[0]
            if what not in _GONE or len(self._names) > 1:
                raise BisectionUndecided(
                    f"the package index has none of the packages that it was asked for: {what} for {page}",
                    ("check its address, and the rights of its user or token",),
                )

    def _works(self, apart_from: str) -> bool:
        """Return whether the index has any of some other packages that the requirements name."""
        others = [name for name in self._names if name != apart_from][:_CANARIES]
        return any(self.listing(name).versions for name in others)


def listed_in(log: str, name: str) -> Listing:
    r"""Return what `pip -vv` says that there is of a package, when it is asked for a version that cannot be.

    >>> listed_in("Found link file:///w/a-1.0-py3-none-any.whl, version: 1.0\n(from versions: 1.0, 1.1)", "a")
    Listing(versions=('1.0', '1.1'), wheels=frozenset({'1.0'}), pages=())
    """
    found = _VERSIONS.search(log)
    versions = tuple(one for one in found[1].split(", ") if one[:1].isdigit()) if found else ()
    wheels = {
        file[1].split("-")[1] for file in _FOUND.finditer(log) if canonicalize_name(file[1].split("-")[0]) == name
    }
    pages = tuple((page[1], page[2] or page[3] or "no answer") for page in _NO_PAGE.finditer(log))
    return Listing(versions, frozenset(wheels), pages)


def _of_an_address(verdict: Verdict, texts: Iterable[str]) -> bool:
    """Return whether what could not be reached is an address that a line itself names."""
    told = " ".join((*verdict.diagnosis.evidence, verdict.diagnosis.sentence))
    addresses = re.findall(r"://(?:[^/@\s]*@)?([^\s#@;'\"]+)", " ".join(texts))
    return verdict.diagnosis.reason in (Reason.network, Reason.access_denied) and any(one in told for one in addresses)


def _surroundings(requirements: Requirements) -> Iterable[str]:
    """Yield what trials depend on besides their lines: the contents of files that lines and options name."""
    for path in requirements.constraints:
        yield f"{path} {key_of(path.read_text(encoding='utf-8', errors='replace'))}"
    directory = requirements.path.parent
    for text in (*requirements.options, *(one.text for one in requirements.lines)):
        for word in re.split(r"[\s=]+", text):
            path = directory / word.removeprefix("file://").partition("#")[0].partition("[")[0]
            if path.is_file():
                yield f"{path} {_looks(path)}"
            elif path.is_dir() and text in requirements.options:  # of an index, what there is
                yield from (f"{one} {_looks(one)}" for one in sorted(path.iterdir()))
            elif path.is_dir() and (word == "." or os.sep in word):
                yield f"{path} {snapshots.digest(path)}"


def _looks(path: Path) -> str:
    try:
        found = path.stat()
    except OSError:
        return "gone"
    return f"{found.st_size} {found.st_mtime_ns}"


def suspects_in(verdict: Verdict, first: int) -> tuple[set[str], set[int]]:
    """Return whom a log speaks of: the normal names in its telling lines, and the places of the lines that it names.

    Args:
        verdict: what pip made of some lines.
        first: the number of options that stood before them.
    """
    found = verdict.diagnosis
    told = " ".join((found.sentence, found.package, found.wanted_by, *found.evidence))
    names: set[str] = {canonicalize_name(word.strip(".-_")) for word in re.findall(r"[A-Za-z0-9][A-Za-z0-9._-]*", told)}
    places = set[int]()
    for text in verdict.log.splitlines():
        asked = re.match(r"\s*(?:Collecting|Processing|Obtaining) ([A-Za-z0-9._-]+).*\(line (\d{1,6})\)", text)
        if asked and canonicalize_name(asked[1]) == verdict.culprit:
            places |= {int(number) - first - 1 for number in re.findall(r"\(line (\d{1,6})\)", text)}
    return names, places
