"""Samples as JSON: tables of names, frames and paths, and samples that refer to them by number."""

from typing import Any

from algoprof.profiles.samples import SAMPLE_LIMIT, Frame, Sample

_DEEPEST = 300
_LONGEST_TEXT = 4096
_LARGEST = 2**63


def samples_to_json(samples: tuple[Sample, ...]) -> dict[str, Any]:
    """Return samples as JSON values.

    >>> samples_to_json((Sample(("job",), (Frame("solve", "plan.py", 7),), 3),))
    {'frames': [['solve', 'plan.py', 7]], 'paths': [['job']], 'counts': [[3, 0, 0]], 'stacks': [[0]]}
    """
    frames: dict[Frame, int] = {}
    paths: dict[tuple[str, ...], int] = {}
    counts, stacks = [], []
    for sample in samples:
        counts.append([sample.count, paths.setdefault(sample.path, len(paths)), int(sample.concurrent)])
        stacks.append([frames.setdefault(frame, len(frames)) for frame in sample.stack])
    return {
        "frames": [[frame.name, frame.file, frame.line] for frame in frames],
        "paths": [list(path) for path in paths],
        "counts": counts,
        "stacks": stacks,
    }


def samples_from_json(data: object) -> tuple[Sample, ...]:
    """Return the samples that `samples_to_json` gave.

    Raises:
        ValueError: if the data is anything else; the message says where.
    """
    tables = _tables(data)
    frames = [_frame(row) for row in tables["frames"]]
    paths = [_path(row) for row in tables["paths"]]
    counts, stacks = tables["counts"], tables["stacks"]
    if len(counts) != len(stacks) or len(counts) > SAMPLE_LIMIT:
        raise ValueError(f"samples: {len(counts)} counts and {len(stacks)} stacks, of {SAMPLE_LIMIT} at most")
    return tuple(_sample(row, stack, frames, paths) for row, stack in zip(counts, stacks, strict=True))


def _tables(data: object) -> dict[str, list[object]]:
    if not isinstance(data, dict):
        raise ValueError(f"samples: an object was expected, not {type(data).__name__}")  # noqa: TRY004
    tables = {name: data.get(name) for name in ("frames", "paths", "counts", "stacks")}
    for name, table in tables.items():
        if not isinstance(table, list):
            raise ValueError(f"samples: {name!r} is no list")  # noqa: TRY004
    return tables  # type: ignore[return-value]  # each is a list


def _frame(row: object) -> Frame:
    match row:
        case [str(name), str(file), int(line)] if _is_short(name, file) and 0 <= line < _LARGEST:
            return Frame(name, file, line)
    raise ValueError(f"samples: {row!r:.80} is no frame")


def _path(row: object) -> tuple[str, ...]:
    if isinstance(row, list) and len(row) <= _DEEPEST and all(isinstance(name, str) for name in row):
        return tuple(row)
    raise ValueError(f"samples: {row!r:.80} is no path")


def _sample(row: object, stack: object, frames: list[Frame], paths: list[tuple[str, ...]]) -> Sample:
    match row:
        case [int(count), int(path), int(concurrent)] if 0 < count < _LARGEST and 0 <= path < len(paths):
            pass
        case _:
            raise ValueError(f"samples: {row!r:.80} is no count")
    if not isinstance(stack, list) or len(stack) > _DEEPEST:
        raise ValueError(f"samples: {stack!r:.80} is no stack")
    for number in stack:
        if not isinstance(number, int) or not 0 <= number < len(frames):
            raise ValueError(f"samples: {number!r:.80} is no frame's number")
    return Sample(paths[path], tuple(frames[number] for number in stack), count, bool(concurrent))


def _is_short(*texts: str) -> bool:
    return all(len(text) <= _LONGEST_TEXT for text in texts)
