# ruff: noqa: A002  (`input` is what the platform calls it)
"""An algorithm as the platform's documentation writes it."""

from Algorithmia import ADK


def load():
    print("loading the model")
    return {"model": "v3"}


def apply(input, state):
    print("asked for", input)
    if input == "fail":
        raise ValueError("the author's own words")
    if input == "nan":
        return {"score": float("nan")}
    if input == "bytes":
        return b"\x00\xff"
    return {"input": input, "model": state["model"]}


algorithm = ADK(apply, load)
algorithm.init("Algorithmia")
