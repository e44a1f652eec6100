"""The table of calls: what each used of its timeout, and how much of the wait was not the algorithm's."""

from collections.abc import Iterable, Sequence

from algoprof.exporters.text import cells
from algoprof.profiles.calls import Call

_COLUMNS = ("outcome", "timeout", "duration", "budget", "wall", "overhead", "queue", "load")


def render_calls(calls: Iterable[Call], *, width: int = 100, rows: int = 40) -> str:
    """Return a table of calls as text that ends in a newline, in the order given.

    The column `budget` is the share of the timeout that was used: by queue, load and run, where they are known.

    Args:
        calls: what to show.
        width: columns of the terminal; what does not fit is shortened.
        rows: at most so many calls are shown, those that came nearest to their timeout.

    >>> call = Call("demo/Routes", 0, 4 * 10**9, "ok", duration_ns=3 * 10**9, timeout=60)
    >>> print(render_calls([call]), end="")
    algorithm    outcome  timeout  duration  budget    wall  overhead
    demo/Routes       ok     60 s    3.00 s     5 %  4.00 s    1.00 s
    """
    every = list(calls)
    nearest = sorted(range(len(every)), key=lambda index: (-(every[index].budget_used_ratio or 0), index))[:rows]
    shown = [every[index] for index in sorted(nearest)]
    table = [_cells(call) for call in shown]
    used = [column for column in range(len(_COLUMNS)) if any(row[column] for row in table) or column == 0]
    lines = [[_COLUMNS[column] for column in used], *([row[column] for column in used] for row in table)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(used))]
    room = max(len("algorithm"), width - sum(widths) - 2 * len(widths))
    names = ["algorithm", *(cells.name(call.algorithm, room) for call in shown)]
    room = max(map(cells.displayed_width, names))
    text = "".join(
        f"{cells.left(name, room)}{_row(line, widths)}".rstrip() + "\n" for name, line in zip(names, lines, strict=True)
    )
    left_out = len(every) - len(shown)
    return text + (f"({left_out} calls further from their timeout are left out)\n" if left_out else "")


def _cells(call: Call) -> tuple[str, ...]:
    return (
        call.outcome,
        f"{call.timeout:g} s",
        cells.seconds(call.duration),
        cells.share(call.budget_used_ratio),
        cells.seconds(call.wall),
        cells.seconds(call.overhead),
        cells.seconds(call.queue),
        cells.seconds(call.load),
    )


def _row(values: Sequence[str], widths: Sequence[int]) -> str:
    return "".join(f"  {value.rjust(size)}" for value, size in zip(values, widths, strict=True))
