"""Access and settings, checked one by one as the platform's troubleshooting guide has them: fine, wrong or unknown.

Pure: `Evidence` in, findings out. What each check cannot know is said rather than guessed.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from algoprof.calls.diagnosis.requirements import unpinned_in
from algoprof.calls.doctor.evidence import MOST_VERSIONS, Evidence, Told
from algoprof.calls.management.error_log import ErrorRecord
from algoprof.calls.management.resources import Version
from algoprof.calls.options import DEFAULT_TIMEOUT, LONGEST_TIMEOUT, UNSET, Options, checked
from algoprof.calls.wire.inputs import LARGEST, Flaw, encode
from algoprof.errors import ConfigurationError

Verdict = Literal["fine", "wrong", "unknown"]

_HASH = re.compile(r"[0-9a-f]{40}")
_PART = re.compile(r"\d{1,9}(?:\.\d{1,9}){0,2}")
_SET_KEY = "set ALGORITHMIA_API_KEY to a key of that platform"
_NEW_KEY = "make a standard key under the account's API keys, and " + _SET_KEY
_LISTED = 5  # names that are shown
_LONGEST = 160  # characters of an error's message that are shown
_NO_NETWORK = re.compile(
    r"failure in name resolution|Name or service not known|getaddrinfo failed|Network is unreachable"
    r"|Failed to establish a new connection|NewConnectionError|ENETUNREACH|EAI_AGAIN"
)


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check came to.

    Args:
        check: its name.
        verdict: `fine`, `wrong`, or `unknown` where this key, or what is at hand, cannot tell.
        sentence: what was found.
        advice: what to do; empty where nothing is to be done.
    """

    check: str
    verdict: Verdict
    sentence: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Examination:
    """What all checks came to.

    Args:
        algorithm: what was examined.
        address: the platform's.
        findings: one of each check, in the order in which they depend on each other.
    """

    algorithm: str
    address: str
    findings: tuple[Finding, ...]

    @property
    def wrong(self) -> tuple[Finding, ...]:
        """The findings that say that something is wrong."""
        return tuple(finding for finding in self.findings if finding.verdict == "wrong")

    def __getitem__(self, check: str) -> Finding:
        found = next((finding for finding in self.findings if finding.check == check), None)
        if found is None:
            raise KeyError(f"there is no check {check[:60]!r}; there are {', '.join(CHECKS)}")
        return found

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON value."""
        return {**asdict(self), "findings": [asdict(finding) for finding in self.findings]}


_Judged = tuple[Verdict, str] | tuple[Verdict, str, str]


def examine(evidence: Evidence) -> Examination:
    """Judge what was found out about an algorithm.

    >>> from algoprof.calls.references import parse
    >>> examine(Evidence(parse("demo/Routes"), "http://127.0.0.1:8080", timeout=5000))["timeout"].verdict
    'wrong'
    """
    findings = tuple(Finding(name, *check(evidence)) for name, check in CHECKS.items())
    return Examination(str(evidence.reference), evidence.address, findings)


def _platform(evidence: Evidence) -> _Judged:
    told = evidence.resource
    where = f"{evidence.address} ({evidence.origin})" if evidence.origin else evidence.address
    if told.answer is None and told.error is None:
        return "unknown", f"{where} was not asked"
    error = told.error
    if error is None or (error.status is not None and 400 <= error.status < 500):
        return "fine", f"{where} answers"
    if told.unreachable:
        return "wrong", error.sentence, error.hint or "check the address and the network"
    if (error.status or 0) >= 500:
        return "wrong", f"{where} fails: {error.sentence}", "try again later, then ask whoever runs the platform"
    address = "the address is that of the API, such as https://api.algorithmia.com, not that of its web pages"
    return "wrong", f"what answers there is no platform: {error.sentence}", address


def _key(evidence: Evidence) -> _Judged:
    told, key = evidence.resource, evidence.key
    if not _answered(evidence):
        return "unknown", "nobody was there to ask"
    error = told.error
    if error is None or not told.key_refused:
        if key.kind == "none":
            return "unknown", "none was sent, and the platform answers all the same"
        return "fine", f"the platform accepts the {'bearer token' if key.kind == 'token' else 'key'}"
    if evidence.administration.answer is not None:
        return "fine", "the platform knows the key"
    if key.kind == "none":
        return "wrong", "none was sent, and the platform wants one", _SET_KEY
    if key.expires is not None and key.expires <= evidence.now:
        ended = datetime.fromtimestamp(key.expires, UTC).isoformat(sep=" ", timespec="seconds")
        return "wrong", f"the bearer token has expired, at {ended}", "get a new one from whoever issues it"
    if not key.usual:
        looks = "API keys begin with 'sim'" if key.kind == "key" else "bearer tokens are three parts with dots between"
        return (
            "wrong",
            f"the platform refuses it ({error.message}), and it is not written as one: {looks}",
            "copy it anew",
        )
    return "wrong", f"the platform refuses it: {error.message}", _NEW_KEY


def _key_kind(evidence: Evidence) -> _Judged:
    if evidence.administration.answer is not None:
        return "wrong", "an admin key, which is for administration only and refused for algorithms", _NEW_KEY
    if evidence.key.kind == "none":
        return "unknown", "there is no key"
    if not _answered(evidence) or evidence.resource.key_refused:
        return "unknown", "a key that is not accepted does not tell"
    if evidence.key.kind == "token":
        return "fine", "a bearer token, which may do what its user may"
    manages = ", which may manage algorithms" if evidence.builds.answer is not None else ""
    return "fine", f"a standard key{manages}"


def _algorithm(evidence: Evidence) -> _Judged:
    told, name = evidence.resource, _name(evidence)
    if told.answer is not None:
        return "fine", f"the platform has {name}"
    if told.missing and told.error is not None:
        hint = "check owner and name, and that this is the platform that has it"
        return "wrong", f"the platform has no {name}, or hides it from this key: {told.error.message}", hint
    return "unknown", _silence(evidence)


def _owner(evidence: Evidence) -> _Judged:
    owner, accounts = _owner_of(evidence), evidence.accounts.answer or ()
    if evidence.builds.answer is not None:
        return "fine", f"the key is {owner}'s, or that of a member of that organization"
    if not evidence.builds.forbidden:
        return "unknown", _silence(evidence)
    if owner in accounts:
        limited = f"the key belongs to {owner}, but may not manage algorithms: builds, versions and errors stay hidden"
        return "wrong", limited, "allow the key to manage algorithms, among the account's API keys"
    whose = f"the key reaches the data of {_listed(accounts)}" if accounts else "the key may not see builds"
    if _callability(evidence)[0] == "fine":
        return "unknown", f"{whose}, so it is not {owner}'s or may not manage algorithms; to call a public one it may"
    return (
        "wrong",
        f"{whose}, so it is not {owner}'s, not of a member of that organization, or may not manage algorithms",
        f"use a key of {owner} that may manage algorithms, or have the account added to the organization",
    )


def _callability(evidence: Evidence) -> _Judged:
    if evidence.resource.forbidden:
        hidden = "the key may not even see it: it is another's private algorithm, or the key is for others only"
        return "wrong", hidden, "ask its owner to make it public, or for a key; look at what this key may call"
    match evidence.settings.get("algorithm_callability"):
        case "public":
            return "fine", "public: every account may call it, unless its key is limited to other algorithms"
        case "private" if evidence.builds.answer is not None:
            return "fine", "private: for its owner and the organization, which this key belongs to"
        case "private" if _owner_of(evidence) in (evidence.accounts.answer or ()):
            return "fine", "private: for its owner, whose key this is"
        case "private" if evidence.builds.forbidden:
            private = f"private, and the key does not show to be that of {_owner_of(evidence)} or of a member"
            return "wrong", private, f"use a key of {_owner_of(evidence)}, or ask to have it published as public"
        case "private":
            return "unknown", "private: for its owner and the organization, and whether the key is theirs is not told"
    return "unknown", _silence(evidence, "the platform does not tell whether it is public")


def _network(evidence: Evidence) -> _Judged:
    match evidence.settings.get("network_access"):
        case "full":
            return "fine", "full: it may reach the internet"
        case "isolated" if failure := _last(evidence, lambda error: bool(_NO_NETWORK.search(_whole(error)))):
            tried = f"isolated, and a call has failed for that: {_excerpt(failure.message)}"
            return "wrong", tried, "allow internet access in its settings"
        case "isolated":
            advice = "allow internet access in its settings if it downloads or calls anything outside"
            return "unknown", "isolated: it reaches nothing outside, and whether it wants to is not told", advice
    return "unknown", _silence(evidence, "the platform does not tell whether it may reach the internet")


def _pipeline(evidence: Evidence) -> _Judged:
    match evidence.settings.get("pipeline_enabled"):
        case True:
            return "fine", "it may call other algorithms"
        case False:
            advice = "enable calling other algorithms in its settings if it does so"
            return "unknown", "it may not call other algorithms, and whether it wants to is not told", advice
    return "unknown", _silence(evidence, "the platform does not tell whether it may call other algorithms")


def _versions(evidence: Evidence) -> _Judged:
    name, wanted = _name(evidence), evidence.reference.version
    versions = evidence.versions.answer
    if versions is None:
        return "unknown", _silence(evidence, "the key may not list versions")
    found = next((version for version in versions if _means(wanted, version)), None)
    if found is not None:
        which = wanted or "without a version"
        return "fine", f"{found} is what a call {f'of {which}' if wanted else which} gets"
    if len(versions) == MOST_VERSIONS:
        return "unknown", f"it is not among the newest {MOST_VERSIONS} versions"
    published = [version for version in versions if version.semantic_version]
    publish = f"`algoprof versions publish {name}`"
    if not published:
        return "wrong", "no version is published, so that only a hash or the owner's own calls reach it", publish
    if not wanted or wanted == "latest":
        private = f"no public version, and without a version that is what is meant; there is {_listed(published)}"
        return "wrong", private, f"call {name}/latestPrivate, or publish one with public callability"
    if wanted == "latestPrivate":
        return "wrong", f"no private version is published; there is {_listed(published)}", f"call {name}"
    return (
        "wrong",
        f"no version {wanted} can be called; there is {_listed(published)}",
        f"name one of these, or {publish}",
    )


def _means(wanted: str, version: Version) -> bool:
    """Tell whether a selector reaches a version."""
    settings = version.resource.get("settings")
    private = isinstance(settings, dict) and settings.get("algorithm_callability") == "private"
    number = version.semantic_version
    if wanted in ("", "latest", "latestPrivate"):
        return bool(number) and private == (wanted == "latestPrivate")
    if _HASH.fullmatch(wanted):
        return version.git_hash == wanted and version.successful is not False
    if number == wanted:
        return True
    part = wanted.removesuffix(".*")
    return bool(_PART.fullmatch(part)) and not private and f"{number}.".startswith(f"{part}.")


def _timeout(evidence: Evidence) -> _Judged:
    try:
        given = checked(Options(), timeout=evidence.timeout).timeout
    except ConfigurationError as error:
        longer = "split what takes longer into several calls, or call it with output=void"
        return "wrong", str(error), longer
    default = ", the default" if given == DEFAULT_TIMEOUT else ""
    limit = f"{given:g} s{default}; {LONGEST_TIMEOUT:.0f} s is the longest"
    errors = evidence.errors.answer or ()
    late = sum(error.error_type == "TimeoutError" for error in errors)
    if late:
        often = f"{limit}; of the {len(errors)} errors in its log, {late} ran out of time"
        return "fine", often, "give it more, or see where the time goes: `algoprof call --profile`"
    return "fine", limit


def _input(evidence: Evidence) -> _Judged:
    if evidence.input is UNSET:
        return "unknown", "no input is at hand", "give the one that the call is made with: --data, --text or --file"
    body = encode(evidence.input)
    if isinstance(body, Flaw):
        return "wrong", body.sentence, body.hint
    return "fine", f"{len(body.data):,} bytes of {body.content_type}; {LARGEST:,} are the most"


def _requirements(evidence: Evidence) -> _Judged:
    pin = f"`algoprof builds pin {_name(evidence)}` writes the pins of a build that succeeded"
    if evidence.requirements is not None:
        loose = unpinned_in(evidence.requirements)
        if loose:
            return "wrong", f"{_listed(loose)} may change by itself, and break a build that nobody touched", pin
        return "fine", "each names one version"
    log = evidence.installation
    if log is None:
        return "unknown", _silence(evidence, "no log names what was installed"), "give the file: --requirements"
    if log.unpinned:
        return "wrong", f"{_listed(log.unpinned)} may change by itself, as the build log shows", pin
    return "unknown", "the build log shows none that may change by itself, but need not show all", "--requirements FILE"


def _build(evidence: Evidence) -> _Judged:
    builds, name = evidence.builds.answer, _name(evidence)
    if builds is None:
        return "unknown", _silence(evidence, "the key may not see builds")
    if not builds:
        return "wrong", "it was never built", "push its source, or `algoprof versions publish --compile`"
    newest = builds[0]
    if newest.status == "succeeded":
        return "fine", f"build {newest.id} succeeded"
    if newest.status != "failed":
        return (
            "unknown",
            f"build {newest.id} is {newest.status or 'in a state that is not told'}",
            f"`algoprof builds wait {name}`",
        )
    if evidence.diagnosis is None:
        return "wrong", f"build {newest.id} failed, and its log cannot be read", f"`algoprof builds logs {name}`"
    advice = "; ".join((*evidence.diagnosis.advice[:1], f"`algoprof builds diagnose {name}` says more"))
    return "wrong", f"build {newest.id} failed: {evidence.diagnosis.sentence}", advice


CHECKS: dict[str, Callable[[Evidence], _Judged]] = {
    "platform": _platform,
    "key": _key,
    "key kind": _key_kind,
    "algorithm": _algorithm,
    "owner": _owner,
    "callability": _callability,
    "network access": _network,
    "pipeline": _pipeline,
    "versions": _versions,
    "timeout": _timeout,
    "input": _input,
    "requirements": _requirements,
    "last build": _build,
}
"""The checks by name, in the order in which they depend on each other."""


def _name(evidence: Evidence) -> str:
    return evidence.reference.algorithm


def _owner_of(evidence: Evidence) -> str:
    """Name the owner; an algorithm that is named by its id does not."""
    return evidence.reference.owner if evidence.reference.name else "its owner"


def _answered(evidence: Evidence) -> bool:
    """Whether a platform said anything."""
    return _platform(evidence)[0] == "fine"


def _silence(evidence: Evidence, otherwise: str = "the platform does not tell") -> str:
    """Say why something cannot be known."""
    told: Told[dict[str, Any]] = evidence.resource
    if not _answered(evidence):
        return "the platform does not answer"
    if told.key_refused:
        return "the key is not accepted"
    if told.missing:
        return "the platform shows no such algorithm"
    if told.forbidden:
        return "this key may not know"
    return otherwise


def _last(evidence: Evidence, kind: Callable[[ErrorRecord], bool]) -> ErrorRecord | None:
    """Return the newest error of a kind, where the log can be read."""
    return next((error for error in evidence.errors.answer or () if kind(error)), None)


def _whole(error: ErrorRecord) -> str:
    return f"{error.message}\n{error.stack_trace}"


def _excerpt(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}..."


def _listed(names: Sequence[object]) -> str:
    shown = [str(name) for name in names]
    more = len(shown) - _LISTED
    return ", ".join(shown[:_LISTED]) + (f" and {more} more" if more > 0 else "")
