"""`==` pins from a build that succeeded: what was installed, written down so that the next build installs the same."""

import re
from collections.abc import Mapping

from algoprof.calls.diagnosis.requirements import normal, parse

HEADER = "# What a build that succeeded has installed; `algoprof builds pin` writes it anew."


def pinned(installed: Mapping[str, str], requirements: str = "") -> str:
    r"""Return requirements with a `==` pin for each package that was installed.

    Args:
        installed: the version of each, by name, as `Diagnosis.installed` has them.
        requirements: the project's requirements.txt, to be kept as it is but for the versions; what is installed
            besides follows behind it. Empty to list all that was installed.

    >>> print(pinned({"six": "1.16.0", "idna": "3.6"}, "six>=1  # for old code\n-r more.txt"))
    six==1.16.0  # for old code
    -r more.txt
    # wanted by the above
    idna==3.6
    <BLANKLINE>
    """
    left = {normal(name): f"{name}=={version}" for name, version in installed.items()}
    if not requirements.strip():
        return "\n".join([HEADER, *(left[name] for name in sorted(left))]) + "\n"
    lines = [_pinned_line(line, installed, left) for line in requirements.rstrip("\n").split("\n")]
    if left:
        lines += ["# wanted by the above", *(left[name] for name in sorted(left))]
    return "\n".join(lines) + "\n"


def _pinned_line(line: str, installed: Mapping[str, str], left: dict[str, str]) -> str:
    """Return a line with its pin, and take the package from what is left."""
    requirement = parse(line) if not line.lstrip().startswith(("#", "-")) else None
    if requirement is None or normal(requirement.name) not in left:
        return line
    left.pop(normal(requirement.name))
    if requirement.pinned:
        return line
    version = next(version for name, version in installed.items() if normal(name) == normal(requirement.name))
    rest = re.search(r"\s*(?:;|\s#|\s--hash).*", line)
    return f"{requirement.name}{requirement.extras}=={version}{rest[0] if rest else ''}"
