"""Collapsed stacks, one a line: what flamegraph.pl, inferno, speedscope and Pyroscope read."""

from collections.abc import Iterable

from algoprof.exporters.formats.places import OPEN, by_path, places
from algoprof.exporters.text.cells import escaped
from algoprof.profiles.tree import Profile


def collapsed(profiles: Iterable[Profile]) -> str:
    r"""Return the stack samples of profiles as text; empty if they have none.

    Each line is `run;section;function (file:line) COUNT`, outermost first. A section that was open when the process
    was killed has `(open)` behind its name.

    >>> from algoprof.profiles.samples import Frame, Sample
    >>> sample = Sample(("job", "load"), (Frame("read", "job.py", 7),), 3)
    >>> collapsed([Profile("job", (), samples=(sample,))])
    'job;load;read (job.py:7) 3\n'
    """
    counts: dict[str, int] = {}
    for profile in profiles:
        known = by_path(list(places(profile))) if profile.samples else {}
        still_open = {path for path, place in known.items() if place.node.open_count}
        for sample in profile.samples:
            sections = (
                name + OPEN if sample.path[: depth + 1] in still_open else name
                for depth, name in enumerate(sample.path)
            )
            line = ";".join(_plain(part) for part in (*sections, *map(str, sample.stack)))
            counts[line] = counts.get(line, 0) + sample.count
    return _lines(counts)


def collapsed_sections(profile: Profile) -> str:
    r"""Return the own time of each section as text, in nanoseconds, for a profile that was not sampled.

    Sections beside their parent, in other threads, tasks and processes, stand below it too.

    >>> from algoprof.profiles.tree import Node
    >>> job = Node("job", 1, closed_ns=9, nested_ns=2, children=(Node("load", 1, closed_ns=2),))
    >>> collapsed_sections(Profile("job", (job,)))
    'job 7\njob;load 2\n'
    """
    counts: dict[str, int] = {}
    for place in places(profile):
        if place.node.self_ns:
            line = ";".join(_plain(above.label) for above in place.line())
            counts[line] = counts.get(line, 0) + place.node.self_ns
    return _lines(counts)


def _lines(counts: dict[str, int]) -> str:
    return "".join(f"{line} {count}\n" for line, count in sorted(counts.items()))


def _plain(text: str) -> str:
    """Return a name without what separates names and lines."""
    return escaped(text).replace(";", ":")
