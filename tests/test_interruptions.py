"""What interrupts a program wherever it is, its own recorder included, reaches the program."""

import pytest


@pytest.mark.parametrize("kind", ["TimeoutError", "Own", "KeyboardInterrupt", "OwnInterrupt"])
def test_what_a_signal_handler_raises_in_the_middle_of_a_section_is_never_swallowed(run_python, scaled, kind, writer):
    done = run_python(f"""
        import os, signal
        os.environ.pop("PYTEST_CURRENT_TEST")  # under which nothing is kept from anybody
        from algoprof import profile, section

        class Own(Exception): pass
        class OwnInterrupt(KeyboardInterrupt): pass

        def ring(number, frame):
            raise {kind}("time is up")

        def generator():
            with section("held"):
                yield

        with section("first"):
            pass
        signal.signal(signal.SIGALRM, ring)
        caught = 0
        for attempt in range({scaled(2000)}):
            try:
                signal.setitimer(signal.ITIMER_REAL, 0.0005 + attempt % 7 * 0.0001)
                number = 0
                while True:
                    number += 1
                    for _ in generator():
                        pass
                    with section(f"name {{number % 50}}", number=number):
                        pass
                    if number > 1_000_000:
                        raise SystemExit("lost")
            except {kind}:
                caught += 1
        print(caught)
        """)
    assert (done.stdout, done.stderr) == (f"{scaled(2000)}\n", "")


def test_a_fault_of_ours_is_counted_and_kept_from_the_program(run_python):
    done = run_python(
        """
        import os
        os.environ.pop("PYTEST_CURRENT_TEST")
        from algoprof import section
        from algoprof.recorder import cold, process
        with section("before"):
            pass
        def broken(*_):
            raise ValueError("ours")
        broken.__globals__["__name__"] = "algoprof.recorder.cold"
        cold.ColdWriter.place = broken
        with section("new"):
            print("went on")
        print(process._flight.words[16] > 0)
        """
    )
    assert (done.stdout, done.stderr) == ("went on\nTrue\n", "")
