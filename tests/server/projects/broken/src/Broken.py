# ruff: noqa: A002  (`input` is what the platform calls it)
"""Its requirements cannot be installed."""


def apply(input):
    return input
