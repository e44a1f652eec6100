"""What a flight file tells of a program: the runs that were cut off, those that ended, or the one that says most."""

from dataclasses import replace
from pathlib import Path

from algoprof.profiles.merging import merge, merged_samples
from algoprof.profiles.tree import Profile
from algoprof.recorder.families import with_workers, worker_parts
from algoprof.recorder.reader import Flight


def profile_of(path: Path, flight: Flight) -> Profile:
    """Return what a program's flight file has most to tell: the run that was cut off, else the only one, else all.

    What no run of the program's holds is no run of its own: where no section is in it, its samples alone are told.
    """
    chosen = unfinished(path, flight) or ended(path, flight)
    telling = [one for one in chosen if one.name != flight.program or any(root.children for root in one.roots)]
    if not telling or len(chosen) == 1:
        telling = chosen
    whole = telling[0] if len(telling) == 1 else merge(telling, name=flight.program)
    return whole if len(telling) == len(chosen) else replace(whole, **merged_samples(chosen))


def unfinished(path: Path, flight: Flight) -> list[Profile]:
    """Return the runs that are open, or were when the program died."""
    return [_with_workers(path, run) for run in flight.runs if run.outcome in ("open", "killed")]


def ended(path: Path, flight: Flight) -> list[Profile]:
    """Return the ended runs, one merged profile per name; where there was only one of a name, that run itself."""
    single = {run.name: run for run in flight.runs if run.outcome in ("ok", "error")}
    return [
        _with_workers(path, _with_late(single[whole.name], whole))
        if whole.runs == 1 and whole.name in single
        else whole
        for whole in flight.cumulative
    ]


def _with_late(run: Profile, whole: Profile) -> Profile:
    """Return a run with the sections that outlived it: only the cumulative tree counts them."""
    in_run, in_all = (sum(node.count for _, node in profile.paths()) for profile in (run, whole))
    return replace(run, roots=whole.roots) if in_all > in_run else run


def _with_workers(path: Path, run: Profile) -> Profile:
    """Add what the run's worker processes have recorded of it, in files beside its own."""
    return run if run.part else with_workers(run, worker_parts(run.run_id, str(path.parent), None))
