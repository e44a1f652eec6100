"""pprof's profile.proto, gzipped: for `go tool pprof`, Pyroscope, Parca and whatever else reads it."""

import gzip
from collections.abc import Iterable, Iterator

from algoprof.exporters.formats.facts import facts, title
from algoprof.exporters.formats.places import Place, by_path, places
from algoprof.exporters.formats.protobuf import Message, block, integer, packed, text
from algoprof.profiles.tree import Profile

# Field numbers of proto/profile.proto in github.com/google/pprof, by message.
_SAMPLE_TYPE, _SAMPLE, _LOCATION, _FUNCTION, _STRING_TABLE = 1, 2, 4, 5, 6
_TIME, _DURATION, _PERIOD_TYPE, _PERIOD, _COMMENT, _DEFAULT_TYPE = 9, 10, 11, 12, 13, 14
_TYPE_NAME, _TYPE_UNIT = 1, 2
_SAMPLE_LOCATIONS, _SAMPLE_VALUES, _SAMPLE_LABEL = 1, 2, 3
_LABEL_KEY, _LABEL_TEXT, _LABEL_NUMBER, _LABEL_UNIT = 1, 2, 3, 4
_LOCATION_ID, _LOCATION_LINE, _LINE_FUNCTION, _LINE_NUMBER = 1, 4, 1, 2
_FUNCTION_ID, _FUNCTION_NAME, _FUNCTION_SYSTEM_NAME, _FUNCTION_FILE = 1, 2, 3, 4

_SECTION_TYPES = (("count", "count"), ("time", "nanoseconds"))
_STACK_TYPES = (("samples", "count"), ("wall", "nanoseconds"))
_LARGEST = 2**63 - 1

Label = tuple[str, str | int]


def pprof(profile: Profile) -> bytes:
    """Return a profile: each section's occurrences and own time, and, where it was sampled, its stacks.

    The sample types are `count` and `time` of sections, and `samples` and `wall` of stacks, which begin with the
    sections that were open. The labels are `run`, `section` (its path below the run), `concurrent`, `open` (how many
    occurrences were), and for one run `trace_id` and `span_id`, the ids that its spans have too.

    >>> gzip.decompress(pprof(Profile("job", (), run_id="ab" * 16))).count(b"job: ok")
    1
    """
    return gzip.compress(bytes(_Encoder(profile).message()), 6, mtime=0)


class _Encoder:
    """One profile on its way into a message."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._found = list(places(profile))
        self._strings: dict[str, int] = {"": 0}
        self._functions: dict[tuple[str, str], int] = {}
        self._locations: dict[tuple[int, int], int] = {}

    def message(self) -> Message:
        """Return the whole: tables come last, since all else adds to them."""
        run = self._profile
        types = (*_SECTION_TYPES, *_STACK_TYPES) if run.samples else _SECTION_TYPES
        made = Message()
        for name, unit in types:
            made += block(_SAMPLE_TYPE, self._type(name, unit))
        for sample in self._samples(len(types)):
            made += block(_SAMPLE, sample)
        made += integer(_TIME, min(run.started_ns, _LARGEST)) + integer(_DURATION, min(run.duration_ns, _LARGEST))
        made += block(_PERIOD_TYPE, self._type("wall", "nanoseconds"))
        made += integer(_PERIOD, min(run.sample_interval_ns, _LARGEST) or 1)
        comments = [title(run), *(f"{name}: {value}" for name, value in facts(run).items())]
        made += packed(_COMMENT, [self._string(comment) for comment in comments])
        made += integer(_DEFAULT_TYPE, self._string("time"))
        for (name, file), number in self._functions.items():
            made += block(_FUNCTION, self._function(number, name, file))
        for (function, line), number in self._locations.items():
            at = integer(_LINE_FUNCTION, function) + integer(_LINE_NUMBER, line)
            made += block(_LOCATION, integer(_LOCATION_ID, number) + block(_LOCATION_LINE, at))
        for string in self._strings:
            made += text(_STRING_TABLE, string)
        return made

    def _samples(self, values: int) -> Iterator[bytes]:
        stacks: dict[int, list[int]] = {}  # by the number of a place: its locations, innermost first, as pprof has them
        labels = {place.number: label for place, label in zip(self._found, self._labels(), strict=True)}
        for place in self._found:
            above = stacks[place.above.number] if place.above is not None else []
            here = self._location(place.node.name, place.node.module, place.node.line)
            stacks[place.number] = [here, *above]
            own = [place.node.count + place.node.open_count, place.node.self_ns]
            if any(own):
                yield self._sample(stacks[place.number], own + [0] * (values - 2), labels[place.number])
        known = by_path(self._found)
        interval = self._profile.sample_interval_ns or 1
        for sample in self._profile.samples:
            frames = [self._location(frame.name, frame.file, frame.line) for frame in reversed(sample.stack)]
            there = known.get(sample.path)
            if there is not None:
                around, label = stacks[there.number], labels[there.number]
            else:  # a section that found no place in the tree
                around = [self._location(name, "", 0) for name in reversed(sample.path)]
                label = self._path_labels(sample.path)
            threads = [("concurrent", "true")] if sample.concurrent and ("concurrent", "true") not in label else []
            yield self._sample([*frames, *around], [0, 0, sample.count, sample.count * interval], [*label, *threads])

    def _labels(self) -> Iterator[list[Label]]:
        """Yield the labels of each place."""
        spans: list[int] = []
        paths: list[tuple[str, ...]] = []
        for place in self._found:
            above = place.above
            paths.append((*(paths[above.number] if above is not None else ()), place.node.name))
            spans.append(self._span_id(place) or (spans[above.number] if above is not None else 0))
            labels = self._path_labels(paths[-1])
            if spans[-1] and self._is_one_run():
                labels.append(("span_id", f"{spans[-1]:016x}"))
            if place.beside:
                labels.append(("concurrent", "true"))
            if place.node.open_count:
                labels.append(("open", place.node.open_count))
            yield labels

    def _span_id(self, place: Place) -> int:
        """Return the span that all of a section's time belongs to; 0 if it occurred several times or was not kept."""
        node = place.node
        if node.count + node.open_count == 1 and node.spans:
            return node.spans[0].span_id
        if place.number == 0 and self._is_one_run():
            return int(self._profile.run_id[16:], 16)  # what the run's own span is called where it was not kept
        return 0

    def _path_labels(self, path: tuple[str, ...]) -> list[Label]:
        labels: list[Label] = [("run", self._profile.name), ("section", "/".join(path[1:]))]
        if self._is_one_run():
            labels.append(("trace_id", self._profile.run_id))
        return [(key, value) for key, value in labels if value]

    def _is_one_run(self) -> bool:
        run = self._profile.run_id
        return self._profile.outcome != "merged" and len(run) == 32 and set(run) <= set("0123456789abcdef")

    def _sample(self, locations: Iterable[int], values: Iterable[int], labels: Iterable[Label]) -> bytes:
        made = Message(packed(_SAMPLE_LOCATIONS, locations))
        made += packed(_SAMPLE_VALUES, [min(value, _LARGEST) for value in values])
        for key, value in labels:
            named = integer(_LABEL_KEY, self._string(key))
            if isinstance(value, str):
                named += integer(_LABEL_TEXT, self._string(value))
            else:
                named += integer(_LABEL_NUMBER, min(value, _LARGEST)) + integer(
                    _LABEL_UNIT, self._string("occurrences")
                )
            made += block(_SAMPLE_LABEL, named)
        return bytes(made)

    def _location(self, name: str, file: str, line: int) -> int:
        function = self._functions.setdefault((name, file), len(self._functions) + 1)
        return self._locations.setdefault((function, line), len(self._locations) + 1)

    def _function(self, number: int, name: str, file: str) -> bytes:
        named = self._string(name)
        return (
            integer(_FUNCTION_ID, number)
            + integer(_FUNCTION_NAME, named)
            + integer(_FUNCTION_SYSTEM_NAME, named)
            + integer(_FUNCTION_FILE, self._string(file))
        )

    def _type(self, name: str, unit: str) -> bytes:
        return integer(_TYPE_NAME, self._string(name)) + integer(_TYPE_UNIT, self._string(unit))

    def _string(self, value: str) -> int:
        return self._strings.setdefault(value, len(self._strings))
