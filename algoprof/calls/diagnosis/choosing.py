"""Words for what pip could not choose: packages, versions and lines of the requirements."""

import re

from algoprof.calls.diagnosis import hints
from algoprof.calls.diagnosis.findings import Found, Words, short
from algoprof.calls.diagnosis.requirements import normal, ordered


def no_matching_distribution(found: Found) -> Words:
    """Say that a package, or a version of it, is not there."""
    asked, by = found.requirement, f", which {found.wanted_by} wants" if found.wanted_by else ""
    other = hints.DISTRIBUTIONS.get(normal(found.package))
    if not found.offered:
        if found.ignored and found.alone:
            return no_wheel(found)
        return Words(
            f"pip found no package named {found.package or 'so'}{by}",
            (
                f"open {short(found.indexes[0])}/{normal(found.package)}/: an index that refuses or fails looks to pip"
                " like one that has no such package"
                if found.indexes
                else "",
                f"the module {found.package} is installed as {other}" if other else "",
                "correct the name: that to install may differ from that to import" if not found.wanted_by else "",
                f"see whether {found.package} is for another Python only" if found.ignored and found.package else "",
                f"take another version of {found.wanted_by}" if found.wanted_by else "",
                "if it is private, name its index: --extra-index-url, or PIP_EXTRA_INDEX_URL",
            ),
        )
    newest = found.newest
    for_python = f" for Python {found.python}" if found.ignored and found.python else ""
    if found.version:
        near = _nearest(found.version, found.offered)
        sentence = f"there is no version {found.version} of {found.package}{by} where pip looked"
        return Words(
            f"{sentence}: the newest{for_python} is {newest}",
            (
                f"write {found.package}=={near}" if near else "",
                f"write {found.package}=={newest}" if newest != near else "",
            ),
        )
    specifier = asked.specifier if asked else ""
    return Words(
        f"no version of {found.package} meets {specifier!r}{by}: the newest{for_python} is {newest}",
        (f"loosen the requirement so that it allows {newest}, such as {found.package}=={newest}",),
    )


def _nearest(version: str, offered: list[str]) -> str:
    """Return the newest version with the same first number; empty if there is none."""
    alike = [one for one in offered if ordered(one)[:1] == ordered(version)[:1] and re.fullmatch(r"[\d.]+", one)]
    return max(alike, key=ordered, default="")


def no_wheel(found: Found) -> Words:
    """Say that there is nothing of it for this Python."""
    python = f"Python {found.python}" if found.python else "this version of Python"
    if "what" in found.groups and found.what.endswith(".whl"):
        tags = found.what.removesuffix(".whl").rsplit("-", 3)[1:]
        return Words(
            f"{found.what} is for {' '.join(tags)}, and cannot be installed for {python} on this machine",
            (
                "take the wheel for this Python and for Linux",
                "require it by name and version, and let pip choose the file",
            ),
        )
    named = found.named
    first = min(found.offered, key=ordered, default="")
    only = bool(found.step and "--only-binary" in found.step.instruction)
    sentence = f"{named} has nothing that {python} can install"
    if "wants" in found.groups:
        sentence = f"{named} is not for {python}: it wants {found.groups['wants']}"
    elif found.offered:
        newer = ordered(found.version) > ordered(found.newest)
        sentence += f": the {'newest' if newer else 'oldest'} version that has is {found.newest if newer else first}"
    if only and found.version:
        sentence = f"{named} has no wheel for {python}, and --only-binary forbids to build one"
    return Words(
        sentence,
        (
            f"take a version for {python}, such as {found.package}=={found.newest}" if found.offered else "",
            f"build with a version of Python that {named} is for" if not only else "leave --only-binary away",
            f"take another version of {found.package}" if found.package and not found.offered else "",
        ),
    )


def conflict(found: Found) -> Words:
    """Say who wants which version."""
    if not found.wanted:
        named = f": {found.named} is asked for twice" if found.package else ""
        return Words(
            f"the versions asked for do not fit together{named}",
            (
                "ask for each package once",
                "remove the versions of all but the packages that matter, and let pip choose",
            ),
        )
    return Words(
        f"no version of {found.package} fits all that want it: {'; '.join(found.wanted)}",
        (
            f"ask for one version of {found.package}"
            if not found.wanted_by
            else f"remove the version of {found.package}, and let pip choose",
            f"take another version of {found.wanted_by}" if found.wanted_by else "",
        ),
    )


def invalid_requirement(found: Found) -> Words:
    """Say which line cannot be read."""
    what = repr(found.what) if found.what else "a line"
    if found.what.startswith("-"):
        return Words(
            f"{what} is no option that pip knows",
            ("correct it, or remove it from the requirements", "build with a newer pip"),
        )
    equals = re.search(r"[^=<>!~]=[^=]", found.groups.get("what", ""))
    corrected = re.sub(r"(?<![=<>!~])=(?!=)", "==", found.what)
    return Words(
        f"{what} is no requirement that pip can read",
        (
            f"write {corrected}: a version is asked for with two equals signs"
            if equals
            else "write NAME==VERSION, one in a line, without quotes",
        ),
    )


def hash_mismatch(found: Found) -> Words:
    """Say which file has another hash, or that hashes are left out."""
    if "DO NOT MATCH" in found.evidence[0]:
        return Words(
            f"the file of {found.named} is not the one whose hash is in the requirements",
            (
                "take the hash anew: pip hash, or pip-compile --generate-hashes",
                "if nobody changed the requirements, find out who changed the file",
            ),
        )
    return Words(
        "some requirements have a hash and others have none, or no version: with one, pip wants it for all",
        ("add version and hash to each, dependencies included: pip-compile --generate-hashes", "remove all the hashes"),
    )


def damaged_package(found: Found) -> Words:
    """Say which file is broken."""
    return Words(
        f"the file of {found.named} is broken, or is not what its name says",
        (
            "build again, without a cache: pip install --no-cache-dir",
            f"take another version of {found.package}" if found.package else "",
        ),
    )
