"""The page: what the parts say, one style sheet and one script in one file, and nothing else allowed to run or load."""

import base64
import hashlib
from collections.abc import Iterator
from functools import cache
from importlib.resources import files

from algoprof.exporters.formats.facts import EXPORTER
from algoprof.exporters.formats.places import Place, innermost_open, places
from algoprof.exporters.html import markup
from algoprof.exporters.html.budget import budget
from algoprof.exporters.html.comparison import comparison
from algoprof.exporters.html.flame import samples_flame, sections_flame
from algoprof.exporters.html.surroundings import doubts, lines_seen, surroundings
from algoprof.exporters.html.timeline import drawn_timeline
from algoprof.exporters.html.tree import tree
from algoprof.exporters.text import cells
from algoprof.profiles.tree import Profile

_MARKED = 5  # open sections that are seen at once


def render(profile: Profile, baseline: Profile | None = None) -> str:
    """Return a run, or many merged, as an HTML document that needs no other file and no network.

    It can be read without its script, which adds the search, the keys of the tree and zooming. All names are escaped;
    a content security policy lets nothing run but that script, by its hash, and nothing load.

    Args:
        profile: what to show.
        baseline: what it is compared with; None to show it alone.

    >>> page = render(Profile("</title><script>", ()))
    >>> "<title>&lt;/title&gt;&lt;script&gt;: ok" in page, page.count("<script>")
    (True, 1)
    """
    style, script = _static("style.css"), _static("script.js")
    policy = (
        f"default-src 'none'; style-src 'sha256-{_digest(style)}'; script-src 'sha256-{_digest(script)}';"
        " base-uri 'none'; form-action 'none'"
    )
    parts = [(title, anchor, content) for title, anchor, content in _parts(profile, baseline) if content]
    links = " ".join(f'<a href="#{anchor}">{title}</a>' for title, anchor, _ in parts)
    body = "\n".join(
        f'<section id="{anchor}">\n<h2>{title}</h2>\n{content}\n</section>' for title, anchor, content in parts
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n'
        f'<meta name="generator" content="{markup.text(EXPORTER)}">\n'
        f"<title>{_title(profile)}</title>\n<style>{style}</style>\n</head>\n<body>\n"
        f"<header><h1>{markup.name(profile.name)} {_outcome(profile)}</h1>\n<p>{_headline(profile)}</p>\n"
        f"<nav>{links}</nav></header>\n<main>\n{body}\n</main>\n"
        f'<footer class="quiet">{markup.text(EXPORTER)}</footer>\n<script>{script}</script>\n</body>\n</html>\n'
    )


def _parts(profile: Profile, baseline: Profile | None) -> Iterator[tuple[str, str, str]]:
    """Yield title, anchor and content of each part, the most important first."""
    found = list(places(profile))
    bottleneck = _bottleneck(profile, found)
    marked = [*([bottleneck] if bottleneck else []), *innermost_open(found)[:_MARKED]]
    yield "What used the time", "budget", budget(profile, found) + _told(bottleneck, profile)
    if baseline is not None:
        yield "Compared", "compared", comparison(baseline, profile)
    yield "Sections", "sections", (tree(found, marked) if found else '<p class="quiet">No section was recorded.</p>')
    yield "Flame graph", "flame", sections_flame(profile) if found else ""
    yield "Stack samples", "samples", samples_flame(profile)
    yield "Hot lines", "lines", lines_seen(profile)
    yield "Timeline", "timeline", drawn_timeline(profile)
    yield "Environment", "environment", surroundings(profile) + doubts(profile)


def _bottleneck(profile: Profile, found: list[Place]) -> Place | None:
    node = profile.bottleneck
    return next((place for place in found if place.node is node and node.self_ns), None)


def _told(bottleneck: Place | None, profile: Profile) -> str:
    if bottleneck is None or not profile.duration_ns:
        return ""
    own = cells.share(bottleneck.node.self_ns / profile.duration_ns)
    beside = ", beside the run in another thread or task" if bottleneck.node.concurrent else ""
    return (
        f'\n<p>Bottleneck: <a href="#s{bottleneck.number}">{markup.path(bottleneck.path())}</a>,'
        f" {own} of the run is its own time{beside}.</p>"
    )


def _title(profile: Profile) -> str:
    return f"{markup.text(profile.name, 60)}: {markup.text(profile.outcome)} after {cells.seconds(profile.duration)}"


def _outcome(profile: Profile) -> str:
    if profile.outcome == "merged":
        return f'<span class="outcome">{profile.runs:,} runs, {profile.failed_runs:,} failed</span>'
    return f'<span class="outcome {markup.text(profile.outcome)}">{markup.text(profile.outcome)}</span>'


def _headline(profile: Profile) -> str:
    used = profile.budget_used_ratio if profile.outcome != "merged" else None
    if profile.timeout and used is not None:
        gone = cells.seconds((profile.budget_spent_ns + profile.duration_ns) / 1e9)
        return f"{gone} of {profile.timeout:g} s: <b>{cells.share(used)}</b> of the timeout is used."
    return f"{cells.seconds(profile.duration)}{' in all' if profile.outcome == 'merged' else ', without a timeout'}."


@cache
def _static(name: str) -> str:
    return (files("algoprof.exporters.html") / name).read_text(encoding="utf-8")


def _digest(content: str) -> str:
    return base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
