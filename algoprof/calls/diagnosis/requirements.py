"""Requirements as pip writes and reads them: names, versions, and whether one is pinned."""

import re
from dataclasses import dataclass

_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9])?"
_REQUIREMENT = re.compile(rf"({_NAME})\s*(\[[A-Za-z0-9,._ -]{{0,200}}\])?\s*(@.*|\(?\s*(?:[<>=!~]=?=?.*)?)", re.DOTALL)
_PIN = re.compile(r"\(?\s*===?\s*([A-Za-z0-9.!+_-]{1,100})\s*\)?")
_FILE = re.compile(rf"({_NAME}?)-(\d[A-Za-z0-9.!+_]{{0,60}})(?:-[\w.-]{{1,150}}\.whl|\.tar\.gz|\.zip|\.tar\.bz2|\.tgz)")
_INSTALLED = re.compile(rf"({_NAME})-(\d[A-Za-z0-9.!+_]{{0,60}})")


@dataclass(frozen=True, slots=True)
class Requirement:
    """What is asked of pip.

    Args:
        name: the package, as it is written.
        extras: with its brackets, such as `[async]`; empty without.
        specifier: which versions, such as `>=1,<2`; empty for any.
        url: where it is to come from, for `NAME @ URL`; empty otherwise.

    >>> parse("Flask[async] >= 2.0 ; python_version > '3'")
    Requirement(name='Flask', extras='[async]', specifier='>= 2.0', url='')
    """

    name: str
    extras: str = ""
    specifier: str = ""
    url: str = ""

    @property
    def version(self) -> str:
        """The one version that it allows; empty if it allows several.

        >>> parse("six==1.16.0").version, parse("six==1.*").version, parse("six>=1").version
        ('1.16.0', '', '')
        """
        pin = _PIN.fullmatch(self.specifier)
        return pin[1] if pin else ""

    @property
    def pinned(self) -> bool:
        """Whether it allows one version only, or says where it comes from."""
        return bool(self.version or self.url)

    def __str__(self) -> str:
        return f"{self.name}{self.extras}{f' @ {self.url}' if self.url else self.specifier}"


def parse(text: str) -> Requirement | None:
    """Return what a requirement asks for, without its marker and its comment; None if it is none."""
    bare = re.split(r"\s#|\s--hash|\s;|;\s", text.strip(), maxsplit=1)[0].strip()
    found = _REQUIREMENT.fullmatch(bare[:1_000])
    if found is None:
        return None
    name, extras, rest = found[1], found[2] or "", found[3].strip()
    if rest.startswith("@"):
        return Requirement(name, extras, url=rest[1:].strip())
    if rest.startswith("("):
        rest = rest[1:].removesuffix(")").strip()
    return Requirement(name, extras, rest)


def unpinned_in(text: str) -> tuple[str, ...]:
    r"""Return what a requirements.txt asks for that allows several versions.

    >>> unpinned_in("six==1.16.0\nidna>=3  # any\n-r more.txt")
    ('idna>=3',)
    """
    found = (parse(line) for line in text.splitlines() if not line.lstrip().startswith(("#", "-")))
    return tuple(str(one) for one in found if one and not one.pinned)


def normal(name: str) -> str:
    """Return a package's name as indexes compare it.

    >>> normal("Jinja_2.x")
    'jinja-2-x'
    """
    return re.sub(r"[-_.]+", "-", name).lower()


def named_by_file(text: str) -> tuple[str, str] | None:
    """Return the package and the version that the name of a file says, wherever it lies.

    >>> named_by_file("Downloading charset_normalizer-3.5.2-cp311-cp311-manylinux2014_x86_64.whl (269 kB)")
    ('charset_normalizer', '3.5.2')
    >>> named_by_file("psycopg2-binary-2.9.5.tar.gz")
    ('psycopg2-binary', '2.9.5')
    """
    for word in text.split():
        found = _FILE.fullmatch(word.rpartition("/")[2])
        if found:
            return found[1], found[2]
    return None


def installed(text: str) -> dict[str, str]:
    """Return the versions that pip's `Successfully installed ...` names, by package.

    >>> installed("charset-normalizer-3.5.2 six-1.16.0")
    {'charset-normalizer': '3.5.2', 'six': '1.16.0'}
    """
    found = (_INSTALLED.fullmatch(word) for word in text.split())
    return {match[1]: match[2] for match in found if match}


def ordered(version: str) -> tuple[int, ...]:
    """Return the numbers of a release, for a rough comparison.

    >>> ordered("2.12.0rc1") < ordered("2.12.1")
    True
    """
    digits = re.match(r"\d{1,9}(?:\.\d{1,9}){0,7}", version)
    return tuple(int(part) for part in digits[0].split(".")) if digits else ()
