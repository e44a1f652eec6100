"""One line of the report: what was around the run, as far as it matters for its times."""

from collections.abc import Iterator

from algoprof.exporters.text import cells
from algoprof.profiles.environment import Environment
from algoprof.profiles.tree import Profile

_MEMORY_WORTH_TELLING = 0.5  # of the limit
_PAUSES_WORTH_TELLING = 0.01  # of the run


def environment_line(profile: Profile) -> str:
    """Return what the run had and what kept it waiting; empty if there is nothing to tell.

    >>> around = Environment(cpu_count=8, cpu_quota=2.0, periods=50, throttled_periods=20, throttled_ns=6 * 10**9)
    >>> environment_line(Profile("job", (), duration_ns=5 * 10**9, environment=around))
    'environment: quota of 2 CPUs (8 to run on), throttled in 40 % of the run (6.00 s of CPU time withheld)'
    """
    facts = [*_processors(profile.environment), *_memory(profile), *_pauses(profile)]
    return f"environment: {', '.join(facts)}" if facts else ""


def _processors(around: Environment) -> Iterator[str]:
    if around.cpu_quota is not None:
        count = f" ({around.cpu_count} to run on)" if around.cpu_count else ""
        yield f"quota of {around.cpu_quota:g} CPU{'' if around.cpu_quota == 1 else 's'}{count}"
    if around.throttled_ratio:
        yield (
            f"throttled in {cells.share(around.throttled_ratio)} of the run"
            f" ({cells.seconds(around.throttled_time)} of CPU time withheld)"
        )
    if around.load_average is not None and around.cpu_count and around.load_average > around.cpu_count:
        yield f"load {around.load_average:.1f} on {around.cpu_count} CPU{'' if around.cpu_count == 1 else 's'}"


def _memory(profile: Profile) -> Iterator[str]:
    around = profile.environment
    share = around.memory_peak_ratio
    if share is not None and share >= _MEMORY_WORTH_TELLING:
        yield f"peak memory {cells.size(around.memory_peak)}, {cells.share(share)} of the limit"
    if profile.allocation_peak is not None:
        yield f"{cells.size(profile.allocation_peak)} allocated at the peak"


def _pauses(profile: Profile) -> Iterator[str]:
    around = profile.environment
    if around.gc_paused_ns and around.gc_paused_ns >= _PAUSES_WORTH_TELLING * profile.duration_ns:
        longest = f", {cells.seconds(around.gc_longest_ns / 1e9)} the longest" if around.gc_longest_ns else ""
        yield f"GC {cells.seconds(around.gc_pause_time)} in {around.gc_pauses} pauses{longest}"
