# ruff: noqa: A002, N999  (`input` and the name of the module are what the platform calls them)
"""A classic algorithm: found by its name, imported as a package, so that relative imports work."""

from .helper import greet


def apply(input):
    if input == "fail":
        raise KeyError("no such thing")
    return greet(input)
