"""Its requirements cannot be installed."""


def apply(input):
    return input
