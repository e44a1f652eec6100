"""Stack samples as collapsed stacks, one a line: what flamegraph.pl, inferno, speedscope and Pyroscope read."""

from collections.abc import Iterable

from algoprof.profiles.tree import Profile


def collapsed(profiles: Iterable[Profile]) -> str:
    r"""Return the samples of profiles as text; empty if they have none.

    Each line is `run;section;function (file:line) COUNT`, outermost first.

    >>> from algoprof.profiles.samples import Frame, Sample
    >>> sample = Sample(("job", "load"), (Frame("read", "job.py", 7),), 3)
    >>> collapsed([Profile("job", (), samples=(sample,))])
    'job;load;read (job.py:7) 3\n'
    """
    counts: dict[str, int] = {}
    for profile in profiles:
        for sample in profile.samples:
            line = ";".join(_plain(part) for part in (*sample.path, *map(str, sample.stack)))
            counts[line] = counts.get(line, 0) + sample.count
    return "".join(f"{line} {count}\n" for line, count in sorted(counts.items()))


def _plain(text: str) -> str:
    """Return a name without what separates names and lines."""
    return "".join(character if character.isprintable() else " " for character in text.replace(";", ":"))
