"""Where the time went that a call waited for a new worker: its interpreter, the algorithm's imports, its `load`."""

from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

VARIABLE = "ALGOPROF_STARTS"
"""The environment variable that names the file into which the bootstrap writes when it began and had imported."""


class ColdStart(NamedTuple):
    """The parts of a call's load, in seconds.

    Args:
        interpreter: until Python ran, in the algorithm's environment.
        imports: until the algorithm and what it imports were imported.
        load: what came then, which is the function `load` of an ADK.

    >>> ColdStart(0.1, 0.25, 0.5)._asdict()
    {'interpreter': 0.1, 'imports': 0.25, 'load': 0.5}
    """

    interpreter: float
    imports: float
    load: float


def read(file: Path, began: float, ended: float) -> ColdStart | None:
    """Return the parts of a load, as far as it came; None if what is noted cannot be: the algorithm may write there.

    Args:
        file: see `VARIABLE`.
        began: when the worker was started, on the monotonic clock.
        ended: when it was loaded, or given up.
    """
    try:
        with file.open("rb") as notes:
            noted = [int(line) / 1e9 for line in notes.read(100).split()[:2]]
    except (OSError, ValueError):
        noted = []
    moments = [began, *noted, *[ended] * (3 - len(noted))]
    if moments != sorted(moments):
        return None
    parts = (later - earlier for earlier, later in pairwise(moments))
    return ColdStart(*parts)
