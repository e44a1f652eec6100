"""What the algorithms have recorded: the totals of all workers, those included that have gone with their files."""

from dataclasses import replace
from pathlib import Path
from threading import Lock

from algoprof.delivery.losses import Losses
from algoprof.delivery.totals import Totals
from algoprof.profiles.batch import Batch
from algoprof.profiles.merging import merge
from algoprof.profiles.tree import Profile


class Recordings:
    """Adds up what the workers' flight files hold, so that nothing counted is ever uncounted. Any thread may ask.

    Args:
        losses: where files that cannot be read are counted.
    """

    def __init__(self, losses: Losses) -> None:
        self._losses = losses
        self._lock = Lock()
        self._workers: dict[Path, _Worker] = {}
        self._gone: dict[str, Profile] = {}

    def add(self, directory: Path, algorithm: str) -> None:
        """Count what is recorded in a worker's directory from now on.

        Args:
            directory: the worker's flight directory.
            algorithm: `OWNER/NAME` of what it runs.
        """
        with self._lock:
            self._workers[directory] = _Worker(directory, algorithm, self._losses)

    def look(self, directory: Path) -> None:
        """Read a worker's files now: some of them are about to be removed."""
        worker = self._workers.get(directory)
        if worker is not None:
            worker.read()

    def remove(self, directory: Path) -> None:
        """Read a worker's files for the last time. A second time does nothing."""
        worker = self._workers.get(directory)
        if worker is None:
            return
        found = worker.read()  # not under the lock: one worker's files may take long, and no other is to wait
        with self._lock:
            if self._workers.pop(directory, None) is None:
                return
            for profile in found.profiles:
                before = self._gone.get(profile.name)
                self._gone[profile.name] = merge([before, profile], profile.name) if before else profile

    def batch(self) -> Batch:
        """Return the totals by the names of algorithm and run, and the runs that are open."""
        with self._lock:
            workers = list(self._workers.values())
            same = {name: [profile] for name, profile in self._gone.items()}
        batches = [worker.read() for worker in workers]
        for profile in (profile for batch in batches for profile in batch.profiles):
            same.setdefault(profile.name, []).append(profile)
        merged = (merge(several, name) if len(several) > 1 else several[0] for name, several in sorted(same.items()))
        return Batch(tuple(merged), open_runs=tuple(run for batch in batches for run in batch.open_runs))


class _Worker:
    """What one worker has recorded. Its algorithm may have written anything into its files, or removed them."""

    def __init__(self, directory: Path, algorithm: str, losses: Losses) -> None:
        self._algorithm = algorithm
        self._losses = losses
        self._totals = Totals(losses, str(directory))
        self._last = Batch()

    def read(self) -> Batch:
        """Return its totals; the last ones if they cannot be read."""
        try:
            found = self._totals.batch(())
        except Exception:  # noqa: BLE001  (one worker's files must not cost the metrics of all)
            self._losses.add("totals", "unreadable", 1)
            return self._last
        self._last = Batch(
            tuple(named_for(self._algorithm, profile) for profile in found.profiles),
            open_runs=tuple(named_for(self._algorithm, run) for run in found.open_runs),
        )
        return self._last


def named_for(algorithm: str, profile: Profile) -> Profile:
    """Return a profile whose run is named for the algorithm as well: the runs of most are called `apply`.

    >>> from algoprof.profiles.tree import Node
    >>> named_for("demo/Routes", Profile("apply", (Node("apply"),))).roots[0].name
    'demo/Routes/apply'
    """
    name = f"{algorithm}/{profile.name}"
    roots = (replace(root, name=name) if root.name == profile.name else root for root in profile.roots)
    return replace(profile, name=name, roots=tuple(roots))
