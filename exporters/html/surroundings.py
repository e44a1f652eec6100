"""What was around the run: its facts, its environment, the lines it was seen on, and what the record lacks."""

from algoprof.exporters.formats.facts import facts
from algoprof.exporters.html import markup
from algoprof.exporters.text import cells
from algoprof.exporters.text.environment import environment_line
from algoprof.profiles.samples import hot_lines
from algoprof.profiles.tree import Attribute, Profile

_LINES = 20
_SECONDS = {"algoprof.duration", "algoprof.budget.timeout"}


def surroundings(profile: Profile) -> str:
    """Return all that is known of a run as a whole, by the names that traces have.

    >>> "<dt>outcome</dt><dd>ok</dd>" in surroundings(Profile("job", ()))
    True
    """
    line = environment_line(profile).partition(": ")[2]
    known = "".join(
        f"<dt>{markup.text(key.removeprefix('algoprof.').removesuffix('_ns').replace('_', ' ').replace('.', ' '))}</dt>"
        f"<dd>{markup.text(_readable(key, value))}</dd>"
        for key, value in facts(profile).items()
    )
    return (f"<p>{markup.text(line)}</p>\n" if line else "") + f"<dl>{known}</dl>"


def _readable(key: str, value: Attribute) -> Attribute:
    """Return a value in the unit it reads well in."""
    if isinstance(value, int) and key.endswith("_ns"):
        return cells.seconds(value / 1e9)
    if isinstance(value, int) and "memory" in key:
        return cells.size(value)
    if isinstance(value, float) and key.endswith("_ratio"):
        return cells.share(value)
    return f"{value:g} s" if key in _SECONDS else value


def lines_seen(profile: Profile) -> str:
    """Return the lines that stacks ended on most often; empty if nobody looked."""
    found = hot_lines(profile.samples)
    counted = sum(hot.count for hot in found) or 1
    rows = [
        (
            f"<code>{markup.text(f'{hot.frame.file}:{hot.frame.line}' if hot.frame.file else '?')}</code>",
            cells.share(hot.count / counted),
            cells.seconds(hot.count * profile.sample_interval),
            f"<code>{markup.text(hot.frame.name)}</code>",
            markup.path(hot.path) + (' <span class="quiet">in another thread</span>' if hot.concurrent else ""),
        )
        for hot in found[:_LINES]
    ]
    return markup.table(("line", "of the samples", "time", "function", "in"), rows, "Hot lines") if rows else ""


def doubts(profile: Profile) -> str:
    """Return what is not exact or not there; empty if nothing."""
    said = []
    if profile.folded:
        said.append(f"{profile.folded:,} occurrences are counted as (folded): too many sections, or too deep.")
    if profile.dropped:
        said.append(f"{profile.dropped:,} names, attributes or spans are left out, since there were too many.")
    if profile.inexact:
        said.append("Not exact: runs had to share a row, or one was cut off while it was written.")
    if profile.samples_left_out:
        said.append(f"{profile.samples_left_out:,} samples are left out, since there were too many.")
    return "".join(f'<p class="quiet">{one}</p>' for one in said)
