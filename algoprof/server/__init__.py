"""The platform on this machine: hosts algorithms under its HTTP contract."""
