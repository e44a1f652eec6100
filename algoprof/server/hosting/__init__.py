"""Versions at work: their queues, their workers, and what a worker answers."""
