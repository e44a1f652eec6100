"""In which order the versions of a package are to be tried instead of one that does not build: pure functions."""

import bisect
from collections.abc import Collection, Iterable, Sequence

from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

_TRIED_FROM_SOURCE = 3  # versions without a wheel before those that the requirement does not allow


def releases(offered: Iterable[str], asked: str = "") -> list[str]:
    """Return versions in their order; previews only where one is asked for, or where there is nothing else.

    >>> releases(["1.10", "1.9", "2.0rc1", "nonsense"])
    ['1.9', '1.10']
    """
    known = sorted((version, text) for version, text in ((parsed(text), text) for text in offered) if version)
    wanted = parsed(asked)
    if wanted is None or not wanted.is_prerelease:
        known = [(version, text) for version, text in known if not version.is_prerelease] or known
    return [text for _, text in known]


def distances(offered: Sequence[str], asked: str) -> dict[str, float]:
    """Return how many releases each version is away from the one that is asked for, which need not be among them.

    >>> distances(["1.0", "1.1", "2.0"], "1.1"), distances(["1.0", "2.0"], "1.5")
    ({'1.0': 1, '1.1': 0, '2.0': 1}, {'1.0': 0.5, '2.0': 0.5})
    """
    wanted = parsed(asked)
    known = [(parsed(text) or Version("0")) for text in offered]
    if wanted is None:
        place: float = len(offered)
    elif wanted in known:
        place = known.index(wanted)
    else:
        place = bisect.bisect(known, wanted) - 0.5
    return {text: abs(number - place) for number, text in enumerate(offered)}


def ordered(
    offered: Sequence[str], asked: str, allowed: SpecifierSet, wheels: Collection[str] | None = None
) -> list[str]:
    """Return the versions to try, the most promising first, without the one that is asked for.

    Those that the requirement allows come before those that it does not; with a wheel before without one; then the
    nearest, of two equally near the newer.

    Args:
        offered: what there is, oldest first.
        asked: the version that does not build.
        allowed: what the requirement allows.
        wheels: those that need not be built; None where that makes no difference.

    >>> ordered(["1.0", "1.1", "1.2", "1.3", "2.0"], "1.2", SpecifierSet(""))
    ['1.3', '1.1', '2.0', '1.0']
    >>> ordered(["1.0", "1.1", "1.2", "1.3", "2.0"], "1.2", SpecifierSet("<2"), ["1.0", "2.0"])
    ['1.0', '1.3', '1.1', '2.0']
    """
    away = distances(offered, asked)
    wanted = parsed(asked)

    def rank(text: str) -> tuple[int, float, int]:
        inside, wheel = allowed.contains(text, prereleases=True), wheels is None or text in wheels
        return 2 * (not inside) + (not wheel), away[text], -offered.index(text)

    found = sorted((text for text in offered if parsed(text) != wanted), key=rank)
    dear = [text for text in found if rank(text)[0] == 1][_TRIED_FROM_SOURCE:]
    return [text for text in found if text not in dear] + dear


def parsed(text: str) -> Version | None:
    """Return a version, or None for what is none.

    >>> parsed("1.0") < parsed("1.0.1"), parsed("")
    (True, None)
    """
    try:
        return Version(text)
    except InvalidVersion:
        return None
