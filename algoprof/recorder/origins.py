"""Where work comes from: the run and the node that it was asked for at, and the process that started a worker."""

import os

from algoprof.recorder import layout as at
from algoprof.recorder.children import parent_pid
from algoprof.recorder.flight import boot_id, process_start_time, program_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from algoprof.recorder.run_table import RunState, RunTable
    from algoprof.recorder.writer import Occurrence

WORKER = "worker"
"""The root of what a worker records in no section that is known."""


class Place:
    """A node of a run, as another process may be told of it.

    Args:
        run_id: 16 bytes.
        run_name: what the run is called.
        path: the names of the node and of those above it, the root's first.
        span: the occurrence of that node; 0 if it is not known.
    """

    __slots__ = ("path", "run_id", "run_name", "span")

    def __init__(self, run_id: bytes, run_name: str, path: tuple[str, ...], span: int = 0) -> None:
        self.run_id = run_id
        self.run_name = run_name
        self.path = path
        self.span = span


class Origin:
    """What started a worker.

    Args:
        pid: the process.
        start_time: when that process started.
        run_id: the run that was open there.
        run_name: what that run is called.
    """

    __slots__ = ("pid", "run_id", "run_name", "start_time")

    def __init__(self, pid: int, start_time: int, run_id: bytes, run_name: str) -> None:
        self.pid = pid
        self.start_time = start_time
        self.run_id = run_id
        self.run_name = run_name


def implicit_run_id(pid: int, start_time: int) -> bytes:
    """Return the id of a process's implicit run. It is never sent: whoever knows the process knows it.

    Where nothing tells when a process started, only forked children know it.
    """
    if not start_time:
        return os.urandom(16)
    try:
        namespace = os.stat("/proc/self/ns/pid").st_ino  # containers count their processes apart, on one boot
    except OSError:
        namespace = 0
    process = (start_time << 64 | namespace << 32 | pid) % 2**128
    return (int.from_bytes(boot_id(), "little") ^ process).to_bytes(16, "little")


def innermost_run(table: "RunTable") -> "RunState | None":
    """Return the run of the innermost section that is open in the calling context."""
    occurrence = table.writer.current.get()
    while occurrence is not None and (occurrence.closed or occurrence.row.run.ended):
        occurrence = occurrence.above
    return occurrence.row.run if occurrence is not None else None


def here(table: "RunTable") -> Place:
    """Return the node that a section entered here would stand in; outside every run, the root of the implicit one."""
    writer = table.writer
    occurrence = writer.above(writer.current.get(), writer.scope(), writer.block())
    if occurrence is None or occurrence.row.run.ended:
        name = table.implicit_name
        return Place(table.implicit_id, name, (table.implicit_root_name,))
    run = occurrence.row.run
    words = writer.flight.words
    names: list[str] = []
    row = occurrence.row.offset
    while row and len(names) <= at.NODE_LIMIT:
        link = words[row + at.NODE_PARENT]
        names.append(table.name_of(link >> 32))
        row = (link & at.REFERENCE_MASK) << 3
    return Place(run.run_id, run.title, tuple(reversed(names)), occurrence.span)


def span_here(table: "RunTable") -> tuple[str, int] | None:
    """Return the trace id of the outermost open run, and the span in it that what is done here is below; None if none.

    It is the innermost one that is certain to be kept: the first of its section. The implicit run is no trace: it
    lasts as long as the program.
    """
    writer = table.writer
    words = writer.flight.words
    occurrence = writer.above(writer.current.get(), writer.scope(), writer.block())
    found: Occurrence | None = None
    while occurrence is not None:
        run = occurrence.row.run
        if not (occurrence.closed or run.ended or run.run_id == table.implicit_id):
            inner = found is not None and found.row.run is run
            if not inner and not words[occurrence.row.offset + at.NODE_COUNT]:
                found = occurrence
        occurrence = occurrence.above
    return (found.row.run.run_id.hex(), found.span) if found is not None else None


def of_fork(table: "RunTable") -> Origin:
    """Return the origin of a child that was just forked, from the parent's run table. It copies plain values only."""
    words = table.writer.flight.words
    run = innermost_run(table)
    return Origin(
        words[at.HEADER_PID],
        words[at.HEADER_START_TIME],
        run.run_id if run is not None else table.implicit_id,
        run.title if run is not None else table.implicit_name,
    )


def of_multiprocessing() -> Origin | None:
    """Return the origin of a child that multiprocessing started afresh; None of any other process.

    No run is known to be open there, so its parent's implicit run stands for it. That is named for the program, and
    multiprocessing gives its children their parent's arguments.
    """
    parent = parent_pid()
    if not parent:
        return None
    start_time = process_start_time(parent)
    return Origin(parent, start_time, implicit_run_id(parent, start_time), program_name())
