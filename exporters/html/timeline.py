"""The timeline: the occurrences that were kept, a row of boxes for each thread and for what overlapped in it."""

from algoprof.exporters.formats.tracks import Slice, Timeline, Track, nested, timeline
from algoprof.exporters.html import markup
from algoprof.exporters.html.shapes import BOX
from algoprof.exporters.text import cells
from algoprof.profiles.tree import Profile

SLICES = 3_000
"""So many occurrences are drawn, the longest."""

_TRACKS = 60
_NAMED = 3.0  # percent of the width from which on a box has its name in it
_DEEPEST = 60
_MARKS = 4


def drawn_timeline(profile: Profile) -> str:
    """Return the timeline of a run; empty if no occurrence was kept.

    >>> drawn_timeline(Profile("job", ()))
    ''
    """
    found = timeline(profile)
    tracks = [track for track in found.tracks if track.kind == "occurrences"]
    if not tracks:
        return ""
    lengths = sorted((one.end_ns - one.start_ns for track in tracks for one in track.slices), reverse=True)
    shortest = lengths[SLICES - 1] if len(lengths) >= SLICES else 0
    room = SLICES
    drawn = []
    for track in tracks[:_TRACKS]:
        kept = [one for one in track.slices if one.end_ns - one.start_ns >= shortest][: max(0, room)]
        room -= len(kept)
        if kept:
            drawn.append(_drawn(track, kept, found))
    left_out = len(lengths) - (SLICES - room)
    note = f'<p class="quiet">{left_out} short occurrences are left out.</p>' if left_out else ""
    return f"{_axis(found)}\n{''.join(drawn)}{note}"


def _drawn(track: Track, kept: list[Slice], found: Timeline) -> str:
    boxes, depth, deepest = [], 0, 0
    for what, one in nested(kept):
        if what == "end":
            depth -= 1
            continue
        level = min(depth, _DEEPEST)
        deepest = max(deepest, level)
        boxes.append(_box(one, level, found))
        depth += 1
    return (
        f'<figure class="track"><figcaption>{markup.text(track.name)}</figcaption>'
        f'<svg class="flame" width="100%" height="{(deepest + 1) * BOX}">\n{"".join(boxes)}</svg></figure>\n'
    )


def _box(one: Slice, level: int, found: Timeline) -> str:
    whole = found.end_ns - found.start_ns
    left = markup.percent(one.start_ns - found.start_ns, whole)
    width = max(markup.percent(one.end_ns - one.start_ns, whole), 0.05)
    begun, took = (one.start_ns - found.start_ns) / 1e9, (one.end_ns - one.start_ns) / 1e9
    shown = markup.text(one.name) or "(no name)"
    facts = [f"{cells.seconds(took)}, from {cells.seconds(begun)}"]
    facts += [f"{markup.text(key)}: {markup.text(value)}" for key, value in one.arguments.items() if key != "span_id"]
    color = "failed" if "error" in one.arguments else "kept-open" if one.is_open else "kept"
    inside = f'<text x="5" y="14">{shown}</text>' if width > _NAMED else ""
    title = "\n".join([shown, *facts])
    return (
        f'<svg x="{left}%" y="{level * BOX}" width="{width}%" height="{BOX - 2}"><a tabindex="0">'
        f'<title>{title}</title><rect class="{color}" width="100%" height="{BOX - 2}" rx="2"/>{inside}</a></svg>\n'
    )


def _axis(found: Timeline) -> str:
    whole = (found.end_ns - found.start_ns) / 1e9
    marks = "".join(f"<span>{cells.seconds(whole * mark / _MARKS)}</span>" for mark in range(_MARKS + 1))
    return f'<p class="axis" aria-hidden="true">{marks}</p>'
