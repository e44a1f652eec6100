"""Which other versions are taken: the nearest that fit, of one line where that is enough. The index is a table here."""

from itertools import product

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from algoprof.bisection.bisecting import _Search
from algoprof.bisection.probing import Listing
from algoprof.bisection.repairing import Repairer
from algoprof.bisection.requirement_lines import Requirements, line
from algoprof.bisection.verdicts import Verdict

INDEX = {
    "app": {"1": ("core>=1,<2",), "2": ("core>=3,<4",), "3": ("core>=5",)},
    "core": dict.fromkeys(("1.0", "1.1", "2.0", "2.1", "3.0", "4.0", "5.0", "6.0"), ()),
    "left": {"1": ("core==1.0",), "2": ("core==2.0",)},
    "right": {"1": ("core==1.1",), "2": ("core==2.0",)},
    "nothing": {},
}


class Table:
    """Chooses versions as pip does, the newest that fit, by trying all; and counts how often it is asked."""

    options = ()

    def __init__(self, broken=()):
        self.asked = []
        self._broken = broken

    def __call__(self, texts, mode, doing):
        self.asked.append(doing)
        wanted = [Requirement(text) for text in texts]
        names = list(INDEX)
        newest_first = [[*reversed(INDEX[name]), None] for name in names]
        for versions in product(*newest_first):
            chosen = {name: version for name, version in zip(names, versions, strict=True) if version}
            asked = [*wanted, *(Requirement(one) for name in chosen for one in INDEX[name][chosen[name]])]
            needed = {one.name for one in asked}
            if needed == set(chosen) and all(one.specifier.contains(chosen[one.name]) for one in asked):
                broken = mode == "install" and any((name, chosen.get(name)) in self._broken for name in names)
                return Verdict(not broken, 0, self._log(chosen) if broken else "", chosen)
        return Verdict(False, 0, "ERROR: ResolutionImpossible: nothing fits\n")

    def _log(self, chosen):
        name = next(name for name, version in self._broken if chosen.get(name) == version)
        return f"Failed building wheel for {name}\n"

    def listing(self, name):
        versions = tuple(sorted(INDEX[name], key=Version))
        return Listing(versions, frozenset(one for one in versions if (name, one) not in self._broken))


def resolved(*texts, among=()):
    failing = [line(text, first=number) for number, text in enumerate(texts, 1)]
    others = [line(text, first=number) for number, text in enumerate(among, 10)]
    return [change.text for change in Repairer(Table()).resolved(failing, [*failing, *others])]


@pytest.mark.parametrize(
    ("failing", "texts"),
    [
        (["app==1", "core==2.1"], ["core==1.1"]),  # two releases away, as app 2 with core 3.0 would not do
        (["app==2", "core==2.1"], ["core==3.0"]),  # the next one, though pip would take it too
        (["app==3", "core==4.0"], ["core==5.0"]),  # pip would take 6.0
        (["core==2.5"], ["core==3.0"]),  # no such version: of two equally near the newer
        (["core==9"], ["core==6.0"]),
        (["core<1"], ["core==6.0"]),
        (["nothing==1"], []),
    ],
)
def test_the_nearest_version_that_fits_is_taken(failing, texts):
    assert resolved(*failing) == texts


def test_what_fits_the_other_lines_too_is_preferred():
    assert resolved("app==1", "core==2.0") == ["core==1.1"]
    assert resolved("app==1", "core==2.0", among=["left==1"]) == ["core==1.0"]


def test_where_one_line_is_not_enough_all_are_loosened():
    assert resolved("left==1", "right==1") == ["left==2", "right==2"]


@pytest.mark.parametrize(
    ("failing", "broken", "texts"),
    [
        (["core==2.1"], [("core", "2.1")], ["core==3.0"]),  # as near as 2.0, and newer
        (["core>=2"], [("core", "6.0")], ["core==5.0"]),  # stays within what was asked for
        (["app==1"], [("core", "1.1")], ["core==1.0"]),  # a line more: app stays what it is
        (["core>=6"], [("core", "6.0"), ("core", "5.0")], ["core==4.0"]),
    ],
)
def test_what_does_not_build_is_replaced_by_what_does(failing, broken, texts):
    lines = [line(text, first=number) for number, text in enumerate(failing, 1)]
    table = Table(broken)
    verdict = table(failing, "install", "")
    chosen = table(failing, "resolve", "").chosen
    changes = Repairer(table).built(lines, verdict, chosen.get(verdict.culprit, ""))
    assert [change.text for change in changes] == texts


@pytest.mark.parametrize(
    ("texts", "broken", "outcome", "faults", "changes"),
    [
        (["app==3", "core==6.0"], [], "installs", [], []),
        (["app==1", "core==2.1"], [], "repaired", [["app==1", "core==2.1"]], ["core==1.1"]),
        (["nothing==1", "core==9"], [], "not_repaired", [["nothing==1"], ["core==9"]], ["core==6.0"]),
        (["left==9", "core"], [("core", "2.0"), ("core", "6.0")], "repaired", None, ["left==1", "core==1.0"]),
    ],
)
def test_one_fault_after_the_other_is_looked_for(texts, broken, outcome, faults, changes):
    lines = [line(text, first=number) for number, text in enumerate(texts, 1)]
    requirements = Requirements(lines[0].file, lines)
    search = _Search(requirements, Table(broken), lambda _: None)
    assert search.run() == outcome
    if faults is not None:
        assert [[one.text for one in fault.lines] for fault in search.faults] == faults
    assert [change.text for change in search.changes()] == changes
