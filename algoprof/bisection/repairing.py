"""Other versions for lines that do not install: the nearest ones that do, of one package where that is enough."""

from collections.abc import Iterator, Sequence

from packaging.specifiers import SpecifierSet

from algoprof.bisection.nearest import distances, ordered, parsed, releases
from algoprof.bisection.probing import Prober
from algoprof.bisection.requirement_lines import Line, line
from algoprof.bisection.results import Change
from algoprof.bisection.verdicts import Verdict

_BUILDS_TRIED = 12  # versions of a package
_ABOVE_TRIED = 5  # versions between the one that is asked for and the one that pip takes


class Repairer:
    """Looks for versions that install.

    Args:
        probe: tries lines.
    """

    def __init__(self, probe: Prober) -> None:
        self._probe = probe
        self._broken: dict[tuple[str, str], None] = {}  # packages with versions that do not build

    def resolved(self, failing: Sequence[Line], everything: Sequence[Line]) -> tuple[Change, ...]:
        """Return changes that let pip choose versions for lines that fail; preferably such that suit all lines.

        One line is loosened after the other, and the version is taken that is nearest to what was asked for; only
        where no single one helps, all of them are loosened at once.
        """
        together = everything if len(everything) > len(failing) else ()
        for context in filter(None, (together, failing)):
            fitting = [(one, newest) for one in reversed(failing) if (newest := self._newest(one, context))]
            if fitting:
                return (self._nearest(fitting, context),)
        loose = [one for one in failing if one.changeable]
        for context in filter(None, (together, failing)) if len(loose) > 1 else ():
            verdict = self._without(loose, context)
            if verdict.passed:
                return tuple(
                    change_of(one, verdict.chosen[one.name])
                    for one in loose
                    if one.name in verdict.chosen and not _allows(one, verdict.chosen[one.name])
                )
        return ()

    def built(self, failing: Sequence[Line], verdict: Verdict, chosen: str) -> tuple[Change, ...]:
        """Return a change with which lines build.

        Args:
            failing: those lines, which fail together.
            verdict: how they fail, with the package at fault.
            chosen: the version of it that pip chose; empty if that is not known.
        """
        own = [one for one in failing if one.changeable and one.name == verdict.culprit]
        version = next((one.asked for one in own if one.asked), verdict.diagnosis.version or chosen)
        if verdict.culprit and version:
            self._broken[verdict.culprit, version] = None
        others = [one for one in failing if one.changeable and one not in own]
        brought = [line(verdict.culprit, failing[0].file)] if verdict.culprit and not own else []
        for one in (*own, *brought, *others):
            found = self._other_versions(one, failing, version if one.name == verdict.culprit else one.asked)
            if found:
                return found
        return ()

    def _other_versions(self, one: Line, failing: Sequence[Line], asked: str) -> tuple[Change, ...]:
        """Try other versions of a line, or of one that is to be added, the most promising first."""
        offered = self._versions(one.name, asked)
        if not offered:
            return ()
        allowed = one.requirement.specifier if one.requirement else SpecifierSet()
        wanted = asked or next((text for text in reversed(offered) if allowed.contains(text)), offered[-1])
        for version in ordered(offered, wanted, allowed, self._probe.listing(one.name).wheels)[:_BUILDS_TRIED]:
            change = change_of(one, version)
            texts = [change.text if other == one else other.text for other in failing]
            if one not in failing:
                texts.append(change.text)
            if self._probe(texts, "install", f"trying {one.name} {version}").passed:
                return (change,)
        return ()

    def _newest(self, one: Line, context: Sequence[Line]) -> str:
        """Return the newest version of a line that fits the others of a context; empty if none does."""
        if not one.changeable or one.requirement is None or not one.requirement.specifier:
            return ""
        return self._without([one], context).chosen.get(one.name, "")

    def _nearest(self, fitting: Sequence[tuple[Line, str]], context: Sequence[Line]) -> Change:
        """Return the smallest change, of lines any of which may change, each with the newest version that fits."""
        one, newest = fitting[0]
        above, asked = parsed(newest), parsed(one.asked)
        if len(fitting) == 1 and above and asked and above < asked:
            return change_of(one, newest)  # pip takes the newest that fits: nothing is nearer
        return min((self._near(*each, context) for each in fitting), key=lambda near: near[0])[1]

    def _near(self, one: Line, newest: str, context: Sequence[Line]) -> tuple[float, Change]:
        """Return how far away the nearest version of a line is that fits, and the change to it."""
        offered = self._versions(one.name, newest)
        allowed = one.requirement.specifier if one.requirement else SpecifierSet()
        asked = one.asked or next((text for text in reversed(offered) if allowed.contains(text)), newest)
        away = distances(offered, asked)
        best = newest
        above, wanted = parsed(newest), parsed(asked)
        if above and wanted and above > wanted:
            best = min(self._nearer(one, context, (asked, newest), away), key=lambda text: away.get(text, 0))
        return away.get(best, float(len(offered))), change_of(one, best)

    def _nearer(
        self, one: Line, context: Sequence[Line], bounds: tuple[str, str], away: dict[str, float]
    ) -> Iterator[str]:
        """Yield versions that fit: above what is asked for, below it, and the newest."""
        asked, newest = bounds
        offered = self._versions(one.name, newest)
        low, high = parsed(asked), parsed(newest)
        between = [text for text in offered if low and high and low < (parsed(text) or low) < high]
        below = self._without([one], context, f"<{asked}").chosen.get(one.name)
        nearest = away.get(below, len(offered)) if below else len(offered)
        for version in between[:_ABOVE_TRIED]:
            if away[version] > nearest:
                break
            if self._without([one], context, f"=={version}").passed:
                yield version
                break
        if below:
            yield below
        yield newest

    def _without(self, loose: Sequence[Line], context: Sequence[Line], specifier: str = "") -> Verdict:
        texts = [other.with_specifier(specifier) if other in loose else other.text for other in context]
        named = {other.name for other in context}
        texts += [f"{name}!={version}" for name, version in self._broken if name in named]
        names = ", ".join(one.name for one in loose)
        doing = f"trying {names}{specifier}" if specifier else f"letting pip choose {names}"
        return self._probe(texts, "resolve", doing)

    def _versions(self, name: str, asked: str) -> list[str]:
        return releases(self._probe.listing(name).versions, asked)


def change_of(one: Line, version: str) -> Change:
    """Return what it takes for a line to ask for one version."""
    was = str(one.requirement.specifier) if one.requirement else ""
    return Change(one, one.name, version, was, one.with_specifier(f"=={version}"))


def changed(lines: Sequence[Line], changes: Sequence[Change]) -> list[Line]:
    """Return lines with changes made."""
    texts = {change.line: change.text for change in changes}
    made = [line(texts[one], one.file, one.first, one.last) if one in texts else one for one in lines]
    return [*made, *(line(change.text, change.line.file) for change in changes if change.line not in lines)]


def _allows(one: Line, version: str) -> bool:
    return one.requirement is not None and one.requirement.specifier.contains(version, prereleases=True)
