"""Greets, in the platform's current style: a state loaded once, and an ADK that reads the requests."""

from Algorithmia import ADK

from algoprof import profile, section


def load(state):
    state["greeting"] = "Hello"
    return state


@profile
def apply(input, state):
    with section("greet"):
        return f"{state['greeting']} {input}"


algorithm = ADK(apply, load)
algorithm.init("World")
