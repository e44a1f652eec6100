"""One file is an algorithm too: whatever has a function `apply`."""


def apply(input):
    return str(input).upper()
