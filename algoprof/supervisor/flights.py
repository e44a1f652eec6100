"""The flight files of one supervision."""

import os
import struct
from dataclasses import dataclass
from pathlib import Path

from algoprof.errors import ProfileFileError
from algoprof.recorder import layout as at
from algoprof.recorder.directory import flight_directory, flight_files
from algoprof.recorder.reader import Flight, read
from algoprof.supervisor import numbers

_HEADER = struct.Struct("<32q")


@dataclass(frozen=True, slots=True)
class Recorded:
    """What one process has recorded.

    Args:
        path: its flight file.
        flight: what that says.
        started: when the process started, in clock ticks since the boot.
        parent: the pid of the process that it is a worker of; 0 if it is none.
        beat_ns: its last sign of life, on the monotonic clock.
        stack_signal: what has it write its stacks; 0 if nothing has.
        stack_handle: its file descriptor for them.
    """

    path: Path
    flight: Flight
    started: int
    parent: int
    beat_ns: int
    stack_signal: int
    stack_handle: int


class Flights:
    """Where the processes of one supervision record."""

    def __init__(self) -> None:
        self.supervision = numbers.new_number()
        """What their flight files have in their headers."""

    def read(self, died_ns: int | None = None) -> list[Recorded]:
        """Return what every process has recorded, the first one to start first.

        Args:
            died_ns: for those that are dead, when they died at the latest, on the monotonic clock.
        """
        found = []
        for path in _places():
            header = header_of(path)
            if header is not None and self.supervision in supervisions_of(header):
                try:
                    flight = read(path, at_ns=died_ns)
                except (ProfileFileError, OSError):
                    continue
                word = header[at.HEADER_SIGNAL]
                found.append(
                    Recorded(
                        Path(path),
                        flight,
                        header[at.HEADER_START_TIME],
                        header[at.HEADER_PARENT_PID],
                        header[at.HEADER_HEARTBEAT],
                        word & 0xFFFFFFFF,
                        word >> 32,
                    )
                )
        return sorted(found, key=lambda one: (one.started, one.flight.pid))


def supervisions_of(header: tuple[int, ...]) -> tuple[int, ...]:
    """Return the numbers of the supervisions that a process runs under, the outermost first; 0 is none."""
    return header[at.HEADER_SUPERVISIONS : at.HEADER_SUPERVISIONS + at.SUPERVISIONS]


def _places() -> list[str]:
    try:
        found = flight_files(flight_directory())
    except OSError:
        found = []
    named = os.environ.get("ALGOPROF_FLIGHT_FILE")
    return [*found, named] if named and named not in found else found


def header_of(path: str) -> tuple[int, ...] | None:
    """Return the words of a flight file's header; None if there are none to be read."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            return _HEADER.unpack(file.read(_HEADER.size))
    except (OSError, struct.error):
        return None
