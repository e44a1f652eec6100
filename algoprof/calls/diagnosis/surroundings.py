"""Words for what is around a build: files, networks, disks, memory, permissions."""

from algoprof.calls.diagnosis.findings import Found, Words, short
from algoprof.calls.diagnosis.reasons import Reason
from algoprof.calls.diagnosis.sources import from_source


def file_missing(found: Found) -> Words:
    """Say which file is not there."""
    if "not installable" in found.evidence[0]:
        return Words(
            f"the folder {found.what} holds nothing to install: neither setup.py nor pyproject.toml is in it",
            ("name the folder that holds one of them", "check that both are committed"),
        )
    return Words(
        f"{found.what or 'a file'}, which the build names, is not there",
        (
            f"commit it: only what is in the repository is built (git ls-files {found.what} lists it)"
            if found.what
            else "",
            "check its name, and .dockerignore",
        ),
    )


def access_denied(_: Found) -> Words:
    """Say that a password is wanted."""
    return Words(
        "the package index or the repository wants a password or a token, or takes not the one that it was given",
        (
            "put it into the address, as https://USER:TOKEN@HOST/simple, from a secret of the build: never commit it",
            "check that the token still holds and may read",
        ),
    )


def network(found: Found) -> Words:
    """Say what could not be reached, and how it failed."""
    trouble = found.trouble
    kinds = {
        "tls": ("its certificate is not trusted", "trust its certificate: PIP_CERT names a file of them"),
        "name": ("its name is not known", "check the address, and that the build may use the network"),
        "refused": ("nothing answers there", "check the address, and that the build may use the network"),
        "slow": ("no answer came in time", "build again; if it stays so, raise pip's --timeout"),
        "broken": ("the connection broke off", "build again; if it stays so, look for a proxy in between"),
    }
    why, what = next(
        (words for kind, words in kinds.items() if kind in trouble), ("", "build again: such trouble passes")
    )
    number = trouble.get("number") or trouble.get("code") or (found.what if found.what.isdecimal() else "")
    if number == "404":
        why, what = "there is no such file", "correct the address"
    elif number:
        why, what = f"it answered with HTTP {number}", "build again later: it is the index that fails"
    told = (found.evidence or ("",))[0]
    source = "the package index"
    if "fatal: " in told:
        source = "the repository"
    elif told.startswith("E: "):
        source = "apt-get's source of packages"
    elif "HTTP error" in told or "Could not install packages due to" in told:
        source = "the file's address"
    wanted = f" for {found.named}" if found.package else ""
    return Words(f"{source} could not be read{wanted}{f': {why}' if why else ''}", (what,))


def disk_full(found: Found) -> Words:
    """Say where the space ended."""
    return Words(
        f"there was no space left on the disk{_at(found)}",
        (
            "take the smaller variant of what is large: opencv-python-headless, tensorflow-cpu, torch for the CPU",
            "let pip keep no cache: pip install --no-cache-dir",
            "load models from the data API at run time instead of packing them in",
        ),
    )


def memory(found: Found) -> Words:
    """Say where the memory ended."""
    killed = found.reason is Reason.killed
    what = "something killed the build, most likely for want of memory" if killed else "there was no memory left"
    return Words(
        f"{what}{_at(found)}",
        (
            *from_source(found),
            "let fewer compilers run at once: MAKEFLAGS=-j1, MAX_JOBS=1",
            "give the build more memory",
        ),
    )


def _at(found: Found) -> str:
    return f", at {found.named}" if found.package else ""


def permission_denied(found: Found) -> Words:
    """Say where it may not write."""
    return Words(
        f"the build may not write to {found.what or 'where it wants to'}",
        ("install for the user: pip install --user", "or into a virtual environment, or as the owner of that folder"),
    )


def externally_managed(_: Found) -> Words:
    """Say which Python takes no packages."""
    return Words(
        "the system's own Python takes no packages from pip",
        (
            "install into a virtual environment: python3 -m venv",
            "or start from an image of Python's own, which takes them",
        ),
    )


def command_failed(found: Found) -> Words:
    """Say which command failed."""
    command = short(found.step.instruction) if found.step else "a command"
    code = f" with exit status {found.exit_code}" if found.exit_code else ""
    return Words(
        f"{command} failed{code}, and says nothing that is known here",
        ("read the lines before its end: `algoprof builds logs`", "run the command by itself, as the same user"),
    )


def unknown(_: Found) -> Words:
    """Say that nobody knows."""
    return Words(
        "the log does not say why",
        (
            "read its end: `algoprof builds logs`",
            "have the requirements at fault found: `algoprof builds bisect DIR`",
        ),
    )
