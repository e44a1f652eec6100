"""The hot path: the flight file, its writer and its reader."""
