# ruff: noqa: A002  (`input` is what the platform calls it)
"""An algorithm as the platform's documentation writes it."""

import os
import sys
import threading
import time

from Algorithmia import ADK


def load():
    print("loading the model")
    if os.fork() == 0:
        return {}  # the child must not serve
    return {"model": "v3"}


def apply(input, state):
    print("asked for", input)
    if input == "fail":
        raise ValueError("the author's own words")
    if input == "nan":
        return {"score": float("nan")}
    if input == "bytes":
        return b"\x00\xff"
    if input == "fork":
        child = os.fork()
        if child == 0:
            return "from the child"
        os.waitpid(child, 0)
        return "from the parent"
    if input == "exit":
        threading.Thread(target=time.sleep, args=[1000]).start()
        sys.exit(6)
    return {"input": input, "model": state["model"]}


algorithm = ADK(apply, load)
algorithm.init("Algorithmia")
