"""The end of the report: the lines that the run was seen on most often."""

from collections.abc import Iterator

from algoprof.exporters.text import cells
from algoprof.profiles.samples import HotLine, hot_lines
from algoprof.profiles.tree import Profile

_OWN, _BESIDE = 5, 3  # lines of the main thread, and of others
_WORTH_TELLING = 0.02  # of the samples
_UNSEEN = 0.1  # of the run
_FILE_WIDTH = 40


def hot_line_rows(profile: Profile, width: int) -> Iterator[str]:
    """Yield the few heaviest lines, each with its share of the time, and the sections that it ran in.

    >>> from algoprof.profiles.samples import Frame, Sample
    >>> samples = (Sample(("job", "load"), (Frame("read", "job.py", 7),), 300), Sample(("job",), (Frame("f"),), 1))
    >>> for row in hot_line_rows(Profile("job", (), samples=samples, sample_interval_ns=10**7), 100): print(row)
    hot lines, of 301 samples, one each 10.0 ms:
      100 %   3.00 s  job.py:7  read  in load
    """
    found = hot_lines(profile.samples)
    own = sum(hot.count for hot in found if not hot.concurrent)
    beside = sum(hot.count for hot in found if hot.concurrent)
    if not own + beside:
        return
    shown = [hot for hot in found if not hot.concurrent and hot.count >= own * _WORTH_TELLING][:_OWN]
    shown += [hot for hot in found if hot.concurrent and hot.count >= beside * _WORTH_TELLING][:_BESIDE]
    unseen = _unseen(profile, own)
    samples, interval = f"{own + beside} samples", cells.seconds(profile.sample_interval)
    yield f"hot lines, of {samples}, one each {interval}{_notes(profile)}:"
    places = [_place(hot) for hot in shown]
    room = max(map(cells.displayed_width, places))
    for hot, place in zip(shown, places, strict=True):
        share = cells.share(hot.count / (beside if hot.concurrent else own + unseen))
        time = cells.seconds(hot.count * profile.sample_interval)
        name = cells.name(hot.frame.name, max(16, width // 4))
        line = f"  {share:>5} {time:>8}  {cells.left(place, room)}  {name}"
        yield f"{line}{_sections(hot, width - cells.displayed_width(line))}"
    if unseen:
        share, time = cells.share(unseen / (own + unseen)), cells.seconds(unseen * profile.sample_interval)
        yield f"  {share:>5} {time:>8}  not seen: C code let nothing look until the end, or no sampler was there yet"


def _unseen(profile: Profile, own: int) -> int:
    """Return how many samples of the main thread are missing in a run that was cut off; 0 for few of them."""
    if profile.outcome not in ("open", "killed") or not own:
        return 0
    unseen = round(profile.duration / profile.sample_interval) - own
    return unseen if unseen > _UNSEEN * (unseen + own) else 0


def _notes(profile: Profile) -> str:
    notes = f", by {profile.sampler}" if profile.sampler not in ("", "signal", "signal and thread") else ""
    if profile.samples_left_out:
        notes += f", {profile.samples_left_out} more left out"
    if profile.samples_folded:
        notes += f", {profile.samples_folded} with shortened stacks"
    return notes


def _place(hot: HotLine) -> str:
    file = hot.frame.file
    file = file if len(file) <= _FILE_WIDTH else f"...{file[3 - _FILE_WIDTH :]}"
    return cells.name(f"{file}:{hot.frame.line}" if file else "?", _FILE_WIDTH + 12)


def _sections(hot: HotLine, room: int) -> str:
    where = "  in another thread" if hot.concurrent else ""
    path = " > ".join(hot.path[1:])
    return f"{where}  in {cells.name(path, max(16, room - len(where) - 5))}" if path else where
