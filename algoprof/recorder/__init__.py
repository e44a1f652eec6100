"""The hot path: the flight file, its writer and its reader."""

from algoprof.recorder.process import backend, own_flight, snapshot

__all__ = ["backend", "own_flight", "snapshot"]
