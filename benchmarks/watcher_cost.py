"""What a timeout costs the code under it while no threshold is reached, beside the same code without a timeout.

Run it with `make bench`; the control, the same code once more, shows what the machine's noise alone makes of it.
"""

from interleaved import Measured, ratios, table

from algoprof import profile, section

_step = section("step")


def main() -> None:
    """Measure in turn, and print ratios."""
    rows = ratios(
        "without a timeout",
        {
            "without a timeout": _sections(None),
            "the control, without one": _sections(None),
            "under a timeout of an hour": _sections(3600),
        },
        repeats=2000,
    )
    print(table("2000 sections in a run, as a multiple of the same without a timeout in the same round", rows))


def _sections(timeout: float | None) -> Measured:
    def body(repeats: int) -> None:
        with profile("run", timeout=timeout):
            for _ in range(repeats):
                with _step:
                    pass

    return body


if __name__ == "__main__":
    main()
