# ruff: noqa: A002  (`input` is what the platform calls it)
"""What it imports raises a SyntaxError."""

import ast

from Algorithmia import ADK

PARSED = ast.parse("def broken(:", "helper.py")


def apply(input):
    return [input, PARSED]


ADK(apply).init()
