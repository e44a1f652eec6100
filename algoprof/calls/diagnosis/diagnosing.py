"""From a log to its diagnosis: which line tells most, which package that is about, and what the words for it are."""

import re
from dataclasses import dataclass, field
from typing import Any

from algoprof.calls.diagnosis import logs
from algoprof.calls.diagnosis.advice import advise
from algoprof.calls.diagnosis.clues import CLUES, INTERESTING, MISFIT, RETRY, TROUBLE
from algoprof.calls.diagnosis.findings import Found
from algoprof.calls.diagnosis.logs import Line, Log, Step
from algoprof.calls.diagnosis.packages import Packages
from algoprof.calls.diagnosis.reasons import Reason
from algoprof.calls.diagnosis.requirements import named_by_file, normal, parse, unpinned_in
from algoprof.calls.diagnosis.verdicts import Diagnosis, Outcome

_LONGEST_EVIDENCE = 300  # characters of a line that are shown
_MOST_CONFLICTS = 8
_NAMED_OTHERWISE = (
    Reason.conflict,
    Reason.externally_managed,
    Reason.file_missing,
    Reason.no_matching_distribution,
)
_KILLED = (137, 9)  # exit statuses after SIGKILL
_UNAVAILABLE = re.compile(r"(?i)^.{0,40}logs? (?:is |are )?(?:not available|unavailable)")
_SAID_BEGINS = re.compile(
    r"\s*╰─> \[\d{1,9} lines? of output\]|\s*Complete output from command |\s+Complete output \(\d"
)
_SAID_ENDS = re.compile(r"\s*(?:\[end of output\]|-{20,})")
_SAID_IT = re.compile(r"\s*(?:[\w.]{0,80}(?:Error|Exception|Exit|Unavailable)|error|fatal)\b.{0,100}: ")
_SAID_NOTHING = re.compile(
    r"\s*(?:running|writing|creating|copying|reading|Traceback|File \"|!!|\*{3}|/|[\u00d7\u2502\u2570]|exit code)"
)
_BUILT_LAST = re.compile(
    r"\s*(?:ERROR: Failed building wheel for|Failed to build|ERROR: Could not build wheels for) ([A-Za-z0-9._-]{1,100})"
    r"|\s*ERROR: Failed to build '(?:file:[^']{0,400}/)?([A-Za-z0-9._-]{1,100})' when "
    r"|╰─> ([A-Za-z0-9][A-Za-z0-9._-]{0,99})(?: from .*)?$"
)
_CAUSE = re.compile(
    r"\s+(?:The user requested(?P<constraint> \(constraint\))?|(?P<package>\S{1,100}) (?P<version>\S{1,60}) depends on)"
    r" (?P<wanted>.{1,300})"
)


@dataclass(slots=True)
class _Reading:
    """What one pass over the lines has found.

    Args:
        packages: what the log says of packages, at its end.
        rank: of the best clue so far: its place in the table.
        line: where it is.
        found: its groups.
        at: the package that pip worked at there.
        retries: lines that tell of trouble with the network.
        causes: what a conflict is made of.
        failed_package: the package that pip itself names as the one that failed.
        ignored: versions that were passed over, since they are for other Pythons.
        errors: lines that begin as an error does.
        misfits: what was installed although it does not fit together.
        said: in what a package's setup printed, the line that says why it failed.
        saying: whether what it printed goes on.
    """

    packages: Packages = field(default_factory=Packages)
    rank: int = len(CLUES)
    line: Line | None = None
    found: dict[str, str] = field(default_factory=dict)
    at: str = ""
    retries: list[Line] = field(default_factory=list)
    causes: list[re.Match[str]] = field(default_factory=list)
    failed_package: str = ""
    ignored: str = ""
    errors: list[Line] = field(default_factory=list)
    misfits: list[Line] = field(default_factory=list)
    said: str = ""
    saying: bool = False


def diagnose(log: str, *, requirements: str = "", status: str = "") -> Diagnosis:
    """Return why a build failed, as far as its log tells.

    Whatever the text is, this raises nothing, and takes time in proportion to its length; of a log over `LARGEST`
    characters the middle is not read.

    Args:
        log: what docker and pip printed.
        requirements: the project's requirements.txt, where it is at hand: it says more surely what is not pinned.
        status: the build's status, where it is known: `in-progress`, `succeeded` or `failed`.

    >>> log = '''Collecting six==9.9 (from -r requirements.txt (line 1))
    ... ERROR: Could not find a version that satisfies the requirement six==9.9 (from versions: 1.15.0, 1.16.0)
    ... ERROR: No matching distribution found for six==9.9'''
    >>> found = diagnose(log)
    >>> found.reason.value, found.package, found.version
    ('no_matching_distribution', 'six', '9.9')
    >>> found.sentence
    'there is no version 9.9 of six where pip looked: the newest is 1.16.0'
    """
    read = logs.read(log)
    if not read.lines or (len(read.lines) == 1 and _UNAVAILABLE.search(read.lines[0].text)):
        return _without_log(status)
    reading = _go_through(read)
    outcome = _outcome(read, reading, status)
    packages = reading.packages
    unpinned = unpinned_in(requirements[: logs.LARGEST]) if requirements else packages.unpinned()
    known: dict[str, Any] = {
        "python": packages.python,
        "unpinned": unpinned,
        "installed": packages.installed,
        "left_out": read.left_out,
    }
    if outcome == "succeeded":
        return _success(reading.misfits, known)
    if outcome == "unfinished":
        return Diagnosis(
            "unfinished",
            "the log ends before the build does: it is not yet finished, or the end of the log is missing",
            step=read.lines[-1].step,
            advice=("wait for it: `algoprof builds wait`",),
            **known,
        )
    found = _found(read, reading)
    words = advise(found)
    return Diagnosis(
        "failed",
        words.sentence,
        reason=found.reason,
        package=found.package,
        version=found.version,
        wanted_by=found.wanted_by,
        step=found.step,
        exit_code=read.code,
        evidence=tuple(_shown(text) for text in found.evidence),
        line=found.line,
        advice=words.advice,
        **known,
    )


def _success(misfits: list[Line], known: dict[str, Any]) -> Diagnosis:
    """Return the diagnosis of a build that succeeded; pip installs what does not fit together, and only says so."""
    told = [line for line in misfits if not line.text.startswith("ERROR: pip's dependency resolver")]
    sentence = "the build succeeded"
    if told:
        words = told[0].text.removeprefix("ERROR: ").rstrip(".")
        sentence += f", but what it installed does not fit together: {_shown(words)}"
    advice = (
        "install all requirements with one pip install, so that pip chooses versions that fit" if told else "",
        "write what was installed down: `algoprof builds pin`" if known["unpinned"] else "",
    )
    return Diagnosis(
        "succeeded",
        sentence,
        evidence=tuple(_shown(line.text) for line in told),
        line=told[0].number if told else 0,
        advice=tuple(filter(None, advice)),
        **known,
    )


def _without_log(status: str) -> Diagnosis:
    if status == "in-progress":
        return Diagnosis(
            "unfinished",
            "the build is not yet finished, and its log can be read when it is",
            advice=("wait for it: `algoprof builds wait`",),
        )
    return Diagnosis(
        "no_log",
        "the build has no log: the platform lost it, or the build never began",
        advice=("build again", "ask the platform's support if it stays so"),
    )


def _go_through(read: Log) -> _Reading:
    reading = _Reading()
    reading.packages.start(read.steps)
    for line in read.lines:
        reading.packages.take(line)
        if read.failed is not None and line.step is not None and line.step != read.failed:
            continue  # another step's trouble did not end the build
        cause = _CAUSE.fullmatch(line.text)
        if cause and len(reading.causes) < _MOST_CONFLICTS:
            reading.causes.append(cause)
        last = _BUILT_LAST.match(line.text)
        if last and not reading.failed_package:
            reading.failed_package = next(filter(None, last.groups()))
        _listen(line, reading)
        if INTERESTING.search(line.text):
            _weigh(line, reading)
    return reading


def _listen(line: Line, reading: _Reading) -> None:
    """Keep the most telling line of what a package's setup printed: the last error in it, else its first words."""
    if _SAID_BEGINS.match(line.text):
        reading.saying = not reading.said
    elif _SAID_ENDS.match(line.text):
        reading.saying = False
    elif reading.saying:
        first = not reading.said and not _SAID_NOTHING.match(line.text)
        if first or _SAID_IT.match(line.text):
            reading.said = line.text.strip()


def _weigh(line: Line, reading: _Reading) -> None:
    text = line.text
    if MISFIT.search(text):
        reading.misfits.append(line)
        return
    if RETRY.search(text):
        reading.retries.append(line)
        return
    if "Ignored the following versions that require a different python" in text:
        reading.ignored += text
    if text.lstrip().startswith(("ERROR:", "error:", "Error:", "fatal:", "E: ")):
        reading.errors.append(line)
    for rank, clue in enumerate(CLUES[: reading.rank]):
        match = clue.pattern.search(text)
        if match:
            reading.rank, reading.line, reading.at = rank, line, reading.packages.current
            reading.found = {name: value.strip() for name, value in match.groupdict().items() if value}
            return


def _outcome(read: Log, reading: _Reading, status: str) -> Outcome:
    if status in ("failed", "succeeded"):
        return "failed" if status == "failed" else "succeeded"
    if read.ended:
        return read.ended
    last = read.lines[-1].text
    if last == "succeeded" or (reading.packages.installed and not reading.errors and _near_the_end(read)):
        return "succeeded"
    if reading.line is not None or reading.errors or last.startswith(("error", "ERROR")):
        return "failed"
    return "unfinished"


def _near_the_end(read: Log) -> bool:
    tail = [line.text for line in read.lines[-12:]]
    return any(text.startswith("Successfully installed ") for text in tail) or all(
        text.lstrip().startswith("Requirement already satisfied") for text in tail[-1:]
    )


def _found(read: Log, reading: _Reading) -> Found:
    """Bring together what the best clue, the lines around it and the log as a whole say."""
    line = reading.line
    step = read.failed or (line.step if line else None) or read.lines[-1].step
    if line is None:
        return _without_clue(read, reading, step)
    clue = CLUES[reading.rank]
    found = Found(
        clue.reason,
        step=step,
        groups=reading.found,
        evidence=(line.text,),
        line=line.number,
        python=reading.packages.python,
        ignored=reading.ignored,
        said=reading.said,
        indexes=reading.packages.indexes,
        exit_code=read.code,
    )
    _name_package(found, reading)
    if clue.reason is Reason.conflict:
        _name_conflict(found, reading)
    if clue.reason is Reason.no_matching_distribution:
        _name_missing(found, reading)
    if clue.reason is Reason.network:
        _add_trouble(found, reading)
    if clue.reason in (Reason.metadata_failed, Reason.compilation_failed) and reading.said:
        found.evidence += (reading.said,) if reading.said not in line.text else ()
    if found.package and not found.version and clue.reason is not Reason.conflict:
        found.version = reading.packages.version(found.package)
    found.local = reading.packages.local.get(found.package, "")
    return found


def _without_clue(read: Log, reading: _Reading, step: Step | None) -> Found:
    told = reading.retries[-1:] or reading.errors[-1:] or list(read.lines[-1:])
    reason = Reason.network if reading.retries else Reason.command_failed if read.code else Reason.unknown
    if read.code in _KILLED:
        reason = Reason.killed
    found = Found(
        reason,
        step=step,
        evidence=tuple(line.text for line in told),
        line=told[0].number,
        python=reading.packages.python,
        exit_code=read.code,
    )
    if reason is Reason.network:
        _add_trouble(found, reading)
    if reason in (Reason.network, Reason.killed):
        found.package = reading.packages.current
        found.version = reading.packages.version(found.package)
    return found


def _name_package(found: Found, reading: _Reading) -> None:
    """Say which package it is about: the clue's own word, else pip's, else the one that pip worked at."""
    groups = found.groups
    named = named_by_file(groups.get("what", "")) or named_by_file(groups.get("url", ""))
    if "package" in groups:
        found.package, found.version = groups["package"], groups.get("version", "")
    elif named:
        found.package, found.version = named
    elif found.reason is Reason.invalid_requirement:
        words = re.match(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", groups.get("what", ""))
        found.package = words[0] if words else ""
    elif found.reason not in _NAMED_OTHERWISE:
        found.package = reading.failed_package or reading.at
    if found.reason is Reason.file_missing or (found.step and not re.search(r"\bpip|venv", found.step.instruction)):
        found.package = found.package if "package" in groups or named else ""


def _name_conflict(found: Found, reading: _Reading) -> None:
    """Say which package cannot have one version for all that want it, and who wants which."""
    wanted: dict[str, list[str]] = {}
    for cause in reading.causes:
        requirement = parse(cause["wanted"].split(" and ")[0])
        if requirement is None:
            continue
        who = f"{cause['package']} {cause['version']}" if cause["package"] else "the requirements"
        who = "the constraints" if cause["constraint"] else who
        wanted.setdefault(normal(requirement.name), []).append(f"{who} want {cause['wanted'].strip()}")
        if cause["package"]:
            wanted[normal(requirement.name)][-1] = f"{who} wants {cause['wanted'].strip()}"
    if not wanted:
        return
    found.package = max(wanted, key=lambda name: len(wanted[name]))
    pins = [cause["wanted"] for cause in reading.causes if not cause["package"]]
    found.version = next((one.version for one in map(parse, pins) if one and normal(one.name) == found.package), "")
    found.wanted = tuple(dict.fromkeys(wanted[found.package]))
    by = [cause["package"] for cause in reading.causes if cause["package"]]
    found.wanted_by = by[0] if by else ""
    found.evidence += tuple(cause[0].strip() for cause in reading.causes)


def _name_missing(found: Found, reading: _Reading) -> None:
    """Say what could not be found, and whether that was for want of a network, or of a file for this Python."""
    requirement = parse(found.groups.get("what", ""))
    if requirement:
        found.package, found.version, found.requirement = requirement.name, requirement.version, requirement
        found.wanted_by = _without_version(found.groups.get("by", ""))
        found.alone = normal(reading.at) in ("", normal(found.package))
    retries = [line for line in reading.retries if f"/{normal(found.package)}/" in line.text.lower() + "/"]
    denied = next((line for line in reading.retries if re.search(r"\b40[137]\b", line.text)), None)
    if denied:
        found.reason, found.evidence, found.line = Reason.access_denied, (denied.text, *found.evidence), denied.number
    elif retries or (reading.retries and found.groups.get("versions") == "none"):
        first = (retries or reading.retries)[-1]
        found.reason, found.line, found.evidence = Reason.network, first.number, (first.text, *found.evidence)
        _add_trouble(found, reading)
    elif found.other_python():
        found.reason = Reason.no_wheel_for_this_python


def _without_version(text: str) -> str:
    """Return the package of `NAME==1.0->-r requirements.txt (line 1)`; empty for the requirements themselves."""
    first = parse(re.split(r"->|, ", text)[0])
    return "" if first is None or text.startswith(("-r ", "-c ")) else first.name


def _add_trouble(found: Found, reading: _Reading) -> None:
    """Say what kind of trouble the network made."""
    for text in (*found.evidence, *(line.text for line in reversed(reading.retries))):
        trouble = TROUBLE.search(text)
        if trouble:
            found.trouble = {name: value for name, value in trouble.groupdict().items() if value}
            return


def _shown(text: str) -> str:
    text = " ".join(text.split())
    if len(text) <= _LONGEST_EVIDENCE:
        return text
    end = text[-_LONGEST_EVIDENCE // 4 :]
    return f"{text[: _LONGEST_EVIDENCE - len(end) - 5]} ... {end}"
