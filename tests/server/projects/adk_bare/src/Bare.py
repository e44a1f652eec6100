# ruff: noqa: A002  (`input` is what the platform calls it)
"""An ADK without `load`, in a folder that says by `.adk` that it is one; it serves only where it is the program."""

import os
import signal

import adk


def apply(input):
    print("half a line", end="")
    if input == "exit":
        raise SystemExit("no more")
    if input == "die":
        os._exit(5)
    if input == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if input == "recurse":
        return apply(input)
    if input == "unserializable":
        return {"rows": [{1, 2}]}
    if input == "odd":
        error = ValueError("an error with a type that is no text")
        error.error_type = object()
        raise error
    return input


algorithm = adk.ADK(apply)

if __name__ == "__main__":
    algorithm.init("locally")
