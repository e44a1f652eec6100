"""The hot path: the flight file, its writer and its reader."""

from algoprof.recorder.process import own_flight, snapshot
from algoprof.recorder.writer import backend

__all__ = ["backend", "own_flight", "snapshot"]
