"""Words for what could not be built from source: compilers, libraries, programs, modules, setups."""

import re

from algoprof.calls.diagnosis import hints
from algoprof.calls.diagnosis.findings import Found, Words, short
from algoprof.calls.diagnosis.requirements import normal


def compiler_missing(found: Found) -> Words:
    """Say which compiler is not there."""
    compiler = "cargo" if "cargo" in found.groups else found.what
    rust = compiler.lower() in ("rust", "rustc", "cargo")
    package = "cargo rustc" if rust else "gfortran" if "fortran" in compiler else "build-essential"
    return Words(
        f"{found.named} has to be built from source, and the {'Rust' if rust else compiler} compiler is not there",
        (*from_source(found), f"in a Dockerfile: RUN apt-get update && apt-get install -y {package}"),
    )


def library_missing(found: Found) -> Words:
    """Say which header or library is not there."""
    known = hints.SYSTEM_PACKAGES.get(found.what.lower(), "")
    name = found.what.removeprefix("-l")
    what = f"the library {name}" if found.what.startswith("-l") else f"the file {name}" if name else "a library"
    place = known or (f"Debian's package that holds {name}: apt-file search {name}" if name else "the library")
    return Words(
        f"{found.named} has to be built from source, and {what} of the system is not there",
        (
            *from_source(found),
            f"in a Dockerfile: RUN apt-get update && apt-get install -y {place}" if known else f"install {place}",
        ),
    )


def program_missing(found: Found) -> Words:
    """Say which program is not there."""
    known = hints.PROGRAM_PACKAGES.get(found.what.lower(), "")
    install = f"in a Dockerfile: RUN apt-get update && apt-get install -y {known}" if known else ""
    if found.evidence and found.evidence[0].startswith("E: "):
        return Words(
            f"apt-get knows no package {found.what}",
            (
                "run apt-get update before apt-get install, in the same RUN",
                "correct the name: it differs between releases",
            ),
        )
    if found.package:
        return Words(
            f"{found.named} needs the program {found.what}, which is not there",
            (*from_source(found, git=found.what in ("git", "hg", "svn")), install),
        )
    return Words(
        f"the program {found.what}, which the build calls, is not there",
        (install, f"install {found.what} in a step before this one, or correct its name" if not install else ""),
    )


def from_source(found: Found, *, git: bool = False) -> tuple[str, ...]:
    """Return how to have nothing built from source."""
    if git:
        return ("require a released version by name and number instead of an address",)
    instead = hints.WITH_WHEELS.get(normal(found.package))
    python = f"Python {found.python}" if found.python else "this Python"
    return (
        f"require {instead} instead, which has wheels" if instead else "",
        f"take a version of {found.package} that has a wheel for {python}, and nothing is built"
        if found.package
        else "",
    )


def compilation_failed(found: Found) -> Words:
    """Say that the code does not compile."""
    python = f"Python {found.python}" if found.python else "this Python"
    return Words(
        f"{found.named} has to be built from source, and its code does not compile",
        (
            f"take a newer version of {found.package}: older code does not compile for newer Pythons"
            if found.package
            else "",
            f"take a version that has a wheel for {python}, or build with an older Python",
        ),
    )


def module_missing(found: Found) -> Words:
    """Say which module is not there."""
    module = found.what.partition(".")[0].partition(":")[0]
    gone = hints.GONE_FROM_PYTHON.get(module)
    if gone:
        return Words(
            f"{found.named} needs the module {module}, which is no longer a part of Python from {gone} on",
            (
                f"take a newer version of {found.package}, or" if found.package else "",
                f"build with a Python before {gone}",
            ),
        )
    if module == "pkg_resources":
        return Words(
            f"{found.named} needs the module pkg_resources, which newer versions of setuptools no longer have",
            (
                f"take a newer version of {found.package}, or" if found.package else "",
                "build with an older one: a line setuptools<81 in a file that PIP_CONSTRAINT names",
            ),
        )
    name = hints.DISTRIBUTIONS.get(normal(module), module)
    if not module:
        return Words(
            f"the build backend of {found.named}, {found.groups.get('backend', 'which it names')}, cannot be imported",
            (f"take another version of {found.package}", "correct build-backend and requires in its pyproject.toml"),
        )
    if not found.package:
        return Words(
            f"the build runs a program that imports {module}, which is not installed",
            (f"add {name} to the requirements",),
        )
    return Words(
        f"the setup of {found.named} imports {module}, which it does not say that it needs",
        (
            f"take a newer version of {found.package}, which may have a wheel or say what it needs",
            f"install {name} first, then {found.package} with --no-build-isolation",
        ),
    )


def metadata_failed(found: Found) -> Words:
    """Say in which words the setup failed."""
    said = f": {short(found.said)}" if found.said else ""
    old = re.search(r"use_2to3|Missing parentheses in call to|except \w+, \w+", found.said)
    other = hints.DISTRIBUTIONS.get(normal(found.package))
    return Words(
        f"the setup of {found.named} failed before anything was built{said}",
        (
            f"replace {found.package} by {other}" if other else "",
            f"this version of {found.package} is written for Python 2: take a newer one" if old else "",
            f"take another version of {found.package}: one that has a wheel runs no setup"
            if found.package and not old
            else "",
        ),
    )
