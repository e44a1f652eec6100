"""Which formats there are: what each is called, what its files are named, and what opens them."""

import difflib
from collections.abc import Callable
from dataclasses import dataclass

from algoprof.errors import ConfigurationError
from algoprof.exporters.formats.chrome import chrome
from algoprof.exporters.formats.collapsed import collapsed, collapsed_sections
from algoprof.exporters.formats.csv_table import csv_table
from algoprof.exporters.formats.markdown import markdown
from algoprof.exporters.formats.perfetto import perfetto
from algoprof.exporters.formats.pprof import pprof
from algoprof.exporters.formats.profile_json import profile_json
from algoprof.exporters.formats.speedscope import speedscope
from algoprof.exporters.html import render as html
from algoprof.profiles.tree import Profile


@dataclass(frozen=True, slots=True)
class Format:
    """A format that profiles are written in.

    Args:
        name: what it is asked for by.
        endings: of the names of its files, the usual one first.
        opens: who reads it.
        holds: what of a profile is in it.
        render: returns a profile in it; bytes if it is binary.
        compare: returns a profile in it beside a baseline, the second one; None if it has no place for that.
    """

    name: str
    endings: tuple[str, ...]
    opens: str
    holds: str
    render: Callable[[Profile], str | bytes]
    compare: Callable[[Profile, Profile], str | bytes] | None = None


def _stacks(profile: Profile) -> str:
    return collapsed([profile]) if profile.samples else collapsed_sections(profile)


FORMATS = {
    one.name: one
    for one in (
        Format(
            "speedscope",
            (".speedscope.json", ".speedscope"),
            "speedscope.app, in a browser; Pyroscope",
            "sections, stack samples, timeline",
            speedscope,
        ),
        Format(
            "chrome",
            (".trace.json", ".chrome.json", ".trace"),
            "ui.perfetto.dev, chrome://tracing",
            "timeline by thread, sections",
            chrome,
        ),
        Format(
            "perfetto",
            (".pftrace", ".perfetto-trace", ".perfetto"),
            "ui.perfetto.dev, trace_processor (SQL)",
            "timeline by thread, sections",
            perfetto,
        ),
        Format("pprof", (".pprof", ".pb.gz"), "go tool pprof, Pyroscope, Parca", "sections, stack samples", pprof),
        Format(
            "collapsed",
            (".collapsed", ".folded", ".stacks"),
            "flamegraph.pl, inferno, speedscope, Pyroscope",
            "stack samples, else sections",
            _stacks,
        ),
        Format("json", (".algoprof", ".json"), "algoprof, and any program", "everything", profile_json),
        Format("csv", (".csv",), "spreadsheets, pandas, SQL", "sections", csv_table),
        Format("markdown", (".md", ".markdown"), "pull requests, notes", "the heaviest sections", markdown, markdown),
        Format(
            "html",
            (".html", ".htm"),
            "any browser, with no network",
            "budget, sections, stack samples, timeline",
            html,
            html,
        ),
    )
}
"""By name."""


def format_named(name: str) -> Format:
    """Return the format of a name.

    Raises:
        ConfigurationError: if there is none; the message lists them.

    >>> format_named("speedscop")
    Traceback (most recent call last):
        ...
    algoprof.errors.ConfigurationError: there is no format 'speedscop'; did you mean 'speedscope'?
    """
    if name in FORMATS:
        return FORMATS[name]
    near = difflib.get_close_matches(name, FORMATS, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(FORMATS)}"
    raise ConfigurationError(f"there is no format {name!r:.80}; {hint}")


def rendered(profile: Profile, name: str) -> str | bytes:
    r"""Return a profile as it stands in a file of a name: in the format that this ends as, else in our JSON.

    >>> rendered(Profile("job", ()), "run.out")
    '{"algoprof":1,"name":"job","roots":[]}\n'
    """
    return (format_of_file(name) or FORMATS["json"]).render(profile)


def format_of_file(name: str) -> Format | None:
    """Return the format that a file's name ends as, the longest ending first; None if it ends as none.

    >>> [format_of_file(name).name for name in ("a.json", "a.speedscope.json", "A.PPROF")], format_of_file("a.txt")
    (['json', 'speedscope', 'pprof'], None)
    """
    endings = {ending: one for one in FORMATS.values() for ending in one.endings}
    fitting = [ending for ending in endings if name.lower().endswith(ending)]
    return endings[max(fitting, key=len)] if fitting else None
