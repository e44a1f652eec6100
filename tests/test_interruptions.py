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


def test_what_an_interrupted_section_leaves_adopts_nothing(run_python, scaled):
    """Of the compiled writer: in Python, a handler may raise before the first line of an exit."""
    done = run_python(
        f"""
        import signal
        from algoprof import profile, section

        class Own(Exception): pass

        def ring(number, frame):
            raise Own

        @section
        def decorated(): sum(range(50))

        def with_with():
            with section("with"): sum(range(50))

        signal.signal(signal.SIGALRM, ring)
        misplaced = 0
        for work in (decorated, with_with):
            for attempt in range({scaled(2000)}):
                with profile("job") as run:
                    try:
                        signal.setitimer(signal.ITIMER_REAL, 0.0003 + attempt % 7 * 0.00001)
                        while True:
                            work()
                    except Own:
                        pass
                    with section("after"):
                        pass
                misplaced += "after" not in [node.name for node in run.snapshot().node("job").children]
        print(misplaced)
        """,
        env={"ALGOPROF_WRITER": "native"},
    )
    assert (done.stdout, done.stderr) == ("0\n", "")


def test_an_uncaught_interrupt_ends_a_program_as_it_would_without_us(run_python):
    done = run_python("""
        from algoprof import profile, section
        with profile("job"), section("step"):
            raise KeyboardInterrupt
        """)
    assert done.returncode == -2, "killed by SIGINT, as shells and make expect"


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
