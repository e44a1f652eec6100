"""The test tools themselves."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[1]


@pytest.fixture
def inner(pytester: pytest.Pytester) -> pytest.Pytester:
    """A project of one test that needs a real program, run with our conftest."""
    pytester.makeconftest((ROOT / "tests/conftest.py").read_text())
    markers = "real(name): needs a program\n alone: with none beside it"
    pytester.makeini(f"[pytest]\nmarkers = {markers}\nasyncio_default_fixture_loop_scope = function\n")
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.real("sh", "no-such-program")
        def test_it():
            assert False, "it must not run"
        """
    )
    return pytester


def test_a_missing_program_is_a_skip_that_says_why(inner, monkeypatch):
    monkeypatch.delenv("CI", raising=False)
    result = inner.runpytest_subprocess("-rs")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["*needs the program no-such-program, which is not on PATH"])


def test_under_ci_a_missing_program_is_a_failure(inner, monkeypatch):
    monkeypatch.setenv("CI", "true")
    result = inner.runpytest_subprocess()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*needs the program no-such-program*"])


@pytest.mark.parametrize("beside", ["--numprocesses=0", "--numprocesses=2"])
def test_a_sigterm_ends_the_tests_and_what_they_started(inner, beside):
    inner.makepyfile(
        """
        import pathlib
        import subprocess

        import pytest

        @pytest.fixture
        def program():
            with subprocess.Popen(["sleep", "1000"]) as started:
                yield started.pid
                started.kill()

        def test_it(program):
            pathlib.Path("started").write_text(f"{program}\\n")
            subprocess.run(["sleep", "1000"])
        """
    )
    tests = inner.popen([sys.executable, "-m", "pytest", beside], stdin=subprocess.DEVNULL, stderr=subprocess.STDOUT)
    started = inner.path / "started"
    while not (started.exists() and started.read_text().endswith("\n")):
        assert tests.poll() is None, tests.stdout.read()
        time.sleep(0.01)
    tests.terminate()
    said = tests.communicate()[0].decode()
    assert tests.returncode == pytest.ExitCode.INTERRUPTED, said
    assert "KeyboardInterrupt" in said
    assert not Path("/proc", started.read_text().strip()).exists()


def test_beside_one_that_is_marked_alone_none_runs(inner, monkeypatch):
    monkeypatch.delenv("CI", raising=False)
    source = """
        import pathlib
        import subprocess
        import sys
        import time

        import pytest

        {mark}
        @pytest.mark.parametrize("number", range(6))
        def test_it(number):
            began = time.monotonic()
            subprocess.run([sys.executable, "-c", ""], check=True)
            pathlib.Path(f"{name} {{number}}").write_text(f"{{began}} {{time.monotonic()}}")
        """
    marks = {"alone": "@pytest.mark.alone", "beside": "", "besides": ""}
    inner.makepyfile(**{f"test_{name}": source.format(mark=mark, name=name) for name, mark in marks.items()})
    inner.runpytest_subprocess("--numprocesses=3").assert_outcomes(passed=18, skipped=1)
    ran = {path.name: tuple(map(float, path.read_text().split())) for path in inner.path.glob("* [0-9]")}
    for name, (began, ended) in ran.items():
        if name.startswith("alone"):
            assert [other for other, times in ran.items() if times[0] < ended and began < times[1]] == [name]


def test_a_test_sees_none_of_the_callers_settings(run_python, monkeypatch):
    names = {name for name in os.environ if name.startswith(("ALGOPROF_", "ALGORITHMIA_", "OTEL_"))}
    assert names == {"ALGOPROF_ACCOUNTS", "ALGOPROF_FLIGHT_DIR"}
    assert (
        run_python("import os; print(os.environ['ALGOPROF_FLIGHT_DIR'])").stdout.strip()
        == os.environ["ALGOPROF_FLIGHT_DIR"]
    )


def test_scripts_get_arguments_variables_and_no_stdin(run_python):
    done = run_python(
        "import os, sys; print(sys.argv[1], os.environ['X'], repr(sys.stdin.read()))", "a", env={"X": "b"}
    )
    assert (done.returncode, done.stdout) == (0, "a b ''\n")


def test_large_counts_are_scaled_unless_in_full(scaled, request):
    assert scaled(2000) == (2000 if request.config.getoption("--full") else 100)
    assert scaled(3) == (3 if request.config.getoption("--full") else 1)
