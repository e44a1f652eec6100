"""What a server that was killed had answered or begun, put into the database by the next one."""

from pathlib import Path
from typing import TYPE_CHECKING

from algoprof.server.hosting import keeper
from algoprof.server.hosting.flights import FOLDER, of_request, runs_in
from algoprof.server.state import under_way
from algoprof.server.state.run_log import packed
from algoprof.server.state.store import Store
from algoprof.server.state.under_way import Left

if TYPE_CHECKING:
    from collections.abc import Sequence

    from algoprof.profiles.tree import Profile


def recover(scratch: Path, store: Store, how: str = "was killed") -> int:
    """Keep the runs of a server that is dead, and return how many of them were lost with it.

    Those that had ended are kept as they ended. Those that had not are `lost`: what their workers recorded says what
    was open when the server was killed, and for how long. Each is kept once, however often this is done.

    Args:
        scratch: the server's directory; none of its workers lives.
        store: the database.
        how: how the server ended.
    """
    ends = (_number(file) for file in scratch.glob(f"*/{keeper.ENDED}"))
    died_ns = max(filter(None, ends), default=0)  # with the server, all its workers end
    workers = [
        (_number(flights.parent / keeper.PID) or 0, runs_in(flights, died_ns or None))
        for flights in scratch.glob(f"*/{FOLDER}")
    ]
    algorithms = {algorithm.id: algorithm for algorithm in store.algorithms()}
    kept, lost = [], []
    for left in under_way.left(scratch / under_way.FOLDER):
        if left.run.algorithm_id not in algorithms or store.runs.find(left.run.request_id) is not None:
            continue
        profile = None if left.profile else _recorded(workers, left.run.request_id)
        if left.run.end == "lost" and not left.run.error:
            left = _lost(left, profile, died_ns, how)  # noqa: PLW2901  (what was told of it, and what is known now)
            lost.append(left.run)
        kept.append((left.run, left.profile or (packed(profile) if profile else None)))
    for run in lost:
        algorithm = algorithms[run.algorithm_id]
        if all(failure.request_id != run.request_id for failure in store.errors(algorithm)):
            error = {"message": run.error, "error_type": "SystemError"}
            store.record_error(algorithm, request_id=run.request_id, version=run.version, given=run.input, error=error)
    store.runs.add(kept)
    return len(lost)


def _recorded(workers: "Sequence[tuple[int, Sequence[Profile]]]", request_id: str) -> "Profile | None":
    found = (of_request(runs, request_id, pid) for pid, runs in workers)
    return next((profile for profile in found if profile is not None), None)


def _lost(left: Left, profile: "Profile | None", died_ns: int, how: str) -> Left:
    """Return a run that was under way with what is known of its end."""
    run = left.run
    if left.started_ns is None:
        ran = 0.0
        stage = "while its worker loaded the algorithm" if left.loading else "before a worker was free for it"
    else:
        stage = "while it ran"
        ran = max(0.0, (died_ns - left.started_ns) / 1e9, profile.duration if profile else 0.0)
    total = max((died_ns - left.received_ns) / 1e9, run.queue + run.load + ran)
    opened = (
        [f"{'/'.join(path)} was open, for {node.open_time:.3f} s" for path, node in profile.open_sections()]
        if profile
        else []
    )
    error = "\n".join([f"the server {how} {stage}", *opened])
    return left._replace(run=run._replace(run=ran, total=total, error=error))


def _number(file: Path) -> int | None:
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return None
