"""What the algorithm imports."""


def greet(name):
    return f"hello {name}"
