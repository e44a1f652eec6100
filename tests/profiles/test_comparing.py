"""Two profiles side by side."""

from algoprof.profiles.comparing import compare
from algoprof.profiles.tree import Node, Profile


def test_sections_are_paired_by_their_paths():
    before = Profile(
        "job", (Node("job", closed_ns=10, children=(Node("load", closed_ns=4), Node("old", closed_ns=1))),)
    )
    after = Profile("job", (Node("job", closed_ns=20, children=(Node("new"), Node("load", closed_ns=8))),), runs=2)
    found = {change.path: change for change in compare(before, after)}
    assert set(found) == {("job",), ("job", "load"), ("job", "old"), ("job", "new")}
    load = found["job", "load"]
    assert (load.total_before, load.total_after, load.total_ratio) == (4e-9, 4e-9, 1.0)
    assert (found["job", "old"].after, found["job", "old"].total_after, found["job", "old"].total_ratio) == (None, 0, 0)
    assert (found["job", "new"].before, found["job", "new"].total_ratio) == (None, None)


def test_parents_come_first_and_siblings_of_one_name_are_one():
    twice = Profile("job", (Node("job", children=(Node("a", closed_ns=1), Node("a", closed_ns=2))),))
    changes = compare(twice, Profile("other", (Node("other"),)))
    assert [change.path for change in changes] == [("other",), ("job",), ("job", "a")]
    assert changes[2].total_before == 3e-9
