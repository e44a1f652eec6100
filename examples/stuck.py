"""A program that hangs in one call of C code, which holds the interpreter: try `algoprof run --timeout 1.5` on it."""

import itertools
import time

from algoprof import profile, section


@section
def load():
    time.sleep(0.3)


with profile("job"):
    load()
    with section("finish"), section("solve"):
        sum(itertools.repeat(1, 10**11))
