# ruff: noqa: A002  (`input` is what the platform calls it)
"""Its model cannot be loaded."""

from Algorithmia import ADK


def load():
    print("looking for the model")
    return open_model("v3")


def open_model(name):
    raise FileNotFoundError(f"there is no model {name}")


def apply(input, model):
    return [input, model]


ADK(apply, load).init()
