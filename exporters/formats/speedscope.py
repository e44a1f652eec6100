"""speedscope's JSON: the sections' own times, the stack samples, and the occurrences as a timeline."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from algoprof.exporters.formats.facts import EXPORTER, title
from algoprof.exporters.formats.places import OPEN, Place, by_path, places
from algoprof.exporters.formats.tracks import Track, nested, timeline
from algoprof.profiles.samples import Frame, Sample
from algoprof.profiles.tree import Profile

SCHEMA = "https://www.speedscope.app/file-format-schema.json"
"""What a file must say it follows; readers refuse any other."""


class _Frames:
    """The table of frames; samples and events refer to them by number."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[str, str, int], int] = {}

    def number(self, name: str, file: str, line: int) -> int:
        return self._numbers.setdefault((name, file, line), len(self._numbers))

    def section(self, place: Place) -> int:
        return self.number(place.label, place.node.module, place.node.line)

    def stack(self, frames: Iterable[Frame]) -> list[int]:
        return [self.number(frame.name, frame.file, frame.line) for frame in frames]

    def table(self) -> list[dict[str, Any]]:
        return [
            {"name": name, **({"file": file} if file else {}), **({"line": line} if line else {})}
            for name, file, line in self._numbers
        ]


def speedscope(profile: Profile) -> str:
    """Return a profile as speedscope shows it, several views in one file, in nanoseconds.

    The first view is the tree of sections, each by its own time; then come sections beside the run, in other threads,
    tasks and processes, the stack samples, and the occurrences that were kept, one view a thread. A section that was
    open has `(open)` behind its name; its last occurrence is closed where the run ends.

    >>> from algoprof.profiles.tree import Node
    >>> job = Node("job", 1, closed_ns=9, nested_ns=2, children=(Node("load", 1, closed_ns=2),))
    >>> document = json.loads(speedscope(Profile("job", (job,))))
    >>> document["profiles"][0]["samples"], document["profiles"][0]["weights"]
    ([[0], [0, 1]], [7, 2])
    """
    frames = _Frames()
    found = list(places(profile))
    views = [view for view in _views(profile, found, frames) if view is not None]
    document = {
        "$schema": SCHEMA,
        "exporter": EXPORTER,
        "name": title(profile),
        "activeProfileIndex": 0,
        "profiles": views,
        "shared": {"frames": frames.table()},
    }
    return json.dumps(document, separators=(",", ":")) + "\n"


def _views(profile: Profile, found: list[Place], frames: _Frames) -> Iterator[dict[str, Any] | None]:
    name = profile.name
    yield _sections(f"{name}: sections", [place for place in found if not place.beside], frames)
    beside = [place for place in found if place.beside]
    if beside:
        yield _sections(f"{name}: sections beside the run", beside, frames)
    known = by_path(found)
    for concurrent, where in ((False, "main thread"), (True, "other threads")):
        samples = [sample for sample in profile.samples if sample.concurrent is concurrent]
        if samples:
            interval = profile.sample_interval_ns or 1
            yield _samples(f"{name}: stack samples, {where}", samples, interval, known, frames)
    line = timeline(profile)
    for track in line.tracks:
        if track.kind == "occurrences":
            yield _occurrences(f"{name}: occurrences kept, {track.name}", track, (line.start_ns, line.end_ns), frames)


def _sections(name: str, found: list[Place], frames: _Frames) -> dict[str, Any]:
    stacks, weights = [], []
    for place in found:
        if place.node.self_ns:
            stacks.append([frames.section(above) for above in place.line()])
            weights.append(place.node.self_ns)
    return _sampled(name, stacks, weights)


def _samples(
    name: str, samples: list[Sample], interval_ns: int, known: dict[tuple[str, ...], Place], frames: _Frames
) -> dict[str, Any]:
    sections = {
        path: [_section_of(path[: depth + 1], known, frames) for depth in range(len(path))]
        for path in dict.fromkeys(sample.path for sample in samples)
    }
    stacks = [[*sections[sample.path], *frames.stack(sample.stack)] for sample in samples]
    return _sampled(name, stacks, [sample.count * interval_ns for sample in samples])


def _section_of(path: tuple[str, ...], known: dict[tuple[str, ...], Place], frames: _Frames) -> int:
    place = known.get(path)
    return frames.section(place) if place is not None else frames.number(path[-1], "", 0)


def _sampled(name: str, stacks: list[list[int]], weights: list[int]) -> dict[str, Any]:
    return {
        "type": "sampled",
        "name": name,
        "unit": "nanoseconds",
        "startValue": 0,
        "endValue": sum(weights),
        "samples": stacks,
        "weights": weights,
    }


def _occurrences(name: str, track: Track, between_ns: tuple[int, int], frames: _Frames) -> dict[str, Any]:
    events: list[dict[str, Any]] = []
    for what, each in nested(track.slices):
        moment = each.start_ns if what == "begin" else each.end_ns
        label = each.name + OPEN if each.is_open else each.name
        source, _, line = str(each.arguments.get("source", "")).rpartition(":")
        frame = frames.number(label, source, int(line or 0))
        events.append({"type": "O" if what == "begin" else "C", "at": moment - between_ns[0], "frame": frame})
    return {
        "type": "evented",
        "name": name,
        "unit": "nanoseconds",
        "startValue": 0,
        "endValue": between_ns[1] - between_ns[0],
        "events": events,
    }
